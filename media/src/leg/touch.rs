//! What a packet of a leg needs, read ahead of it.

use super::Leg;

impl Leg {
    /// Reads a word here and there of what is needed to take a packet of this leg or to send one by it, so that it comes into the
    /// cache. The sum means nothing.
    pub(crate) fn touch(&self) -> u64 {
        let words = [
            self.source.touch(),
            self.line.packets(),
            self.line.ssrc().into(),
            self.held.into(),
            self.timers.frame.as_nanos(),
            self.last_heard.as_nanos(),
            self.is_occupied().into(),
            self.sound.overlay.is_some().into(),
            self.hearing.as_ref().map_or(0, |hearing| hearing.touch()),
            self.browser.as_ref().map_or(0, |browser| browser.touch()),
        ];
        // Never is the greatest time.
        words.into_iter().fold(0, u64::wrapping_add)
    }
}
