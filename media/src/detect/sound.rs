//! What one block of 20 ms is: a tone, a pair of tones, or something else.

use super::bank::{BINS, Block, hz_at};

/// Below this nothing is called a tone: SIT arrive at -30 dBov (-24 dBm0) and lose some dB on the way.
const LEAST_DBOV: f32 = -50.0;
/// Share of the energy in two neighbouring filters from which it is one tone: 0.81 for a pure tone at the worst place,
/// with 8 dB more than the noise.
const SINGLE: f32 = 0.70;
/// The same in four neighbours, for two tones too close for the filters (440 and 480 Hz).
const CLOSE: f32 = 0.88;
/// The same in two times two neighbours, for two tones.
const PAIR: f32 = 0.72;
/// The weaker of two tones has at least this much of the stronger's energy: 12 dB, what Q.24's 8 dB of twist may
/// look like at the worst places between filters.
const TWIST: f32 = 0.063;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sound {
    /// Too soft to be a tone.
    Quiet,
    /// One tone, or two that are less than 100 Hz apart.
    Single {
        /// Its frequency, or the middle of both.
        hz: f32,
        /// The filters saw one tone and not two.
        pure: bool,
    },
    /// Two tones.
    Pair {
        /// The lower frequency.
        low_hz: f32,
        /// The higher frequency.
        high_hz: f32,
        /// How much stronger the higher is, in dB.
        twist_db: f32,
    },
    /// Speech, noise.
    Other,
}

/// Energy and frequency of the tone between filters `at` and `at + 1`.
#[derive(Clone, Copy)]
struct Peak {
    at: usize,
    share: f32,
    hz: f32,
}

/// What a block is.
pub(crate) fn sound(block: &Block) -> Sound {
    if block.level_dbov < LEAST_DBOV {
        return Sound::Quiet;
    }
    let Some(first) = peak(&block.share, None) else { return Sound::Other };
    // What a pure tone leaks this far away is less than the weaker of a pair.
    let second = peak(&block.share, Some(first.at)).filter(|second| second.share >= TWIST * first.share);
    match second {
        None if first.share >= SINGLE => Sound::Single { hz: first.hz, pure: true },
        Some(second) if first.share + second.share >= PAIR => {
            let (low, high) = if first.at < second.at { (first, second) } else { (second, first) };
            let twist_db = 10.0 * (high.share / low.share).log10();
            Sound::Pair { low_hz: low.hz, high_hz: high.hz, twist_db }
        }
        _ => match close_pair(&block.share, first) {
            Some(hz) => Sound::Single { hz, pure: false },
            None => Sound::Other,
        },
    }
}

/// The strongest two neighbours, not nearer than 100 Hz to a peak already found.
fn peak(share: &[f32; BINS], besides: Option<usize>) -> Option<Peak> {
    let free = |at: usize| besides.is_none_or(|found| at.abs_diff(found) >= 3);
    let (at, pair) = share
        .array_windows::<2>()
        .enumerate()
        .filter(|(at, _)| free(*at))
        .max_by(|(_, [a, b]), (_, [c, d])| (a + b).total_cmp(&(c + d)))?;
    let [a, b] = pair.map(f32::sqrt);
    // Of a rectangular block the amplitudes beside a tone are as its distances to the other filter.
    Some(Peak { at, share: pair.iter().sum(), hz: hz_at(at, b / (a + b).max(1e-9)) })
}

/// The middle of four neighbours around a peak when they hold nearly everything.
fn close_pair(share: &[f32; BINS], peak: Peak) -> Option<f32> {
    let from = peak.at.saturating_sub(1);
    let near = share.get(from..from + 4)?;
    let sum: f32 = near.iter().sum();
    let moment: f32 = near.iter().enumerate().map(|(n, s)| n as f32 * s).sum();
    (sum >= CLOSE).then(|| hz_at(from, moment / sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bank::Bank;
    use crate::detect::testing::{mix, noise, sines};

    fn hear(samples: &[i16]) -> Sound {
        let mut bank = Bank::new();
        sound(&samples.as_chunks().0.iter().map(|piece| bank.push(piece)).last().unwrap())
    }

    #[test]
    fn a_tone_has_its_frequency_in_noise_too() {
        for hz in (380..2_200).step_by(11) {
            for snr in [40.0, 12.0] {
                let samples = mix(&sines(&[(hz as f32, -20.0)], 800), &noise(hz as u64, -20.0 - snr, 800));
                let Sound::Single { hz: heard, .. } = hear(&samples) else { panic!("{hz} Hz, {snr} dB") };
                assert!((heard - hz as f32).abs() < if snr > 20.0 { 5.0 } else { 20.0 }, "{hz}: {heard}");
            }
        }
    }

    #[test]
    fn pairs_with_twist() {
        for twist in [-8.0, 0.0, 4.0] {
            let samples = sines(&[(770.0, -20.0), (1_336.0, -20.0 + twist)], 800);
            let Sound::Pair { low_hz, high_hz, twist_db } = hear(&samples) else { panic!("{twist}") };
            assert!((low_hz - 770.0).abs() < 12.0 && (high_hz - 1_336.0).abs() < 12.0, "{low_hz} {high_hz}");
            assert!((twist_db - twist).abs() < 2.5, "{twist_db}");
        }
    }

    #[test]
    fn noise_and_silence_are_no_tones() {
        assert_eq!(hear(&noise(1, -20.0, 800)), Sound::Other);
        assert_eq!(hear(&[0; 800]), Sound::Quiet);
    }
}
