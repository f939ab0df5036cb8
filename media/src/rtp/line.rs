//! The one line of sequence numbers and timestamps that a far end hears from us, whatever the source is: silence, a
//! prompt, this caller, the next one. A browser is told one SSRC at log-in and hears it all day.

use std::time::Duration;

use kraliki_time::Time;

use crate::codec::SAMPLE_RATE_HZ;

/// A jump of sequence numbers beyond which a source has started anew (RFC 3550 A.1, MAX_DROPOUT).
const MAX_DROPOUT: u16 = 3_000;
/// Made frames whose distance is below this follow each other without a gap, whatever the wake-up's jitter.
const GAPLESS: Duration = Duration::from_millis(60);

/// The changing fields of one packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// How the packets of the present source map onto the line.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    ssrc: u32,
    /// The source's first sequence number; what is older belongs to the time before.
    first: u16,
    /// The source's highest so far.
    highest: u16,
    add_sequence: u16,
    add_timestamp: u32,
}

/// The sending side's header fields.
#[derive(Clone, Debug)]
pub(crate) struct OutLine {
    ssrc: u32,
    /// Timestamp units a second: those of the codec that is sent.
    clock_hz: u32,
    next_sequence: u16,
    /// A moment and its timestamp; later ones follow from it by the clock rate.
    anchor: (Time, u32),
    /// The end of what was sent: the next source starts here or later.
    end: u32,
    mapping: Option<Mapping>,
    /// The last packet was made here, and the next made one follows without a gap.
    making: bool,
    last_sent: Option<Time>,
    packets: u64,
    octets: u64,
}

