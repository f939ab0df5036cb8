//! Dials ahead of agents: as many lines as a forecast of supply and demand allows at the risk that the ledger has left.
//!
//! The floor teaches everything: how long lines ring until a person answers, how many are answered at all, how long
//! agents talk and wrap up. Before it has taught anything, each line is taken for a likely answer and each call for a
//! long one, so the first minutes are dialed almost one by one.
#![allow(clippy::indexing_slicing)] // Bins come from `Grid::bin`, which clamps them to the tables' length.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::budget::{Allowance, Budget};
use super::forecast::{Basis, Chances, Forecast, HORIZONS, Shortfall};
use super::learned::{Drift, Grid, Lifetimes, Rates, lognormal_below};
use super::{AgentPhase, Decision, Observation, Pacer, View};

/// Rings last up to 120 s (the longest ring time-out) in the forecast's steps.
const RING: Grid = Grid::even(0.5, 242);
/// One second to two hours.
const TALK: Grid = Grid::growing(1.0, 1.25, 42);
const WRAP: Grid = Grid::growing(1.0, 1.2, 40);
/// Samples remembered: lines come ten times as often as calls.
const LINES_REMEMBERED: f64 = 4000.0;
const CALLS_REMEMBERED: f64 = 1500.0;
/// The tables are worked out anew this often: short against the minute in which a floor may change.
const REFRESH: Duration = Duration::from_secs(5);
const REFRESH_SOONEST: Duration = Duration::from_millis(500);

