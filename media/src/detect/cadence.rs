//! Tones of a call in progress, known by frequency and cadence: ringback, busy, congestion.

use std::collections::VecDeque;

use super::country::{Country, LineTone, Signal};
use super::runs::HOP_MS;
use super::sound::Sound;

/// Frequencies of national networks are off by 25 Hz at most (E.180 §4 asks for 1%), and the middle of a close pair
/// wanders with its beats.
const OFF_HZ: f32 = 32.0;
/// How far from a close pair the filters may see it where its beats are weakest.
const BEAT_HZ: f32 = 80.0;
/// Changes shorter than this are a lost packet or a click: the shortest pause of a cadence is 165 ms.
const BOUNCE_HOPS: u32 = 7;
/// How far a cadence may be off: 15%, and the edges of two blocks.
const OFF_SHARE: f32 = 0.15;
const OFF_MS: f32 = 45.0;
/// Intervals that are remembered: the longest cadence has six.
const REMEMBERED: usize = 8;
/// Whole intervals by which busy and congestion are known.
const NEEDED: usize = 4;
/// Whole intervals by which ringback is known where its tone is no longer than others'; elsewhere one long tone does.
const RINGBACK_NEEDED: usize = 3;

/// Follows one call's tones.
#[derive(Debug)]
pub(crate) struct Cadences {
    country: Country,
    /// Those tones that share frequencies are followed together.
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    hz: (u16, u16),
    on: bool,
    /// The tone sounded already when listening began: its length is unknown.
    joined: bool,
    /// Hops in this state, and of those that seem to end it.
    state: u32,
    change: u32,
    /// Lengths of whole intervals in ms; the last ended now. Which one it is follows from `on`.
    intervals: VecDeque<f32>,
    told: Option<LineTone>,
}

impl Cadences {
    pub(crate) fn new(country: Country) -> Cadences {
        let mut groups: Vec<Group> = Vec::new();
        for signal in &country.signals {
            if !groups.iter().any(|group| group.hz == signal.hz) {
                groups.push(Group::new(signal.hz));
            }
        }
        Cadences { country, groups }
    }

    pub(crate) fn reset(&mut self) {
        for group in &mut self.groups {
            *group = Group::new(group.hz);
        }
    }

    /// Whether one of the tones sounds now, for longer than speech could seem to.
    pub(crate) fn sounds(&self) -> bool {
        self.groups.iter().any(|group| group.on && group.state > 15)
    }

    /// Takes what a block is; gives a tone once, when it is known.
    pub(crate) fn push(&mut self, sound: Sound) -> Option<LineTone> {
        let mut found = None;
        for group in &mut self.groups {
            found = group.push(sound, self.country).or(found);
        }
        found
    }
}

impl Group {
    fn new(hz: (u16, u16)) -> Group {
        Group { hz, on: false, joined: false, state: 0, change: 0, intervals: VecDeque::new(), told: None }
    }

    fn push(&mut self, sound: Sound, country: Country) -> Option<LineTone> {
        self.state += 1;
        if self.hears(sound) == self.on {
            self.change = self.change.saturating_sub(1);
        } else {
            self.change += 1;
            if self.change >= BOUNCE_HOPS {
                self.turn();
            }
        }
        let ms = (self.state * HOP_MS) as f32;
        let longest = country.signals.iter().flat_map(|s| s.cadence_ms).copied().max().unwrap_or(0);
        if !self.on && ms > 1.3 * f32::from(longest) {
            self.intervals.clear();
            self.told = None;
        }
        let mut fitting = country.signals.iter().filter(|signal| self.fits(signal, ms));
        let (one, other) = (fitting.next()?, fitting.next());
        // A signal of other frequencies that has the same cadence would have its own group.
        let count = self.intervals.len();
        let known = match one.tone {
            _ if other.is_some() => false,
            LineTone::Ringback => count >= RINGBACK_NEEDED || (self.on && ms > longest_of_others(country)),
            LineTone::Busy | LineTone::Congestion => count >= NEEDED,
        };
        (known && self.told != Some(one.tone)).then(|| {
            self.told = Some(one.tone);
            one.tone
        })
    }

