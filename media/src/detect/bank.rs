//! The spectrum from 300 to 2,650 Hz by a bank of Goertzel filters.
//!
//! **Block.** 20 ms (160 samples) every 10 ms. The filters then stand 50 Hz apart, which is the raster of 160 samples, so
//! a steady tone of any frequency puts at least 81% of its energy into two neighbours, and from their ratio its frequency is
//! known to some Hz. 20 ms is also the longest block of which two fit into the shortest key (40 ms, ITU-T Q.24), and
//! 50 Hz is enough: where a country has two tones closer than that, their cadence tells them apart. The filters run in
//! pieces of 10 ms; two pieces, turned to one phase, are a block, so that overlapping costs nothing.

use std::f32::consts::{PI, TAU};

/// Samples of a piece: 10 ms.
pub(crate) const PIECE: usize = 80;
/// Filters.
pub(crate) const BINS: usize = 48;
/// The lowest filter's number: 300 Hz.
const FIRST: usize = 6;
/// Hz between filters.
pub(crate) const STEP_HZ: f32 = 50.0;
const RATE: f32 = 8_000.0;
/// Filters that run side by side: their states fit into the vector registers of any x86-64 or AArch64.
const LANES: usize = 16;

/// One piece's outcome of the filters.
#[derive(Clone, Copy)]
struct Piece {
    re: [f32; BINS],
    im: [f32; BINS],
    energy: f32,
    peak: u16,
}

const SILENT: Piece = Piece { re: [0.0; BINS], im: [0.0; BINS], energy: 0.0, peak: 0 };

/// What 20 ms of sound are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Each filter's share of the energy; for one steady tone two neighbours have 0.81 to 1 together.
    pub(crate) share: [f32; BINS],
    /// RMS level of all, without hum, in dB below full scale.
    pub(crate) level_dbov: f32,
    /// RMS level of what lies in the filters' range.
    pub(crate) band_dbov: f32,
    /// Neither of the pieces holds more than the smallest steps of a codec.
    pub(crate) digital_silence: bool,
}

/// The frequency of a place between the filters.
pub(crate) fn hz_at(bin: usize, beyond: f32) -> f32 {
    STEP_HZ * ((bin + FIRST) as f32 + beyond)
}

/// Filters and the piece before.
pub(crate) struct Bank {
    coefficient: [f32; BINS],
    cos: [f32; BINS],
    sin: [f32; BINS],
    before: Piece,
    hum: HumFilter,
}

impl Bank {
    pub(crate) fn new() -> Bank {
        let mut bank = Bank {
            coefficient: [0.0; BINS],
            cos: [0.0; BINS],
            sin: [0.0; BINS],
            before: SILENT,
            hum: HumFilter::new(),
        };
        let rows = bank.coefficient.iter_mut().zip(&mut bank.cos).zip(&mut bank.sin);
        for (bin, ((coefficient, cos), sin)) in rows.enumerate() {
            let w = TAU * hz_at(bin, 0.0) / RATE;
            (*sin, *cos) = w.sin_cos();
            *coefficient = 2.0 * *cos;
        }
        bank
    }

    /// Forgets what was before.
    pub(crate) fn reset(&mut self) {
        self.before = SILENT;
        self.hum = HumFilter::new();
    }

    /// Takes 10 ms; gives the block of the 20 ms that end with them.
    pub(crate) fn push(&mut self, samples: &[i16; PIECE]) -> Block {
        let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
        let mut sound = [0.0; PIECE];
        for (out, sample) in sound.iter_mut().zip(samples) {
            *out = self.hum.filter(f32::from(*sample));
        }
        let piece = self.piece(&sound, peak);
        let before = std::mem::replace(&mut self.before, piece);
        block(&before, &piece)
    }

