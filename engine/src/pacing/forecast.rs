//! Supply and demand of the next half minute: who will be free, who will answer, and what one more line risks.
#![allow(clippy::indexing_slicing)] // Indices are bins of a `Grid` and the fixed horizons, both clamped where they arise.

use serde::{Deserialize, Serialize};

use super::learned::{Grid, Rates, normal_below, normal_density};

/// Moments at which a line dialed now may be answered, equally likely.
pub(super) const HORIZONS: usize = 8;
/// The step of the forecast, in seconds.
const STEP_S: f64 = 0.5;

/// A probability for each horizon.
pub(super) type Chances = [f64; HORIZONS];

/// What the tables of a forecast are made from.
pub(super) struct Basis<'a> {
    pub(super) lines: (&'a Grid, &'a Rates),
    /// From the dial to ringing, in seconds.
    pub(super) post_dial_s: f64,
    pub(super) talk: (&'a Grid, &'a Rates),
    pub(super) wrap: (&'a Grid, &'a Rates),
    pub(super) grace_s: f64,
}

/// Tables by age: look-ups instead of integrals, so that thousands of lines cost microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Forecast {
    /// By bin of the ring: a person answers by each horizon.
    pub(super) answers: Vec<Chances>,
    /// By steps until it rings: a person answers by each horizon.
    pub(super) answers_later: Vec<Chances>,
    /// The same for a line dialed now.
    pub(super) new_line: Chances,
    /// By bin of the talk: the agent is free by each horizon and the grace after it.
    pub(super) talking: Vec<Chances>,
    /// The same by bin of the wrap-up.
    pub(super) wrapping: Vec<Chances>,
    /// The horizons, in seconds.
    pub(super) at_s: Chances,
}

impl Forecast {
    pub(super) fn new(basis: &Basis<'_>) -> Self {
        let answered = Incidence::of(basis.lines.1);
        let lag = steps(basis.post_dial_s);
        let quantiles = answered.quantiles();
        let ends = quantiles.map(|q| lag + q);
        let answers = (0..basis.lines.0.bins()).map(|b| ends.map(|e| answered.within(b, e))).collect();
        let answers_later =
            (0..=lag).map(|l| ends.map(|e| answered.since_ringing(e.saturating_sub(l)))).collect();
        let at_s = ends.map(|e| e as f64 * STEP_S);
        let (talking, wrapping) = supply(basis, &at_s);
        Forecast {
            answers,
            answers_later,
            new_line: quantiles.map(|q| answered.since_ringing(q)),
            talking,
            wrapping,
            at_s,
        }
    }

    /// A line that will ring in so many seconds.
    pub(super) fn not_yet_ringing(&self, rings_in_s: f64) -> &Chances {
        &self.answers_later[steps(rings_in_s).min(self.answers_later.len() - 1)]
    }
}

fn steps(seconds: f64) -> usize {
    (seconds / STEP_S).round() as usize
}

/// How lines end once they ring, by steps.
struct Incidence {
    /// Share answered by a person before each bin.
    by: Vec<f64>,
    /// Share still ringing at each bin.
    alive: Vec<f64>,
}

impl Incidence {
    /// The table's bins are the forecast's steps.
    fn of(rates: &Rates) -> Self {
        let (mut by, mut alive) = (vec![0.0], vec![1.0]);
        let (mut answered, mut left) = (0.0, 1.0);
        for &[person, other] in rates {
            let all = person + other;
            if all > 0.0 {
                let ended = left * (1.0 - (-all * STEP_S).exp());
                answered += ended * person / all;
                left -= ended;
            }
            by.push(answered);
            alive.push(left);
        }
        Incidence { by, alive }
    }

    fn since_ringing(&self, steps: usize) -> f64 {
        self.by[steps.min(self.by.len() - 1)]
    }

    /// From the middle of a bin, given that it still rings.
    fn within(&self, bin: usize, steps: usize) -> f64 {
        let middle = |v: &[f64], b: usize| {
            let last = v.len() - 1;
            (v[b.min(last)] + v[(b + 1).min(last)]) / 2.0
        };
        let alive = middle(&self.alive, bin);
        if alive < 1e-9 {
            return 0.0;
        }
        ((middle(&self.by, bin + steps) - middle(&self.by, bin)) / alive).clamp(0.0, 1.0)
    }

    fn quantiles(&self) -> [usize; HORIZONS] {
        let all = self.by.last().copied().unwrap_or(0.0);
        std::array::from_fn(|h| {
            let share = (h as f64 + 0.5) / HORIZONS as f64 * all;
            self.by.iter().position(|&x| x >= share).unwrap_or(0)
        })
    }
}

