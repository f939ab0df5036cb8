//! Opus (RFC 6716, 7587) by the system's libopus, mono, in packets of 20 ms.

use audiopus::coder::{Decoder as RawDecoder, Encoder as RawEncoder};
use audiopus::{Application, Bandwidth, Bitrate, Channels, MutSignals, SampleRate, Signal, packet};

use super::{CodecError, Decoder as DecoderTrait, Encoder as EncoderTrait};
use crate::sdp::{AudioCodec, OpusFormat};

/// Samples a second on our side of the codec. Telephone audio has 8 kHz, and encoding it at 8 kHz costs less than half
/// of 48 kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpusRate {
    /// 8 kHz: narrow band.
    Narrow,
    /// 16 kHz: wide band.
    #[default]
    Wide,
}

impl OpusRate {
    /// Samples a second.
    pub const fn hz(self) -> u32 {
        match self {
            OpusRate::Narrow => 8_000,
            OpusRate::Wide => 16_000,
        }
    }

    const fn raw(self) -> SampleRate {
        match self {
            OpusRate::Narrow => SampleRate::Hz8000,
            OpusRate::Wide => SampleRate::Hz16000,
        }
    }
}

/// How Opus is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusPolicy {
    /// Samples a second that are encoded and decoded.
    pub rate: OpusRate,
    /// Bits a second, 6,000 to 510,000 (RFC 7587 §6.1).
    pub bitrate_bps: u32,
    /// Effort, 0 to 10.
    pub complexity: u8,
    /// Whether packets carry a coarse copy of the one before (in-band forward error correction).
    pub fec: bool,
    /// The loss to be expected on the way, in percent: how much of the bit rate that copy gets.
    pub expected_loss_percent: u8,
    /// Whether nothing is sent in pauses.
    pub dtx: bool,
}

impl Default for OpusPolicy {
    /// What an agent wants: wide band, 24 kbit/s, error correction as soon as the far end reports losses.
    fn default() -> OpusPolicy {
        OpusPolicy {
            rate: OpusRate::Wide,
            bitrate_bps: 24_000,
            complexity: 5,
            fec: true,
            expected_loss_percent: 0,
            dtx: false,
        }
    }
}

impl OpusPolicy {
    /// The policy within what the far end's description asks for (RFC 7587 §6.1).
    pub fn within(mut self, far: &OpusFormat) -> OpusPolicy {
        if far.max_playback_rate_hz < OpusRate::Wide.hz() {
            self.rate = OpusRate::Narrow;
        }
        if let Some(max) = far.max_average_bitrate_bps {
            self.bitrate_bps = self.bitrate_bps.min(max);
        }
        self.fec &= far.in_band_fec;
        self.dtx |= far.dtx;
        self
    }
}

/// A raw encoder for one voice, set up by the policy; the recorder has it as well.
pub(crate) fn mono_encoder(policy: &OpusPolicy) -> Result<RawEncoder, audiopus::Error> {
    let mut raw = RawEncoder::new(policy.rate.raw(), Channels::Mono, Application::Voip)?;
    raw.set_signal(Signal::Voice)?;
    raw.set_bitrate(Bitrate::BitsPerSecond(policy.bitrate_bps.clamp(6_000, 510_000).cast_signed()))?;
    raw.set_complexity(policy.complexity.min(10))?;
    raw.set_inband_fec(policy.fec)?;
    raw.set_packet_loss_perc(policy.expected_loss_percent.min(100))?;
    raw.set_dtx(policy.dtx)?;
    raw.set_max_bandwidth(match policy.rate {
        OpusRate::Narrow => Bandwidth::Narrowband,
        OpusRate::Wide => Bandwidth::Wideband,
    })?;
    Ok(raw)
}

/// An encoder.
pub(super) struct Encoder {
    raw: RawEncoder,
    rate: OpusRate,
    dtx: bool,
}

impl Encoder {
    pub(super) fn new(policy: &OpusPolicy) -> Result<Encoder, CodecError> {
        let raw = mono_encoder(policy).map_err(|_| CodecError::Start(AudioCodec::Opus))?;
        Ok(Encoder { raw, rate: policy.rate, dtx: policy.dtx })
    }
}

impl EncoderTrait for Encoder {
    fn codec(&self) -> AudioCodec {
        AudioCodec::Opus
    }

    fn rate_hz(&self) -> u32 {
        self.rate.hz()
    }

    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let len = self.raw.encode(samples, payload).map_err(|_| CodecError::Length(AudioCodec::Opus))?;
        // A packet of two octets or fewer need not be sent (the library's rule for DTX).
        Ok(if self.dtx && len <= 2 { 0 } else { len })
    }

    fn expect_loss(&mut self, percent: u8) {
        // What the library does not take leaves it as it was.
        let _ = self.raw.set_packet_loss_perc(percent.min(100));
    }
}

/// A decoder.
pub(super) struct Decoder {
    raw: RawDecoder,
    rate: OpusRate,
}

impl Decoder {
    pub(super) fn new(rate: OpusRate) -> Result<Decoder, CodecError> {
        let raw =
            RawDecoder::new(rate.raw(), Channels::Mono).map_err(|_| CodecError::Start(AudioCodec::Opus))?;
        Ok(Decoder { raw, rate })
    }

