//! What the simulation measures, from outside the engine: what agents did and what was written.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use kraliki_time::Time;

use super::{SimConfig, SimReport, Slice};
use crate::{Outcome, Write};

/// The window of `worst_30min_abandoned`.
const WINDOW: Duration = Duration::from_secs(1800);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) struct Tally {
    warm: Time,
    cap: f64,
    agents: u32,
    talking: u32,
    wrapping: u32,
    /// Until when the times are counted.
    counted: Time,
    talk_s: f64,
    wrap_up_s: f64,
    agents_s: f64,
    slice_busy_s: f64,
    slice_agents_s: f64,
    slice_began: Time,
    slice: Slice,
    /// Answers of the window, and whether they were abandoned.
    window: VecDeque<(Time, bool)>,
    window_abandoned: u64,
    next_burst: Time,
    report: SimReport,
    connected: u64,
    waited: u64,
    /// Calls that a person answered in the present week, and of these, abandoned.
    week: (u64, u64),
    week_began: Time,
}

impl Tally {
    pub(super) fn new(config: &SimConfig) -> Self {
        Tally {
            warm: Time::ZERO + config.warm_up,
            cap: config.cap,
            agents: config.agents,
            talking: 0,
            wrapping: 0,
            counted: Time::ZERO,
            talk_s: 0.0,
            wrap_up_s: 0.0,
            agents_s: 0.0,
            slice_busy_s: 0.0,
            slice_agents_s: 0.0,
            slice_began: Time::ZERO,
            slice: Slice::default(),
            window: VecDeque::new(),
            window_abandoned: 0,
            next_burst: Time::ZERO,
            report: SimReport::default(),
            connected: 0,
            waited: 0,
            week: (0, 0),
            week_began: Time::ZERO,
        }
    }

    /// Time goes on.
    pub(super) fn at(&mut self, now: Time) {
        while now.since(self.slice_began) >= Slice::LASTS {
            let end = self.slice_began + Slice::LASTS;
            self.count(end);
            self.slice.occupancy = self.slice_busy_s / self.slice_agents_s.max(1e-9);
            self.report.slices.push(std::mem::take(&mut self.slice));
            (self.slice_busy_s, self.slice_agents_s, self.slice_began) = (0.0, 0.0, end);
        }
        while now.since(self.week_began) >= WEEK {
            let (answered, abandoned) = std::mem::take(&mut self.week);
            let worst = self.report.worst_week_abandonment.unwrap_or(0.0);
            self.report.worst_week_abandonment = Some(share(abandoned as f64, answered as f64).max(worst));
            self.week_began += WEEK;
        }
        self.count(now);
    }

    fn count(&mut self, now: Time) {
        let all_s = now.since(self.counted).as_secs_f64();
        let warm_s = now.since(self.counted.max(self.warm)).as_secs_f64();
        self.counted = now.max(self.counted);
        let (talking, wrapping) = (f64::from(self.talking), f64::from(self.wrapping));
        // Whoever goes on a break in a call is at work until the call's record is finished.
        let agents = f64::from(self.agents).max(talking + wrapping);
        self.talk_s += talking * warm_s;
        self.wrap_up_s += wrapping * warm_s;
        self.agents_s += agents * warm_s;
        self.slice_busy_s += (talking + wrapping) * all_s;
        self.slice_agents_s += agents * all_s;
    }

    pub(super) fn staffed(&mut self, agents: u32) {
        self.agents = agents;
    }

    pub(super) fn talk_begins(&mut self) {
        self.talking += 1;
    }

    pub(super) fn talk_ends(&mut self) {
        self.talking -= 1;
        self.wrapping += 1;
    }

    pub(super) fn wrap_up_ends(&mut self) {
        self.wrapping -= 1;
    }

    pub(super) fn dialed(&mut self, now: Time) {
        if now >= self.warm {
            self.report.dials += 1;
        }
    }

    pub(super) fn wrote(&mut self, now: Time, write: &Write) {
        match write {
            Write::Connected { late, wait_ms, .. } => self.answered(now, *late, *wait_ms > 0, true),
            Write::AttemptEnded { outcome: Outcome::Abandoned, .. } => self.answered(now, true, true, false),
            _ => {}
        }
    }

    fn answered(&mut self, now: Time, abandoned: bool, waited: bool, connected: bool) {
        self.week.0 += 1;
        self.week.1 += u64::from(abandoned);
        self.slice.answered += 1;
        self.slice.abandoned += u32::from(abandoned);
        if now >= self.warm {
            self.report.answered += 1;
            self.report.abandoned += u64::from(abandoned);
            self.connected += u64::from(connected);
            self.waited += u64::from(waited);
        }
        while let Some((at, lost)) = self.window.front().copied() {
            if now.since(at) < WINDOW {
                break;
            }
            self.window_abandoned -= u64::from(lost);
            self.window.pop_front();
        }
        self.window.push_back((now, abandoned));
        self.window_abandoned += u64::from(abandoned);
        let answers = self.window.len() as u64;
        // The worst of two that lost the same is the one with fewer answers.
        let worse = (self.window_abandoned, Reverse(answers));
        if worse > (self.report.worst_30min_abandoned, Reverse(self.report.worst_30min_answered)) {
            self.report.worst_30min_abandoned = self.window_abandoned;
            self.report.worst_30min_answered = answers;
        }
        let most = (3.0 * self.cap * self.window.len() as f64).max(3.0);
        if self.window_abandoned as f64 > most && now >= self.next_burst {
            self.report.bursts += 1;
            self.next_burst = now + WINDOW;
        }
    }

    pub(super) fn report(mut self, end: Time, decisions: u64, inputs: u64) -> SimReport {
        self.at(end);
        SimReport {
            occupancy: share(self.talk_s + self.wrap_up_s, self.agents_s),
            talk_min_per_hour: share(self.talk_s, self.agents_s) * 60.0,
            abandonment: share(self.report.abandoned as f64, self.report.answered as f64),
            waited: share(self.waited as f64, self.report.answered as f64),
            dials_per_connect: share(self.report.dials as f64, self.connected as f64),
            decisions_per_second: share(decisions as f64, end.as_secs_f64()),
            inputs,
            ..self.report
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Floor;

    #[test]
    fn each_whole_week_counts_by_itself_from_the_start() {
        let floor = Floor::named("f1").unwrap();
        let config = SimConfig::new(floor, 1, 2 * WEEK, 0.03, "progressive", 1);
        let mut tally = Tally::new(&config);
        for hour in 0..400 {
            let now = Time::ZERO + Duration::from_secs(3600 * hour);
            tally.at(now);
            // One in ten in the first week, which is within the warm-up in part; one in four after it.
            let abandoned = if hour < 168 { hour % 10 == 0 } else { hour % 4 == 0 };
            tally.answered(now, abandoned, abandoned, !abandoned);
        }
        let report = tally.report(Time::ZERO + Duration::from_secs(3600 * 400), 0, 0);
        assert_eq!(report.worst_week_abandonment, Some(0.25));
        let short = Tally::new(&config).report(Time::ZERO + Duration::from_secs(3600), 0, 0);
        assert_eq!(short.worst_week_abandonment, None);
    }
}
