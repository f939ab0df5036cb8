//! What may not be dialed at all: a suppressed number, from the moment on which it was asked for; anything in a drain.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::tokens::Tokens;
use super::{Books, Check, Found};
use crate::{Command, Input, Output, Pii, Write};

#[derive(Debug, Default)]
pub(super) struct Forbidden {
    tokens: Tokens,
    /// Numbers, with the write that put them on the list; none: not written yet.
    suppressed: BTreeMap<Pii<String>, Option<u64>>,
    draining: bool,
}

impl Check for Forbidden {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        self.tokens.input(input);
        match input {
            // A command that is refused forbids nothing, but is not given with a wrong number either.
            Input::Command { command: Command::Suppress { phone, campaign: None, .. }, .. } => {
                self.suppressed.entry(phone.clone()).or_insert(None);
            }
            Input::Command { command: Command::Drain { .. }, .. } => self.draining = true,
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        let number = self.tokens.output(output);
        match output {
            Output::Store { write: Write::Suppress { phone, campaign: None, .. }, .. } => {
                let known = self.suppressed.entry(phone.clone()).or_insert(None);
                if !known.is_some_and(|write| self.tokens.is_durable(write)) {
                    *known = Some(number);
                }
            }
            Output::Dial(dial) if self.suppressed.contains_key(&dial.phone) => {
                found.add(now, format!("{} is dialed though it is suppressed", dial.id));
            }
            Output::Dial(dial) if self.draining => {
                found.add(now, format!("{} is dialed while draining", dial.id));
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        let tokens = &self.tokens;
        // What was not acknowledged may be gone; whoever asked for it asks again.
        self.suppressed.retain(|_, write| write.is_some_and(|write| tokens.is_durable(write)));
        self.tokens.restarted();
        self.draining = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use std::time::Duration;

    #[test]
    fn sees_a_suppressed_number_also_after_a_restart_and_a_call_in_a_drain() {
        let mut hand: Hand<Forbidden> = Hand::new(all_day());
        for n in 1..=2 {
            let phone = crate::testing::lead(n).phone;
            hand.command(
                1,
                Command::Suppress { phone: phone.clone(), reason: String::new(), campaign: None },
            );
            let write = Write::Suppress { phone, reason: String::new(), campaign: None, at_unix_ms: 0 };
            hand.store(n.unsigned_abs(), write);
        }
        hand.dial(1, 1);
        hand.caught("though it is suppressed");
        hand.committed(1);
        hand.restarted(&Books::default());
        hand.dial(2, 2);
        hand.clean();
        hand.dial(3, 1);
        hand.caught("though it is suppressed");
        hand.command(2, Command::Drain { deadline: Duration::ZERO });
        hand.dial(4, 4);
        hand.caught("while draining");
    }
}
