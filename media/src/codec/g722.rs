//! G.722: 16 kHz in 64 kbit/s, two bands of adaptive differential PCM (ITU-T G.722, mode 1). Samples are 16 bits wide
//! here, the standard's 14 bits with two more below. Its RTP clock is 8 kHz by an old mistake (RFC 3551 §4.5.2), so
//! one octet is one tick.
// Tables are as long as the masked codes that index them.
#![allow(clippy::indexing_slicing)]

use super::{CodecError, Decoder as DecoderTrait, Encoder as EncoderTrait};
use crate::sdp::AudioCodec;

const RATE_HZ: u32 = 16_000;

/// Half of the 24 symmetrical taps of the filters that split and join the bands (table 11).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];
/// Decision levels of the lower band's quantizer (table 16).
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121,
    1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Output levels of the lower band with all six bits (table 18, by code).
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232,
    -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776,
    -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280,
    11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168,
    2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432, 136, -432, -136,
];
/// Output levels of the lower band by its four upper bits, on which both sides' adaptation rests.
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584,
    1_200, 0,
];
/// Output levels of the upper band, by code.
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// How the lower band's scale moves with its code (table 19), and the upper band's.
const WL: [i32; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
const WH: [i32; 4] = [798, -214, 798, -214];
/// The logarithmic scale's mantissas: powers of two in steps of a 32nd.
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774,
    2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838,
    3_922, 4_008,
];

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

fn same_sign(a: i32, b: i32) -> bool {
    (a < 0) == (b < 0)
}

/// The adaptive predictor of one band (§3.6): two poles, six zeros, and the quantizer's scale.
struct Band {
    /// The next sample as predicted, and the zeros' part of it.
    predicted: i32,
    zeros_part: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// Reconstructed signals, and partial ones, the newest first.
    reconstructed: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
    /// The scale's logarithm, and the scale.
    log_scale: i32,
    scale: i32,
}

impl Band {
    fn new(scale: i32) -> Band {
        Band {
            predicted: 0,
            zeros_part: 0,
            poles: [0; 2],
            zeros: [0; 6],
            reconstructed: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
            log_scale: 0,
            scale,
        }
    }

    /// Moves the scale (§3.5). `shift` and `max` are the band's.
    fn adapt_scale(&mut self, weight: i32, shift: i32, max: i32) {
        self.log_scale = (((self.log_scale * 127) >> 7) + weight).clamp(0, max);
        let mantissa = ILB[((self.log_scale >> 6) & 31) as usize];
        let exponent = shift - (self.log_scale >> 11);
        self.scale = (if exponent < 0 { mantissa << -exponent } else { mantissa >> exponent }) << 2;
    }

    /// Takes a quantized difference and predicts the next sample.
    fn adapt(&mut self, difference: i32) {
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.zeros_part + difference);

        // The second pole before the first, whose bound depends on it (UPPOL2, UPPOL1).
        let [a1, a2] = self.poles;
        let four_a1 = saturate(a1 << 2);
        let turn = saturate(if same_sign(partial, self.partial[0]) { -four_a1 } else { four_a1 });
        let step = if same_sign(partial, self.partial[1]) { 128 } else { -128 };
        let a2 = (step + (turn >> 7) + ((a2 * 32_512) >> 15)).clamp(-12_288, 12_288);
        let step = if same_sign(partial, self.partial[0]) { 192 } else { -192 };
        let bound = saturate(15_360 - a2);
        let a1 = saturate(step + ((a1 * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [a1, a2];

        // The zeros (UPZERO) move only with a difference that is not zero.
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(&self.differences) {
            let step = if same_sign(difference, *before) { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }

        self.differences.rotate_right(1);
        self.differences[0] = difference;
        self.partial = [partial, self.partial[0]];
        self.reconstructed = [reconstructed, self.reconstructed[0]];

        // FILTEP, FILTEZ, PREDIC.
        let poles_part: i32 =
            self.poles.iter().zip(&self.reconstructed).map(|(a, r)| (a * saturate(r + r)) >> 15).sum();
        let zeros_part: i32 =
            self.zeros.iter().zip(&self.differences).map(|(b, d)| (b * saturate(d + d)) >> 15).sum();
        self.zeros_part = saturate(zeros_part);
        self.predicted = saturate(saturate(poles_part) + self.zeros_part);
    }
}

/// Both bands, and the line of samples in the filter between them and 16 kHz.
struct State {
    low: Band,
    high: Band,
    line: [i32; 24],
}

impl State {
    fn new() -> State {
        State { low: Band::new(32), high: Band::new(8), line: [0; 24] }
    }

    fn adapt_low(&mut self, code: i32) {
        let upper_bits = (code >> 2) as usize & 15;
        let difference = (self.low.scale * QM4[upper_bits]) >> 15;
        self.low.adapt_scale(WL[upper_bits], 8, 18_432);
        self.low.adapt(difference);
    }

    /// The upper band's quantized difference for a code, before the code moves anything.
    fn high_difference(&self, code: i32) -> i32 {
        (self.high.scale * QM2[code as usize & 3]) >> 15
    }

    fn adapt_high(&mut self, code: i32) {
        let difference = self.high_difference(code);
        self.high.adapt_scale(WH[code as usize & 3], 10, 22_528);
        self.high.adapt(difference);
    }

    /// Pushes two values into the filter's line and gives the sums over its two phases.
    fn filter(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.line.copy_within(2.., 0);
        self.line[22] = first;
        self.line[23] = second;
        let (pairs, _) = self.line.as_chunks::<2>();
        pairs
            .iter()
            .zip(QMF)
            .zip(QMF.iter().rev())
            .fold((0, 0), |(a, b), (([x, y], tap), mirrored)| (a + x * tap, b + y * mirrored))
    }
}

/// An encoder at 64 kbit/s.
pub(super) struct Encoder(State);

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder(State::new())
    }

    fn pair(&mut self, first: i16, second: i16) -> u8 {
        let (even, odd) = self.0.filter(first.into(), second.into());
        let low = (even + odd) >> 14;
        let high = (odd - even) >> 14;

        let error = saturate(low - self.0.low.predicted);
        let size = if error < 0 { !error } else { error };
        let scale = self.0.low.scale;
        let level = Q6.iter().take_while(|q| size >= (**q * scale) >> 12).count() as i32;
        // Codes by level (table 17): from 63 and 61 down, where the two outermost negative levels come first.
        let low_code = match (error < 0, level) {
            (true, 0 | 1) => 63 - level,
            (true, _) => 33 - level,
            (false, _) => 61 - level,
        };
        self.0.adapt_low(low_code);

        let error = saturate(high - self.0.high.predicted);
        let size = if error < 0 { !error } else { error };
        let outer = size >= (564 * self.0.high.scale) >> 12;
        let high_code = match (error < 0, outer) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.0.adapt_high(high_code);
        ((high_code << 6) | low_code) as u8
    }
}

impl EncoderTrait for Encoder {
    fn codec(&self) -> AudioCodec {
        AudioCodec::G722
    }

    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let (pairs, odd) = samples.as_chunks::<2>();
        if !odd.is_empty() || payload.len() < pairs.len() {
            return Err(CodecError::Length(AudioCodec::G722));
        }
        Ok(payload.iter_mut().zip(pairs).map(|(byte, [a, b])| *byte = self.pair(*a, *b)).count())
    }
}

