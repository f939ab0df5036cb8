//! What a packet of a leg needs, read ahead of it: a word here and there of what is used to take one of this leg or to send one by
//! it, so that it comes into the cache. The sums mean nothing.

use super::Leg;

impl Leg {
    /// Touches the leg itself.
    pub(crate) fn touch(&self) -> u64 {
        let words = [
            self.source.touch(),
            self.line.packets(),
            self.line.ssrc().into(),
            self.timers.frame.as_nanos(),
            self.last_heard.as_nanos(),
            u64::from(self.is_occupied()),
            u64::from(self.sound.overlay.is_some()),
            u64::from(self.hearing.is_some()) + u64::from(self.browser.is_some()),
        ];
        // Never is the greatest time.
        words.into_iter().fold(0, u64::wrapping_add)
    }

    /// Touches what the leg points to.
    pub(crate) fn touch_parts(&self) -> u64 {
        let hearing = self.hearing.as_ref().map_or(0, |hearing| hearing.touch());
        hearing.wrapping_add(self.browser.as_ref().map_or(0, |browser| browser.touch()))
    }

    /// Touches what that points to.
    pub(crate) fn touch_keys(&self) -> u64 {
        self.browser.as_ref().map_or(0, |browser| browser.touch_keys())
    }
}
