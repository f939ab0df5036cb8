//! L16: linear samples of 16 bits in network byte order (RFC 3551 §4.5.11), one channel at 16 kHz.

use super::{CodecError, Decoder, Encoder};
use crate::sdp::AudioCodec;

pub(super) struct L16;

impl Encoder for L16 {
    fn codec(&self) -> AudioCodec {
        AudioCodec::L16
    }

    fn rate_hz(&self) -> u32 {
        AudioCodec::L16.clock_hz()
    }

    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let (pairs, _) = payload.as_chunks_mut::<2>();
        if pairs.len() < samples.len() {
            return Err(CodecError::Length(AudioCodec::L16));
        }
        Ok(pairs.iter_mut().zip(samples).map(|(pair, sample)| *pair = sample.to_be_bytes()).count() * 2)
    }
}

impl Decoder for L16 {
    fn codec(&self) -> AudioCodec {
        AudioCodec::L16
    }

    fn rate_hz(&self) -> u32 {
        AudioCodec::L16.clock_hz()
    }

    fn duration(&self, payload: &[u8]) -> u32 {
        (payload.len() / 2).try_into().unwrap_or(0)
    }

    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError> {
        let (pairs, odd) = payload.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(CodecError::Malformed(AudioCodec::L16));
        }
        if samples.len() < pairs.len() {
            return Err(CodecError::Length(AudioCodec::L16));
        }
        Ok(samples.iter_mut().zip(pairs).map(|(sample, pair)| *sample = i16::from_be_bytes(*pair)).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_byte_order() {
        let mut payload = [0; 4];
        assert_eq!(L16.encode(&[0x1234, -2], &mut payload), Ok(4));
        assert_eq!(payload, [0x12, 0x34, 0xff, 0xfe]);
        let mut samples = [0; 2];
        assert_eq!(L16.decode(&payload, &mut samples), Ok(2));
        assert_eq!(samples, [0x1234, -2]);
        assert_eq!(L16.decode(&payload[..3], &mut samples), Err(CodecError::Malformed(AudioCodec::L16)));
    }
}