impl OutLine {
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        OutLine {
            ssrc,
            clock_hz: SAMPLE_RATE_HZ,
            next_sequence: sequence,
            anchor: (Time::ZERO, timestamp),
            end: timestamp,
            mapping: None,
            making: false,
            last_sent: None,
            packets: 0,
            octets: 0,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// Timestamp units a second of what is sent.
    pub(crate) fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// Payload octets sent.
    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    pub(crate) fn last_sent(&self) -> Option<Time> {
        self.last_sent
    }

    /// The timestamp that stands for `now` (for sender reports).
    pub(crate) fn timestamp_at(&self, now: Time) -> u32 {
        self.anchor.1.wrapping_add(units(now.since(self.anchor.0), self.clock_hz))
    }

    /// What is sent from now on has another codec. On one SSRC the timestamps go on from where they are (RFC 7160
    /// §4.1: the new rate counts from the change on).
    pub(crate) fn set_clock(&mut self, now: Time, clock_hz: u32) {
        if self.clock_hz != clock_hz {
            self.anchor = (now, self.timestamp_at(now));
            self.clock_hz = clock_hz;
            self.cut();
        }
    }

    /// The present source ends: the next packet, from wherever, starts a new talk spurt.
    pub(crate) fn cut(&mut self) {
        self.mapping = None;
        self.making = false;
    }

    /// Places a source's packet of `samples` on the line; `None` when it is a straggler from before the cut.
    pub(crate) fn relay(
        &mut self,
        now: Time,
        ssrc: u32,
        source: Stamp,
        samples: u32,
        octets: usize,
    ) -> Option<Stamp> {
        let known = self.mapping.filter(|m| {
            let ahead = source.sequence.wrapping_sub(m.highest);
            m.ssrc == ssrc && !(MAX_DROPOUT..=u16::MAX - MAX_DROPOUT).contains(&ahead)
        });
        let (mut mapping, marker) = match known {
            Some(mapping) => (mapping, source.marker),
            None => {
                let timestamp = self.next_timestamp(now);
                let mapping = Mapping {
                    ssrc,
                    first: source.sequence,
                    highest: source.sequence.wrapping_sub(1),
                    add_sequence: self.next_sequence.wrapping_sub(source.sequence),
                    add_timestamp: timestamp.wrapping_sub(source.timestamp),
                };
                // RFC 3551 §4.1: the first packet after a silence carries the marker.
                (mapping, true)
            }
        };
        let since_first = source.sequence.wrapping_sub(mapping.first);
        let ahead = source.sequence.wrapping_sub(mapping.highest);
        let is_newest = ahead != 0 && ahead < 0x8000;
        if !is_newest && since_first >= 0x8000 {
            return None;
        }
        let stamp = Stamp {
            marker,
            sequence: source.sequence.wrapping_add(mapping.add_sequence),
            timestamp: source.timestamp.wrapping_add(mapping.add_timestamp),
        };
        if is_newest {
            mapping.highest = source.sequence;
            // Keep `first` within half a circle of the highest, so that "older" keeps its meaning all day.
            if since_first > 0x4000 {
                mapping.first = source.sequence.wrapping_sub(0x2000);
            }
            self.next_sequence = stamp.sequence.wrapping_add(1);
            self.anchor = (now, stamp.timestamp);
            self.end = stamp.timestamp.wrapping_add(samples);
        }
        self.mapping = Some(mapping);
        self.making = false;
        self.sent(now, octets);
        Some(stamp)
    }

    /// Places a packet of `samples` that is made here.
    pub(crate) fn make(&mut self, now: Time, samples: u32, octets: usize) -> Stamp {
        let gapless = self.making && self.last_sent.is_some_and(|at| now.since(at) < GAPLESS);
        let timestamp = if gapless { self.end } else { self.next_timestamp(now) };
        let stamp = Stamp { marker: !gapless, sequence: self.next_sequence, timestamp };
        self.mapping = None;
        self.making = true;
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.anchor = (now, timestamp);
        self.end = timestamp.wrapping_add(samples);
        self.sent(now, octets);
        stamp
    }

    /// Leaves `samples` of silence out, which need not be sent.
    pub(crate) fn skip(&mut self, now: Time, samples: u32) {
        let timestamp = if self.making { self.end } else { self.next_timestamp(now) };
        self.anchor = (now, timestamp);
        self.end = timestamp.wrapping_add(samples);
        // What follows begins a talk spurt.
        self.cut();
    }

    /// Places one more packet of an event that began at `timestamp` and now lasts `samples` (RFC 4733 §2.5.1.1: the
    /// timestamp of all its packets is that of its beginning).
    pub(crate) fn make_update(&mut self, now: Time, timestamp: u32, samples: u32, octets: usize) -> Stamp {
        let stamp = Stamp { marker: false, sequence: self.next_sequence, timestamp };
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.end = timestamp.wrapping_add(samples);
        self.sent(now, octets);
        stamp
    }

    /// The timestamp of something that starts now: by the clock, but never inside what was sent.
    fn next_timestamp(&self, now: Time) -> u32 {
        let by_clock = self.timestamp_at(now);
        let behind = self.end.wrapping_sub(by_clock);
        if behind != 0 && behind < 0x8000_0000 { self.end } else { by_clock }
    }

    fn sent(&mut self, now: Time, octets: usize) {
        self.last_sent = Some(now);
        self.packets += 1;
        self.octets += octets as u64;
    }
}

/// A duration in timestamp units; wraps as timestamps do.
fn units(duration: Duration, clock_hz: u32) -> u32 {
    (duration.as_micros() * u128::from(clock_hz) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(sequence: u16, timestamp: u32) -> Stamp {
        Stamp { marker: false, sequence, timestamp }
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn two_callers_and_silence_make_one_line() {
        let mut line = OutLine::new(1, 65_534, u32::MAX - 100);
        let first = line.make(at(0), 160, 160);
        assert!(first.marker);
        assert_eq!((first.sequence, first.timestamp), (65_534, u32::MAX - 100));
        let second = line.make(at(21), 160, 160);
        assert!(!second.marker);
        assert_eq!((second.sequence, second.timestamp), (65_535, (u32::MAX - 100).wrapping_add(160)));

        // A caller, 20 ms on: the line goes on by the clock.
        let caller = line.relay(at(41), 50, source(900, 5_000), 160, 160).unwrap();
        assert!(caller.marker);
        assert_eq!(caller.sequence, 0);
        assert_eq!(caller.timestamp, second.timestamp.wrapping_add(160));
        // Loss and disorder of the source are passed on as they are.
        let fourth = line.relay(at(101), 50, source(903, 5_480), 160, 160).unwrap();
        assert_eq!((fourth.sequence, fourth.timestamp), (3, caller.timestamp.wrapping_add(480)));
        let third = line.relay(at(102), 50, source(902, 5_320), 160, 160).unwrap();
        assert_eq!((third.sequence, third.timestamp), (2, caller.timestamp.wrapping_add(320)));
        // A straggler from before the bridge is not.
        assert_eq!(line.relay(at(103), 50, source(899, 4_840), 160, 160), None);

        // The next caller, a second later.
        line.cut();
        let next = line.relay(at(1_101), 77, source(4, 9), 160, 160).unwrap();
        assert!(next.marker);
        assert_eq!((next.sequence, next.timestamp), (4, fourth.timestamp.wrapping_add(8_000)));
    }

    #[test]
    fn a_source_that_starts_anew_is_mapped_anew() {
        let mut line = OutLine::new(1, 10, 0);
        line.relay(at(0), 5, source(100, 0), 160, 160).unwrap();
        let jump = line.relay(at(20), 5, source(30_000, 1_000_000), 160, 160).unwrap();
        assert_eq!((jump.sequence, jump.timestamp), (11, 160));
        let other = line.relay(at(40), 6, source(7, 7), 160, 160).unwrap();
        assert_eq!((other.sequence, other.timestamp), (12, 320));
    }

    #[test]
    fn a_long_source_keeps_its_mapping_round_the_circle() {
        let mut line = OutLine::new(1, 0, 0);
        for n in 0..200_000u32 {
            let stamp = line.relay(at(u64::from(n) * 20), 5, source(n as u16, n * 160), 160, 160).unwrap();
            assert_eq!((stamp.sequence, stamp.timestamp), (n as u16, n * 160));
        }
        assert_eq!(line.packets(), 200_000);
    }

    #[test]
    fn row_24_an_event_keeps_its_timestamp_and_what_follows_comes_after_it() {
        let mut line = OutLine::new(1, 0, 0);
        let start = line.make(at(1_000), 160, 4);
        let update = line.make_update(at(1_020), start.timestamp, 320, 4);
        assert_eq!((update.timestamp, update.sequence), (start.timestamp, 1));
        line.make_update(at(1_020), start.timestamp, 800, 4);
        let after = line.make(at(1_040), 160, 160);
        assert_eq!(after.timestamp, start.timestamp + 800);
    }
}
