//! Watching trunks by OPTIONS.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_sip::CallKey;
use kraliki_time::Time;

use super::TrunkConfig;
use super::drive::Driver;
use crate::{BreakerState, Event, Input, TrunkId};

/// A trunk that is up is asked this often.
const ASK_UP: Duration = Duration::from_secs(30);
/// One that is down, or not known yet, is asked more often.
const ASK_DOWN: Duration = Duration::from_secs(5);
/// Answers missed or refused in a row before a trunk that was up is down: one lost datagram is no outage.
const MISSES: u32 = 2;

/// The state of each trunk that is watched.
pub(super) struct Watches {
    by_trunk: BTreeMap<TrunkId, Watch>,
    asked: BTreeMap<CallKey, TrunkId>,
    /// What was last said of each breaker.
    breakers: BTreeMap<TrunkId, BreakerState>,
}

struct Watch {
    up: bool,
    misses: u32,
    next: Time,
    waiting: bool,
}

impl Watches {
    pub(super) fn new(trunks: &[TrunkConfig]) -> Watches {
        let watched = trunks.iter().filter(|t| t.trunk.options_keepalive);
        let fresh = || Watch { up: false, misses: 0, next: Time::ZERO, waiting: false };
        Watches {
            by_trunk: watched.map(|t| (t.trunk.id, fresh())).collect(),
            asked: BTreeMap::new(),
            breakers: BTreeMap::new(),
        }
    }

    /// Alarms the log when a trunk begins to rest, and says when it works again.
    pub(super) fn note(&mut self, event: &Event) {
        let Event::Trunk(view) = event else { return };
        let before = self.breakers.insert(view.id, view.breaker).unwrap_or_default();
        let (trunk, failures, rest_s) = (&view.name, view.failures, view.resting_s);
        match (before, view.breaker) {
            (BreakerState::Open, BreakerState::Open) | (BreakerState::Closed, BreakerState::Closed) => {}
            (_, BreakerState::Open) => tracing::error!(trunk, failures, rest_s, "the trunk fails and rests"),
            (_, BreakerState::Closed) => tracing::info!(trunk, "the trunk works again"),
            (_, BreakerState::HalfOpen) => {}
        }
    }
}

impl Driver {
    /// Asks the trunks whose time has come.
    pub(super) fn watch_trunks(&mut self, now: Time) {
        for trunk in &self.config.trunks {
            let Some(watch) = self.watches.by_trunk.get_mut(&trunk.trunk.id) else { continue };
            if watch.waiting || watch.next > now {
                continue;
            }
            // A full queue is a busy dialer: asked again at the next tick.
            if let Ok(key) = self.sip.options(trunk.address) {
                watch.waiting = true;
                self.watches.asked.insert(key, trunk.trunk.id);
            }
        }
    }

    pub(super) fn on_options_result(&mut self, key: CallKey, status: Option<u16>) {
        let now = self.now();
        let Some(id) = self.watches.asked.remove(&key) else { return };
        let Some(watch) = self.watches.by_trunk.get_mut(&id) else { return };
        watch.waiting = false;
        // Any answer but a server failure shows that somebody is there; a 503 is not healthy (RFC 3261 §21.5.4).
        let healthy = status.is_some_and(|s| s < 500 && s != 408);
        watch.misses = if healthy { 0 } else { watch.misses + 1 };
        let up = healthy || (watch.up && watch.misses < MISSES);
        watch.next = now + if up && healthy { ASK_UP } else { ASK_DOWN };
        if up != watch.up {
            watch.up = up;
            let name = self.config.trunks.iter().find(|t| t.trunk.id == id).map(|t| t.trunk.name.as_str());
            tracing::info!(trunk = name, up, status, "trunk state changed");
            self.give(Input::Trunk { id, up });
        }
    }
}
