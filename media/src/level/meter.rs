//! How loud a voice is, and whether it is cut off at full scale.

/// The lowest level that is told, that of silence (RFC 6464 §3).
const FLOOR_DBOV: f64 = -127.0;
/// Within 0.2 dB of full scale: the ends of G.711's laws lie at 32,124 and 32,256.
const CLIPPED: u16 = 32_000;
/// Samples in a row at full scale that are no longer a peak but a flat top.
const FLAT_TOP: u32 = 3;

/// The root mean square of samples.
pub fn rms(samples: &[i16]) -> f64 {
    let sum: u64 = samples.iter().map(|s| u64::from(s.unsigned_abs()).pow(2)).sum();
    (sum as f64 / samples.len().max(1) as f64).sqrt()
}

/// An amplitude in dB of full scale (a square wave of 32,768 is 0 dBov); silence is -127.
pub fn dbov(amplitude: f64) -> f64 {
    if amplitude <= 0.0 { FLOOR_DBOV } else { (20.0 * (amplitude / 32_768.0).log10()).max(FLOOR_DBOV) }
}

/// How loud a stretch of sound was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Root mean square, in dBov.
    pub rms_dbov: f64,
    /// The highest sample, in dBov.
    pub peak_dbov: f64,
    /// The share of samples within flat tops at full scale, between 0 and 1.
    pub clipped: f64,
}

impl Level {
    /// Whether it is distorted by clipping: more than one sample in a thousand.
    pub fn is_clipped(&self) -> bool {
        self.clipped > 0.001
    }
}

/// Gathers the level of what passes, until it is taken.
#[derive(Clone, Debug, Default)]
pub struct LevelMeter {
    sum: u64,
    samples: u64,
    peak: u16,
    clipped: u64,
    /// Samples at full scale in a row.
    run: u32,
}

impl LevelMeter {
    /// Counts samples.
    pub fn add(&mut self, samples: &[i16]) {
        let mut sum = 0u64;
        for size in samples.iter().map(|s| s.unsigned_abs()) {
            sum += u64::from(size).pow(2);
            self.peak = self.peak.max(size);
            if size < CLIPPED {
                self.run = 0;
                continue;
            }
            self.run = self.run.saturating_add(1);
            if self.run == FLAT_TOP {
                self.clipped += u64::from(FLAT_TOP);
            } else if self.run > FLAT_TOP {
                self.clipped += 1;
            }
        }
        self.sum = self.sum.saturating_add(sum);
        self.samples += samples.len() as u64;
    }

    /// The level since the last time; `None` when nothing passed.
    pub fn take(&mut self) -> Option<Level> {
        let LevelMeter { sum, samples, peak, clipped, .. } = std::mem::take(self);
        (samples > 0).then(|| Level {
            rms_dbov: dbov((sum as f64 / samples as f64).sqrt()),
            peak_dbov: dbov(f64::from(peak)),
            clipped: clipped as f64 / samples as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_levels() {
        let mut meter = LevelMeter::default();
        assert_eq!(meter.take(), None);
        meter.add(&[i16::MIN, i16::MIN]);
        let full = meter.take().unwrap();
        assert!(full.rms_dbov.abs() < 0.01 && full.peak_dbov.abs() < 0.01 && !full.is_clipped());
        meter.add(&[3_277, -3_277, 3_277, -3_277]);
        let soft = meter.take().unwrap();
        assert!((soft.rms_dbov + 20.0).abs() < 0.01, "{soft:?}");
        meter.add(&[0; 160]);
        assert_eq!(meter.take().unwrap().rms_dbov, -127.0);
    }

    #[test]
    fn flat_tops_are_clipping_and_single_peaks_are_not() {
        let mut meter = LevelMeter::default();
        meter.add(&[32_767, 0, 32_767, 0, -32_768, 5, 32_767, 32_767, 0]);
        assert_eq!(meter.take().unwrap().clipped, 0.0);
        let top: Vec<i16> = (0..160).map(|n| if n < 40 { 32_124 } else { 0 }).collect();
        meter.add(&top);
        let level = meter.take().unwrap();
        assert!((level.clipped - 0.25).abs() < 1e-9 && level.is_clipped());
    }
}