/// A decoder at 64 kbit/s.
pub(super) struct Decoder(State);

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder(State::new())
    }

    fn byte(&mut self, byte: u8) -> [i16; 2] {
        let (low_code, high_code) = (i32::from(byte & 0x3f), i32::from(byte >> 6));
        let difference = (self.0.low.scale * QM6[low_code as usize]) >> 15;
        let low = (self.0.low.predicted + difference).clamp(-16_384, 16_383);
        self.0.adapt_low(low_code);

        let difference = self.0.high_difference(high_code);
        let high = (self.0.high.predicted + difference).clamp(-16_384, 16_383);
        self.0.adapt_high(high_code);

        let (first, second) = self.0.filter(low + high, low - high);
        [saturate(second >> 11) as i16, saturate(first >> 11) as i16]
    }
}

impl DecoderTrait for Decoder {
    fn codec(&self) -> AudioCodec {
        AudioCodec::G722
    }

    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn duration(&self, payload: &[u8]) -> u32 {
        payload.len().try_into().unwrap_or(0)
    }

    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError> {
        let (pairs, _) = samples.as_chunks_mut::<2>();
        if pairs.len() < payload.len() {
            return Err(CodecError::Length(AudioCodec::G722));
        }
        Ok(pairs.iter_mut().zip(payload).map(|(pair, byte)| *pair = self.byte(*byte)).count() * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise and a saw at four levels, from a whisper to more than full scale.
    fn signal() -> Vec<i16> {
        let mut seed = 1u32;
        (0..8_000i32)
            .map(|n| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 16) as i32 - 32_768;
                let saw = ((n * 37) % 400 - 200) * 80;
                let divisor = [64, 8, 1, 16][(n / 1_000) as usize % 4];
                (noise + saw).div_euclid(divisor).clamp(-32_768, 32_767) as i16
            })
            .collect()
    }

    fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes
            .into_iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    /// What libg722 (the PyPI package G722 1.2.8) makes of the same signal, octet by octet and sample by sample.
    #[test]
    fn it_is_bit_exact_with_an_independent_codec() {
        let mut coded = vec![0; 4_000];
        assert_eq!(Encoder::new().encode(&signal(), &mut coded), Ok(4_000));
        assert_eq!(coded[..16], [122, 155, 46, 142, 32, 132, 12, 140, 57, 185, 191, 18, 159, 169, 52, 243]);
        assert_eq!(fnv(coded.iter().copied()), 0xdfd4_135f_32ff_6646);
        let mut back = vec![0; 8_000];
        assert_eq!(Decoder::new().decode(&coded, &mut back), Ok(8_000));
        assert_eq!(back[2_000..2_008], [-1_614, 829, 186, 3_040, -1_851, -2_628, 2_846, 1_058]);
        assert_eq!(fnv(back.iter().flat_map(|s| s.to_le_bytes())), 0xfb88_039c_8c65_10b6);
    }

    #[test]
    fn any_octets_decode_within_bounds() {
        let mut decoder = Decoder::new();
        let mut out = [0; 512];
        for round in 0..50u8 {
            let bytes: Vec<u8> = (0..=255u8).map(|n| n.wrapping_mul(round.wrapping_mul(2) | 1)).collect();
            assert_eq!(decoder.decode(&bytes, &mut out), Ok(512));
        }
    }
}
