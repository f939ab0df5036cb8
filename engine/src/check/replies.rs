//! Every command gets one reply.

use std::collections::BTreeSet;

use kraliki_time::Time;

use super::{Books, Check, End, Found};
use crate::{Input, Output};

#[derive(Debug, Default)]
pub(super) struct Replies {
    asked: BTreeSet<u64>,
}

impl Check for Replies {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        if let Input::Command { reply, .. } = input {
            self.asked.insert(*reply);
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        if let Output::Reply { reply, .. } = output
            && !self.asked.remove(reply)
        {
            found.add(now, format!("reply {reply} was not asked for, or given twice"));
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        self.asked.clear(); // the connections of those who asked are gone
    }

    fn finish(&mut self, now: Time, _end: &End<'_>, found: &mut Found) {
        for reply in &self.asked {
            found.add(now, format!("command {reply} was never answered"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{AgentId, Command, Reply, Snapshot};

    #[test]
    fn sees_no_reply_and_two() {
        let mut hand: Hand<Replies> = Hand::new(all_day());
        hand.command(1, Command::Ready(AgentId(1)));
        hand.finish(&Snapshot::default(), None);
        hand.caught("command 1 was never answered");
        hand.reply(1, Ok(Reply::Done));
        hand.clean();
        hand.reply(1, Ok(Reply::Done));
        hand.caught("given twice");
    }
}