/// The look-ahead policy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Predictive {
    budget: Budget,
    cap: f64,
    rings: Lifetimes,
    talks: Lifetimes,
    wraps: Lifetimes,
    post_dial: PostDial,
    /// Of the calls whose answerer was found out, those with a person (fading), and all.
    persons: (f64, f64),
    answer_drift: Drift,
    talk_drift: Drift,
    wrap_drift: Drift,
    decided: Option<Time>,
    tables: Option<Tables>,
    /// How many lines and agents there are of each age, filled at each decision.
    ages: Ages,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tables {
    made: Time,
    /// How many samples they were made from.
    samples: u64,
    ring_rates: Rates,
    talk_rates: Rates,
    wrap_rates: Rates,
    forecast: Forecast,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Ages {
    ringing: Vec<u32>,
    talking: Vec<u32>,
    wrapping: Vec<u32>,
    /// Seconds until lines that do not ring yet will.
    quiet_s: Vec<f64>,
    idle: usize,
}

/// When a dialed line begins to ring.
#[derive(Debug, Serialize, Deserialize)]
struct PostDial {
    mean_s: f64,
    seen: f64,
    /// Lines that rang and lines that were answered: a carrier may never say that it rings.
    rang: f64,
    answered: f64,
}

impl PostDial {
    fn rang(&mut self, after_s: f64) {
        self.seen += 1.0;
        self.rang += 1.0;
        // Of the last ten or so: a carrier that slows down is followed in seconds.
        self.mean_s += (after_s - self.mean_s) / self.seen.min(10.0);
    }

    fn seconds(&self) -> f64 {
        if self.answered > 2.0 * self.rang { 0.0 } else { self.mean_s }
    }
}

impl Predictive {
    pub(super) fn new() -> Self {
        Predictive {
            budget: Budget::new(),
            cap: 0.03,
            // Four of five answered, half within 8 s: too many rather than too few.
            rings: Lifetimes::new(RING, LINES_REMEMBERED, |from, to| {
                let share = lognormal_below(to, 9.0, 0.6) - lognormal_below(from, 9.0, 0.6);
                let out = if (20.0..30.0).contains(&from) { 2.0 / 20.0 } else { 0.0 };
                [8.0 * share, out]
            }),
            talks: Lifetimes::new(TALK, CALLS_REMEMBERED, |from, to| {
                [5.0 * (lognormal_below(to, 150.0, 1.0) - lognormal_below(from, 150.0, 1.0)), 0.0]
            }),
            wraps: Lifetimes::new(WRAP, CALLS_REMEMBERED, |from, to| {
                [5.0 * (lognormal_below(to, 20.0, 0.8) - lognormal_below(from, 20.0, 0.8)), 0.0]
            }),
            post_dial: PostDial { mean_s: 2.0, seen: 0.0, rang: 0.0, answered: 0.0 },
            persons: (5.0, 10.0),
            answer_drift: Drift::new(),
            talk_drift: Drift::new(),
            wrap_drift: Drift::new(),
            decided: None,
            tables: None,
            ages: Ages::default(),
        }
    }

    /// Sorts lines and agents by age.
    fn sort(&mut self, now: Time, view: &View<'_>) {
        let ages = &mut self.ages;
        for (bins, grid) in [(&mut ages.ringing, RING), (&mut ages.talking, TALK), (&mut ages.wrapping, WRAP)]
        {
            bins.clear();
            bins.resize(grid.bins(), 0);
        }
        ages.quiet_s.clear();
        ages.idle = 0;
        let lag_s = self.post_dial.seconds();
        for line in view.lines {
            match line.ringing {
                Some(since) => ages.ringing[RING.bin(now.since(since).as_secs_f64())] += 1,
                None if lag_s == 0.0 => ages.ringing[RING.bin(now.since(line.dialed).as_secs_f64())] += 1,
                None => ages.quiet_s.push((lag_s - now.since(line.dialed).as_secs_f64()).max(0.0)),
            }
        }
        for agent in view.agents {
            match *agent {
                AgentPhase::Idle => ages.idle += 1,
                AgentPhase::Talking { since } => ages.talking[TALK.bin(now.since(since).as_secs_f64())] += 1,
                AgentPhase::WrapUp { since } => ages.wrapping[WRAP.bin(now.since(since).as_secs_f64())] += 1,
            }
        }
    }

    /// Counts what the tables expected since the last decision, for the drifts.
    fn expect(&mut self, now: Time) {
        let dt = self.decided.map_or(0.0, |t| now.since(t).as_secs_f64()).min(1.0);
        self.decided = Some(now);
        let Some(tables) = &self.tables else { return };
        let ends = |bins: &[u32], rates: &Rates| -> f64 {
            bins.iter().zip(rates).map(|(&n, r)| f64::from(n) * r[0] * dt).sum()
        };
        for (table, drift, lasting, rates) in [
            (&self.rings, &mut self.answer_drift, &self.ages.ringing, &tables.ring_rates),
            (&self.talks, &mut self.talk_drift, &self.ages.talking, &tables.talk_rates),
            (&self.wraps, &mut self.wrap_drift, &self.ages.wrapping, &tables.wrap_rates),
        ] {
            if table.knows() {
                drift.expected(ends(lasting, rates));
            }
        }
    }

    fn refresh(&mut self, now: Time, grace: Duration) {
        let samples = self.rings.samples() + self.talks.samples() + self.wraps.samples();
        let holds = |t: &Tables| {
            let age = now.since(t.made);
            // A young table changes with each sample.
            age < REFRESH_SOONEST || (age < REFRESH && samples < t.samples + t.samples / 16 + 8)
        };
        if self.tables.as_ref().is_some_and(holds) {
            return;
        }
        let ring_rates = self.rings.rates(&self.ages.ringing);
        let talk_rates = self.talks.rates(&self.ages.talking);
        let wrap_rates = self.wraps.rates(&self.ages.wrapping);
        let drifted =
            |rates: &Rates, factor: f64| rates.iter().map(|r| [r[0] * factor, r[1]]).collect::<Rates>();
        // Too many answers cost a person's patience, too few an agent's: while there is doubt, more are expected.
        let answer_factor = self.answer_drift.factor() * (1.0 + self.rings.doubt());
        let forecast = Forecast::new(&Basis {
            lines: (&RING, &drifted(&ring_rates, answer_factor)),
            post_dial_s: self.post_dial.seconds(),
            talk: (&TALK, &drifted(&talk_rates, self.talk_drift.factor())),
            wrap: (&WRAP, &drifted(&wrap_rates, self.wrap_drift.factor())),
            grace_s: grace.as_secs_f64(),
        });
        self.tables = Some(Tables { made: now, samples, ring_rates, talk_rates, wrap_rates, forecast });
    }

    /// Everything that may take an agent: busy ones who stay busy, lines that are answered.
    fn events(&self, forecast: &Forecast, detecting: usize) -> Vec<(Chances, u32)> {
        let busy = |bins: &[u32], free: &[Chances]| -> Vec<(Chances, u32)> {
            bins.iter().zip(free).filter(|(n, _)| **n > 0).map(|(&n, f)| (f.map(|p| 1.0 - p), n)).collect()
        };
        let mut events = busy(&self.ages.talking, &forecast.talking);
        events.extend(busy(&self.ages.wrapping, &forecast.wrapping));
        events.extend(
            self.ages.ringing.iter().zip(&forecast.answers).filter(|(n, _)| **n > 0).map(|(&n, c)| (*c, n)),
        );
        events.extend(self.ages.quiet_s.iter().map(|&s| (*forecast.not_yet_ringing(s), 1)));
        if detecting > 0 {
            let person = [self.persons.0 / self.persons.1; HORIZONS];
            events.push((person, u32::try_from(detecting).unwrap_or(u32::MAX)));
        }
        events
    }
}

impl Pacer for Predictive {
    fn name(&self) -> &'static str {
        "predictive"
    }

    fn observe(&mut self, now: Time, seen: Observation) {
        match seen {
            Observation::Dialed => {}
            Observation::Ringing { after } => self.post_dial.rang(after.as_secs_f64()),
            Observation::Answered { after, person } => {
                self.post_dial.answered += 1.0;
                let age_s = after.as_secs_f64() - self.post_dial.seconds();
                self.rings.ended(age_s, usize::from(!person), self.answer_drift.haste());
                self.persons =
                    (self.persons.0 * 0.995 + f64::from(u8::from(person)), self.persons.1 * 0.995 + 1.0);
                if person && self.rings.knows() {
                    self.answer_drift.saw();
                }
            }
            Observation::Failed { after, rang } => {
                let age_s = if rang { after.as_secs_f64() - self.post_dial.seconds() } else { 0.0 };
                self.rings.ended(age_s, 1, self.answer_drift.haste());
            }
            Observation::Abandoned => self.budget.answered(now, true, self.cap),
            Observation::Served { .. } => self.budget.answered(now, false, self.cap),
            Observation::TalkEnded { lasted } => {
                self.talks.ended(lasted.as_secs_f64(), 0, self.talk_drift.haste());
                if self.talks.knows() {
                    self.talk_drift.saw();
                }
            }
            Observation::WrapEnded { lasted } => {
                self.wraps.ended(lasted.as_secs_f64(), 0, self.wrap_drift.haste());
                if self.wraps.knows() {
                    self.wrap_drift.saw();
                }
            }
        }
    }

    fn decide(&mut self, now: Time, view: &View<'_>) -> Decision {
        self.cap = view.cap;
        self.sort(now, view);
        self.expect(now);
        self.refresh(now, view.grace);
        let Some(tables) = &self.tables else {
            return Decision { dial: 0, reason: "no forecast yet".into() };
        };
        let forecast = &tables.forecast;
        let events = self.events(forecast, view.detecting);
        let due: f64 = events_due(&self.ages, forecast);
        let Allowance { risk: limit, spare } =
            self.budget.allowance(now, view.cap, view.answered, view.abandoned);
        let agents = view.agents.len().saturating_sub(view.waiting.len());
        // One line for each idle agent risks nobody, whatever the ledger says.
        let safe =
            u32::try_from(self.ages.idle.saturating_sub(view.open())).unwrap_or(u32::MAX).min(view.most);
        let (room, risk) = if agents == 0 || spare == 0 {
            (0, 1.0)
        } else {
            Shortfall::new(agents, spare, &events).room(&forecast.new_line, limit, view.most)
        };
        let dial = room.max(safe);
        let verb = if dial == 0 { "holding".into() } else { format!("dialing {dial}") };
        let reason = format!(
            "{verb}: {} idle, {:.1} due in {:.0} s, {} lines open; one more would risk {:.1}%, {:.1}% is allowed",
            self.ages.idle,
            due,
            forecast.at_s[HORIZONS / 2],
            view.open(),
            risk * 100.0,
            limit * 100.0,
        );
        Decision { dial, reason }
    }
}

