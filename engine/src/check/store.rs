//! A store that takes nothing stops dialing within a second.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{Input, Output, Write};

/// What is promised.
const WITHIN: Duration = Duration::from_secs(1);
/// A decision is made at least this often, and the last one may have been made just before.
const SLACK: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(super) struct Store {
    /// Writes that wait, with their time.
    waiting: BTreeMap<u64, Time>,
    /// Since when writes fail.
    failing: Option<Time>,
}

impl Store {
    fn since(&self) -> Option<Time> {
        let stalled = self.waiting.values().next().copied();
        match (stalled, self.failing) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

impl Check for Store {
    fn input(&mut self, now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Committed { token } => {
                let later = self.waiting.split_off(&token.saturating_add(1));
                if !std::mem::replace(&mut self.waiting, later).is_empty() {
                    self.failing = None;
                }
            }
            Input::CommitFailed { token } if self.waiting.remove(token).is_some() => {
                self.failing.get_or_insert(now);
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        let what = match output {
            Output::Store { write: Write::Try(new), .. } => Some(format!("{} is begun", new.id)),
            Output::Dial(dial) => Some(format!("{} is dialed", dial.id)),
            _ => None,
        };
        // An INVITE may follow its own commit while a later write hangs, but not for longer either.
        if let (Some(what), Some(since)) = (what, self.since())
            && now.since(since) > WITHIN + SLACK
        {
            let gone = now.since(since).as_millis();
            found.add(now, format!("{what} though the store has taken nothing for {gone} ms"));
        }
        if let Output::Store { token: Some(token), .. } = output {
            self.waiting.insert(*token, now);
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        *self = Store::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn sees_a_dialer_that_goes_on() {
        let mut hand: Hand<Store> = Hand::new(all_day());
        hand.write_try(1, 1, 1);
        hand.wait_ms(1_000);
        hand.write_try(2, 2, 2);
        hand.clean();
        hand.wait_ms(2);
        hand.write_try(3, 3, 3);
        hand.caught("3/1 is begun though the store has taken nothing for 1002 ms");
        hand.committed(3);
        hand.write_try(4, 4, 4);
        hand.clean();
        hand.input(&Input::CommitFailed { token: 4 });
        hand.wait_ms(1_002);
        hand.dial(4, 4);
        hand.caught("4/1 is dialed though");
    }
}
