//! What brings a leg's sound to its recording. It waits for nobody: what the recorder cannot take is silence in the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::Sender;
use kraliki_time::Time;

use super::Channel;
use crate::codec::FRAME_SAMPLES;
use crate::limits::TAP_FRAMES;

/// What a tap tells the recorder.
#[derive(Debug)]
pub(crate) struct FromTap {
    /// The recording's number.
    pub(crate) recording: u64,
    pub(crate) channel: Channel,
    /// When each frame began, and its samples in `samples`.
    pub(crate) frames: Vec<(Time, usize)>,
    pub(crate) samples: Vec<i16>,
}

/// One channel of a recording, at a leg. Made by the recorder, given to [`MediaHandle::record`](crate::MediaHandle::record).
/// When it is dropped, its channel has ended, and the recorder gets what is left.
pub struct Tap {
    recording: u64,
    channel: Channel,
    recorder: Sender<FromTap>,
    /// Frames that did not reach the recorder, of all taps.
    dropped: Arc<AtomicU64>,
    frames: Vec<(Time, usize)>,
    samples: Vec<i16>,
}

impl Tap {
    pub(crate) fn new(
        recording: u64,
        channel: Channel,
        recorder: Sender<FromTap>,
        dropped: Arc<AtomicU64>,
    ) -> Tap {
        Tap { recording, channel, recorder, dropped, frames: Vec::new(), samples: Vec::new() }
    }

    /// Takes what was said from `at` on.
    pub(crate) fn frame(&mut self, at: Time, frame: &[i16]) {
        if self.frames.capacity() == 0 {
            self.frames.reserve_exact(TAP_FRAMES);
            self.samples.reserve_exact(TAP_FRAMES * FRAME_SAMPLES);
        }
        self.frames.push((at, frame.len()));
        self.samples.extend_from_slice(frame);
        if self.frames.len() >= TAP_FRAMES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        let frames = std::mem::take(&mut self.frames);
        let count = frames.len() as u64;
        let samples = std::mem::take(&mut self.samples);
        let told = FromTap { recording: self.recording, channel: self.channel, frames, samples };
        if self.recorder.try_send(told).is_err() {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.tell();
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("recording", &self.recording).field("channel", &self.channel).finish()
    }
}
