//! What the simulation measures, from outside the engine: what agents did and what was written.

use std::collections::VecDeque;
use std::time::Duration;

use kraliki_time::Time;

use super::{Minute, SimConfig, SimReport};
use crate::{Outcome, Write};

/// The window of `worst_30min_abandoned`.
const WINDOW: Duration = Duration::from_secs(1800);
const MINUTE: Duration = Duration::from_secs(60);

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
    minute_busy_s: f64,
    minute_agents_s: f64,
    minute_began: Time,
    minute: Minute,
    /// Answers of the window, and whether they were abandoned.
    window: VecDeque<(Time, bool)>,
    window_abandoned: u64,
    next_burst: Time,
    report: SimReport,
    connected: u64,
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
            minute_busy_s: 0.0,
            minute_agents_s: 0.0,
            minute_began: Time::ZERO,
            minute: Minute::default(),
            window: VecDeque::new(),
            window_abandoned: 0,
            next_burst: Time::ZERO,
            report: SimReport::default(),
            connected: 0,
        }
    }

    /// Time goes on.
    pub(super) fn at(&mut self, now: Time) {
        while now.since(self.minute_began) >= MINUTE {
            let end = self.minute_began + MINUTE;
            self.count(end);
            self.minute.occupancy = self.minute_busy_s / self.minute_agents_s.max(1e-9);
            self.report.minutes.push(std::mem::take(&mut self.minute));
            (self.minute_busy_s, self.minute_agents_s, self.minute_began) = (0.0, 0.0, end);
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
        self.minute_busy_s += (talking + wrapping) * all_s;
        self.minute_agents_s += agents * all_s;
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
            Write::Connected { late, .. } => self.answered(now, *late, true),
            Write::AttemptEnded { outcome: Outcome::Abandoned, .. } => self.answered(now, true, false),
            _ => {}
        }
    }

    fn answered(&mut self, now: Time, abandoned: bool, connected: bool) {
        self.minute.answered += 1;
        self.minute.abandoned += u32::from(abandoned);
        if now >= self.warm {
            self.report.answered += 1;
            self.report.abandoned += u64::from(abandoned);
            self.connected += u64::from(connected);
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
        self.report.worst_30min_abandoned = self.report.worst_30min_abandoned.max(self.window_abandoned);
        let most = (3.0 * self.cap * self.window.len() as f64).max(3.0);
        if self.window_abandoned as f64 > most && now >= self.next_burst {
            self.report.bursts += 1;
            self.next_burst = now + WINDOW;
        }
    }

    pub(super) fn report(mut self, end: Time, decisions: u64, inputs: u64) -> SimReport {
        self.at(end);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        SimReport {
            occupancy: share(self.talk_s + self.wrap_up_s, self.agents_s),
            talk_min_per_hour: share(self.talk_s, self.agents_s) * 60.0,
            abandonment: share(self.report.abandoned as f64, self.report.answered as f64),
            dials_per_connect: share(self.report.dials as f64, self.connected as f64),
            decisions_per_second: share(decisions as f64, end.as_secs_f64()),
            inputs,
            ..self.report
        }
    }
}
