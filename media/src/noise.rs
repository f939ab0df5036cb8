//! Comfort noise (RFC 3389): what stands for a quiet line while its side sends nothing.

/// The most reflection coefficients that are made or used; more say nothing about a telephone line's noise.
const MAX_ORDER: usize = 10;
/// Octets of a payload with all of them.
pub(crate) const MAX_PAYLOAD: usize = MAX_ORDER + 1;
/// The step of a coefficient (RFC 3389 §3.2).
const STEP: f32 = 258.0 / 32_768.0;

/// What a comfort noise payload says: how loud, and of which colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseProfile {
    /// Below full scale, in dB: 0 to 127 (RFC 3389 §3.1).
    pub level_dbov: u8,
    /// Reflection coefficients of its spectrum, each within -1 and 1; zeros are white noise.
    pub reflection: [f32; MAX_ORDER],
}

impl NoiseProfile {
    /// White noise.
    pub fn white(level_dbov: u8) -> NoiseProfile {
        NoiseProfile { level_dbov: level_dbov.min(127), reflection: [0.0; MAX_ORDER] }
    }

    /// Reads a payload; `None` when it is empty. Coefficients beyond ten are left out (§3.2 allows fewer on reception).
    pub fn parse(payload: &[u8]) -> Option<NoiseProfile> {
        let (level, coefficients) = payload.split_first()?;
        // The highest bit is reserved (§3.1).
        let mut profile = NoiseProfile::white(level & 0x7f);
        for (to, byte) in profile.reflection.iter_mut().zip(coefficients) {
            // §3.2: indices 0 to 254 in equal steps from -1 to 1, 127 is zero. Near the ends no filter is stable.
            *to = ((f32::from(*byte) - 127.0) * STEP).clamp(-0.98, 0.98);
        }
        Some(profile)
    }

    /// How many coefficients it has: those behind the last that is not zero say nothing.
    pub fn order(&self) -> usize {
        self.reflection.iter().rposition(|k| *k != 0.0).map_or(0, |last| last + 1)
    }

    /// Writes a payload with `order` coefficients, and returns its length.
    pub fn write(&self, order: usize, payload: &mut [u8; MAX_PAYLOAD]) -> usize {
        let [level, coefficients @ ..] = payload;
        *level = self.level_dbov & 0x7f;
        for (byte, k) in coefficients.iter_mut().zip(&self.reflection).take(order) {
            *byte = (k / STEP + 127.0).round().clamp(0.0, 254.0) as u8;
        }
        1 + order.min(MAX_ORDER)
    }

    /// The profile of what was heard in a pause: its level, and its spectrum by Levinson and Durbin.
    pub fn of(samples: &[i16]) -> NoiseProfile {
        let mut lags = [0f32; MAX_ORDER + 1];
        for (lag, sum) in lags.iter_mut().enumerate() {
            let later = samples.get(lag..).unwrap_or_default();
            *sum = samples.iter().zip(later).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
        }
        let power = lags.first().copied().unwrap_or(0.0) / samples.len().max(1) as f32;
        let mut profile = NoiseProfile::white(crate::level::dbov(power.sqrt().into()).min(0.0).abs() as u8);
        profile.reflection = levinson(&lags);
        profile
    }
}

/// Reflection coefficients from autocorrelation.
fn levinson(lags: &[f32; MAX_ORDER + 1]) -> [f32; MAX_ORDER] {
    let mut reflection = [0f32; MAX_ORDER];
    let mut predictor = [0f32; MAX_ORDER];
    let [energy, rest @ ..] = lags;
    // A touch of white noise keeps it stable for pure tones.
    let mut error = energy * 1.000_1 + 1.0;
    for (order, (k_out, lag)) in reflection.iter_mut().zip(rest).enumerate() {
        let past = rest.get(..order).unwrap_or_default();
        let predicted: f32 = predictor.iter().zip(past.iter().rev()).map(|(a, r)| a * r).sum();
        let k = ((lag - predicted) / error).clamp(-0.98, 0.98);
        let before = predictor;
        for (n, a) in predictor.iter_mut().enumerate().take(order) {
            *a -= k * before.get(order - 1 - n).copied().unwrap_or(0.0);
        }
        if let Some(last) = predictor.get_mut(order) {
            *last = k;
        }
        // RFC 3389 §3.2 counts them with the sign of the lattice filter 1/A(z), A(z) = 1 + sum of a z^-i.
        *k_out = -k;
        error *= 1.0 - k * k;
    }
    reflection
}

