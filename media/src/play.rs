//! Playing sound to a leg: where a player stands, and sound laid over packets that pass.

use std::sync::Arc;

use crate::audio::Audio;
use crate::codec::SAMPLE_RATE_HZ;
use crate::sdp::AudioCodec;

/// A piece of sound that is being played in frames of its own.
#[derive(Debug)]
pub(crate) struct Player {
    audio: Arc<Audio>,
    at: usize,
    looped: bool,
}

impl Player {
    pub(crate) fn new(audio: Arc<Audio>, looped: bool) -> Player {
        Player { audio, at: 0, looped }
    }

    /// Writes the next frame in a law of G.711, padded with silence behind the end. False when the sound is over with it.
    pub(crate) fn frame(&mut self, codec: AudioCodec, payload: &mut [u8]) -> bool {
        let silence = codec.coder().map_or(0, |coder| coder.silence());
        let audio = Arc::clone(&self.audio);
        self.copy(audio.encoded(codec), payload, silence)
    }

    /// Writes the next frame as samples at 8 kHz, for codecs that keep a state.
    pub(crate) fn samples(&mut self, frame: &mut [i16]) -> bool {
        let audio = Arc::clone(&self.audio);
        self.copy(audio.samples(), frame, 0)
    }

    fn copy<T: Copy>(&mut self, sound: &[T], frame: &mut [T], silence: T) -> bool {
        let mut filled = 0;
        while filled < frame.len() {
            let left = sound.get(self.at..).unwrap_or_default();
            let room = frame.get_mut(filled..).unwrap_or_default();
            let len = left.len().min(room.len());
            if len == 0 {
                if self.looped && !sound.is_empty() {
                    self.at = 0;
                    continue;
                }
                room.fill(silence);
                return false;
            }
            room.iter_mut().zip(left).for_each(|(to, from)| *to = *from);
            self.at += len;
            filled += len;
        }
        self.looped || self.at < sound.len()
    }
}

/// Sound that is mixed into the packets sent to a leg, relayed or made: the beep at a call's beginning. In packets that
/// pass it stands on the line's timestamps, so loss leaves its length as it is.
#[derive(Debug)]
pub(crate) struct Overlay {
    audio: Arc<Audio>,
    /// The timestamp of its first sample, known with the first packet.
    start: Option<u32>,
    /// Samples of it that were added to frames before they were coded.
    at: usize,
}

impl Overlay {
    pub(crate) fn new(audio: Arc<Audio>) -> Overlay {
        Overlay { audio, start: None, at: 0 }
    }

    /// Adds its next part to a frame at `rate_hz` that is still to be coded. False when it is over.
    pub(crate) fn add(&mut self, rate_hz: u32, frame: &mut [i16]) -> bool {
        // At another rate each sample stands for a few: a beep need not be finer.
        let times = (rate_hz / SAMPLE_RATE_HZ).max(1) as usize;
        let sound = self.audio.samples().get(self.at..).unwrap_or_default();
        for (to, sound) in frame.chunks_mut(times).zip(sound) {
            to.iter_mut().for_each(|to| *to = to.saturating_add(*sound));
        }
        self.at += frame.len() / times;
        self.at < self.audio.samples().len()
    }

    /// Mixes itself into a payload that starts at `timestamp`. False when it is over.
    pub(crate) fn mix(&mut self, codec: AudioCodec, timestamp: u32, payload: &mut [u8]) -> bool {
        let start = *self.start.get_or_insert(timestamp);
        let at = timestamp.wrapping_sub(start) as usize;
        let Some(sound) = self.audio.samples().get(at..).filter(|sound| !sound.is_empty()) else {
            // A late packet from before the beginning lies half a circle ahead.
            return at > usize::from(u16::MAX) << 8;
        };
        // What is not coded byte by byte does not pass: it is decoded, and this is added before it is coded again.
        let Some(coder) = codec.coder() else { return true };
        for (byte, sound) in payload.iter_mut().zip(sound) {
            let mut sample = [0i16];
            coder.decode(std::slice::from_ref(byte), &mut sample);
            let [sample] = sample;
            coder.encode(&[sample.saturating_add(*sound)], std::slice::from_mut(byte));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(len: i16) -> Arc<Audio> {
        Arc::new(Audio::from_samples((0..len).map(|n| n * 64).collect()))
    }

    #[test]
    fn once_and_in_a_loop() {
        let mut once = Player::new(ramp(250), false);
        let mut frame = [0u8; 160];
        assert!(once.frame(AudioCodec::Pcmu, &mut frame));
        assert!(!once.frame(AudioCodec::Pcmu, &mut frame));
        assert!(frame[90..].iter().all(|b| *b == 0xff));

        let mut looped = Player::new(ramp(250), true);
        for _ in 0..10 {
            assert!(looped.frame(AudioCodec::Pcma, &mut frame));
        }
        // 1,600 samples are six rounds of 250 and a hundred.
        let audio = ramp(250);
        assert_eq!(frame[159], audio.encoded(AudioCodec::Pcma)[99]);
        assert!(!Player::new(ramp(0), true).frame(AudioCodec::Pcmu, &mut frame));
    }

    #[test]
    fn an_overlay_is_added_by_the_timestamps() {
        let mut overlay = Overlay::new(Arc::new(Audio::beep()));
        let silence = [0xffu8; 160];
        let mut payload = silence;
        assert!(overlay.mix(AudioCodec::Pcmu, u32::MAX - 50, &mut payload));
        assert_ne!(payload, silence);
        // The next packet was lost; the third has its own part of the beep.
        let mut third = silence;
        assert!(overlay.mix(AudioCodec::Pcmu, (u32::MAX - 50).wrapping_add(320), &mut third));
        assert_eq!(third[..], Audio::beep().encoded(AudioCodec::Pcmu)[320..480]);
        // Late ones and those behind the end are left alone.
        let mut late = silence;
        assert!(overlay.mix(AudioCodec::Pcmu, u32::MAX - 500, &mut late));
        assert_eq!(late, silence);
        assert!(!overlay.mix(AudioCodec::Pcmu, 5_000, &mut late));
        assert_eq!(late, silence);
    }
}
