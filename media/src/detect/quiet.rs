//! The quiet behind who spoke: a greeting without a beep is over.

use super::bank::Block;
use super::rules::Rules;
use super::sound::Sound;
use super::voice::{Levels, is_tone, level};

/// How often it is asked anew from which level on it is speech, in steps of 10 ms.
const ASKED_EVERY: u32 = 25;

/// How long nobody has spoken, in steps of 10 ms. It goes on when levels are not kept any more.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    steps: u32,
    /// From here it is speech, dBov.
    threshold: f32,
    /// Loud steps in a row, and those since the last word.
    loud: u32,
    silent: u32,
    told: bool,
}

impl Quiet {
    pub(super) fn push(&mut self, block: &Block, sound: Sound, levels: &Levels, rules: &Rules) {
        if self.steps.is_multiple_of(ASKED_EVERY) {
            self.threshold = levels.loudness(&rules.voice).threshold;
        }
        self.steps += 1;
        let loud = level(block) >= self.threshold && !is_tone(sound);
        self.loud = if loud { self.loud + 1 } else { 0 };
        self.silent += 1;
        // A click is no word.
        if self.loud * 10 >= rules.voice.least_word_ms {
            (self.silent, self.told) = (0, false);
        }
    }

    /// Whether it has been quiet long enough now; said once for each time that somebody spoke.
    pub(super) fn is_over(&mut self, spoke: bool, rules: &Rules) -> bool {
        let over = spoke && self.silent * 10 >= rules.time.quiet_ms && !self.told;
        self.told |= over;
        over
    }
}
