//! Brings what a batch of packets needs into the processor's cache. With a thousand calls it is in none of the near ones, and a
//! packet would wait for one line after the other; the loads here depend on nothing, so that those of many packets are under
//! way together. It decides nothing.

use std::hint::black_box;

use super::Relay;
use crate::webrtc::TransportAddress;

/// Whose packet it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// Of the browser that is heard from this address.
    Browser(TransportAddress),
    /// Of the leg in this slot.
    Leg(usize),
}

impl Relay {
    /// Touches the legs that packets come from, and those that they go to.
    pub(crate) fn warm_up(&self, heard: impl Iterator<Item = Heard>) {
        let leg = |slot: usize| Some(&self.entries.get(slot)?.as_ref()?.leg);
        let slot_of = |heard| match heard {
            Heard::Leg(slot) => Some(slot),
            Heard::Browser(from) => self.addresses.get(&from).copied(),
        };
        for from in heard.filter_map(slot_of).filter_map(leg) {
            black_box(from.touch());
            black_box(from.peer().and_then(leg).map_or(0, |to| to.touch()));
        }
    }
}
