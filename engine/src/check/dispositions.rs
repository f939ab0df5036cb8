//! A disposition that was acknowledged is on disk, and stays there across every restart.

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;

use super::{Books, Check, End, Found};
use crate::{AttemptId, Command, Input, Output};

#[derive(Debug, Default)]
pub(super) struct Dispositions {
    asked: BTreeMap<u64, (AttemptId, String)>,
    acknowledged: BTreeSet<(AttemptId, String)>,
}

impl Dispositions {
    fn compare(&self, now: Time, books: &Books, found: &mut Found) {
        for said in self.acknowledged.difference(&books.dispositions) {
            found.add(now, format!("the disposition {} of call {} is lost", said.1, said.0));
        }
    }
}

impl Check for Dispositions {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        if let Input::Command { reply, command: Command::Dispose { call, code, .. } } = input {
            self.asked.insert(*reply, (*call, code.clone()));
        }
    }

    fn output(&mut self, _now: Time, output: &Output, _found: &mut Found) {
        if let Output::Reply { reply, result } = output
            && let Some(said) = self.asked.remove(reply)
            && result.is_ok()
        {
            self.acknowledged.insert(said);
        }
    }

    fn restarted(&mut self, now: Time, books: &Books, found: &mut Found) {
        self.asked.clear();
        self.compare(now, books, found);
    }

    fn finish(&mut self, now: Time, end: &End<'_>, found: &mut Found) {
        if let Some(books) = end.books {
            self.compare(now, books, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{CommandError, Reply, Snapshot};

    #[test]
    fn sees_a_disposition_that_is_lost() {
        let mut hand: Hand<Dispositions> = Hand::new(all_day());
        for n in 1..=2 {
            let (call, code) = (AttemptId(n), "sale".to_owned());
            hand.command(
                n.unsigned_abs(),
                Command::Dispose { call, code, note: String::new(), callback_unix_ms: None, personal: false },
            );
        }
        hand.reply(1, Ok(Reply::Done));
        hand.reply(2, Err(CommandError::Store));
        let mut books = Books::default();
        books.dispositions.insert((AttemptId(1), "sale".into()));
        hand.restarted(&books);
        hand.finish(&Snapshot::default(), Some(&books));
        hand.clean();
        hand.restarted(&Books::default());
        hand.caught("sale of call 1 is lost");
    }
}
