//! What stands for the other side while it says nothing: silence, or comfort noise (RFC 3389) where it told of some, or where
//! the far end takes it.

use kraliki_time::Time;

use super::{Format, Leg};
use crate::codec::FRAME_SAMPLES;
use crate::noise::{MAX_PAYLOAD, NoiseGenerator, NoiseProfile};
use crate::rtp::{self, COMFORT_NOISE, HEADER_LEN, Stamp};

/// A quiet line, in dB below full scale: what a called person hears who is put on hold. Nothing at all sounds cut off.
const QUIET_LINE: u8 = 65;

impl Leg {
    /// The other side pauses, and sounds like this comfort noise until it is heard again.
    pub(crate) fn pause(&mut self, now: Time, payload: &[u8]) {
        let Some(profile) = NoiseProfile::parse(payload) else { return };
        match &mut self.sound.noise {
            Some(noise) => noise.set(profile),
            None => {
                self.sound.noise = Some(Box::new(NoiseGenerator::new(profile, self.line.ssrc())));
                self.sending.filling = true;
                self.wake_frames(now);
            }
        }
    }

    /// Whether pauses are filled with noise that is made here, frame by frame.
    pub(super) fn makes_noise(&self, format: Format) -> bool {
        self.sound.noise.is_some() && !format.noise
    }

    pub(super) fn write_pause(&mut self, now: Time, format: Format, out: &mut [u8]) -> Option<usize> {
        if format.noise {
            return self.write_noise(now, out);
        }
        let Some(noise) = &mut self.sound.noise else { return self.write_silence(now, format, out) };
        let mut frame = [0; FRAME_SAMPLES];
        noise.fill(&mut frame);
        let Some(coder) = format.codec.coder() else {
            return self.write_samples(now, format, Box::new(frame), out);
        };
        coder.encode(&frame, out.get_mut(HEADER_LEN..HEADER_LEN + FRAME_SAMPLES)?);
        self.write_audio(now, format, out)
    }

    /// A packet of comfort noise: the other side's, or a quiet line's.
    fn write_noise(&mut self, now: Time, out: &mut [u8]) -> Option<usize> {
        let quiet = NoiseProfile::white(QUIET_LINE);
        let profile = self.sound.noise.as_ref().map_or(quiet, |noise| noise.profile());
        let mut payload = [0; MAX_PAYLOAD];
        let len = profile.write(profile.order(), &mut payload);
        let stamp = self.line.make(now, FRAME_SAMPLES as u32, len);
        // RFC 3551 §4.1: the marker is for what follows.
        let stamp = Stamp { marker: false, ..stamp };
        let packet = out.get_mut(..HEADER_LEN + len)?;
        rtp::write_header(packet, COMFORT_NOISE, self.line.ssrc(), stamp);
        packet.get_mut(HEADER_LEN..)?.copy_from_slice(payload.get(..len)?);
        self.line.cut();
        Some(packet.len())
    }
}