/// Busy agents who will be free at the middle horizon.
fn events_due(ages: &Ages, forecast: &Forecast) -> f64 {
    let due = |bins: &[u32], free: &[Chances]| -> f64 {
        bins.iter().zip(free).map(|(&n, f)| f64::from(n) * f[HORIZONS / 2]).sum()
    };
    due(&ages.talking, &forecast.talking) + due(&ages.wrapping, &forecast.wrapping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::LineView;

    fn view<'a>(agents: &'a [AgentPhase], lines: &'a [LineView]) -> View<'a> {
        View {
            agents,
            lines,
            waiting: &[],
            detecting: 0,
            cap: 0.03,
            grace: Duration::from_secs(2),
            ring_timeout: Duration::from_secs(25),
            lines_per_agent: 1.0,
            max_lines: 10,
            calls: 0,
            answered: 0,
            abandoned: 0,
            most: 10_000,
        }
    }

    /// A pacer that has seen `dials` lines of which every fifth was answered after 10 s, and as many calls of 100 s.
    fn taught(dials: u32) -> Predictive {
        let mut pacer = Predictive::new();
        let now = Time::from_millis(1);
        for n in 0..dials {
            pacer.observe(now, Observation::Ringing { after: Duration::from_secs(2) });
            pacer.observe(
                now,
                if n % 5 == 0 {
                    Observation::Answered { after: Duration::from_secs(10), person: true }
                } else {
                    Observation::Failed { after: Duration::from_secs(25), rang: true }
                },
            );
            pacer.observe(
                now,
                Observation::TalkEnded { lasted: Duration::from_secs(u64::from(50 + n % 100)) },
            );
            pacer.observe(now, Observation::WrapEnded { lasted: Duration::from_secs(10) });
        }
        // All in one moment looks like a floor gone wild.
        (pacer.answer_drift, pacer.talk_drift, pacer.wrap_drift) = (Drift::new(), Drift::new(), Drift::new());
        pacer
    }

    #[test]
    fn it_starts_with_hardly_more_than_a_line_for_each_agent() {
        let agents = [AgentPhase::Idle; 20];
        let dial = Predictive::new().decide(Time::ZERO, &view(&agents, &[])).dial;
        assert!((20..=26).contains(&dial), "{dial}");
    }

    #[test]
    fn it_learns_how_few_are_answered() {
        let agents = [AgentPhase::Idle; 20];
        let now = Time::from_millis(10_000);
        let seen = View { answered: 2000, abandoned: 50, ..view(&agents, &[]) };
        let dial = taught(2000).decide(now, &seen).dial;
        assert!((40..=90).contains(&dial), "{dial}");
    }

    #[test]
    fn lines_and_waiting_people_count_and_the_reason_says_so() {
        let now = Time::from_millis(60_000);
        let agents = [AgentPhase::Idle; 4];
        let ringing = Some(now - Duration::from_secs(5));
        let lines = [LineView { dialed: now - Duration::from_secs(7), ringing }; 30];
        let seen = View { answered: 2000, abandoned: 50, ..view(&agents, &lines) };
        let decision = taught(2000).decide(now, &seen);
        assert_eq!(decision.dial, 0);
        assert!(decision.reason.starts_with("holding: 4 idle"), "{}", decision.reason);
        let people = [now; 4];
        let seen = View { waiting: &people, ..view(&agents, &[]) };
        assert_eq!(taught(2000).decide(now, &seen).dial, 0, "nobody is left for one more");
    }

    #[test]
    fn an_agent_who_is_due_is_dialed_for() {
        let now = Time::from_millis(600_000);
        let seen = |agents: &[AgentPhase]| {
            let seen = View { answered: 2000, abandoned: 50, ..view(agents, &[]) };
            taught(2000).decide(now, &seen).dial
        };
        let fresh = AgentPhase::Talking { since: now };
        let done_soon = AgentPhase::WrapUp { since: now - Duration::from_secs(9) };
        assert_eq!(seen(&[fresh; 3]), 0);
        assert!(seen(&[done_soon; 3]) > 0);
    }

    #[test]
    fn over_the_cap_only_certain_lines_are_dialed() {
        let now = Time::from_millis(600_000);
        let agents = [AgentPhase::Idle; 10];
        let mut pacer = taught(2000);
        for _ in 0..40 {
            pacer.observe(now, Observation::Abandoned);
        }
        let seen = View { answered: 100, abandoned: 40, ..view(&agents, &[]) };
        assert_eq!(pacer.decide(now, &seen).dial, 10);
    }
}
