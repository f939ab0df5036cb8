//! How long agents may pause, and how long they have today.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::Activity;
use crate::limits::AGENTS_MOST;
use crate::{AgentId, Engine};

/// What agents have used of limits that count by the day. Kept beyond a sign-out; of an agent's earlier days nothing is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pauses(BTreeMap<AgentId, Used>);

#[derive(Debug, Serialize, Deserialize)]
struct Used {
    /// Counted from 1970, in the agent's zone.
    day: i64,
    /// By reason, in ms.
    ms: BTreeMap<String, u64>,
}

impl Engine {
    /// When the limits of a pause that begins now are used up; none: it has none.
    pub(super) fn pause_ends(&self, now: Time, id: AgentId, activity: &Activity) -> Option<Time> {
        let Activity::Paused(code) = activity else { return None };
        let reason = self.people.pause_reason(code)?;
        let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
        let once = (reason.limit_min > 0).then(|| minutes(reason.limit_min));
        let day = (reason.day_limit_min > 0).then(|| {
            let day = self.people.day(id, self.clock.unix_ms(now));
            let used = self.pauses.0.get(&id).filter(|used| used.day == day);
            let used = used.and_then(|used| used.ms.get(code)).copied().unwrap_or_default();
            minutes(reason.day_limit_min).saturating_sub(Duration::from_millis(used))
        });
        let left = once.into_iter().chain(day).min()?;
        Some(now + left)
    }

    /// A pause is over. It counts to the day on which it ended.
    pub(crate) fn count_pause(&mut self, id: AgentId, code: &str, until_unix_ms: i64, lasted_ms: u64) {
        if self.people.pause_reason(code).is_none() {
            return;
        }
        let day = self.people.day(id, until_unix_ms);
        if !self.pauses.0.contains_key(&id) && self.pauses.0.len() >= AGENTS_MOST {
            // Of days that are over nothing is needed.
            self.pauses.0.retain(|_, used| used.day + 1 >= day);
            if self.pauses.0.len() >= AGENTS_MOST {
                return;
            }
        }
        let used = self.pauses.0.entry(id).or_insert_with(|| Used { day, ms: BTreeMap::new() });
        if used.day < day {
            (used.day, used.ms) = (day, BTreeMap::new());
        }
        if used.day == day {
            let ms = used.ms.entry(code.to_owned()).or_default();
            *ms = ms.saturating_add(lasted_ms);
        }
    }
}
