//! Keys: telephone-events (RFC 4733) received and sent.

use std::collections::VecDeque;

use crate::limits::DIGITS;

/// Octets of an event's payload.
pub(crate) const EVENT_BYTES: usize = 4;
/// How long a sent key sounds, in samples: 100 ms. RFC 4733 §2.5.1.1 leaves it to us; 40 ms is the least that
/// detectors must take (ITU-T Q.24).
const TONE_SAMPLES: u16 = 800;
/// Silence between keys, in frames of 20 ms.
const GAP_FRAMES: u8 = 4;
/// Frames of one key: 100 ms.
const TONE_FRAMES: u8 = 5;
/// Samples by which the event grows with each packet.
const STEP_SAMPLES: u16 = 160;
/// The volume of a sent key, in -dBm0.
const VOLUME: u8 = 10;

/// A key of a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digit(u8);

impl Digit {
    /// The key of a character: `0`–`9`, `*`, `#`, `A`–`D`.
    pub const fn from_char(c: char) -> Option<Digit> {
        match c {
            '0'..='9' => Some(Digit(c as u8 - b'0')),
            '*' => Some(Digit(10)),
            '#' => Some(Digit(11)),
            'A'..='D' => Some(Digit(c as u8 - b'A' + 12)),
            'a'..='d' => Some(Digit(c as u8 - b'a' + 12)),
            _ => None,
        }
    }

    /// Its character.
    pub const fn as_char(self) -> char {
        match self.0 {
            0..=9 => (b'0' + self.0) as char,
            10 => '*',
            11 => '#',
            n => (b'A' + n.saturating_sub(12)) as char,
        }
    }

    /// Its event number (RFC 4733 §3.2).
    pub(crate) const fn event(self) -> u8 {
        self.0
    }
}

/// Counts received keys: an event is many packets, some repeated, some lost, and one key.
#[derive(Debug, Default)]
pub(crate) struct DigitReceiver {
    last: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    event: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

impl DigitReceiver {
    /// Takes one packet; gives the key when it is the first that was heard of it. The beginning is taken, not the
    /// End, so that a lost End loses nothing.
    pub(crate) fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Option<Digit> {
        let [event, flags, d0, d1] = *payload.first_chunk::<EVENT_BYTES>()?;
        let heard =
            Heard { event, timestamp, duration: u16::from_be_bytes([d0, d1]), ended: flags & 0x80 != 0 };
        if let Some(last) = &mut self.last {
            let ahead = timestamp.wrapping_sub(last.timestamp);
            if ahead == 0 && event == last.event {
                last.ended |= heard.ended;
                last.duration = last.duration.max(heard.duration);
                return None;
            }
            // A straggler of a key that is over.
            if ahead >= 0x8000_0000 {
                return None;
            }
            // §2.5.1.3: a key held beyond the 16 bits of its duration goes on in a new segment.
            if event == last.event && !last.ended && ahead == u32::from(u16::MAX) {
                *last = heard;
                return None;
            }
        }
        self.last = Some(heard);
        // Events beyond 15 are tones of lines and modems, not keys.
        (event <= 15).then_some(Digit(event))
    }

    /// The far end's stream starts anew: its timestamps are others.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }
}

/// What is to be sent in this frame of 20 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigitFrame {
    /// The first packet of a key: it has the marker, and its timestamp is the key's.
    Begin(Event),
    /// A further packet of the key.
    Update(Event),
    /// The last: it is sent three times, with rising sequence numbers (§2.5.1.4).
    End(Event),
    /// Silence between keys.
    Gap,
}

/// A key and how far it has sounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    digit: Digit,
    /// Samples since the beginning.
    pub(crate) duration: u16,
    end: bool,
}

impl Event {
    pub(crate) fn digit(self) -> Digit {
        self.digit
    }

    /// The same with its duration on a clock of so many times 8 kHz (§2.5.1.1: the event has the clock of the audio).
    pub(crate) fn on_clock(self, times: u32) -> Event {
        let duration = u16::try_from(u32::from(self.duration) * times).unwrap_or(u16::MAX);
        Event { duration, ..self }
    }

    /// The payload (§2.3).
    pub(crate) fn payload(self) -> [u8; EVENT_BYTES] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.digit.event(), (u8::from(self.end) << 7) | VOLUME, d0, d1]
    }
}

