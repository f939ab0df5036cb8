//! Supply and demand of the next half minute: tables by age, made from what was learned, so that thousands of lines and
//! agents cost a look-up each instead of an integral.
#![allow(clippy::indexing_slicing)] // Indices are bins of a `Grid` and steps of the tables, clamped where they arise.

use serde::{Deserialize, Serialize};

use super::AgentPhase;
use super::learned::{TALK, VERDICT, WRAP};
use super::lifetimes::{Grid, Rates};

/// Moments at which a line dialed now may be answered, equally likely.
pub(super) const HORIZONS: usize = 8;
/// The step of the ring tables, in seconds: the bins of [`super::learned::RING`].
const STEP_S: f64 = 0.5;
/// The tables of agents: a chance for every so many steps, and how many of them. Beyond 40 s nobody is counted on.
const COARSE: usize = 4;
const COARSE_STEPS: usize = 20;

/// A figure for each horizon.
pub(super) type Chances = [f64; HORIZONS];

/// What the tables are made from.
pub(super) struct Basis<'a> {
    /// Ways: a person answered, it ended otherwise.
    pub(super) rings: &'a Rates,
    pub(super) talks: Rates,
    pub(super) wraps: Rates,
    /// Ways: a person, a machine.
    pub(super) verdicts: &'a Rates,
    /// From the dial to ringing, in seconds.
    pub(super) post_dial_s: f64,
    /// What happens more often than was learned, as factors.
    pub(super) answers: f64,
    pub(super) talk_ends: f64,
    pub(super) wrap_ends: f64,
}

/// The tables.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tables {
    /// By steps since it rings: of the lines that a person answers, the share answered by then.
    answered: Vec<f64>,
    /// By steps since it rings: of the other lines, the share that has not ended by then.
    lasting: Vec<f64>,
    /// On the odds of an answer: the drift of the last minute.
    drift: f64,
    talk_rates: Rates,
    wrap_rates: Rates,
    /// By bin of the talk: free by each coarse step.
    talking: Vec<[f64; COARSE_STEPS + 1]>,
    wrapping: Vec<[f64; COARSE_STEPS + 1]>,
    /// By bin of the time since the answer: it will turn out to be a person.
    person: Vec<f64>,
    post_dial_s: f64,
}

impl Tables {
    pub(super) fn new(basis: &Basis<'_>) -> Self {
        let (answered, lasting) = rings(basis.rings);
        let ending =
            |rates: &Rates, factor: f64| rates.iter().map(|r| [r[0] * factor, r[1]]).collect::<Rates>();
        let (talking, wrapping) =
            supply(&ending(&basis.talks, basis.talk_ends), &ending(&basis.wraps, basis.wrap_ends));
        Tables {
            answered,
            lasting,
            drift: basis.answers,
            talk_rates: basis.talks.clone(),
            wrap_rates: basis.wraps.clone(),
            talking,
            wrapping,
            person: persons(basis.verdicts),
            post_dial_s: basis.post_dial_s,
        }
    }

    /// When a line dialed now may be answered, in seconds from now: moments that are equally likely.
    pub(super) fn horizons(&self) -> Chances {
        std::array::from_fn(|h| {
            let share = (h as f64 + 0.5) / HORIZONS as f64;
            let step = self.answered.iter().position(|&by| by >= share).unwrap_or(0);
            self.post_dial_s + step as f64 * STEP_S
        })
    }

    /// The chance that a person answers a line by `by_s` from now. `chance`: that a person answers it at all, as it was
    /// when it was dialed; `rings_in_s`: when it begins to ring, below zero since when it does.
    #[cfg(test)]
    fn answered(&self, chance: f64, rings_in_s: f64, by_s: f64) -> f64 {
        self.pending(chance, rings_in_s).by(by_s)
    }

    /// A line in flight. `chance`: that a person answers it at all, as it was when it was dialed; `rings_in_s`: when it
    /// begins to ring, below zero since when it does.
    pub(super) fn pending(&self, chance: f64, rings_in_s: f64) -> Pending<'_> {
        let chance = chance * self.drift / (1.0 + chance * (self.drift - 1.0).max(0.0));
        self.pending_as_learned(chance, rings_in_s)
    }

    /// The same without the drift.
    pub(super) fn pending_as_learned(&self, chance: f64, rings_in_s: f64) -> Pending<'_> {
        let from_s = (-rings_in_s).max(0.0);
        let before = at(&self.answered, from_s);
        let alive = chance * (1.0 - before) + (1.0 - chance) * at(&self.lasting, from_s);
        let share = if alive < 1e-9 { 0.0 } else { chance / alive };
        Pending { answered: &self.answered, share, before, from_s, rings_in_s }
    }

    /// A line dialed now.
    pub(super) fn pending_new(&self, chance: f64) -> Pending<'_> {
        self.pending(chance, self.post_dial_s)
    }

    /// By time: the chance that a busy agent is free by then, from a phase of this age; always for one who is idle.
    pub(super) fn free(
        &self,
        phase: &AgentPhase,
        now: kraliki_time::Time,
    ) -> Option<&[f64; COARSE_STEPS + 1]> {
        match *phase {
            AgentPhase::Idle => None,
            AgentPhase::Talking { since } => self.talking.get(TALK.bin(now.since(since).as_secs_f64())),
            AgentPhase::WrapUp { since } => self.wrapping.get(WRAP.bin(now.since(since).as_secs_f64())),
        }
    }

    /// The chance that a call answered so long ago, of which nothing is known yet, turns out to be a person.
    pub(super) fn is_person(&self, age_s: f64) -> f64 {
        self.person[VERDICT.bin(age_s)]
    }

    /// Ends of talks to be expected in so short a time.
    pub(super) fn talks_ending(&self, lasting: &[u32], dt_s: f64) -> f64 {
        ends(lasting, &self.talk_rates, dt_s)
    }

    /// Ends of wrap-ups to be expected in so short a time.
    pub(super) fn wraps_ending(&self, lasting: &[u32], dt_s: f64) -> f64 {
        ends(lasting, &self.wrap_rates, dt_s)
    }
}

