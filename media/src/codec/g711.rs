//! G.711: 8 kHz samples in eight bits by a logarithmic law (ITU-T G.711). Everything is a table made at build time.
// The tables are as long as the byte that indexes them.
#![allow(clippy::indexing_slicing)]

use super::{CodecError, Coder, Decoder, Encoder};
use crate::sdp::AudioCodec;

/// µ-law's offset before the logarithm (G.711 table 2a: decision values are offset by 33, at 14 bits).
const ULAW_BIAS: i32 = 33 << 2;
/// The largest magnitude that µ-law can hold.
const ULAW_CLIP: i32 = 32_635;

static ULAW_TO_LINEAR: [i16; 256] = ulaw_table();
static ALAW_TO_LINEAR: [i16; 256] = alaw_table();
/// µ-law bytes to A-law bytes.
pub(crate) static PCMU_TO_PCMA: [u8; 256] = ulaw_to_alaw_table();
/// A-law bytes to µ-law bytes.
pub(crate) static PCMA_TO_PCMU: [u8; 256] = alaw_to_ulaw_table();

/// How loud each µ-law byte is.
pub(crate) static ULAW_MAGNITUDES: [u16; 256] = magnitudes(&ulaw_table());
/// How loud each A-law byte is.
pub(crate) static ALAW_MAGNITUDES: [u16; 256] = magnitudes(&alaw_table());

const fn magnitudes(linear: &[i16; 256]) -> [u16; 256] {
    let mut table = [0u16; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = linear[byte].unsigned_abs();
        byte += 1;
    }
    table
}

/// One µ-law byte as a linear sample.
#[inline]
pub(super) fn ulaw_to_linear(byte: u8) -> i16 {
    ULAW_TO_LINEAR[byte as usize]
}

/// One A-law byte as a linear sample.
#[inline]
pub(super) fn alaw_to_linear(byte: u8) -> i16 {
    ALAW_TO_LINEAR[byte as usize]
}

/// One linear sample in µ-law.
#[inline]
pub(super) const fn linear_to_ulaw(sample: i16) -> u8 {
    let sample = sample as i32;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = if sample < 0 { -sample } else { sample };
    if magnitude > ULAW_CLIP {
        magnitude = ULAW_CLIP;
    }
    magnitude += ULAW_BIAS;
    // The bias puts the highest set bit at 7..=14; its place is the segment.
    let segment = 24 - (magnitude as u32).leading_zeros();
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | ((segment as i32) << 4) | step) as u8
}

/// One linear sample in A-law.
#[inline]
pub(super) const fn linear_to_alaw(sample: i16) -> u8 {
    // A-law has 13 bits: sign and twelve of magnitude. Negative values are taken by one's complement, so that
    // -1 and 0 mirror each other (G.711 table 1).
    let (sign, magnitude) = if sample < 0 { (0, !sample as u32) } else { (0x80, sample as u32) };
    let magnitude = magnitude >> 4;
    // The first two segments have steps of the same size.
    let (segment, step) = if magnitude < 16 {
        (0, magnitude)
    } else {
        let segment = 28 - magnitude.leading_zeros();
        (segment, magnitude >> (segment - 1))
    };
    // Even bits are inverted on the line (G.711 §3, table 1 note 2).
    ((sign | (segment << 4) | (step & 0x0f)) ^ 0x55) as u8
}

const fn ulaw_table() -> [i16; 256] {
    let mut table = [0i16; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let code = !(byte as u8);
        let segment = (code >> 4) & 0x07;
        let step = (code & 0x0f) as i32;
        let magnitude = (((step << 3) + ULAW_BIAS) << segment) - ULAW_BIAS;
        table[byte] = if code & 0x80 != 0 { -magnitude as i16 } else { magnitude as i16 };
        byte += 1;
    }
    table
}

const fn alaw_table() -> [i16; 256] {
    let mut table = [0i16; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let code = byte as u8 ^ 0x55;
        let segment = (code >> 4) & 0x07;
        let step = (code & 0x0f) as i32;
        let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
        table[byte] = if code & 0x80 != 0 { magnitude as i16 } else { -magnitude as i16 };
        byte += 1;
    }
    table
}

const fn ulaw_to_alaw_table() -> [u8; 256] {
    let linear = ulaw_table();
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = linear_to_alaw(linear[byte]);
        byte += 1;
    }
    table
}

const fn alaw_to_ulaw_table() -> [u8; 256] {
    let linear = alaw_table();
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = linear_to_ulaw(linear[byte]);
        byte += 1;
    }
    table
}

