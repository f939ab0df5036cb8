//! Attempts at numbers that began in this process: what a lead that was read before them does not know.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::Lead;
use crate::limits::DIALED_MOST;

/// What the caps look back on.
const DAY_MS: i64 = 24 * 3_600_000;

/// The last day's, and not more than a bound: a lead is read again every few seconds, so the newest are what counts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dialed {
    numbers: BTreeMap<String, Vec<i64>>,
    order: VecDeque<(i64, String)>,
}

impl Dialed {
    /// An attempt at that number begins.
    pub(crate) fn insert(&mut self, phone: &str, unix_ms: i64) {
        self.numbers.entry(phone.to_owned()).or_default().push(unix_ms);
        self.order.push_back((unix_ms, phone.to_owned()));
        while self.order.len() > DIALED_MOST
            || self.order.front().is_some_and(|(at, _)| *at < unix_ms.saturating_sub(DAY_MS))
        {
            let Some((at, phone)) = self.order.pop_front() else { break };
            self.remove(&phone, at);
        }
    }

    /// It never was: nothing was sent.
    pub(crate) fn remove(&mut self, phone: &str, unix_ms: i64) {
        if let Some(times) = self.numbers.get_mut(phone) {
            times.retain(|at| *at != unix_ms);
            if times.is_empty() {
                self.numbers.remove(phone);
            }
        }
    }

    /// When attempts at the lead's number began, over all campaigns: those that the store knew of when it was read, and
    /// those since. Each once: two at one number never begin together.
    pub(crate) fn at(&self, lead: &Lead) -> BTreeSet<i64> {
        let since = self.numbers.get(&lead.phone.0).into_iter().flatten();
        lead.number.iter().chain(since).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lead;

    #[test]
    fn what_was_read_and_what_came_since_are_one() {
        let mut dialed = Dialed::default();
        let mut lead = lead(1);
        lead.number = vec![5, 7];
        for at in [7, 9] {
            dialed.insert(&lead.phone, at);
        }
        dialed.insert("+15550000000", 8);
        assert_eq!(dialed.at(&lead), [5, 7, 9].into());
        dialed.remove(&lead.phone, 9);
        assert_eq!(dialed.at(&lead), [5, 7].into());
        dialed.insert("+15550000000", 8 + DAY_MS);
        assert_eq!(dialed.numbers.len(), 1, "a day later they are forgotten");
        for n in 0..=DIALED_MOST {
            dialed.insert(&format!("+1{n}"), DAY_MS);
        }
        assert_eq!(dialed.order.len(), DIALED_MOST);
    }
}