    fn piece(&self, sound: &[f32; PIECE], peak: u16) -> Piece {
        let mut piece = Piece { energy: sound.iter().map(|x| x * x).sum(), peak, ..SILENT };
        let filters = self.coefficient.as_chunks::<LANES>().0;
        let trig = self.cos.as_chunks::<LANES>().0.iter().zip(self.sin.as_chunks::<LANES>().0);
        let out = piece.re.as_chunks_mut::<LANES>().0.iter_mut().zip(piece.im.as_chunks_mut::<LANES>().0);
        for ((coefficient, (cos, sin)), (re, im)) in filters.iter().zip(trig).zip(out) {
            let (mut s1, mut s2) = ([0.0f32; LANES], [0.0f32; LANES]);
            for x in sound {
                for ((c, s1), s2) in coefficient.iter().zip(&mut s1).zip(&mut s2) {
                    let s0 = (x - *s2) + c * *s1;
                    *s2 = *s1;
                    *s1 = s0;
                }
            }
            for (((re, im), (cos, sin)), (s1, s2)) in
                re.iter_mut().zip(im).zip(cos.iter().zip(sin)).zip(s1.iter().zip(&s2))
            {
                *re = s1 - s2 * cos;
                *im = s2 * sin;
            }
        }
        piece
    }
}

/// Two pieces as one block. The second is half a turn for each filter number later than the first.
fn block(a: &Piece, b: &Piece) -> Block {
    let samples = (2 * PIECE) as f32;
    let energy = a.energy + b.energy;
    let mut share = [0.0; BINS];
    let scale = 2.0 / (samples * energy.max(1.0));
    let mut sign = if FIRST.is_multiple_of(2) { 1.0 } else { -1.0 };
    for ((out, (ar, ai)), (br, bi)) in
        share.iter_mut().zip(a.re.iter().zip(&a.im)).zip(b.re.iter().zip(&b.im))
    {
        let (re, im) = (ar + sign * br, ai + sign * bi);
        *out = (re * re + im * im) * scale;
        sign = -sign;
    }
    let in_band: f32 = share.iter().sum::<f32>().min(1.0) * energy;
    let dbov = |energy: f32| 10.0 * (energy / samples / (32_768.0 * 32_768.0)).max(1e-10).log10();
    Block {
        share,
        level_dbov: dbov(energy),
        band_dbov: dbov(in_band),
        // The smallest step of A-law is 8.
        digital_silence: a.peak.max(b.peak) <= 8,
    }
}

/// Takes away what lies below the telephone band: mains hum. A Butterworth high-pass of second order at 200 Hz.
struct HumFilter {
    b0: f32,
    a1: f32,
    a2: f32,
    x: [f32; 2],
    y: [f32; 2],
}

impl HumFilter {
    fn new() -> HumFilter {
        let w = (PI * 200.0 / RATE).tan();
        let root = std::f32::consts::SQRT_2;
        let norm = 1.0 / (1.0 + root * w + w * w);
        HumFilter {
            b0: norm,
            a1: 2.0 * (w * w - 1.0) * norm,
            a2: (1.0 - root * w + w * w) * norm,
            x: [0.0; 2],
            y: [0.0; 2],
        }
    }

    fn filter(&mut self, x: f32) -> f32 {
        let [x1, x2] = self.x;
        let [y1, y2] = self.y;
        let y = self.b0 * (x - 2.0 * x1 + x2) - self.a1 * y1 - self.a2 * y2;
        self.x = [x, x1];
        self.y = [y, y1];
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{mix, sines};

    fn last_block(samples: &[i16]) -> Block {
        let mut bank = Bank::new();
        samples.as_chunks().0.iter().map(|piece| bank.push(piece)).last().unwrap()
    }

    #[test]
    fn two_neighbours_hold_a_tone_of_any_frequency() {
        for hz in (350..2_600).step_by(13) {
            let block = last_block(&sines(&[(hz as f32, -20.0)], 1_600));
            let best = block.share.windows(2).map(|w| w[0] + w[1]).fold(0.0, f32::max);
            assert!((0.79..1.02).contains(&best), "{hz} Hz: {best}");
            assert!((block.level_dbov + 20.0).abs() < 1.0, "{hz} Hz: {}", block.level_dbov);
        }
    }

    #[test]
    fn hum_is_not_heard() {
        let hum = sines(&[(50.0, -20.0)], 1_600);
        assert!(last_block(&hum).band_dbov < -50.0);
        let both = mix(&hum, &sines(&[(1_000.0, -30.0)], 1_600));
        assert!((last_block(&both).band_dbov + 30.0).abs() < 1.0);
    }

    #[test]
    fn silence_is_silent() {
        let block = last_block(&[0; 800]);
        assert!(block.digital_silence && block.level_dbov <= -99.0);
    }
}
