//! Automatic gain: brings soft callers up to a level that is easy to listen to, and leaves pauses and noise alone.

use super::gain::{Limiter, factor};
use super::meter::{dbov, rms};

/// What the automatic gain aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgcPolicy {
    /// The level that speech is brought to, in dBov. G.711 speech is well heard at -22 to -18.
    pub target_dbov: f32,
    /// The most that is added, in dB.
    pub max_gain_db: f32,
    /// The most that is taken away from loud callers, in dB, as a positive number.
    pub max_cut_db: f32,
    /// Frames below this are no speech, and the gain stays as it is, in dBov.
    pub gate_dbov: f32,
    /// How fast the gain falls when the voice is too loud, in dB a second.
    pub attack_db_per_s: f32,
    /// How fast it rises when the voice is too soft, in dB a second.
    pub release_db_per_s: f32,
}

impl Default for AgcPolicy {
    fn default() -> AgcPolicy {
        AgcPolicy {
            target_dbov: -21.0,
            max_gain_db: 18.0,
            max_cut_db: 6.0,
            gate_dbov: -50.0,
            attack_db_per_s: 60.0,
            release_db_per_s: 12.0,
        }
    }
}

/// Automatic gain of one voice.
#[derive(Clone, Debug)]
pub struct Agc {
    policy: AgcPolicy,
    gain_db: f32,
    /// The line's own noise, in dBov, followed slowly: the gate stands above it.
    noise_dbov: f32,
    rate_hz: f32,
    limiter: Limiter,
}

impl Agc {
    /// Automatic gain that begins at 0 dB.
    pub fn new(policy: AgcPolicy, rate_hz: u32) -> Agc {
        Agc {
            policy,
            gain_db: 0.0,
            // Taken for noisy until it was quiet once: a hum from the start is not raised.
            noise_dbov: policy.gate_dbov,
            rate_hz: rate_hz.max(1_000) as f32,
            limiter: Limiter::new(rate_hz),
        }
    }

    /// The gain at present, in dB.
    pub fn gain_db(&self) -> f32 {
        self.gain_db
    }

    /// Applies the gain to a frame, and moves it.
    pub fn apply(&mut self, samples: &mut [i16]) {
        if samples.is_empty() {
            return;
        }
        let seconds = samples.len() as f32 / self.rate_hz;
        let level = dbov(rms(samples)) as f32;
        // The noise floor falls at once and rises by 3 dB a second, so that speech does not become noise.
        self.noise_dbov = level.min(self.noise_dbov + 3.0 * seconds);
        let before = self.gain_db;
        let policy = &self.policy;
        let gate = policy.gate_dbov.max(self.noise_dbov + 9.0).min(policy.target_dbov - 3.0);
        if level > gate {
            let wanted = (policy.target_dbov - level).clamp(-policy.max_cut_db, policy.max_gain_db);
            let (fall, rise) = (policy.attack_db_per_s * seconds, policy.release_db_per_s * seconds);
            self.gain_db += (wanted - before).clamp(-fall, rise);
        }
        let (from, to) = (factor(before), factor(self.gain_db));
        if from == 1.0 && to == 1.0 && self.limiter.is_idle() {
            return;
        }
        let step = (to - from) / samples.len() as f32;
        self.limiter.limit_with(|n| from + step * n as f32, samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f64) -> Vec<i16> {
        (0..160).map(|n| ((f64::from(n) * 0.31).sin() * amplitude) as i16).collect()
    }

    fn after(agc: &mut Agc, amplitude: f64, frames: usize) -> f64 {
        let mut samples = Vec::new();
        for _ in 0..frames {
            samples = tone(amplitude);
            agc.apply(&mut samples);
        }
        dbov(rms(&samples))
    }

    #[test]
    fn soft_voices_rise_slowly_and_loud_ones_fall_fast() {
        let mut agc = Agc::new(AgcPolicy::default(), 8_000);
        // -36 dBov: 15 dB are missing, at 12 dB a second.
        let half = after(&mut agc, 735.0, 31);
        assert!((-30.0..-27.0).contains(&half), "{half}");
        let risen = after(&mut agc, 735.0, 75);
        assert!((-22.0..-20.0).contains(&risen), "{risen}");
        let fallen = after(&mut agc, 20_000.0, 25);
        assert!((-14.0..-11.0).contains(&fallen) && agc.gain_db() <= -5.9, "{fallen}");
    }

    #[test]
    fn pauses_and_noise_are_not_raised() {
        let mut agc = Agc::new(AgcPolicy::default(), 8_000);
        after(&mut agc, 735.0, 100);
        let gain = agc.gain_db();
        after(&mut agc, 20.0, 100);
        assert_eq!(agc.gain_db(), gain);
        // A hum of -47 dBov is above the gate, and becomes the line's noise.
        let mut noisy = Agc::new(AgcPolicy::default(), 8_000);
        after(&mut noisy, 200.0, 500);
        assert!(noisy.gain_db() < 6.0, "{}", noisy.gain_db());
    }
}
