//! What a campaign's floor teaches, whatever the campaign's mode: how long lines ring and calls last, who answers. A
//! change of mode, of cap or of agents loses nothing of it.

use std::collections::VecDeque;
use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::drift::Drift;
use super::forecast::{Basis, Tables};
use super::lifetimes::{Grid, Lifetimes};
use super::normal::lognormal_below;
use super::odds::{Odds, Traits};
use super::{AgentPhase, LineView, Observation};

/// Rings last up to 120 s (the longest ring time-out) in the forecast's steps.
pub(super) const RING: Grid = Grid::even(0.5, 242);
/// One second to two hours.
pub(super) const TALK: Grid = Grid::growing(1.0, 1.25, 42);
pub(super) const WRAP: Grid = Grid::growing(1.0, 1.2, 40);
/// From the answer to the verdict who it is.
pub(super) const VERDICT: Grid = Grid::even(0.25, 40);
/// Samples remembered: lines come ten times as often as calls.
const LINES_REMEMBERED: f64 = 4000.0;
const CALLS_REMEMBERED: f64 = 1500.0;
/// The tables are worked out anew this often: short against the minute in which a floor may change.
const REFRESH: Duration = Duration::from_secs(10);
/// By then a line has ended, or its ring time-out is long and few of its kind still answer.
const COHORT: Duration = Duration::from_secs(30);
/// Ends that wait at most: half a minute at 1,000 dials a second.
const ENDS_MOST: usize = 30_000;
const REFRESH_SOONEST: Duration = Duration::from_millis(500);

/// What was learned, and the tables made of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Learned {
    rings: Lifetimes,
    talks: Lifetimes,
    wraps: Lifetimes,
    verdicts: Lifetimes,
    post_dial: PostDial,
    odds: Odds,
    /// Ends of lines that are not learned from yet: by when all that were dialed with them have ended.
    ends: VecDeque<(Time, Traits, bool)>,
    answer_drift: Drift,
    talk_drift: Drift,
    wrap_drift: Drift,
    /// When the drifts last counted what was to be expected.
    watched: Time,
    tables: Option<Tables>,
    made: Time,
    /// How many samples the tables were made from.
    samples: u64,
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

impl Learned {
    pub(crate) fn new() -> Self {
        Learned {
            // Half of the answers within 8 s.
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
            // Whoever has not spoken for two seconds may still be a person.
            verdicts: Lifetimes::new(VERDICT, CALLS_REMEMBERED, |from, _| {
                if from < 3.0 { [0.4, 0.4] } else { [0.0, 0.1] }
            }),
            post_dial: PostDial { mean_s: 2.0, seen: 0.0, rang: 0.0, answered: 0.0 },
            odds: Odds::new(),
            ends: VecDeque::new(),
            answer_drift: Drift::new(),
            talk_drift: Drift::new(),
            wrap_drift: Drift::new(),
            watched: Time::ZERO,
            tables: None,
            made: Time::ZERO,
            samples: 0,
        }
    }

