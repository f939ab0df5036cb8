//! The chance that more agents are wanted than there are. Each busy agent who does not come free takes one, each line
//! that is answered takes one: independent yes-or-no events, so one sum of them says it all.
#![allow(clippy::indexing_slicing)] // Indices are horizons, and places of vectors made here.

use super::forecast::{Chances, HORIZONS};
use super::normal::{normal_below, normal_density};

/// Agents times events up to which the exact distribution is worked out (about 20 µs).
const EXACT_WORK: usize = 2500;

/// Everything that may take an agent, at each horizon.
#[derive(Clone, Debug, Default)]
pub(super) struct Shortfall {
    /// How many may be taken before somebody is lost.
    agents: usize,
    /// Kept while they are few, for the exact distribution.
    events: Vec<Chances>,
    count: usize,
    /// Of the sum, at each horizon: mean, variance, third central moment.
    moments: [[f64; 3]; HORIZONS],
}

/// How many lines fit, and at what risk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    /// Lines that fit.
    pub(super) lines: u32,
    /// What the lines that are there risk before any is added: the chance that one more person finds nobody.
    pub(super) before: f64,
    /// What the line after those that fit would risk.
    pub(super) next: f64,
}

/// What may be risked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The chance that the person of one more line finds nobody.
    pub(super) risk: f64,
    /// Calls that may be lost at once, and the chance that it may be more.
    pub(super) spare: usize,
    pub(super) overrun: f64,
}

impl Shortfall {
    /// So many agents are there, busy or not.
    pub(super) fn new(agents: usize) -> Self {
        Shortfall { agents, ..Shortfall::default() }
    }

    /// Something that takes an agent with these chances.
    pub(super) fn add(&mut self, chances: Chances) {
        self.count += 1;
        if self.agents * self.count <= EXACT_WORK {
            self.events.push(chances);
        }
        for (moments, p) in self.moments.iter_mut().zip(chances) {
            gather(moments, p);
        }
    }

    /// What everything that was added takes on average, at each horizon.
    pub(super) fn mean(&self) -> Chances {
        self.moments.map(|[mean, ..]| mean)
    }

    /// How many of the lines `new`, in their order, can be added while the next one stays within the limit.
    pub(super) fn room(&self, new: impl Iterator<Item = Chances>, limit: &Limit, most: u32) -> Room {
        if (self.agents + limit.spare) * self.count <= EXACT_WORK {
            fit(Exact::of(self, limit.spare), new, limit, most)
        } else {
            let (agents, spare) = (self.agents as f64, limit.spare as f64);
            fit(Normal { agents, spare, moments: self.moments }, new, limit, most)
        }
    }
}

/// A sum to which lines are added.
trait Sum {
    /// The chance that one more person finds nobody, and the highest one at any horizon that more than the spare are lost.
    fn risks(&self) -> [f64; 2];
    fn add(&mut self, line: &Chances);
}

fn fit(mut sum: impl Sum, new: impl Iterator<Item = Chances>, limit: &Limit, most: u32) -> Room {
    let mut risks = sum.risks();
    let before = risks[0];
    let mut lines = 0;
    for line in new.take(most as usize) {
        if risks[0] > limit.risk || risks[1] > limit.overrun {
            break;
        }
        sum.add(&line);
        lines += 1;
        risks = sum.risks();
    }
    Room { lines, before, next: risks[0] }
}

/// At each horizon the distribution of the sum, as far as `agents + spare`.
struct Exact {
    agents: usize,
    below: [Vec<f64>; HORIZONS],
}

impl Exact {
    fn of(shortfall: &Shortfall, spare: usize) -> Exact {
        let below = std::array::from_fn(|h| {
            let mut sum = vec![0.0; shortfall.agents + spare];
            if let Some(none) = sum.first_mut() {
                *none = 1.0;
            }
            for chances in &shortfall.events {
                shift(&mut sum, chances[h]);
            }
            sum
        });
        Exact { agents: shortfall.agents, below }
    }
}

impl Sum for Exact {
    fn risks(&self) -> [f64; 2] {
        let mut risks = [0.0; 2];
        for sum in &self.below {
            let (near, far) = sum.split_at(self.agents);
            let enough: f64 = near.iter().sum();
            risks[0] += (1.0 - enough).max(0.0) / HORIZONS as f64;
            risks[1] = risks[1].max(1.0 - enough - far.iter().sum::<f64>());
        }
        risks
    }

