//! What is to come, in order of time, then of having been scheduled.

use std::collections::BTreeMap;

use kraliki_time::Time;

pub(super) struct Agenda<H> {
    ahead: BTreeMap<(Time, u64), H>,
    count: u64,
}

impl<H> Default for Agenda<H> {
    fn default() -> Self {
        Agenda { ahead: BTreeMap::new(), count: 0 }
    }
}

impl<H> Agenda<H> {
    pub(super) fn add(&mut self, at: Time, what: H) {
        self.count += 1;
        self.ahead.insert((at, self.count), what);
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.ahead.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take(&mut self) -> Option<H> {
        self.ahead.pop_first().map(|(_, what)| what)
    }
}
