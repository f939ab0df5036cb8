//! Two channels on one line of time: what is missing is silence, and a clock that runs fast or slow is followed.

use std::collections::VecDeque;

use kraliki_time::Time;

/// Frames may come this much after the moment that they belong to: the longest hold of a jitter buffer, and a tick of a
/// busy machine.
const HOLD_MILLIS: u64 = 400;
/// Sound that is given for later than this after what was written last is not kept: the driver has stopped asking.
const AHEAD_SECONDS: u64 = 5;
/// A frame this far from where it belongs is a hole or a jump, and is put where it belongs at once; a smaller distance is
/// jitter or drift, and is followed slowly.
const JUMP_MILLIS: i64 = 60;
/// Drift that is not corrected, and the drift at which a correction ends.
const DRIFT_MILLIS: f64 = 5.0;
const CORRECTED_MILLIS: f64 = 1.0;
/// The mean distance is over about this many frames.
const DRIFT_FRAMES: f64 = 32.0;
/// Pauses that are not written yet. They are as short-lived as the hold; a flood of them becomes one long pause.
const MAX_PAUSES: usize = 64;

/// A channel of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Left: the trunk's side, whom was called.
    Trunk,
    /// Right: the agent's side.
    Agent,
}

/// What happened to a channel's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimelineCounters {
    /// Samples of silence that were put in for holes.
    pub filled: u64,
    /// Samples that came too late, overlapped or were too far ahead, and were left out.
    pub dropped: u64,
    /// Samples by which frames were lengthened or shortened to follow the far end's clock.
    pub slipped: u64,
}

#[derive(Debug)]
struct Lane {
    /// Samples from the line's written end on.
    samples: VecDeque<i16>,
    /// The mean distance of frames from where they belong, in samples.
    drift: f64,
    correcting: bool,
    counters: TimelineCounters,
}

/// The line. Positions count samples from its start.
#[derive(Debug)]
pub(super) struct Timeline {
    rate_hz: u64,
    start: Time,
    written: u64,
    lanes: [Lane; 2],
    /// Pauses by position, the open one in `paused_since`.
    pauses: VecDeque<(u64, u64)>,
    paused_since: Option<u64>,
}

impl Timeline {
    pub(super) fn new(rate_hz: u32, start: Time) -> Timeline {
        let lane = || Lane {
            samples: VecDeque::new(),
            drift: 0.0,
            correcting: false,
            counters: TimelineCounters::default(),
        };
        Timeline {
            rate_hz: rate_hz.into(),
            start,
            written: 0,
            lanes: [lane(), lane()],
            pauses: VecDeque::new(),
            paused_since: None,
        }
    }

    pub(super) fn counters(&self, channel: Channel) -> TimelineCounters {
        let [trunk, agent] = &self.lanes;
        match channel {
            Channel::Trunk => trunk.counters,
            Channel::Agent => agent.counters,
        }
    }

