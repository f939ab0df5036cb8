//! Brings what a batch of packets needs into the processor's cache. With a thousand calls it is in none of the near ones, and a
//! packet would wait for one line after the other; the loads of one pass here depend on nothing but the pass before, so that
//! those of many packets are under way together. It decides nothing.

use std::hint::black_box;

use super::Relay;
use crate::leg::Leg;
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
    pub(crate) fn warm_up(&mut self, heard: impl Iterator<Item = Heard>) {
        let mut slots = std::mem::take(&mut self.warming);
        slots.clear();
        slots.extend(heard.filter_map(|heard| match heard {
            Heard::Leg(slot) => Some(slot),
            Heard::Browser(from) => self.addresses.get(&from).copied(),
        }));
        let from = slots.len();
        for at in 0..from {
            let leg = slots.get(at).and_then(|slot| self.leg(*slot));
            black_box(leg.map_or(0, Leg::touch));
            slots.extend(leg.and_then(Leg::peer));
        }
        let legs = |slots: &[usize], touch: fn(&Leg) -> u64| {
            for leg in slots.iter().filter_map(|slot| self.leg(*slot)) {
                black_box(touch(leg));
            }
        };
        legs(slots.get(from..).unwrap_or_default(), Leg::touch);
        legs(&slots, Leg::touch_parts);
        legs(&slots, Leg::touch_keys);
        self.warming = slots;
    }

    fn leg(&self, slot: usize) -> Option<&Leg> {
        self.entries.get(slot)?.as_ref().map(|entry| &entry.leg)
    }
}