/// When agents are free, from the age of their talk or wrap-up.
fn supply(basis: &Basis<'_>, at_s: &Chances) -> (Vec<Chances>, Vec<Chances>) {
    let until: [usize; HORIZONS] = std::array::from_fn(|h| steps(at_s[h] + basis.grace_s));
    let last = until.iter().copied().max().unwrap_or(0);
    let (wrap_grid, wrap_rates) = basis.wrap;
    let mut fresh = vec![0.0; last + 1]; // wrap-up over within so many steps of its begin
    survive(wrap_grid, wrap_rates, 0.0, &mut fresh);
    let wrapping = (0..wrap_grid.bins())
        .map(|b| {
            let mut over = vec![0.0; last + 1];
            survive(wrap_grid, wrap_rates, (wrap_grid.edge(b) + wrap_grid.edge(b + 1)) / 2.0, &mut over);
            until.map(|u| over[u])
        })
        .collect();
    let (talk_grid, talk_rates) = basis.talk;
    let mut over = vec![0.0; last + 1];
    let talking = (0..talk_grid.bins())
        .map(|b| {
            survive(talk_grid, talk_rates, (talk_grid.edge(b) + talk_grid.edge(b + 1)) / 2.0, &mut over);
            // A talk that ends in step s leaves the rest for the wrap-up.
            until.map(|u| {
                (1..=u)
                    .map(|s| (over[s] - over[s - 1]) * (fresh[u - s] + fresh[(u + 1 - s).min(last)]) / 2.0)
                    .sum()
            })
        })
        .collect();
    (talking, wrapping)
}

