//! The codecs of telephone audio. G.711 is also turned byte by byte where packets only pass; what is *made* or *heard*
//! goes through one stateful pair, [`Encoder`] and [`Decoder`].

mod g711;
mod g722;
mod l16;
mod opus;

pub use opus::{OpusPolicy, OpusRate};

pub(crate) use g711::{ALAW_MAGNITUDES, PCMA_TO_PCMU, PCMU_TO_PCMA, ULAW_MAGNITUDES};
pub(crate) use opus::mono_encoder;

use crate::sdp::AudioCodec;

/// Samples a second of everything that is spoken here (RFC 3551 §4.5.14: G.711 runs at 8 kHz).
pub(crate) const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples of one packet that we make ourselves: 20 ms.
pub(crate) const FRAME_SAMPLES: usize = 160;
/// Frames of 20 ms in a second.
pub(crate) const FRAMES_PER_SECOND: u32 = 50;
/// The longest packet that is decoded, in samples at 48 kHz: Opus ends at 120 ms (RFC 6716 §2.1.4).
pub const MAX_PACKET_SAMPLES: usize = 5_760;

/// Why samples or a payload were not coded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The payload is not of this codec: the far end is at fault.
    #[error("malformed {0} payload")]
    Malformed(AudioCodec),
    /// The buffer for the result, or the number of samples, does not fit: the caller is at fault.
    #[error("a buffer of the wrong length for {0}")]
    Length(AudioCodec),
    /// The codec's library refused to start.
    #[error("{0} cannot be started")]
    Start(AudioCodec),
}

/// Linear samples to payloads, in the order in which they are sent.
pub trait Encoder: Send {
    /// Which codec it is.
    fn codec(&self) -> AudioCodec;
    /// Samples a second that it wants.
    fn rate_hz(&self) -> u32;
    /// Encodes the samples of one packet and returns the payload's length in octets. Zero says that nothing needs to
    /// be sent (discontinuous transmission); the RTP timestamp advances all the same.
    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<usize, CodecError>;
    /// How much of what comes the far end loses, in percent. Codecs with error correction spend that much on it: none at 0,
    /// which makes Opus a fifth cheaper.
    fn expect_loss(&mut self, _percent: u8) {}
}

/// Payloads to linear samples, in the order in which they were sent.
pub trait Decoder: Send {
    /// Which codec it is.
    fn codec(&self) -> AudioCodec;
    /// Samples a second that it gives.
    fn rate_hz(&self) -> u32;
    /// How long a payload sounds, in units of the codec's RTP clock ([`AudioCodec::clock_hz`]); zero when it is
    /// malformed.
    fn duration(&self, payload: &[u8]) -> u32;
    /// Decodes one payload and returns how many samples were written. `samples` must have room for all of it.
    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError>;
    /// Whether the codec fills in for lost packets itself. Where it does not, [`crate::conceal::Concealer`] does.
    fn conceals(&self) -> bool {
        false
    }
    /// Fills `samples` with what may have been in a lost packet. With `next`, the payload of the packet after it, its
    /// forward error correction is used where it has one.
    fn conceal(&mut self, _next: Option<&[u8]>, samples: &mut [i16]) {
        samples.fill(0);
    }
}

/// An encoder. `opus` is looked at by Opus alone.
pub fn encoder(codec: AudioCodec, opus: &OpusPolicy) -> Result<Box<dyn Encoder>, CodecError> {
    Ok(match codec {
        AudioCodec::Pcmu => Box::new(g711::Stateless(&g711::Pcmu, codec)),
        AudioCodec::Pcma => Box::new(g711::Stateless(&g711::Pcma, codec)),
        AudioCodec::G722 => Box::new(g722::Encoder::new()),
        AudioCodec::L16 => Box::new(l16::L16),
        AudioCodec::Opus => Box::new(opus::Encoder::new(opus)?),
    })
}

/// A decoder. Opus is decoded at the policy's rate, whatever was sent.
pub fn decoder(codec: AudioCodec, opus: &OpusPolicy) -> Result<Box<dyn Decoder>, CodecError> {
    Ok(match codec {
        AudioCodec::Pcmu => Box::new(g711::Stateless(&g711::Pcmu, codec)),
        AudioCodec::Pcma => Box::new(g711::Stateless(&g711::Pcma, codec)),
        AudioCodec::G722 => Box::new(g722::Decoder::new()),
        AudioCodec::L16 => Box::new(l16::L16),
        AudioCodec::Opus => Box::new(opus::Decoder::new(opus.rate)?),
    })
}

impl AudioCodec {
    /// What G.711 does to samples; `None` for the others, which have states.
    pub(crate) fn coder(self) -> Option<&'static dyn Coder> {
        match self {
            AudioCodec::Pcmu => Some(&g711::Pcmu),
            AudioCodec::Pcma => Some(&g711::Pcma),
            AudioCodec::G722 | AudioCodec::Opus | AudioCodec::L16 => None,
        }
    }

    /// The table that turns each byte of `self` into a byte of `to`; `None` when they are the same, or are not turned
    /// into each other by bytes.
    pub(crate) fn table_to(self, to: AudioCodec) -> Option<&'static [u8; 256]> {
        match (self, to) {
            (AudioCodec::Pcmu, AudioCodec::Pcma) => Some(&PCMU_TO_PCMA),
            (AudioCodec::Pcma, AudioCodec::Pcmu) => Some(&PCMA_TO_PCMU),
            _ => None,
        }
    }

    /// Whether packets of `self` may be sent as `to` as they are, or by a table. Codecs that keep a state do not pass: what
    /// is mixed in (a beep, a whisper) would have no place.
    pub(crate) fn relays_to(self, to: AudioCodec) -> bool {
        self.coder().is_some() && to.coder().is_some()
    }

    /// Whether a payload says that its side pauses and may send nothing for a while (discontinuous transmission): an Opus
    /// frame of at most one octet (RFC 6716 §2.1.9, RFC 7587 §3.1.3).
    pub(crate) fn pauses(self, payload: &[u8]) -> bool {
        self == AudioCodec::Opus && payload.len() <= 2
    }

    /// Whether it carries more than telephone sound.
    pub(crate) fn is_wide(self) -> bool {
        self.coder().is_none()
    }
}

/// What G.711 does to samples. Both directions stop at the shorter of input and output and return what they wrote.
pub(crate) trait Coder: Send + Sync {
    /// Turns a payload into linear samples.
    fn decode(&self, payload: &[u8], samples: &mut [i16]) -> usize;
    /// Turns linear samples into a payload.
    fn encode(&self, samples: &[i16], payload: &mut [u8]) -> usize;
    /// The byte that stands for no sound.
    fn silence(&self) -> u8;
}

#[cfg(test)]
pub(crate) mod tests;
