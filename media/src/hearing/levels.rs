//! How loud G.711 is, without decoding it.

use crate::codec::{ALAW_MAGNITUDES, ULAW_MAGNITUDES};
use crate::sdp::AudioCodec;

/// The loudest code of either law is above this.
const FULL_SCALE: u16 = 32_000;
/// Samples in a row at full scale that are no chance peak.
const CLIPPED_RUN: u32 = 3;
/// -50 dBFS: the quietest speech is louder, line noise is not.
const SILENCE: u16 = 104;
/// A-law has no zero: its least magnitude is 8.
const DIGITAL_SILENCE: u16 = 8;

/// What the packets were like that were looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    looks: u32,
    clipped: u32,
    silent: u32,
}

impl Levels {
    /// Looks at a packet of G.711. Gives whether there is anything in it.
    pub(super) fn take(&mut self, codec: AudioCodec, payload: &[u8]) -> bool {
        let table = if codec == AudioCodec::Pcma { &ALAW_MAGNITUDES } else { &ULAW_MAGNITUDES };
        let (mut peak, mut run, mut longest) = (0, 0, 0);
        for byte in payload {
            // The table has an entry for every byte.
            #[allow(clippy::indexing_slicing)]
            let magnitude = table[usize::from(*byte)];
            peak = peak.max(magnitude);
            run = if magnitude > FULL_SCALE { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        self.looks += 1;
        self.clipped += u32::from(longest >= CLIPPED_RUN);
        self.silent += u32::from(peak < SILENCE);
        peak > DIGITAL_SILENCE
    }

    /// What came after `before`.
    pub(super) fn since(&self, before: &Levels) -> Levels {
        Levels {
            looks: self.looks - before.looks,
            clipped: self.clipped - before.clipped,
            silent: self.silent - before.silent,
        }
    }

    /// The share of the packets that were clipped; none when none was looked at.
    pub(super) fn clipped(&self) -> Option<f64> {
        self.share(self.clipped)
    }

    /// The share of the packets that were silent.
    pub(super) fn silent(&self) -> Option<f64> {
        self.share(self.silent)
    }

    fn share(&self, count: u32) -> Option<f64> {
        (self.looks > 0).then(|| f64::from(count) / f64::from(self.looks))
    }
}
