//! What DNS said, for as long as it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kraliki_time::Time;

use super::{Answer, Question, Record};
use crate::limits;

/// An answer as it is used: no records stands for "there are none".
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) records: Arc<[Record]>,
    /// DNS failed, and nothing was known from before.
    pub(super) failed: bool,
    /// Until when it may be used.
    pub(super) until: Time,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// Until when it serves if DNS fails.
    stale_until: Time,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Question, Entry>,
}

impl Cache {
    /// What is known and may still be used.
    pub(super) fn get(&self, now: Time, question: &Question) -> Option<&Known> {
        self.entries.get(question).map(|entry| &entry.known).filter(|known| now < known.until)
    }

    /// Keeps an answer. Gives back what is to be used: an older answer when this one is a failure.
    pub(super) fn put(&mut self, now: Time, question: &Question, answer: Answer) -> Known {
        let (records, life, failed) = match answer {
            Answer::Found { mut records, ttl } => {
                records.truncate(limits::DNS_RECORDS);
                let life = match records.is_empty() {
                    true => limits::DNS_NEGATIVE,
                    false => ttl.clamp(limits::DNS_TTL_LEAST, limits::DNS_TTL_MOST),
                };
                (records, life, false)
            }
            Answer::Nothing => (Vec::new(), limits::DNS_NEGATIVE, false),
            Answer::Failed => (Vec::new(), limits::DNS_RETRY, true),
        };
        let until = now + life;
        if failed
            && let Some(entry) = self.entries.get_mut(question)
            && !entry.known.failed
            && now < entry.stale_until
        {
            // Another resolution may have had an answer meanwhile.
            if now >= entry.known.until {
                entry.known.until = (now + limits::DNS_RECHECK).min(entry.stale_until);
            }
            return entry.known.clone();
        }
        let known = Known { records: records.into(), failed, until };
        let stale_until = if failed { until } else { until + limits::DNS_STALE };
        if !self.entries.contains_key(question) && self.entries.len() >= limits::DNS_CACHE {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.stale_until);
            if let Some(question) = oldest.map(|(question, _)| question.clone()) {
                self.entries.remove(&question);
            }
        }
        self.entries.insert(question.clone(), Entry { known: known.clone(), stale_until });
        known
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