    fn position(&self, at: Time) -> u64 {
        let nanos = at.since(self.start).as_nanos();
        u64::try_from(nanos * u128::from(self.rate_hz) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    pub(super) fn handle_frame(&mut self, channel: Channel, at: Time, samples: &[i16]) {
        let position = self.position(at);
        let (written, rate_hz) = (self.written, self.rate_hz);
        let [trunk, agent] = &mut self.lanes;
        let lane = match channel {
            Channel::Trunk => trunk,
            Channel::Agent => agent,
        };
        lane.frame(position.cast_signed() - written.cast_signed(), samples, rate_hz);
    }

    pub(super) fn pause(&mut self, at: Time) {
        let position = self.position(at);
        self.paused_since.get_or_insert(position);
    }

    pub(super) fn resume(&mut self, at: Time) {
        let position = self.position(at);
        let Some(since) = self.paused_since.take() else { return };
        let full = self.pauses.len() >= MAX_PAUSES;
        match self.pauses.back_mut() {
            Some(last) if full => last.1 = last.1.max(position),
            _ => self.pauses.push_back((since, position)),
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// Appends what is final at `now`: left, right, left, right.
    pub(super) fn poll(&mut self, now: Time, out: &mut Vec<i16>) {
        let end = self.position(now).saturating_sub(self.rate_hz * HOLD_MILLIS / 1_000);
        self.write_until(end, out);
    }

    /// Appends all there is until `now`.
    pub(super) fn finish(&mut self, now: Time, out: &mut Vec<i16>) {
        self.write_until(self.position(now), out);
    }

    fn write_until(&mut self, end: u64, out: &mut Vec<i16>) {
        let [trunk, agent] = &mut self.lanes;
        while self.written < end {
            let (left, right) = (trunk.samples.pop_front(), agent.samples.pop_front());
            while self.pauses.front().is_some_and(|(_, resumed)| *resumed <= self.written) {
                self.pauses.pop_front();
            }
            let paused = self.paused_since.is_some_and(|since| since <= self.written)
                || self.pauses.iter().any(|(since, resumed)| (*since..*resumed).contains(&self.written));
            let (left, right) = if paused { (None, None) } else { (left, right) };
            out.extend([left.unwrap_or(0), right.unwrap_or(0)]);
            self.written += 1;
        }
    }
}

impl Lane {
    /// Puts samples in that belong `position` samples behind the written end (before it when negative).
    fn frame(&mut self, position: i64, samples: &[i16], rate_hz: u64) {
        let per_milli = rate_hz as f64 / 1_000.0;
        let jump = JUMP_MILLIS * rate_hz.cast_signed() / 1_000;
        let distance = position - self.samples.len() as i64;
        let mut samples = samples;
        if distance >= jump || self.samples.is_empty() && distance > 0 {
            // A hole: nothing came for a while, or it is the first frame.
            let room = (AHEAD_SECONDS * rate_hz) as usize;
            let Some(end) = usize::try_from(position).ok().filter(|end| *end <= room) else {
                self.counters.dropped += samples.len() as u64;
                return;
            };
            self.counters.filled += end.saturating_sub(self.samples.len()) as u64;
            self.samples.resize(end.max(self.samples.len()), 0);
            self.settle();
        } else if distance <= -jump || self.samples.is_empty() {
            // It overlaps what is there, or what was written already.
            let overlap = usize::try_from(-distance).unwrap_or(0).min(samples.len());
            self.counters.dropped += overlap as u64;
            samples = samples.get(overlap..).unwrap_or_default();
            self.settle();
        } else {
            self.drift += (distance as f64 - self.drift) / DRIFT_FRAMES;
            let limit = if self.correcting { CORRECTED_MILLIS } else { DRIFT_MILLIS } * per_milli;
            self.correcting = self.drift.abs() > limit;
        }
        if self.samples.len() + samples.len() > (AHEAD_SECONDS * rate_hz) as usize {
            self.counters.dropped += samples.len() as u64;
            return;
        }
        if !self.correcting || samples.len() < 2 {
            self.samples.extend(samples);
            return;
        }
        // One sample more or less in a frame of 20 ms is a tenth of a semitone: nobody hears it.
        let len = if self.drift > 0.0 { samples.len() + 1 } else { samples.len() - 1 };
        self.drift -= self.drift.signum();
        self.counters.slipped += 1;
        let step = (samples.len() - 1) as f64 / (len - 1).max(1) as f64;
        let at = |n: usize| f64::from(samples.get(n.min(samples.len() - 1)).copied().unwrap_or(0));
        self.samples.extend((0..len).map(|n| {
            let place = n as f64 * step;
            let (before, share) = (place as usize, place.fract());
            (at(before) * (1.0 - share) + at(before + 1) * share).round() as i16
        }));
    }

    fn settle(&mut self) {
        self.drift = 0.0;
        self.correcting = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// Where each channel's samples are not silent.
    fn spans(out: &[i16], channel: usize) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (n, pair) in out.chunks_exact(2).enumerate().filter(|(_, pair)| pair[channel] != 0) {
            match spans.last_mut() {
                Some(last) if last.1 == n => last.1 = n + 1,
                _ => spans.push((n, n + 1)),
            }
            assert!(pair[channel] > 0);
        }
        spans
    }

    #[test]
    fn channels_are_aligned_and_holes_are_silence() {
        let mut line = Timeline::new(8_000, ms(1_000));
        for n in 0..10u64 {
            line.handle_frame(Channel::Trunk, ms(1_000 + n * 20), &[1; 160]);
            // The agent begins 50 ms later and is away for 100 ms.
            if !(3..8).contains(&n) {
                line.handle_frame(Channel::Agent, ms(1_050 + n * 20), &[2; 160]);
            }
        }
        let mut out = Vec::new();
        line.finish(ms(1_300), &mut out);
        assert_eq!(out.len(), 2_400 * 2);
        assert_eq!(spans(&out, 0), [(0, 1_600)]);
        assert_eq!(spans(&out, 1), [(400, 880), (1_680, 2_000)]);
        assert_eq!(line.counters(Channel::Agent).filled, 400 + 800);
    }

    #[test]
    fn jitter_of_the_moments_changes_nothing() {
        let mut line = Timeline::new(8_000, ms(0));
        let mut out = Vec::new();
        for n in 0..500u64 {
            line.handle_frame(Channel::Trunk, ms(100 + n * 20 + n * 7 % 13), &[1; 160]);
            line.poll(ms(100 + n * 20 + 13), &mut out);
        }
        line.finish(ms(100 + 10_100), &mut out);
        assert_eq!(spans(&out, 0).len(), 1);
        assert!(line.counters(Channel::Trunk).slipped < 100, "{:?}", line.counters(Channel::Trunk));
    }

    #[test]
    fn a_clock_that_is_off_stays_within_20_ms_for_an_hour() {
        // 300 in a million, ten times what a sound card is off: over an hour 1.08 s. 800 samples a second will do.
        for (drift_ppm, minutes) in [(300i64, 60u64), (-300, 6)] {
            let mut line = Timeline::new(800, ms(0));
            let mut out = Vec::new();
            let mut worst = 0i64;
            for n in 0..minutes.cast_signed() * 3_000 {
                let at = Time::from_nanos((n * 20_000_000 * (1_000_000 + drift_ppm) / 1_000_000) as u64);
                line.handle_frame(Channel::Trunk, at, &[1; 16]);
                let end = line.written as i64 + line.lanes[0].samples.len() as i64 - 16;
                worst = worst.max((end - line.position(at) as i64).abs());
                if n % 50 == 0 {
                    out.clear();
                    line.poll(at, &mut out);
                }
            }
            assert!(worst <= 16, "{drift_ppm}: {worst} samples apart");
            let slipped = line.counters(Channel::Trunk).slipped;
            // 14.4 samples a minute, less what is still open.
            assert!((minutes * 12..minutes * 15).contains(&slipped), "{drift_ppm}: {slipped}");
        }
    }

    #[test]
    fn a_pause_leaves_silence_in_both_and_nothing_of_the_edges() {
        let mut line = Timeline::new(8_000, ms(0));
        for n in 0..50u64 {
            line.handle_frame(Channel::Trunk, ms(n * 20), &[1; 160]);
            line.handle_frame(Channel::Agent, ms(n * 20), &[2; 160]);
            match n {
                10 => line.pause(ms(205)),
                11 => line.pause(ms(300)),
                30 => line.resume(ms(605)),
                31 => line.resume(ms(700)),
                40 => line.pause(ms(805)),
                _ => {}
            }
        }
        assert!(line.is_paused());
        let mut out = Vec::new();
        line.finish(ms(1_000), &mut out);
        for channel in 0..2 {
            assert_eq!(spans(&out, channel), [(0, 1_640), (4_840, 6_440)]);
        }
        let mut flood = Timeline::new(8_000, ms(0));
        for n in 0..500 {
            flood.pause(ms(n * 2));
            flood.resume(ms(n * 2 + 1));
        }
        assert!(flood.pauses.len() <= MAX_PAUSES);
    }

    #[test]
    fn what_is_too_late_or_too_far_ahead_is_left_out() {
        let mut line = Timeline::new(8_000, ms(0));
        let mut out = Vec::new();
        line.poll(ms(2_400), &mut out);
        assert_eq!(out.len(), 2_000 * 8 * 2);
        line.handle_frame(Channel::Trunk, ms(1_990), &[1; 160]);
        line.handle_frame(Channel::Agent, ms(500), &[1; 160]);
        line.handle_frame(Channel::Agent, ms(9_000), &[1; 160]);
        assert_eq!(line.counters(Channel::Trunk).dropped, 80);
        assert_eq!(line.counters(Channel::Agent).dropped, 320);
        for n in 0..1_000 {
            line.handle_frame(Channel::Agent, ms(2_000 + n * 20), &[1; 160]);
        }
        assert!(line.lanes[1].samples.len() <= 40_000);
    }
}