/// Fills `over[s]`: the chance that something of this age is over within `s` steps.
fn survive(grid: &Grid, rates: &Rates, age_s: f64, over: &mut [f64]) {
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

/// The chance that more than `agents` are wanted: each busy agent who does not come free takes one, each line that is
/// answered takes one. Both are independent yes-or-no events, so one sum of them says it all.
pub(super) struct Shortfall {
    agents: usize,
    /// Calls that may still be lost before the window is full.
    spare: usize,
    how: How,
}

enum How {
    /// The exact distribution below `agents + spare`; for small floors, where it matters and costs little.
    Exact { below: Vec<Vec<f64>> },
    /// Mean, variance and third moment: the normal distribution corrected for skewness.
    Normal { moments: [[f64; 3]; HORIZONS] },
}

/// Agents times events up to which the exact distribution is worked out (about 20 µs).
const EXACT_WORK: usize = 2500;
/// The chance that may be taken of losing more calls at once than the window has left.
const OVERRUN: f64 = 0.0001;

impl Shortfall {
    /// `events`: each with its chance at each horizon and how many there are of it.
    pub(super) fn new(agents: usize, spare: usize, events: &[(Chances, u32)]) -> Self {
        let count: usize = events.iter().map(|(_, n)| *n as usize).sum();
        let how = if (agents + spare).saturating_mul(count) <= EXACT_WORK {
            let below = (0..HORIZONS).map(|h| {
                let mut pmf = vec![0.0; agents + spare];
                if let Some(none) = pmf.first_mut() {
                    *none = 1.0;
                }
                for (chances, n) in events {
                    for _ in 0..*n {
                        add(&mut pmf, chances[h]);
                    }
                }
                pmf
            });
            How::Exact { below: below.collect() }
        } else {
            let mut moments = [[0.0; 3]; HORIZONS];
            for (chances, n) in events {
                for (m, &p) in moments.iter_mut().zip(chances) {
                    gather(m, p, f64::from(*n));
                }
            }
            How::Normal { moments }
        };
        Shortfall { agents, spare, how }
    }

    /// The most lines that can be added, each with `new` as its chances, while the next one risks at most `limit`; and
    /// what the one after them would risk.
    pub(super) fn room(self, new: &Chances, limit: f64, most: u32) -> (u32, f64) {
        let fits = |[risk, overrun]: [f64; 2]| risk <= limit && overrun <= OVERRUN;
        match self.how {
            How::Exact { mut below } => {
                let mut lines = 0;
                loop {
                    let mut risks = [0.0; 2];
                    for pmf in &below {
                        let (near, far) = pmf.split_at(self.agents);
                        let enough: f64 = near.iter().sum();
                        risks[0] += (1.0 - enough) / HORIZONS as f64;
                        risks[1] += (1.0 - enough - far.iter().sum::<f64>()) / HORIZONS as f64;
                    }
                    if !fits(risks) || lines >= most {
                        return (lines, risks[0].max(0.0));
                    }
                    for (pmf, &p) in below.iter_mut().zip(new) {
                        add(pmf, p);
                    }
                    lines += 1;
                }
            }
            How::Normal { moments } => {
                let risks = |lines: u32| {
                    let mut risks = [0.0; 2];
                    for (m, &p) in moments.iter().zip(new) {
                        let mut m = *m;
                        gather(&mut m, p, f64::from(lines));
                        risks[0] += at_least(self.agents as f64, m) / HORIZONS as f64;
                        risks[1] += at_least((self.agents + self.spare) as f64, m) / HORIZONS as f64;
                    }
                    risks
                };
                // So many lines are in if the risk was low enough before the last of them.
                let (mut inside, mut outside) = (0, most.saturating_add(1));
                while outside - inside > 1 {
                    let middle = inside + (outside - inside) / 2;
                    if fits(risks(middle - 1)) { inside = middle } else { outside = middle }
                }
                (inside, risks(inside)[0])
            }
        }
    }
}

fn add(pmf: &mut [f64], p: f64) {
    let mut carried = 0.0;
    for x in pmf {
        let here = *x;
        *x = here * (1.0 - p) + carried;
        carried = here * p;
    }
}

fn gather(moments: &mut [f64; 3], p: f64, n: f64) {
    let variance = p * (1.0 - p);
    moments[0] += n * p;
    moments[1] += n * variance;
    moments[2] += n * variance * (1.0 - 2.0 * p);
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

    fn exact(agents: usize, events: &[(Chances, u32)], new: &Chances, limit: f64) -> u32 {
        Shortfall::new(agents, 0, events).room(new, limit, 1000).0
    }

    #[test]
    fn both_ways_of_counting_agree() {
        let events = [([0.1; HORIZONS], 45), ([0.93; HORIZONS], 40), ([0.05; HORIZONS], 60)];
        let new = [0.15; HORIZONS];
        let mut moments = [[0.0; 3]; HORIZONS];
        for (chances, n) in &events {
            for (m, &p) in moments.iter_mut().zip(chances) {
                gather(m, p, f64::from(*n));
            }
        }
        let pmf = {
            let mut pmf = vec![0.0; 52];
            pmf[0] = 1.0;
            for (chances, n) in &events {
                for _ in 0..*n {
                    add(&mut pmf, chances[0]);
                }
            }
            pmf
        };
        let exactly = 1.0 - pmf.iter().sum::<f64>();
        assert!((at_least(52.0, moments[0]) - exactly).abs() < 0.002, "{exactly}");
        let by_moments =
            Shortfall { agents: 52, spare: 0, how: How::Normal { moments } }.room(&new, 0.05, 1000).0;
        let mut below = vec![pmf; HORIZONS];
        let by_pmf =
            Shortfall { agents: 52, spare: 0, how: How::Exact { below: std::mem::take(&mut below) } }
                .room(&new, 0.05, 1000)
                .0;
        assert!(by_moments.abs_diff(by_pmf) <= 1, "{by_moments} {by_pmf}");
    }

    #[test]
    fn an_idle_agent_is_worth_at_least_one_line() {
        assert_eq!(exact(2, &[([1.0; HORIZONS], 1)], &[1.0; HORIZONS], 0.0), 1);
        assert_eq!(exact(0, &[], &[0.2; HORIZONS], 0.5), 0);
        assert!(Shortfall::new(2, 3, &[]).room(&[0.1; HORIZONS], 0.03, 1000).0 > 2);
        assert_eq!(exact(2, &[], &[0.1; HORIZONS], 0.03), 2, "nothing may be lost");
    }

    #[test]
    fn incidence_is_a_distribution() {
        let rates: Rates = (0..50).map(|_| [0.05, 0.05]).collect();
        let ring = Incidence::of(&rates);
        assert!((ring.since_ringing(50) - 0.5 * (1.0 - f64::exp(-2.5))).abs() < 1e-9);
        assert!((ring.within(0, 10) - ring.within(20, 10)).abs() < 1e-3, "no memory at constant rates");
    }

    #[test]
    fn an_agent_far_into_a_short_wrap_up_is_free_soon() {
        let lines = (Grid::even(0.5, 50), (0..50).map(|_| [0.02, 0.05]).collect::<Rates>());
        let talk = (Grid::growing(1.0, 1.25, 40), vec![[0.01, 0.0]; 40]);
        let wrap = (Grid::growing(1.0, 1.25, 40), vec![[0.1, 0.0]; 40]);
        let forecast = Forecast::new(&Basis {
            lines: (&lines.0, &lines.1),
            post_dial_s: 2.0,
            talk: (&talk.0, &talk.1),
            wrap: (&wrap.0, &wrap.1),
            grace_s: 2.0,
        });
        let h = HORIZONS - 1;
        let within = forecast.at_s[h] + 2.0;
        assert!((forecast.wrapping[5][h] - (1.0 - (-0.1 * within).exp())).abs() < 0.01);
        // Two exponential stages one after the other.
        let both = 1.0 - (0.1 * (-0.01 * within).exp() - 0.01 * (-0.1 * within).exp()) / 0.09;
        assert!((forecast.talking[10][h] - both).abs() < 0.01, "{} {both}", forecast.talking[10][h]);
        assert!(forecast.talking[10][0] < forecast.talking[10][h]);
    }
}