/// Makes noise of a profile. The same seed makes the same noise.
#[derive(Clone, Debug)]
pub struct NoiseGenerator {
    profile: NoiseProfile,
    /// The amplitude of the white noise that goes into the filter.
    gain: f32,
    lattice: [f32; MAX_ORDER],
    seed: u32,
}

impl NoiseGenerator {
    /// A generator; it begins with a profile's noise.
    pub fn new(profile: NoiseProfile, seed: u32) -> NoiseGenerator {
        let mut generator = NoiseGenerator { profile, gain: 0.0, lattice: [0.0; MAX_ORDER], seed };
        generator.set(profile);
        generator
    }

    /// What it makes.
    pub fn profile(&self) -> NoiseProfile {
        self.profile
    }

    /// Goes over to another profile.
    pub fn set(&mut self, profile: NoiseProfile) {
        self.profile = profile;
        // The filter raises the power by 1 / product of (1 - k²); uniform noise has a third of its peak's.
        let loss: f32 = profile.reflection.iter().map(|k| 1.0 - k * k).product();
        let rms = 32_768.0 * 10f32.powf(-f32::from(profile.level_dbov) / 20.0);
        self.gain = rms * (3.0 * loss.max(0.0)).sqrt();
    }

    /// Fills `samples` with the next noise.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
            *sample = self.filter(white * self.gain) as i16;
        }
    }

    /// The all-pole lattice.
    fn filter(&mut self, input: f32) -> f32 {
        let mut forward = input;
        // The delayed backward value that the stage above it will hold next.
        let mut stages = self.profile.reflection.iter().zip(self.lattice.iter_mut()).rev();
        let mut above: Option<&mut f32> = None;
        for (k, delayed) in &mut stages {
            forward -= k * *delayed;
            let backward = *delayed + k * forward;
            if let Some(above) = above {
                *above = backward;
            }
            above = Some(delayed);
        }
        if let Some(first) = above {
            *first = forward;
        }
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{dbov, rms};

    fn made(profile: NoiseProfile) -> Vec<i16> {
        let mut samples = vec![0; 8_000];
        NoiseGenerator::new(profile, 9).fill(&mut samples);
        samples
    }

    #[test]
    fn it_is_as_loud_as_the_payload_says() {
        for level in [30u8, 45, 60] {
            let heard = dbov(rms(&made(NoiseProfile::parse(&[level]).unwrap())));
            assert!((heard + f64::from(level)).abs() < 1.0, "-{level} dBov is heard as {heard:.1}");
        }
        assert!(rms(&made(NoiseProfile::white(127))) < 1.0);
        assert_eq!(NoiseProfile::parse(&[]), None);
    }

    #[test]
    fn what_is_made_of_noise_makes_the_same_noise() {
        // Noise with a strong low end: each sample mostly repeats the one before.
        let mut low = NoiseProfile::white(40);
        low.reflection[0] = -0.8;
        low.reflection[1] = 0.2;
        let first = made(low);
        let profile = NoiseProfile::of(&first);
        assert!((i16::from(profile.level_dbov) - 40).abs() <= 1, "{profile:?}");
        let mut payload = [0; MAX_ORDER + 1];
        let len = profile.write(4, &mut payload);
        assert_eq!(len, 5);
        let read = NoiseProfile::parse(&payload[..len]).unwrap();
        assert!(
            (read.reflection[0] + 0.8).abs() < 0.05 && (read.reflection[1] - 0.2).abs() < 0.05,
            "{read:?}"
        );
        let colour = |samples: &[i16]| {
            let product: f64 = samples.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum();
            product / samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>()
        };
        let second = made(read);
        assert!((colour(&first) - colour(&second)).abs() < 0.05);
        assert!((dbov(rms(&first)) - dbov(rms(&second))).abs() < 1.5);
    }

    #[test]
    fn hostile_coefficients_stay_bounded() {
        for byte in [0, 1, 254, 255] {
            let samples = made(NoiseProfile::parse(&[[20].as_slice(), &[byte; 30]].concat()).unwrap());
            assert!(dbov(rms(&samples)) < -10.0, "{byte}");
        }
        assert_eq!(NoiseProfile::of(&[]).level_dbov, 127);
        let tone: Vec<i16> = (0..800).map(|n| if n % 8 < 4 { 9_000 } else { -9_000 }).collect();
        assert!(NoiseProfile::of(&tone).reflection.iter().all(|k| k.abs() < 1.0));
    }
}
