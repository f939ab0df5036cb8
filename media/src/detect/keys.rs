//! Keys heard as tones (ITU-T Q.23, Q.24): trunks without telephone-events send them so.

use super::sound::Sound;
use crate::dtmf::Digit;

const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Q.24: 1.5% off (1.8% in North America) is a key, 3.5% is none. The filters' own error is some Hz on top.
const OFF: f32 = 0.026;
/// Q.24: the higher tone may be 4 dB stronger and 8 dB weaker (North America; Europe 6 dB either way). A dB or two more
/// for the filters' error.
const TWIST_DB: std::ops::RangeInclusive<f32> = -10.5..=8.0;
/// Blocks in a row, 10 ms apart, that make a key: 40 ms fill three at least by more than half, 23 ms at most two.
const HITS: u8 = 3;
/// A block that is half filled is 3 dB softer than its neighbour, and counts no more.
const LEVEL_DB: f32 = 2.5;
/// Blocks without the key that end it: the pause of 40 ms (Q.24) spoils three; an interruption of 10 ms two.
const MISSES: u8 = 3;

#[derive(Debug, Default)]
pub(crate) struct Keys {
    last: Option<(Digit, f32)>,
    hits: u8,
    held: Option<Digit>,
    misses: u8,
}

impl Keys {
    /// Takes what a block is; gives a key once, when it is sure.
    pub(crate) fn push(&mut self, sound: Sound, dbov: f32) -> Option<Digit> {
        let now = digit(sound);
        if self.held.is_some() {
            self.misses = if now == self.held { 0 } else { self.misses + 1 };
            if self.misses >= MISSES {
                self.held = None;
            }
        }
        self.hits = match (now, self.last) {
            (Some(digit), Some((last, level))) if digit == last && (dbov - level).abs() <= LEVEL_DB => {
                self.hits.saturating_add(1)
            }
            (Some(_), _) => 1,
            (None, _) => 0,
        };
        self.last = now.map(|digit| (digit, dbov));
        let key = now.filter(|_| self.hits >= HITS && self.held != now)?;
        self.held = Some(key);
        self.misses = 0;
        Some(key)
    }
}

fn digit(sound: Sound) -> Option<Digit> {
    let Sound::Pair { low_hz, high_hz, twist_db } = sound else { return None };
    if !TWIST_DB.contains(&twist_db) {
        return None;
    }
    let near = |list: &[f32; 4], hz: f32| list.iter().position(|f| (hz / f - 1.0).abs() <= OFF);
    let key = KEYS.get(near(&LOW_HZ, low_hz)?)?.get(near(&HIGH_HZ, high_hz)?)?;
    Digit::from_char(*key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bank::Bank;
    use crate::detect::sound::sound;
    use crate::detect::testing::{mix, noise, sines, speech};

    fn hear(samples: &[i16]) -> String {
        let (mut bank, mut keys) = (Bank::new(), Keys::default());
        let blocks = samples.as_chunks().0.iter().map(|piece| bank.push(piece));
        blocks.filter_map(|block| keys.push(sound(&block), block.level_dbov)).map(Digit::as_char).collect()
    }

    /// Each key for `on` samples and a pause, beginning at an odd place; frequencies off by `off`, levels in dBov.
    fn dial(text: &str, on: usize, pause: usize, off: f32, low: f32, high: f32) -> Vec<i16> {
        let mut out = vec![0; 333];
        for c in text.chars() {
            let row = KEYS.iter().position(|row| row.contains(&c)).unwrap();
            let column = KEYS[row].iter().position(|k| *k == c).unwrap();
            let tones = [(LOW_HZ[row] * (1.0 + off), low), (HIGH_HZ[column] * (1.0 + off), high)];
            out.extend(sines(&tones, on));
            out.extend(vec![0; pause]);
        }
        out
    }

    const ALL: &str = "123A456B789C*0#D1155";

    #[test]
    fn every_key_at_the_limits_of_q24() {
        for (low, high) in [(-13.0, -13.0), (-13.0, -21.0), (-17.0, -13.0), (-33.0, -33.0)] {
            for off in [-0.015, 0.0, 0.015] {
                assert_eq!(hear(&dial(ALL, 320, 320, off, low, high)), ALL, "{low} {high} {off}");
            }
        }
        let noisy = dial(ALL, 400, 400, 0.0, -15.0, -15.0);
        assert_eq!(hear(&mix(&noisy, &noise(3, -33.0, noisy.len()))), ALL);
    }

    #[test]
    fn what_is_no_key() {
        // Too short, too far off, too much twist.
        assert_eq!(hear(&dial(ALL, 180, 320, 0.0, -13.0, -13.0)), "");
        assert_eq!(hear(&dial(ALL, 400, 320, 0.04, -13.0, -13.0)), "");
        assert_eq!(hear(&dial(ALL, 400, 320, 0.0, -10.0, -28.0)), "");
        // A break of 10 ms does not make two of one.
        let mut broken = dial("5", 1_200, 800, 0.0, -13.0, -13.0);
        broken[800..880].fill(0);
        assert_eq!(hear(&broken), "5");
    }

    #[test]
    fn speech_presses_no_key() {
        for seed in 10..16 {
            assert_eq!(hear(&speech(seed, 10_000)), "", "voice {seed}");
        }
    }
}
