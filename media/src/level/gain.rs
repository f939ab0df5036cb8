//! Gain for a leg, and a limiter that keeps loud sound within bounds without cutting its tops.

/// Below this the limiter changes nothing: 3 dB under full scale.
const KNEE: f32 = 23_198.0;
/// The highest sample that it gives: half a dB under full scale.
const CEILING: f32 = 30_935.0;
/// How much of the way back to full gain is made in a millisecond: it takes a few hundred.
const RELEASE_PER_MS: f32 = 0.01;
/// Gains beyond this are a mistake of the caller.
const MAX_GAIN_DB: f32 = 30.0;

/// Turns dB into a factor.
pub(crate) fn factor(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// Lowers what is too loud: at once, ahead of the peak, and slowly back. Samples come in as sums, wider than 16 bits.
#[derive(Clone, Debug)]
pub struct Limiter {
    gain: f32,
    samples_per_ms: f32,
}

impl Limiter {
    /// A limiter for a sample rate.
    pub fn new(rate_hz: u32) -> Limiter {
        Limiter { gain: 1.0, samples_per_ms: rate_hz.max(1_000) as f32 / 1_000.0 }
    }

    /// Whether it lowers nothing at present.
    pub fn is_idle(&self) -> bool {
        self.gain >= 1.0
    }

    /// Brings a frame within 16 bits. Frames below the knee pass as they are.
    pub fn limit(&mut self, wide: &[i32], out: &mut [i16]) {
        let peak = wide.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0) as f32;
        if peak <= KNEE && self.is_idle() {
            out.iter_mut().zip(wide).for_each(|(to, from)| *to = *from as i16);
            return;
        }
        self.scale(peak, wide.iter().map(|s| *s as f32), out);
    }

    /// The same for samples with a gain of their own before the limiter.
    pub(super) fn limit_with(&mut self, before: impl Fn(usize) -> f32, samples: &mut [i16]) {
        let gained: Vec<f32> = samples.iter().enumerate().map(|(n, s)| f32::from(*s) * before(n)).collect();
        let peak = gained.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        self.scale(peak, gained.into_iter(), samples);
    }

    fn scale(&mut self, peak: f32, wide: impl ExactSizeIterator<Item = f32>, out: &mut [i16]) {
        // The curve above the knee nears the ceiling and never reaches it.
        let over = (peak - KNEE).max(0.0);
        let room = CEILING - KNEE;
        let wanted_peak = if over > 0.0 { KNEE + room * over / (over + room) } else { peak };
        let wanted = if over > 0.0 { wanted_peak / peak } else { 1.0 };
        let len = wide.len().max(1) as f32;
        let target = if wanted < self.gain {
            wanted
        } else {
            wanted.min(self.gain + RELEASE_PER_MS * len / self.samples_per_ms)
        };
        // Down within a millisecond, up over the whole frame; what still sticks out is bounded by the cast.
        let ramp = if target < self.gain { self.samples_per_ms.min(len) } else { len };
        let from = self.gain;
        for (n, (to, sample)) in out.iter_mut().zip(wide).enumerate() {
            let share = ((n as f32 + 1.0) / ramp).min(1.0);
            *to = (sample * (from + (target - from) * share)).round() as i16;
        }
        self.gain = target;
    }
}

/// A fixed gain on a leg, with a limiter behind it.
#[derive(Clone, Debug)]
pub struct Gain {
    factor: f32,
    limiter: Limiter,
}

impl Gain {
    /// A gain in dB, between -30 and 30.
    pub fn new(db: f32, rate_hz: u32) -> Gain {
        let mut gain = Gain { factor: 1.0, limiter: Limiter::new(rate_hz) };
        gain.set(db);
        gain
    }

    /// Changes the gain; what is no number changes nothing.
    pub fn set(&mut self, db: f32) {
        if db.is_finite() {
            self.factor = factor(db.clamp(-MAX_GAIN_DB, MAX_GAIN_DB));
        }
    }

    /// Applies it. At 0 dB it costs nothing and changes nothing.
    pub fn apply(&mut self, samples: &mut [i16]) {
        if self.factor != 1.0 || !self.limiter.is_idle() {
            let factor = self.factor;
            self.limiter.limit_with(|_| factor, samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::rms;

    fn tone(amplitude: f64) -> Vec<i16> {
        (0..160).map(|n| ((f64::from(n) * 0.31).sin() * amplitude) as i16).collect()
    }

    #[test]
    fn gain_is_what_it_says_and_zero_touches_nothing() {
        let mut up = Gain::new(6.0, 8_000);
        let mut samples = tone(5_000.0);
        let before = rms(&samples);
        up.apply(&mut samples);
        assert!((rms(&samples) / before - 1.995).abs() < 0.01);
        let mut same = tone(32_767.0);
        Gain::new(0.0, 8_000).apply(&mut same);
        assert_eq!(same, tone(32_767.0));
        let mut odd = Gain::new(f32::NAN, 8_000);
        odd.set(f32::INFINITY);
        odd.apply(&mut same);
        assert_eq!(same, tone(32_767.0));
    }

    #[test]
    fn the_limiter_bends_and_does_not_cut() {
        let mut limiter = Limiter::new(8_000);
        let loud: Vec<i32> = tone(20_000.0).iter().map(|s| i32::from(*s) * 4).collect();
        let mut out = [0; 160];
        for _ in 0..3 {
            limiter.limit(&loud, &mut out);
        }
        let peak = out.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((23_000..31_000).contains(&peak), "{peak}");
        // A sine stays a sine: its shape is the input's.
        for (a, b) in loud.iter().zip(&out) {
            assert!((f64::from(*a) * f64::from(peak) / 80_000.0 - f64::from(*b)).abs() < 350.0);
        }
        // Soft sound comes back to its own level within half a second, and then passes as it is.
        let soft: Vec<i32> = tone(4_000.0).iter().map(|s| i32::from(*s)).collect();
        for _ in 0..25 {
            limiter.limit(&soft, &mut out);
        }
        assert!(limiter.is_idle());
        limiter.limit(&soft, &mut out);
        assert_eq!(out[..], tone(4_000.0));
    }

    #[test]
    fn sums_of_sixteen_at_full_scale_stay_within_bounds() {
        let mut limiter = Limiter::new(8_000);
        let mut out = [0; 160];
        limiter.limit(&[16 * -32_768; 160], &mut out);
        assert!(out[8..].iter().all(|s| (-31_000..-20_000).contains(s)), "{out:?}");
        limiter.limit(&[], &mut []);
    }
}