    /// Something happened on the campaign's lines or to an agent who served one of its calls.
    pub(crate) fn observe(&mut self, now: Time, seen: Observation) {
        match seen {
            Observation::Dialed | Observation::Abandoned | Observation::Served { .. } => {}
            Observation::Ringing { after } => self.post_dial.rang(after.as_secs_f64()),
            Observation::Answered { after, person, known_after, lead } => {
                self.post_dial.answered += 1.0;
                let haste = self.answer_drift.haste();
                let age_s = after.as_secs_f64() - self.post_dial.seconds();
                self.rings.ended(age_s, usize::from(!person), haste);
                self.verdicts.ended(known_after.as_secs_f64(), usize::from(!person), 1.0);
                self.end(now, after, lead, person);
                if person && self.rings.knows() {
                    self.answer_drift.saw();
                }
            }
            Observation::Failed { after, rang, lead } => {
                let haste = self.answer_drift.haste();
                let age_s = if rang { after.as_secs_f64() - self.post_dial.seconds() } else { 0.0 };
                self.rings.ended(age_s, 1, haste);
                self.end(now, after, lead, false);
            }
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

    /// Lines that fail do so sooner than people answer: who learned from each end at once would take a new floor for one
    /// where nobody answers. So an end counts when all lines that were dialed with it have had their time.
    fn end(&mut self, now: Time, after: Duration, lead: Traits, person: bool) {
        self.ends.push_back((now + COHORT.saturating_sub(after), lead, person));
        if self.ends.len() > ENDS_MOST
            && let Some((_, lead, person)) = self.ends.pop_front()
        {
            self.odds.ended(&lead, person, self.answer_drift.haste());
        }
    }

    fn learn_ends(&mut self, now: Time) {
        let haste = self.answer_drift.haste();
        let odds = &mut self.odds;
        self.ends.retain(|(due, lead, person)| {
            let stays = *due > now;
            if !stays {
                odds.ended(lead, *person, haste);
            }
            stays
        });
    }

    /// The chance that a person answers such a lead, as it was before the last minute's drift.
    pub(crate) fn chance(&self, lead: &Traits) -> f64 {
        self.odds.chance(lead)
    }

    /// Seconds until a line rings; below zero: since when it does.
    pub(super) fn rings_in_s(&self, now: Time, line: &LineView) -> f64 {
        let lag_s = self.post_dial.seconds();
        let dialed_s = now.since(line.dialed).as_secs_f64();
        match line.ringing {
            // It rings: whatever ends before the first ring did not end this one.
            Some(since) => -now.since(since).as_secs_f64().max(0.5),
            None if lag_s == 0.0 => -dialed_s,
            None => (lag_s - dialed_s).max(0.0),
        }
    }

    /// The tables, none before the first [`Learned::refresh`].
    pub(super) fn tables(&self) -> Option<&Tables> {
        self.tables.as_ref()
    }

    /// Counts what the tables expected since the last call, and works the tables out anew when they are old. `lines` are
    /// the campaign's tries in flight, `agents` those who are in its calls.
    pub(crate) fn refresh(&mut self, now: Time, lines: &[LineView], agents: &[AgentPhase]) {
        self.learn_ends(now);
        let ages = Ages::of(self, now, lines, agents);
        self.watch(now, lines, &ages);
        let samples = self.rings.samples() + self.talks.samples() + self.wraps.samples();
        let age = now.since(self.made);
        // Young tables change with each sample.
        let holds =
            age < REFRESH_SOONEST || (age < REFRESH && samples < self.samples + self.samples / 16 + 8);
        if self.tables.is_some() && holds {
            return;
        }
        self.tables = Some(Tables::new(&Basis {
            rings: &self.rings.rates(&ages.ringing),
            talks: self.talks.rates(&ages.talking),
            wraps: self.wraps.rates(&ages.wrapping),
            verdicts: &self.verdicts.rates(&ages.none),
            post_dial_s: self.post_dial.seconds(),
            // Too many answers cost a person's patience, too few an agent's: while there is doubt, more are expected.
            answers: self.answer_drift.factor() * (1.0 + self.rings.doubt()),
            talk_ends: self.talk_drift.factor(),
            wrap_ends: self.wrap_drift.factor(),
        }));
        (self.made, self.samples) = (now, samples);
    }

    /// Counts what was to be expected since the last call, for the drifts.
    fn watch(&mut self, now: Time, lines: &[LineView], ages: &Ages) {
        let dt_s = now.since(self.watched).as_secs_f64().min(1.0);
        self.watched = now;
        let Some(tables) = &self.tables else { return };
        if self.rings.knows() {
            let answers = lines
                .iter()
                .map(|line| tables.pending_as_learned(line.answers, self.rings_in_s(now, line)).by(dt_s));
            self.answer_drift.expected(answers.sum());
        }
        if self.talks.knows() {
            self.talk_drift.expected(tables.talks_ending(&ages.talking, dt_s));
        }
        if self.wraps.knows() {
            self.wrap_drift.expected(tables.wraps_ending(&ages.wrapping, dt_s));
        }
    }
}

/// How many lines and calls there are of each age.
struct Ages {
    ringing: Vec<u32>,
    talking: Vec<u32>,
    wrapping: Vec<u32>,
    none: Vec<u32>,
}

impl Ages {
    fn of(learned: &Learned, now: Time, lines: &[LineView], agents: &[AgentPhase]) -> Ages {
        let bins = |grid: Grid| vec![0; grid.bins()];
        let mut ages =
            Ages { ringing: bins(RING), talking: bins(TALK), wrapping: bins(WRAP), none: bins(VERDICT) };
        let count = |bins: &mut Vec<u32>, grid: Grid, age_s: f64| {
            if let Some(bin) = bins.get_mut(grid.bin(age_s)) {
                *bin += 1;
            }
        };
        for line in lines {
            let rings_in_s = learned.rings_in_s(now, line);
            if rings_in_s < 0.0 {
                count(&mut ages.ringing, RING, -rings_in_s);
            }
        }
        for agent in agents {
            match *agent {
                AgentPhase::Idle => {}
                AgentPhase::Talking { since } => {
                    count(&mut ages.talking, TALK, now.since(since).as_secs_f64());
                }
                AgentPhase::WrapUp { since } => {
                    count(&mut ages.wrapping, WRAP, now.since(since).as_secs_f64());
                }
            }
        }
        ages
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{LeadId, ListId, Outcome};

    pub(in crate::pacing) const LEAD: Traits =
        Traits { hour: 12, list: ListId(1), area: 1202, last: None, attempts: 0 };

    /// What a floor taught on which every fifth of `dials` lines was answered after 10 s, and calls lasted 50 to 150 s.
    pub(in crate::pacing) fn taught(dials: u32) -> Learned {
        let now = Time::ZERO;
        let mut learned = Learned::new();
        for n in 0..dials {
            learned.observe(now, Observation::Ringing { after: Duration::from_secs(2) });
            let after = Duration::from_secs(if n % 5 == 0 { 10 } else { 25 });
            learned.observe(
                now,
                if n % 5 == 0 {
                    Observation::Answered { after, person: true, known_after: Duration::ZERO, lead: LEAD }
                } else {
                    Observation::Failed { after, rang: true, lead: LEAD }
                },
            );
            learned.observe(
                now,
                Observation::TalkEnded { lasted: Duration::from_secs(u64::from(50 + n % 100)) },
            );
            learned.observe(now, Observation::WrapEnded { lasted: Duration::from_secs(10) });
        }
        learned.learn_ends(Time::from_millis(60_000));
        // All in one moment looks like a floor gone wild.
        (learned.answer_drift, learned.talk_drift, learned.wrap_drift) =
            (Drift::new(), Drift::new(), Drift::new());
        learned
    }

    #[test]
    fn a_floor_that_answers_twice_as_often_is_noticed_within_a_minute() {
        let mut learned = taught(2_000);
        let mut now = Time::from_millis(1_000_000);
        let lines = |now: Time| {
            let line = |age| {
                let ringing = Some(now - Duration::from_secs(age));
                LineView { dialed: now - Duration::from_secs(age + 2), ringing, answers: 0.2 }
            };
            (0..20).map(line).collect::<Vec<_>>()
        };
        let chance = |learned: &Learned, now| {
            let tables = learned.tables().unwrap();
            lines(now)
                .iter()
                .map(|l| tables.pending(l.answers, learned.rings_in_s(now, l)).by(5.0))
                .sum::<f64>()
        };
        learned.refresh(now, &lines(now), &[]);
        let before = chance(&learned, now);
        for n in 0..120 {
            now += Duration::from_millis(500);
            // 20 lines that ring for at most 20 s and are answered by a fifth: 0.2 in a second; now four in ten.
            if n % 5 < 1 {
                let (after, known_after) = (Duration::from_secs(10), Duration::ZERO);
                for _ in 0..2 {
                    learned
                        .observe(now, Observation::Answered { after, person: true, known_after, lead: LEAD });
                }
            }
            learned.refresh(now, &lines(now), &[]);
        }
        assert!(chance(&learned, now) > 1.3 * before, "{before} {}", chance(&learned, now));
    }

    #[test]
    fn a_carrier_that_never_says_that_it_rings_is_followed_all_the_same() {
        let mut learned = Learned::new();
        let line = LineView { dialed: Time::ZERO, ringing: None, answers: 0.2 };
        let now = Time::from_millis(10_000);
        assert_eq!(learned.rings_in_s(now, &line), 0.0);
        let (after, known_after) = (Duration::from_secs(12), Duration::ZERO);
        for _ in 0..3 {
            learned.observe(now, Observation::Answered { after, person: true, known_after, lead: LEAD });
        }
        assert_eq!(learned.rings_in_s(now, &line), -10.0);
    }

    #[test]
    fn traits_are_what_is_known_before_the_dial() {
        let mut lead = crate::testing::lead(7);
        (lead.attempts, lead.last_outcome) = (9, Some(Outcome::Busy));
        let traits = Traits::of(&lead, 18);
        assert_eq!((traits.area, traits.attempts, traits.hour), (1202, 5, 18));
        assert_eq!((traits.list, lead.id), (ListId(1), LeadId(7)));
    }
}