/// Sends keys, frame by frame.
#[derive(Debug, Default)]
pub(crate) struct DigitSender {
    waiting: VecDeque<Digit>,
    /// The key that sounds, and its frames so far; then the frames of the gap behind it.
    current: Option<(Digit, u8)>,
}

impl DigitSender {
    /// Appends keys. False when there is no room for all of them; none is taken then.
    pub(crate) fn push(&mut self, digits: &[Digit]) -> bool {
        let fits = self.waiting.len() + digits.len() <= DIGITS;
        if fits {
            self.waiting.extend(digits);
        }
        fits
    }

    pub(crate) fn is_active(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// The next frame; `None` when all keys are sent.
    pub(crate) fn frame(&mut self) -> Option<DigitFrame> {
        let (digit, frame) = match self.current {
            Some(current) => current,
            None => (self.waiting.pop_front()?, 0),
        };
        self.current = Some((digit, frame + 1)).filter(|_| frame + 1 < TONE_FRAMES + GAP_FRAMES);
        let duration = STEP_SAMPLES.saturating_mul(u16::from(frame) + 1);
        let event = |end| Event { digit, duration: duration.min(TONE_SAMPLES), end };
        Some(match frame {
            0 => DigitFrame::Begin(event(false)),
            n if n + 1 < TONE_FRAMES => DigitFrame::Update(event(false)),
            n if n + 1 == TONE_FRAMES => DigitFrame::End(event(true)),
            _ => DigitFrame::Gap,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
        Event { digit: Digit(event), duration, end }.payload()
    }

    #[test]
    fn row_24_each_key_counts_once() {
        let mut receiver = DigitReceiver::default();
        let five = Digit::from_char('5');
        assert_eq!(receiver.packet(1_000, &payload(5, false, 160)), five);
        assert_eq!(receiver.packet(1_000, &payload(5, false, 320)), None);
        for _ in 0..3 {
            assert_eq!(receiver.packet(1_000, &payload(5, true, 800)), None);
        }
        // The same key again, of which only the End arrives.
        assert_eq!(receiver.packet(2_600, &payload(5, true, 800)), five);
        // A straggler of the first.
        assert_eq!(receiver.packet(1_000, &payload(5, true, 800)), None);
        // A flash hook is no key; a short payload is nothing.
        assert_eq!(receiver.packet(9_000, &payload(16, false, 160)), None);
        assert_eq!(receiver.packet(9_900, &[1, 2, 3]), None);
    }

    #[test]
    fn a_key_held_for_long_counts_once() {
        let mut receiver = DigitReceiver::default();
        assert!(receiver.packet(0, &payload(1, false, 160)).is_some());
        assert_eq!(receiver.packet(0, &payload(1, false, u16::MAX)), None);
        assert_eq!(receiver.packet(65_535, &payload(1, false, 160)), None);
        assert_eq!(receiver.packet(65_535, &payload(1, true, 400)), None);
        assert!(receiver.packet(67_000, &payload(1, false, 160)).is_some());
    }

    #[test]
    fn sent_keys_begin_grow_and_end() {
        let mut sender = DigitSender::default();
        let digits: Vec<Digit> = "1#".chars().filter_map(Digit::from_char).collect();
        assert!(sender.push(&digits));
        assert!(!sender.push(&[Digit(0); DIGITS]));
        let mut kinds = String::new();
        let mut durations = Vec::new();
        while let Some(frame) = sender.frame() {
            kinds.push(match frame {
                DigitFrame::Begin(_) => 'B',
                DigitFrame::Update(_) => 'u',
                DigitFrame::End(_) => 'E',
                DigitFrame::Gap => '-',
            });
            if let DigitFrame::Begin(event) | DigitFrame::Update(event) | DigitFrame::End(event) = frame {
                durations.push(event.duration);
            }
        }
        assert_eq!(kinds, "BuuuE----BuuuE----");
        assert_eq!(durations[..5], [160, 320, 480, 640, 800]);
        assert!(!sender.is_active());
    }

    #[test]
    fn characters() {
        for c in "0123456789*#ABCD".chars() {
            assert_eq!(Digit::from_char(c).map(Digit::as_char), Some(c));
        }
        assert_eq!(Digit::from_char('x'), None);
    }
}