/// G.711 µ-law.
pub(super) struct Pcmu;
/// G.711 A-law.
pub(super) struct Pcma;

impl Coder for Pcmu {
    fn decode(&self, payload: &[u8], samples: &mut [i16]) -> usize {
        samples.iter_mut().zip(payload).map(|(sample, byte)| *sample = ulaw_to_linear(*byte)).count()
    }

    fn encode(&self, samples: &[i16], payload: &mut [u8]) -> usize {
        payload.iter_mut().zip(samples).map(|(byte, sample)| *byte = linear_to_ulaw(*sample)).count()
    }

    fn silence(&self) -> u8 {
        0xff
    }
}

impl Coder for Pcma {
    fn decode(&self, payload: &[u8], samples: &mut [i16]) -> usize {
        samples.iter_mut().zip(payload).map(|(sample, byte)| *sample = alaw_to_linear(*byte)).count()
    }

    fn encode(&self, samples: &[i16], payload: &mut [u8]) -> usize {
        payload.iter_mut().zip(samples).map(|(byte, sample)| *byte = linear_to_alaw(*sample)).count()
    }

    fn silence(&self) -> u8 {
        0xd5
    }
}

/// G.711 as an encoder and a decoder; it has nothing to remember.
pub(super) struct Stateless(pub(super) &'static dyn Coder, pub(super) AudioCodec);

impl Encoder for Stateless {
    fn codec(&self) -> AudioCodec {
        self.1
    }

    fn rate_hz(&self) -> u32 {
        super::SAMPLE_RATE_HZ
    }

    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        if payload.len() < samples.len() {
            return Err(CodecError::Length(self.1));
        }
        Ok(self.0.encode(samples, payload))
    }
}

impl Decoder for Stateless {
    fn codec(&self) -> AudioCodec {
        self.1
    }

    fn rate_hz(&self) -> u32 {
        super::SAMPLE_RATE_HZ
    }

    fn duration(&self, payload: &[u8]) -> u32 {
        payload.len().try_into().unwrap_or(0)
    }

    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError> {
        if samples.len() < payload.len() {
            return Err(CodecError::Length(self.1));
        }
        Ok(self.0.decode(payload, samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_its_own_law() {
        for byte in 0..=255u8 {
            assert_eq!(alaw_to_linear(linear_to_alaw(alaw_to_linear(byte))), alaw_to_linear(byte));
            assert_eq!(ulaw_to_linear(linear_to_ulaw(ulaw_to_linear(byte))), ulaw_to_linear(byte));
        }
    }

    #[test]
    fn known_values() {
        // The ends and the middle of G.711 tables 1 and 2.
        assert_eq!(ulaw_to_linear(0x00), -32_124);
        assert_eq!(ulaw_to_linear(0x80), 32_124);
        assert_eq!(ulaw_to_linear(0xff), 0);
        assert_eq!(alaw_to_linear(0xd5), 8);
        assert_eq!(alaw_to_linear(0x55), -8);
        assert_eq!(alaw_to_linear(0xaa), 32_256);
        assert_eq!(linear_to_ulaw(0), 0xff);
        assert_eq!(linear_to_ulaw(i16::MIN), 0x00);
        assert_eq!(linear_to_alaw(0), 0xd5);
        assert_eq!(linear_to_alaw(i16::MAX), 0xaa);
        assert_eq!(linear_to_alaw(i16::MIN), 0x2a);
    }

    #[test]
    fn coding_stays_within_half_a_step() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let size = i32::from(sample).abs();
            let step = (size / 16).max(16);
            for back in [ulaw_to_linear(linear_to_ulaw(sample)), alaw_to_linear(linear_to_alaw(sample))] {
                let error = (i32::from(back) - i32::from(sample)).abs();
                assert!(error <= step || size > 32_000, "{sample} came back as {back}");
            }
        }
    }

    #[test]
    fn a_tandem_of_the_laws_stays_within_a_step() {
        for byte in 0..=255u8 {
            let there = alaw_to_linear(PCMU_TO_PCMA[byte as usize]);
            let direct = ulaw_to_linear(byte);
            let step = (i32::from(direct).abs() / 16).max(16);
            assert!((i32::from(there) - i32::from(direct)).abs() <= step);
            // Once it has gone through both, another round changes nothing more.
            let once = PCMA_TO_PCMU[PCMU_TO_PCMA[byte as usize] as usize];
            let twice = PCMA_TO_PCMU[PCMU_TO_PCMA[once as usize] as usize];
            assert_eq!(once, twice);
        }
    }
}
