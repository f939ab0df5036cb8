//! Packet indexes: the roll-over counter's guess and the replay window (RFC 3711 §3.3.1, §3.3.2, appendix A).

use super::SrtpError;
use crate::limits::MAX_SRTP_SOURCES;

/// Which of the last indexes were seen. 128 packets are 2.5 s of audio: later than that no packet is of use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n is set when `highest - n` was seen.
    seen: u128,
}

impl Window {
    pub(super) fn starting_at(index: u64) -> Window {
        Window { highest: index, seen: 1 }
    }

    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(age) if age < u64::from(u128::BITS) => self.seen & (1 << age) == 0,
            Some(_) => false,
        }
    }

    /// Notes an index that is fresh and authentic.
    pub(super) fn accept(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            None => {
                let ahead = index - self.highest;
                self.seen = if ahead < u64::from(u128::BITS) { (self.seen << ahead) | 1 } else { 1 };
                self.highest = index;
            }
            Some(age) if age < u64::from(u128::BITS) => self.seen |= 1 << age,
            Some(_) => {}
        }
    }
}

/// An index that is fresh, and where to note it once the packet is authentic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    /// 48 bits: roll-over counter and sequence number.
    pub(super) index: u64,
    known: Option<usize>,
}

/// The sources of one direction: nearly always there is but one, which needs no look elsewhere.
#[derive(Default)]
pub(super) struct Sources {
    first: Option<(u32, Window)>,
    others: Vec<(u32, Window)>,
}

impl Sources {
    /// The index that a sequence number most likely stands for, if it was not seen before.
    pub(super) fn guess(&self, ssrc: u32, sequence: u16) -> Result<Guess, SrtpError> {
        let mut known = self.first.iter().chain(&self.others).enumerate();
        let Some((at, (_, window))) = known.find(|(_, (s, _))| *s == ssrc) else {
            // The first packet starts with roll-over counter 0 (RFC 3711 §3.3.1).
            return match self.others.len() + 1 < MAX_SRTP_SOURCES {
                true => Ok(Guess { index: u64::from(sequence), known: None }),
                false => Err(SrtpError::TooManySources),
            };
        };
        let index = nearest(window.highest, sequence)?;
        if window.is_fresh(index) { Ok(Guess { index, known: Some(at) }) } else { Err(SrtpError::Replayed) }
    }

    /// See [`crate::leg::Leg::touch`].
    pub(super) fn touch(&self) -> u64 {
        self.first.as_ref().map_or(0, |(_, window)| window.highest)
    }

    pub(super) fn accept(&mut self, ssrc: u32, guess: Guess) {
        match guess.known.and_then(|at| self.first.iter_mut().chain(&mut self.others).nth(at)) {
            Some((_, window)) => window.accept(guess.index),
            None => {
                let begun = (ssrc, Window::starting_at(guess.index));
                match self.first {
                    None => self.first = Some(begun),
                    Some(_) => self.others.push(begun),
                }
            }
        }
    }
}

/// The index with this sequence number that is nearest to the highest one (RFC 3711 appendix A).
fn nearest(highest: u64, sequence: u16) -> Result<u64, SrtpError> {
    const HALF: i64 = 1 << 15;
    const CYCLE: u64 = 1 << 16;
    let same_cycle = (highest & !(CYCLE - 1)) | u64::from(sequence);
    let ahead = i64::from(sequence) - i64::from(highest as u16);
    if ahead > HALF {
        // A packet from before the roll-over; before the first one there is none.
        same_cycle.checked_sub(CYCLE).ok_or(SrtpError::Replayed)
    } else if ahead < -HALF {
        let next = same_cycle + CYCLE;
        if next >> 48 == 0 { Ok(next) } else { Err(SrtpError::KeyExhausted) }
    } else {
        Ok(same_cycle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_cycle_is_taken() {
        assert_eq!(nearest(0x1_fffe, 1), Ok(0x2_0001));
        assert_eq!(nearest(0x2_0001, 0xfffe), Ok(0x1_fffe));
        assert_eq!(nearest(0x2_0001, 5), Ok(0x2_0005));
        assert_eq!(nearest(1, 0xfffe), Err(SrtpError::Replayed));
        assert_eq!(nearest((1 << 48) - 1, 0), Err(SrtpError::KeyExhausted));
    }

    proptest! {
        /// Against a plain set: fresh means not seen and not older than the window.
        #[test]
        fn the_window_agrees_with_a_set(indexes in proptest::collection::vec(1000u64..1400, 1..300)) {
            let mut window = Window::starting_at(1100);
            let mut seen = std::collections::BTreeSet::from([1100]);
            for index in indexes {
                let highest = *seen.last().unwrap();
                let fresh = !seen.contains(&index) && index + 128 > highest;
                prop_assert_eq!(window.is_fresh(index), fresh);
                if fresh {
                    window.accept(index);
                    seen.insert(index);
                }
            }
        }
    }
}
