//! Between sample rates: 8, 16 and 48 kHz, one channel, in frames of 10 ms or a multiple of it.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// The longest input of one call: the longest packet (120 ms at 48 kHz).
const MAX_CHUNKS: usize = 12;
/// Samples of a piece of sound that are resampled at once, where nobody waits for the first.
const WHOLE_CHUNK: usize = 1_024;

/// Why a resampler was not made. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot resample from {from_hz} to {to_hz} Hz")]
pub struct RateError {
    /// The rate of the input.
    pub from_hz: u32,
    /// The rate wanted.
    pub to_hz: u32,
}

/// Turns one voice from one rate into another. It delays by 5 ms (a filter over two chunks of 10 ms); equal rates pass
/// through without either cost or delay.
pub struct Resampler {
    /// `None` where the rates are equal.
    fft: Option<Fft<f32>>,
    chunk_in: usize,
    chunk_out: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    samples: Vec<i16>,
}

impl Resampler {
    /// A resampler between two of 8,000, 16,000 and 48,000 samples a second.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Resampler, RateError> {
        let error = RateError { from_hz, to_hz };
        if [from_hz, to_hz].iter().any(|hz| ![8_000, 16_000, 48_000].contains(hz)) {
            return Err(error);
        }
        let (from, to) = (from_hz as usize, to_hz as usize);
        let chunk_in = from / 100;
        let fft = match from_hz == to_hz {
            true => None,
            // Of the windows, Hann's alone has a fall steep enough to keep 3.4 kHz with a filter of 10 ms.
            false => Some(
                Fft::new_custom(from, to, chunk_in, 1, 1, WindowFunction::Hann, FixedSync::Both)
                    .map_err(|_| error)?,
            ),
        };
        let chunk_out = to / 100;
        Ok(Resampler {
            fft,
            chunk_in,
            chunk_out,
            input: vec![0.0; chunk_in],
            output: vec![0.0; chunk_out],
            samples: Vec::with_capacity(chunk_out * MAX_CHUNKS),
        })
    }

    /// The samples at the other rate. What is behind the last whole 10 ms of `samples`, or behind 120 ms, is left out:
    /// the caller gives whole frames.
    pub fn process(&mut self, samples: &[i16]) -> &[i16] {
        self.samples.clear();
        let Some(fft) = &mut self.fft else {
            self.samples.extend_from_slice(samples);
            return &self.samples;
        };
        for chunk in samples.chunks_exact(self.chunk_in).take(MAX_CHUNKS) {
            self.input.iter_mut().zip(chunk).for_each(|(to, from)| *to = f32::from(*from));
            let done = InterleavedSlice::new(&self.input, 1, self.chunk_in).ok().and_then(|input| {
                let mut output = InterleavedSlice::new_mut(&mut self.output, 1, self.chunk_out).ok()?;
                fft.process_into_buffer(&input, &mut output, None).ok()
            });
            // The lengths are those that the library was made for; were it to refuse, silence keeps the time.
            if done.is_none() {
                self.output.fill(0.0);
            }
            self.samples.extend(self.output.iter().map(|sample| bound(*sample)));
        }
        &self.samples
    }
}

/// A whole piece of sound at another rate, in line with the original. For files: it takes all of it at once.
pub(crate) fn whole(samples: &[i16], from_hz: u32, to_hz: u32) -> Result<Vec<i16>, RateError> {
    if from_hz == to_hz {
        return Ok(samples.to_vec());
    }
    let error = RateError { from_hz, to_hz };
    let wide: Vec<f32> = samples.iter().map(|sample| f32::from(*sample)).collect();
    let input = InterleavedSlice::new(&wide, 1, wide.len()).map_err(|_| error)?;
    let output = Fft::<f32>::new(from_hz as usize, to_hz as usize, WHOLE_CHUNK, 1, FixedSync::Both)
        .map(|mut fft| fft.process_all(&input, wide.len(), None))
        .map_err(|_| error)?
        .map_err(|_| error)?;
    Ok(output.take_data().into_iter().map(bound).collect())
}

/// A sample within 16 bits.
fn bound(sample: f32) -> i16 {
    sample.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("chunk_in", &self.chunk_in)
            .field("chunk_out", &self.chunk_out)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// The loudness of a tone after resampling, against before.
    fn passed(from_hz: u32, to_hz: u32, tone_hz: f64) -> f64 {
        let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
        let step = TAU * tone_hz / f64::from(from_hz);
        let sound: Vec<i16> =
            (0..from_hz / 4).map(|n| ((f64::from(n) * step).sin() * 10_000.0) as i16).collect();
        let mut heard = Vec::new();
        for frame in sound.chunks_exact(from_hz as usize / 50) {
            let out = resampler.process(frame);
            assert_eq!(out.len(), to_hz as usize / 50);
            heard.extend_from_slice(out);
        }
        let middle = &heard[heard.len() / 4..];
        let power = middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64;
        (power * 2.0).sqrt() / 10_000.0
    }

    #[test]
    fn telephone_band_passes_and_the_rest_does_not_fold() {
        for (from, to) in [(8_000, 16_000), (16_000, 8_000), (8_000, 48_000), (48_000, 8_000)] {
            for tone in [300.0, 1_000.0, 3_400.0] {
                let level = passed(from, to, tone);
                assert!((0.94..1.06).contains(&level), "{from} to {to}: {tone} Hz at {level:.3}");
            }
        }
        for (from, to) in [(16_000, 48_000), (48_000, 16_000)] {
            assert!((0.97..1.03).contains(&passed(from, to, 6_800.0)));
        }
        for (from, to, tone) in
            [(16_000, 8_000, 4_600.0), (48_000, 8_000, 4_600.0), (48_000, 16_000, 9_000.0)]
        {
            let level = passed(from, to, tone);
            assert!(level < 0.01, "{from} to {to}: {tone} Hz folds back at {level:.4}");
        }
    }

    #[test]
    fn equal_rates_pass_through_and_odd_ones_are_refused() {
        let mut same = Resampler::new(8_000, 8_000).unwrap();
        assert_eq!(same.process(&[1, 2, 3]), [1, 2, 3]);
        assert!(Resampler::new(44_100, 8_000).is_err() && Resampler::new(8_000, 0).is_err());
        let mut half = Resampler::new(16_000, 8_000).unwrap();
        assert!(half.process(&[0; 159]).is_empty());
        assert_eq!(half.process(&[0; 160 * 20]).len(), 80 * MAX_CHUNKS);
    }
}