    fn hears(&self, sound: Sound) -> bool {
        let near = |hz: f32, of: u16| (hz - f32::from(of)).abs() <= OFF_HZ;
        let (low, high) = self.hz;
        let within = |hz: f32, off: f32| hz >= f32::from(low) - off && hz <= f32::from(high) + off;
        match sound {
            // One of a close pair alone is a beep.
            Sound::Single { hz, pure: true } if high > low => within(hz, -10.0),
            Sound::Single { hz, .. } => high - low < 100 && within(hz, OFF_HZ),
            Sound::Pair { low_hz, high_hz, .. } if high - low >= 100 => {
                near(low_hz, low) && near(high_hz, high)
            }
            // Where the beats of a close pair are weakest, its energy goes to both sides.
            Sound::Pair { low_hz, high_hz, .. } if high > low => {
                within(low_hz, BEAT_HZ) && within(high_hz, BEAT_HZ)
            }
            _ => false,
        }
    }

    fn turn(&mut self) {
        let whole = self.state - self.change;
        // The silence before the first tone is no interval.
        if (self.on && !self.joined) || !self.intervals.is_empty() {
            if self.intervals.len() == REMEMBERED {
                self.intervals.pop_front();
            }
            self.intervals.push_back((whole * HOP_MS) as f32);
        }
        self.joined = !self.on && self.intervals.is_empty() && whole <= 3;
        self.on = !self.on;
        self.state = self.change;
        self.change = 0;
    }

    /// Whether a cadence, begun anywhere, can have given the remembered intervals, and the one that goes on is not too long.
    fn fits(&self, signal: &Signal, goes_on_ms: f32) -> bool {
        if signal.hz != self.hz || (!self.on && self.intervals.is_empty()) {
            return false;
        }
        let cadence = signal.cadence_ms;
        let count = self.intervals.len();
        let at_end = |offset: usize| cadence.iter().cycle().skip(offset);
        (0..cadence.len()).any(|offset| {
            // The interval that goes on is the one after the remembered ones; on-times stand at even places.
            let parity = (offset + count).is_multiple_of(2) == self.on;
            let whole = self.intervals.iter().zip(at_end(offset)).all(|(ms, want)| {
                let want = f32::from(*want);
                (ms - want).abs() <= want * OFF_SHARE + OFF_MS
            });
            let most = at_end(offset).nth(count).map_or(0.0, |want| f32::from(*want));
            parity && whole && goes_on_ms <= most * (1.0 + OFF_SHARE) + OFF_MS
        })
    }
}

/// How long a tone must sound to be none but ringback, whose tone is longer than the others' but in Great Britain.
fn longest_of_others(country: Country) -> f32 {
    let others = country.signals.iter().filter(|signal| signal.tone != LineTone::Ringback);
    let longest = others.flat_map(|s| s.cadence_ms.iter().step_by(2)).copied().max().unwrap_or(0);
    f32::from(longest) * (1.0 + OFF_SHARE) + 2.0 * OFF_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bank::Bank;
    use crate::detect::country::{COUNTRIES, country};
    use crate::detect::sound::sound;
    use crate::detect::testing::{cadenced, mix, noise, speech};

    fn hear(samples: &[i16], code: &str) -> Vec<LineTone> {
        let (mut bank, mut cadences) = (Bank::new(), Cadences::new(country(code).unwrap()));
        let pieces = samples.as_chunks().0.iter();
        pieces.filter_map(|piece| cadences.push(sound(&bank.push(piece)))).collect()
    }

    #[test]
    fn the_tones_of_every_country() {
        let mut heard_before = Vec::new();
        for country in &COUNTRIES {
            for signal in country.signals.iter().filter(|signal| signal.tone != LineTone::Ringback) {
                // Neighbours share many.
                if heard_before.contains(&country.signals) {
                    continue;
                }
                let samples = cadenced(signal, -25.0, 40_000);
                assert_eq!(hear(&samples, country.code), [signal.tone], "{} {:?}", country.code, signal.tone);
            }
            if !heard_before.contains(&country.signals) {
                let ringback = cadenced(&country.signals[0], -25.0, 32_000);
                assert_eq!(hear(&ringback, country.code), [LineTone::Ringback], "{}", country.code);
            }
            heard_before.push(country.signals);
        }
    }

    #[test]
    fn in_noise_and_joined_in_the_middle() {
        for country in COUNTRIES.iter().filter(|c| ["us", "gb", "es"].contains(&c.code)) {
            for signal in &country.signals {
                let samples = cadenced(signal, -25.0, 40_000);
                let samples = mix(&samples, &noise(4, -42.0, samples.len()));
                let heard = hear(&samples[1_203..], country.code);
                assert_eq!(heard, [signal.tone], "{} {:?}", country.code, signal.tone);
            }
        }
    }

    #[test]
    fn speech_is_none_of_them() {
        for code in ["us", "gb", "es"] {
            assert_eq!(hear(&speech(8, 10_000), code), [], "{code}");
        }
    }
}