    fn samples_in(&self, payload: &[u8], rate: SampleRate) -> Option<usize> {
        let samples = packet::nb_samples(payload.try_into().ok()?, rate).ok()?;
        (samples <= super::MAX_PACKET_SAMPLES).then_some(samples)
    }
}

impl DecoderTrait for Decoder {
    fn codec(&self) -> AudioCodec {
        AudioCodec::Opus
    }

    fn rate_hz(&self) -> u32 {
        self.rate.hz()
    }

    fn duration(&self, payload: &[u8]) -> u32 {
        // The clock is 48 kHz whatever is coded (RFC 7587 §4.1).
        self.samples_in(payload, SampleRate::Hz48000).and_then(|n| n.try_into().ok()).unwrap_or(0)
    }

    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, CodecError> {
        let malformed = CodecError::Malformed(AudioCodec::Opus);
        let wanted = self.samples_in(payload, self.rate.raw()).ok_or(malformed.clone())?;
        if samples.len() < wanted {
            return Err(CodecError::Length(AudioCodec::Opus));
        }
        let (Ok(packet), Ok(out)) = (payload.try_into(), MutSignals::try_from(samples)) else {
            return Err(malformed);
        };
        self.raw.decode(Some(packet), out, false).map_err(|_| malformed)
    }

    fn conceals(&self) -> bool {
        true
    }

    fn conceal(&mut self, next: Option<&[u8]>, samples: &mut [i16]) {
        // The library wants a multiple of 2.5 ms here, and fails on all else.
        let whole = samples.len() - samples.len() % (self.rate.hz() as usize / 400);
        let (lost, rest) = samples.split_at_mut(whole);
        rest.fill(0);
        let next = next.and_then(|next| next.try_into().ok());
        let fec = next.is_some();
        let done =
            MutSignals::try_from(&mut *lost).and_then(|out| self.raw.decode(next, out, fec)).unwrap_or(0);
        lost.iter_mut().skip(done).for_each(|sample| *sample = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::{snr_db, speech};

    /// Speech through a lossy line: every fifth packet is lost; recovered by FEC, or filled in.
    fn over_loss(fec: bool) -> f64 {
        let policy = OpusPolicy { bitrate_bps: 32_000, expected_loss_percent: 30, ..OpusPolicy::default() };
        let mut encoder = Encoder::new(&policy).unwrap();
        let mut decoder = Decoder::new(policy.rate).unwrap();
        let from = speech(16_000, 2);
        let packets: Vec<Vec<u8>> = from
            .chunks_exact(320)
            .map(|frame| {
                let mut payload = vec![0; 400];
                let len = encoder.encode(frame, &mut payload).unwrap();
                payload.truncate(len);
                payload
            })
            .collect();
        let mut to = Vec::new();
        for (n, packet) in packets.iter().enumerate() {
            let mut out = [0; 320];
            if n % 5 == 4 {
                decoder.conceal(packets.get(n + 1).filter(|_| fec).map(Vec::as_slice), &mut out);
            } else {
                assert_eq!(decoder.decode(packet, &mut out), Ok(320));
            }
            to.extend_from_slice(&out);
        }
        snr_db(&from, &to, 250)
    }

    #[test]
    fn the_copy_in_the_next_packet_is_better_than_a_guess() {
        let (guessed, corrected) = (over_loss(false), over_loss(true));
        assert!(corrected > guessed + 0.5, "{guessed:.1} dB without, {corrected:.1} dB with FEC");
    }

    #[test]
    fn pauses_are_not_sent() {
        let policy = OpusPolicy { dtx: true, rate: OpusRate::Narrow, ..OpusPolicy::default() };
        let mut encoder = Encoder::new(&policy).unwrap();
        let sent = (0..50).filter(|_| encoder.encode(&[0; 160], &mut [0; 400]) != Ok(0)).count();
        assert!(sent < 25, "{sent} packets of a second of silence");
    }

    #[test]
    fn the_policy_heeds_the_far_end() {
        let far = OpusFormat {
            max_playback_rate_hz: 8_000,
            max_average_bitrate_bps: Some(12_000),
            in_band_fec: false,
            dtx: true,
            ..OpusFormat::default()
        };
        let policy = OpusPolicy::default().within(&far);
        assert_eq!((policy.rate, policy.bitrate_bps), (OpusRate::Narrow, 12_000));
        assert!(!policy.fec && policy.dtx);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut decoder = Decoder::new(OpusRate::Wide).unwrap();
        let mut out = [0; crate::codec::MAX_PACKET_SAMPLES];
        assert!(decoder.decode(&[], &mut out).is_err());
        // Code 3 with 63 frames would be longer than 120 ms.
        assert!(decoder.decode(&[0x0b, 0x3f, 1, 2, 3], &mut out).is_err());
        assert_eq!(decoder.duration(&[0x0b, 0x3f]), 0);
        decoder.conceal(Some(&[]), &mut out[..320]);
        decoder.conceal(None, &mut out[..7]);
        let mut seed = 7u32;
        for len in 1..200 {
            let packet: Vec<u8> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            let _ = decoder.decode(&packet, &mut out);
            decoder.conceal(Some(&packet), &mut out[..320]);
        }
    }
}
