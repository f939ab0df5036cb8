//! Something that sounds like a person: voiced syllables with moving formants, words, phrases, breaths. It means
//! nothing, but levels, cadence and spectrum are near those of speech, and the same seed says the same.

use std::f64::consts::{PI, TAU};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::codec::SAMPLE_RATE_HZ;

const RATE: f64 = SAMPLE_RATE_HZ as f64;
/// The first two formants of some vowels, in Hz.
const VOWELS: [(f64, f64); 7] = [
    (730.0, 1_090.0),
    (530.0, 1_840.0),
    (390.0, 1_990.0),
    (270.0, 2_290.0),
    (570.0, 840.0),
    (440.0, 1_020.0),
    (660.0, 1_720.0),
];
const LEVEL: f64 = 9_000.0;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    seed: u64,
    pitch_hz: u16,
}

impl Voice {
    /// The voice, and the words, of a seed.
    pub fn new(seed: u64) -> Voice {
        let pitch_hz = StdRng::seed_from_u64(seed).random_range(95..230);
        Voice { seed, pitch_hz }
    }
}

/// A resonance of the vocal tract: a two-pole filter.
#[derive(Default)]
struct Formant {
    y1: f64,
    y2: f64,
}

impl Formant {
    fn filter(&mut self, x: f64, frequency_hz: f64, bandwidth_hz: f64) -> f64 {
        let r = (-PI * bandwidth_hz / RATE).exp();
        let y = (1.0 - r) * x + 2.0 * r * (TAU * frequency_hz / RATE).cos() * self.y1 - r * r * self.y2;
        self.y2 = self.y1;
        self.y1 = y;
        y
    }
}

struct Mouth {
    rng: StdRng,
    formants: [Formant; 3],
    phase: f64,
    out: Vec<i16>,
    want: usize,
}

/// `want` samples of `voice`.
pub(super) fn speak(voice: Voice, want: usize) -> Vec<i16> {
    let rng = StdRng::seed_from_u64(voice.seed);
    let mut mouth =
        Mouth { rng, formants: Default::default(), phase: 0.0, out: Vec::with_capacity(want), want };
    let pitch = f64::from(voice.pitch_hz);
    // Nobody speaks at once: the first word comes after a moment.
    mouth.pause(150..400);
    while mouth.out.len() < want {
        let words = mouth.rng.random_range(3..8);
        for word in 0..words {
            // The pitch falls over the phrase.
            let fall = 1.1 - 0.25 * f64::from(word) / f64::from(words);
            for _ in 0..mouth.rng.random_range(1..4) {
                mouth.syllable(pitch * fall);
            }
            mouth.pause(20..90);
        }
        mouth.pause(350..900);
    }
    mouth.out.truncate(want);
    mouth.out
}

impl Mouth {
    fn pause(&mut self, ms: std::ops::Range<u32>) {
        let samples = self.rng.random_range(ms) as usize * 8;
        let room = self.want.saturating_sub(self.out.len());
        self.out.extend(std::iter::repeat_n(0, samples.min(room)));
    }

    fn syllable(&mut self, pitch_hz: f64) {
        let consonant = self.rng.random_range(25..70) * 8;
        let hiss = self.rng.random_range(0.05..0.35);
        let hiss_hz = self.rng.random_range(1_800.0..3_400.0);
        for n in 0..consonant {
            let noise = self.rng.random_range(-1.0..1.0);
            let shape = (PI * f64::from(n) / f64::from(consonant)).sin();
            let [_, _, third] = &mut self.formants;
            let sample = third.filter(noise, hiss_hz, 500.0) * hiss * shape * 3.0;
            self.push(sample);
        }
        let from = self.vowel();
        let to = self.vowel();
        let vowel = self.rng.random_range(70..190) * 8;
        let loud = self.rng.random_range(0.5..1.0);
        for n in 0..vowel {
            let at = f64::from(n) / f64::from(vowel);
            // Rises in a tenth, falls over the rest.
            let shape = if at < 0.1 { at * 10.0 } else { (1.0 - at) / 0.9 };
            self.phase = (self.phase + pitch_hz * (1.0 + 0.03 * (at * 9.0).sin()) / RATE).fract();
            // The glottis: a falling saw, softened by the filters; and some breath.
            let source = 1.0 - 2.0 * self.phase + self.rng.random_range(-0.08..0.08);
            let mix = |a: f64, b: f64| a + (b - a) * at;
            let [first, second, third] = &mut self.formants;
            let sound = first.filter(source, mix(from.0, to.0), 90.0)
                + 0.5 * second.filter(source, mix(from.1, to.1), 120.0)
                + 0.2 * third.filter(source, 2_600.0, 200.0);
            self.push(sound * shape.sqrt() * loud);
        }
    }

    fn vowel(&mut self) -> (f64, f64) {
        let at = self.rng.random_range(0..VOWELS.len());
        VOWELS.get(at).copied().unwrap_or((500.0, 1_500.0))
    }

    fn push(&mut self, sample: f64) {
        if self.out.len() < self.want {
            self.out.push((sample * LEVEL).clamp(-30_000.0, 30_000.0) as i16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::energy;
    use super::*;

    #[test]
    fn the_same_seed_says_the_same() {
        let one = speak(Voice::new(7), 16_000);
        assert_eq!(one, speak(Voice::new(7), 16_000));
        assert_ne!(one, speak(Voice::new(8), 16_000));
        assert_eq!(one.len(), 16_000);
    }

    #[test]
    fn it_has_the_level_and_the_pauses_of_speech() {
        for seed in 0..5 {
            let samples = speak(Voice::new(seed), 80_000);
            let loud = samples.chunks(160).filter(|frame| energy(frame) > 200.0 * 200.0).count();
            let share = loud as f64 / 500.0;
            assert!((0.35..0.9).contains(&share), "speaks {share} of the time");
            let level = energy(&samples).sqrt();
            assert!((700.0..8_000.0).contains(&level), "level {level}");
            let clipped = samples.iter().filter(|s| s.abs() >= 30_000).count();
            assert!(clipped < samples.len() / 200, "{clipped} clipped");
        }
    }
}