/// A line that a person may still answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending<'a> {
    answered: &'a [f64],
    /// The chance that a person answers, divided by the chance to have come this far.
    share: f64,
    /// Answered by now, of those that a person answers.
    before: f64,
    from_s: f64,
    rings_in_s: f64,
}

impl Pending<'_> {
    /// The chance that a person answers it by so many seconds from now.
    pub(super) fn by(&self, by_s: f64) -> f64 {
        let to_s = by_s - self.rings_in_s;
        if to_s <= self.from_s {
            return 0.0;
        }
        (self.share * (at(self.answered, to_s) - self.before)).clamp(0.0, 1.0)
    }
}

/// A value of a table of coarse steps at a time.
pub(super) fn by_then(free: &[f64; COARSE_STEPS + 1], seconds: f64) -> f64 {
    at_step(free, seconds / (STEP_S * COARSE as f64))
}

fn at(table: &[f64], seconds: f64) -> f64 {
    at_step(table, seconds / STEP_S)
}

/// Between two steps in proportion; beyond the last one as the last one.
fn at_step(table: &[f64], step: f64) -> f64 {
    let last = table.len() - 1;
    let below = (step as usize).min(last);
    let above = (below + 1).min(last);
    table[below] + (table[above] - table[below]) * (step - below as f64).clamp(0.0, 1.0)
}

fn ends(lasting: &[u32], rates: &Rates, dt_s: f64) -> f64 {
    lasting.iter().zip(rates).map(|(&n, rate)| f64::from(n) * rate[0] * dt_s).sum()
}

/// How lines end once they ring, by steps: of those that a person answers the share answered, of the others the share
/// that still rings.
fn rings(rates: &Rates) -> (Vec<f64>, Vec<f64>) {
    let (answered, alive) = incidence(rates, STEP_S);
    let persons = answered.last().copied().unwrap_or(0.0).max(1e-9);
    let others = (1.0 - persons).max(1e-9);
    let lasting =
        answered.iter().zip(&alive).map(|(a, left)| ((left - (persons - a)) / others).clamp(0.0, 1.0));
    let lasting = lasting.collect();
    (answered.iter().map(|a| (a / persons).min(1.0)).collect(), lasting)
}

/// By bin: the share that ended the first way before it, and the share that has not ended.
fn incidence(rates: &Rates, step_s: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut first, mut alive) = (vec![0.0], vec![1.0]);
    let (mut ended, mut left) = (0.0, 1.0);
    for &[one, two] in rates {
        let all = one + two;
        if all > 0.0 {
            let ending = left * (1.0 - (-all * step_s).exp());
            ended += ending * one / all;
            left -= ending;
        }
        first.push(ended);
        alive.push(left);
    }
    (first, alive)
}

fn persons(rates: &Rates) -> Vec<f64> {
    let (person, alive) = incidence(rates, VERDICT.edge(1));
    let all = person.last().copied().unwrap_or(0.0);
    let share = person
        .iter()
        .zip(&alive)
        .map(|(before, left)| if *left > 1e-9 { (all - before) / left } else { 0.0 });
    share.collect()
}

/// When agents are free, from the age of their talk or wrap-up.
fn supply(talks: &Rates, wraps: &Rates) -> (Vec<[f64; COARSE_STEPS + 1]>, Vec<[f64; COARSE_STEPS + 1]>) {
    const LAST: usize = COARSE * COARSE_STEPS;
    let mut fresh = [0.0; LAST + 1]; // wrap-up over within so many steps of its begin
    survive(WRAP, wraps, 0.0, &mut fresh);
    let middle = |grid: Grid, bin: usize| (grid.edge(bin) + grid.edge(bin + 1)) / 2.0;
    let mut over = [0.0; LAST + 1];
    let wrapping = (0..WRAP.bins())
        .map(|bin| {
            survive(WRAP, wraps, middle(WRAP, bin), &mut over);
            std::array::from_fn(|step| over[step * COARSE])
        })
        .collect();
    let talking = (0..TALK.bins())
        .map(|bin| {
            survive(TALK, talks, middle(TALK, bin), &mut over);
            // A talk that ends in step s leaves the rest for the wrap-up.
            std::array::from_fn(|step| {
                let until = step * COARSE;
                let part =
                    |s: usize| (over[s] - over[s - 1]) * (fresh[until - s] + fresh[until + 1 - s]) / 2.0;
                (1..=until).map(part).sum()
            })
        })
        .collect();
    (talking, wrapping)
}