    fn add(&mut self, line: &Chances) {
        for (sum, &p) in self.below.iter_mut().zip(line) {
            shift(sum, p);
        }
    }
}

/// The same by moments: the normal distribution corrected for skewness.
struct Normal {
    agents: f64,
    spare: f64,
    moments: [[f64; 3]; HORIZONS],
}

impl Sum for Normal {
    fn risks(&self) -> [f64; 2] {
        let mut risks = [0.0; 2];
        for moments in &self.moments {
            risks[0] += at_least(self.agents, *moments) / HORIZONS as f64;
            risks[1] = risks[1].max(at_least(self.agents + self.spare, *moments));
        }
        risks
    }

    fn add(&mut self, line: &Chances) {
        for (moments, &p) in self.moments.iter_mut().zip(line) {
            gather(moments, p);
        }
    }
}

fn shift(sum: &mut [f64], p: f64) {
    let mut carried = 0.0;
    for x in sum {
        let here = *x;
        *x = here * (1.0 - p) + carried;
        carried = here * p;
    }
}

fn gather(moments: &mut [f64; 3], p: f64) {
    let variance = p * (1.0 - p);
    moments[0] += p;
    moments[1] += variance;
    moments[2] += variance * (1.0 - 2.0 * p);
}

/// The chance of `least` or more (refined normal approximation of a Poisson-binomial sum).
fn at_least(least: f64, [mean, variance, third]: [f64; 3]) -> f64 {
    if variance < 1e-9 {
        return if mean > least - 0.5 { 1.0 } else { 0.0 };
    }
    let sd = variance.sqrt();
    let x = (least - 0.5 - mean) / sd;
    let skew = third / (variance * sd);
    (1.0 - normal_below(x) - skew * (1.0 - x * x) * normal_density(x) / 6.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Limit = Limit { risk: 0.05, spare: 0, overrun: 1.0 };

    fn sum(agents: usize, events: &[(f64, usize)]) -> Shortfall {
        let mut sum = Shortfall::new(agents);
        for (p, n) in events {
            for _ in 0..*n {
                sum.add([*p; HORIZONS]);
            }
        }
        sum
    }

    #[test]
    fn both_ways_of_counting_agree() {
        let sum = sum(52, &[(0.1, 45), (0.93, 40), (0.05, 60)]);
        let mut all = sum.clone();
        all.events = std::iter::empty()
            .chain(std::iter::repeat_n([0.1; HORIZONS], 45))
            .chain(std::iter::repeat_n([0.93; HORIZONS], 40))
            .chain(std::iter::repeat_n([0.05; HORIZONS], 60))
            .collect();
        let exact = fit(Exact::of(&all, 0), std::iter::repeat([0.15; HORIZONS]), &CALM, 1000);
        let normal = Normal { agents: 52.0, spare: 0.0, moments: sum.moments };
        let normal = fit(normal, std::iter::repeat([0.15; HORIZONS]), &CALM, 1000);
        assert!((exact.before - normal.before).abs() < 0.002, "{exact:?} {normal:?}");
        assert!(exact.lines.abs_diff(normal.lines) <= 1 && exact.lines > 5, "{exact:?} {normal:?}");
    }

    #[test]
    fn an_idle_agent_is_worth_at_least_one_line() {
        let lines = |sum: &Shortfall, p: f64, limit: &Limit| {
            sum.room(std::iter::repeat([p; HORIZONS]), limit, 1000).lines
        };
        let nothing = Limit { risk: 0.0, spare: 0, overrun: 0.0 };
        assert_eq!(lines(&sum(2, &[(1.0, 1)]), 1.0, &nothing), 1);
        assert_eq!(lines(&sum(0, &[]), 0.2, &CALM), 0);
        assert_eq!(lines(&sum(2, &[]), 0.1, &Limit { overrun: 0.0, ..CALM }), 2, "nothing may be lost");
        assert!(lines(&sum(2, &[]), 0.1, &CALM) > 2);
        assert_eq!(sum(2, &[]).room(std::iter::repeat([0.0; HORIZONS]), &CALM, 7).lines, 7);
    }

    #[test]
    fn likelier_lines_fill_the_room_sooner() {
        let sum = sum(5, &[(0.9, 3)]);
        let lines = |p: f64| sum.room(std::iter::repeat([p; HORIZONS]), &CALM, 1000).lines;
        assert!(lines(0.6) < lines(0.2) && lines(0.2) < lines(0.05));
    }
}
