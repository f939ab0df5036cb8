//! Sounds for the tests of this module.

use std::f64::consts::TAU;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::country::Signal;
use crate::audio::{Audio, Voice};

fn peak(dbov: f32) -> f64 {
    32_768.0 * 10f64.powf(f64::from(dbov) / 20.0) * std::f64::consts::SQRT_2
}

/// Sines with their levels (RMS, dBov).
pub(crate) fn sines(tones: &[(f32, f32)], samples: usize) -> Vec<i16> {
    let at = |n: usize| {
        let sum: f64 = tones
            .iter()
            .map(|(hz, dbov)| peak(*dbov) * (TAU * f64::from(*hz) * n as f64 / 8_000.0).sin())
            .sum();
        sum.clamp(-32_768.0, 32_767.0) as i16
    };
    (0..samples).map(at).collect()
}

/// White noise of a level (RMS, dBov).
pub(crate) fn noise(seed: u64, dbov: f32, samples: usize) -> Vec<i16> {
    let mut rng = StdRng::seed_from_u64(seed);
    let size = peak(dbov) / std::f64::consts::SQRT_2 * 3f64.sqrt();
    (0..samples).map(|_| (rng.random_range(-1.0..1.0) * size) as i16).collect()
}

/// Both at once.
pub(crate) fn mix(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)).collect()
}

/// Speech of a voice.
pub(crate) fn speech(seed: u64, ms: u64) -> Vec<i16> {
    Audio::speech(Voice::new(seed), Duration::from_millis(ms)).samples().to_vec()
}

/// A tone of the network, from its beginning.
pub(crate) fn cadenced(signal: &Signal, dbov: f32, samples: usize) -> Vec<i16> {
    let (low, high) = signal.hz;
    let tones: Vec<(f32, f32)> = if low == high {
        vec![(low.into(), dbov)]
    } else {
        vec![(low.into(), dbov - 3.0), (high.into(), dbov - 3.0)]
    };
    let mut out = Vec::with_capacity(samples);
    for (n, ms) in signal.cadence_ms.iter().cycle().enumerate() {
        let length = usize::from(*ms) * 8;
        out.extend(if n % 2 == 0 { sines(&tones, length) } else { vec![0; length] });
        if out.len() >= samples {
            break;
        }
    }
    out.truncate(samples);
    out
}