/// Fills `over[s]`: the chance that something of this age is over within `s` steps.
fn survive(grid: Grid, rates: &Rates, age_s: f64, over: &mut [f64]) {
    let (mut at, mut bin, mut hazard) = (age_s, grid.bin(age_s), 0.0);
    for (s, over) in over.iter_mut().enumerate() {
        *over = 1.0 - f64::exp(-hazard);
        let end = age_s + (s + 1) as f64 * STEP_S;
        loop {
            let edge = if bin + 1 < grid.bins() { grid.edge(bin + 1) } else { f64::INFINITY };
            let to = edge.min(end);
            hazard += rates[bin][0] * (to - at).max(0.0);
            at = to;
            if edge > end {
                break;
            }
            bin += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraliki_time::Time;
    use std::time::Duration;

    fn tables(rings: Rates, talk: f64, wrap: f64) -> Tables {
        Tables::new(&Basis {
            rings: &rings,
            talks: vec![[talk, 0.0]; TALK.bins()],
            wraps: vec![[wrap, 0.0]; WRAP.bins()],
            verdicts: &vec![[1.0, 1.0]; VERDICT.bins()],
            post_dial_s: 2.0,
            answers: 1.0,
            talk_ends: 1.0,
            wrap_ends: 1.0,
        })
    }

    #[test]
    fn rings_split_into_persons_and_others() {
        // Both end at the same constant rate: whoever still rings is as likely a person as at the start.
        let tables = tables(vec![[0.05, 0.05]; 242], 0.01, 0.1);
        for age_s in [0.0, 4.0, 11.3] {
            let chance = tables.answered(0.5, -age_s, 5.0);
            assert!((chance - 0.5 * (1.0 - f64::exp(-0.5))).abs() < 2e-3, "{age_s}: {chance}");
        }
        // A likelier lead is likelier to answer, and one that does not ring yet later.
        assert!(tables.answered(0.8, -4.0, 5.0) > 0.3);
        assert_eq!(tables.answered(0.8, 6.0, 5.0), 0.0);
        assert!((tables.pending_new(0.5).by(7.0) - tables.answered(0.5, 0.0, 5.0)).abs() < 1e-9);
        let horizons = tables.horizons();
        assert!(horizons.is_sorted() && horizons[0] > 2.0, "{horizons:?}");
    }

    #[test]
    fn a_line_that_outlived_the_time_out_is_nobody() {
        let mut rates = vec![[0.02, 0.0]; 242];
        for rate in rates.iter_mut().skip(46) {
            *rate = [0.0, 5.0]; // others ring out at 23 s
        }
        let tables = tables(rates, 0.01, 0.1);
        let fresh = tables.answered(0.3, 0.0, 60.0);
        assert!((fresh - 0.3).abs() < 1e-6, "{fresh}");
        assert!(tables.answered(0.3, -22.0, 60.0) < 0.1, "most persons answered before");
    }

    #[test]
    fn an_agent_far_into_a_short_wrap_up_is_free_soon() {
        let tables = tables(vec![[0.02, 0.05]; 242], 0.01, 0.1);
        let now = Time::from_millis(1_000_000);
        let since = now - Duration::from_secs(5);
        let wrap = tables.free(&AgentPhase::WrapUp { since }, now).unwrap();
        let talk = tables.free(&AgentPhase::Talking { since }, now).unwrap();
        for t in [3.0_f64, 10.0, 25.0] {
            assert!((by_then(wrap, t) - (1.0 - (-0.1 * t).exp())).abs() < 0.01);
            // Two exponential stages one after the other.
            let both = 1.0 - (0.1 * (-0.01 * t).exp() - 0.01 * (-0.1 * t).exp()) / 0.09;
            assert!((by_then(talk, t) - both).abs() < 0.01, "{} {both}", by_then(talk, t));
        }
        assert_eq!(by_then(talk, 1e6), talk[COARSE_STEPS]);
        assert!(tables.free(&AgentPhase::Idle, now).is_none());
    }

    #[test]
    fn who_is_silent_for_long_is_a_machine() {
        let mut verdicts = vec![[0.0, 0.5]; VERDICT.bins()];
        verdicts[0] = [4.0, 0.1];
        let tables = Tables::new(&Basis {
            rings: &vec![[0.1, 0.1]; 242],
            talks: vec![[0.01, 0.0]; TALK.bins()],
            wraps: vec![[0.01, 0.0]; WRAP.bins()],
            verdicts: &verdicts,
            post_dial_s: 0.0,
            answers: 1.0,
            talk_ends: 1.0,
            wrap_ends: 1.0,
        });
        assert!(tables.is_person(0.0) > 0.5);
        assert!(tables.is_person(1.0) < 0.01);
    }
}
