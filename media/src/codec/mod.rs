//! The codecs of telephone audio, behind one trait.

mod g711;

use crate::sdp::AudioCodec;

pub(crate) use g711::{PCMA_TO_PCMU, PCMU_TO_PCMA};

/// Samples a second of everything that is spoken here (RFC 3551 §4.5.14: G.711 runs at 8 kHz).
pub(crate) const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples of one packet that we make ourselves: 20 ms.
pub(crate) const FRAME_SAMPLES: usize = 160;

impl AudioCodec {
    /// What it does to samples.
    pub(crate) fn coder(self) -> &'static dyn Coder {
        match self {
            AudioCodec::Pcmu => &g711::Pcmu,
            AudioCodec::Pcma => &g711::Pcma,
        }
    }

    /// The table that turns each byte of `self` into a byte of `to`; `None` when they are the same.
    pub(crate) fn table_to(self, to: AudioCodec) -> Option<&'static [u8; 256]> {
        match (self, to) {
            (AudioCodec::Pcmu, AudioCodec::Pcma) => Some(&PCMU_TO_PCMA),
            (AudioCodec::Pcma, AudioCodec::Pcmu) => Some(&PCMA_TO_PCMU),
            (AudioCodec::Pcmu, AudioCodec::Pcmu) | (AudioCodec::Pcma, AudioCodec::Pcma) => None,
        }
    }
}

/// What a codec does to samples. Both directions stop at the shorter of input and output and return what they wrote.
pub(crate) trait Coder: Send + Sync {
    /// Turns a payload into linear samples.
    fn decode(&self, payload: &[u8], samples: &mut [i16]) -> usize;
    /// Turns linear samples into a payload.
    fn encode(&self, samples: &[i16], payload: &mut [u8]) -> usize;
    /// The byte that stands for no sound.
    fn silence(&self) -> u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_decodes_to_silence() {
        for codec in [AudioCodec::Pcmu, AudioCodec::Pcma] {
            let mut samples = [1i16; 4];
            let coder = codec.coder();
            assert_eq!(coder.decode(&[coder.silence(); 4], &mut samples), 4);
            assert!(samples.iter().all(|s| s.abs() <= 8), "{samples:?}");
        }
    }
}
