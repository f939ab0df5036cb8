//! Tones: one or two frequencies, steady or in a cadence.

use std::f64::consts::TAU;
use std::time::Duration;

use super::{Audio, samples_of};
use crate::codec::SAMPLE_RATE_HZ;

/// Rise and fall at the ends of a tone: without them it clicks.
const RAMP: Duration = Duration::from_millis(5);

/// A tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    frequencies_hz: [u32; 2],
    /// The peak of each frequency.
    amplitude: i16,
    on: Duration,
    off: Duration,
}

impl Tone {
    /// One frequency, steady.
    pub const fn sine(frequency_hz: u32, amplitude: i16) -> Tone {
        Tone { frequencies_hz: [frequency_hz, 0], amplitude, on: Duration::MAX, off: Duration::ZERO }
    }

    /// Two frequencies at once, steady.
    pub const fn dual(low_hz: u32, high_hz: u32, amplitude: i16) -> Tone {
        Tone { frequencies_hz: [low_hz, high_hz], amplitude, on: Duration::MAX, off: Duration::ZERO }
    }

    /// The same tone in a cadence.
    pub const fn cadence(self, on: Duration, off: Duration) -> Tone {
        Tone { on, off, ..self }
    }

    /// What a caller hears while it rings in North America.
    pub const fn ringback() -> Tone {
        Tone::dual(440, 480, 4_000).cadence(Duration::from_secs(2), Duration::from_secs(4))
    }

    /// What a caller hears of an engaged line in North America.
    pub const fn busy() -> Tone {
        Tone::dual(480, 620, 4_000).cadence(Duration::from_millis(500), Duration::from_millis(500))
    }

    /// The tone as sound.
    pub fn render(self, duration: Duration) -> Audio {
        let total = samples_of(duration);
        let on = samples_of(self.on).clamp(1, total.max(1));
        let period = on + samples_of(self.off);
        let ramp = samples_of(RAMP).min(on / 2).max(1);
        let samples = (0..total).map(|n| {
            let at = n % period;
            if at >= on {
                return 0;
            }
            let left = on.min(total - (n - at)) - at;
            let gain = at.min(left).min(ramp) as f64 / ramp as f64;
            let sum: f64 = self.frequencies_hz.iter().map(|hz| sine(*hz, n)).sum();
            (sum * gain * f64::from(self.amplitude)) as i16
        });
        Audio::from_samples(samples.collect())
    }
}

/// The `n`th sample of a sine of amplitude one.
pub(crate) fn sine(frequency_hz: u32, n: usize) -> f64 {
    (TAU * f64::from(frequency_hz) * n as f64 / f64::from(SAMPLE_RATE_HZ)).sin()
}

/// The two frequencies of a key (ITU-T Q.23), by its event number (RFC 4733 §3.2).
pub(crate) fn digit_tone(event: u8) -> (u32, u32) {
    let (row, column) = match event {
        1..=9 => ((event - 1) / 3, (event - 1) % 3),
        0 => (3, 1),
        10 => (3, 0),
        11 => (3, 2),
        _ => (event.wrapping_sub(12) % 4, 3),
    };
    let low = [697, 770, 852, 941];
    let high = [1_209, 1_336, 1_477, 1_633];
    let of = |list: [u32; 4], at: u8| list.get(usize::from(at)).copied().unwrap_or(0);
    (of(low, row), of(high, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadence_has_its_pauses() {
        let busy = Tone::busy().render(Duration::from_secs(2));
        let samples = busy.samples();
        assert_eq!(samples.len(), 16_000);
        assert!(samples[1_000..3_000].iter().any(|s| *s > 5_000));
        assert!(samples[4_001..8_000].iter().all(|s| *s == 0));
        assert!(samples[9_000..11_000].iter().any(|s| *s > 5_000));
    }

    #[test]
    fn it_starts_and_ends_softly() {
        let beep = Audio::beep();
        let samples = beep.samples();
        assert!(samples[..4].iter().chain(&samples[samples.len() - 4..]).all(|s| s.abs() < 1_000));
    }

    #[test]
    fn keys_have_their_frequencies() {
        assert_eq!(digit_tone(5), (770, 1_336));
        assert_eq!(digit_tone(0), (941, 1_336));
        assert_eq!(digit_tone(10), (941, 1_209));
        assert_eq!(digit_tone(11), (941, 1_477));
        assert_eq!(digit_tone(15), (941, 1_633));
    }
}
