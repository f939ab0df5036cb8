//! What is said to a far end in samples: frames of a room, and whatever is made for a codec that keeps a state.

use std::collections::VecDeque;

use kraliki_time::Time;

use super::{Format, Leg};
use crate::codec::{Encoder, FRAMES_PER_SECOND, OpusPolicy, OpusRate, SAMPLE_RATE_HZ, encoder};
use crate::limits::{FILL_AFTER, SAID_FRAMES};
use crate::resample::Resampler;
use crate::rtp::{self, HEADER_LEN};
use crate::sdp::AudioCodec;

/// A leg's encoder, and frames that wait to be sent.
#[derive(Default)]
pub(super) struct Mouth {
    /// Made with the first frame, and anew with another codec or rate.
    voice: Option<Voice>,
    said: VecDeque<Box<[i16]>>,
}

struct Voice {
    codec: AudioCodec,
    /// Samples a second of the frames that come.
    rate_hz: u32,
    encoder: Box<dyn Encoder>,
    resampler: Resampler,
    /// What the far end lost of late, in parts of 256 (RFC 3550 §6.4.1), as the encoder knows it.
    lost_256: u8,
}

impl Voice {
    /// `None` for a codec whose library does not start; the far end hears nothing then.
    fn new(format: &Format, rate_hz: u32) -> Option<Voice> {
        let rate = if rate_hz > SAMPLE_RATE_HZ { OpusRate::Wide } else { OpusRate::Narrow };
        let policy = OpusPolicy { rate, ..OpusPolicy::default() };
        let encoder = encoder(format.codec, &format.opus.map_or(policy, |far| policy.within(&far))).ok()?;
        let resampler = Resampler::new(rate_hz, encoder.rate_hz()).ok()?;
        Some(Voice { codec: format.codec, rate_hz, encoder, resampler, lost_256: 0 })
    }
}

impl Mouth {
    fn encode(
        &mut self,
        format: &Format,
        lost_256: u8,
        rate_hz: u32,
        frame: &[i16],
        payload: &mut [u8],
    ) -> Option<usize> {
        if self.voice.as_ref().is_none_or(|v| v.codec != format.codec || v.rate_hz != rate_hz) {
            self.voice = Voice::new(format, rate_hz);
        }
        let voice = self.voice.as_mut()?;
        if voice.lost_256 != lost_256 {
            voice.lost_256 = lost_256;
            voice.encoder.expect_loss((u32::from(lost_256) * 100).div_ceil(256) as u8);
        }
        voice.encoder.encode(voice.resampler.process(frame), payload).ok()
    }
}

impl Leg {
    /// Says a frame of 20 ms to the far end, at 8 or 16 kHz, before anything that is made here. What cannot be sent now
    /// is left out.
    pub(crate) fn say(&mut self, frame: &[i16]) {
        if self.is_occupied() || self.rtp_target().is_none() {
            return;
        }
        let mouth = self.mouth.get_or_insert_default();
        // More come at once only from another shard; what is beyond a few is late already.
        if mouth.said.len() >= SAID_FRAMES {
            mouth.said.pop_front();
        }
        mouth.said.push_back(frame.into());
    }

    /// Says nothing of what waits.
    pub(super) fn hush(&mut self) {
        self.mouth = None;
    }

    /// The next frame that was said.
    pub(super) fn write_said(&mut self, now: Time, format: Format, out: &mut [u8]) -> Option<usize> {
        let frame = self.mouth.as_mut()?.said.pop_front()?;
        self.sending.filling = false;
        // It takes the place of silence, until none comes any more.
        self.timers.frame = now + FILL_AFTER;
        self.write_samples(now, format, frame, out)
    }

    /// Encodes and finishes a frame of 20 ms.
    pub(super) fn write_samples(
        &mut self,
        now: Time,
        format: Format,
        mut frame: Box<[i16]>,
        out: &mut [u8],
    ) -> Option<usize> {
        let rate_hz = frame.len() as u32 * FRAMES_PER_SECOND;
        if let Some(overlay) = &mut self.sound.overlay
            && !overlay.add(rate_hz, &mut frame)
        {
            self.sound.overlay = None;
        }
        let payload = out.get_mut(HEADER_LEN..)?;
        let lost_256 = self.counters.far_fraction_lost;
        let mouth = self.mouth.get_or_insert_default();
        let len = mouth.encode(&format, lost_256, rate_hz, &frame, payload)?;
        let duration = format.codec.clock_hz() / FRAMES_PER_SECOND;
        if len == 0 {
            self.line.skip(now, duration);
            return None;
        }
        let stamp = self.line.make(now, duration, len);
        rtp::write_header(out.get_mut(..HEADER_LEN)?, format.payload_type, self.line.ssrc(), stamp);
        Some(HEADER_LEN + len)
    }
}
