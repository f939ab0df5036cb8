//! How long things last, measured while they happen.
//!
//! A [`Lifetimes`] is a hazard table: for each age, how often a thing of that age ends, and in which of two ways.
//! Things that still last count too (they have survived so far), so a long call is not forgotten because it has not
//! ended. Old samples fade.
#![allow(clippy::indexing_slicing)] // Bins come from `Grid::bin`, which clamps them to the table's length.

use serde::{Deserialize, Serialize};

/// Ages cut into bins: of one width, or growing by a ratio.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Grid {
    first_s: f64,
    ratio: f64,
    bins: usize,
}

impl Grid {
    /// Bins of one width.
    pub(super) const fn even(width_s: f64, bins: usize) -> Self {
        Grid { first_s: width_s, ratio: 1.0, bins }
    }

    /// Bins that grow: a call of ten minutes need not be known to the second.
    pub(super) const fn growing(first_s: f64, ratio: f64, bins: usize) -> Self {
        Grid { first_s, ratio, bins }
    }

    pub(super) const fn bins(&self) -> usize {
        self.bins
    }

    /// The bin of an age; the last one holds all that is older.
    pub(super) fn bin(&self, age_s: f64) -> usize {
        let bin = if self.ratio == 1.0 {
            age_s / self.first_s
        } else if age_s < self.first_s {
            0.0
        } else {
            1.0 + (age_s / self.first_s).ln() / self.ratio.ln()
        };
        // `as` saturates: a negative age is bin 0.
        (bin as usize).min(self.bins - 1)
    }

    /// Where a bin begins, in seconds.
    pub(super) fn edge(&self, bin: usize) -> f64 {
        if self.ratio == 1.0 {
            self.first_s * bin as f64
        } else if bin == 0 {
            0.0
        } else {
            self.first_s * self.ratio.powi(bin as i32 - 1)
        }
    }
}

/// How often things end at each age, per second, in either of two ways.
pub(super) type Rates = Vec<[f64; 2]>;

/// A hazard table with a memory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lifetimes {
    pub(super) grid: Grid,
    /// Ends by bin and way, in units of `weight`.
    ends: Vec<[f64; 2]>,
    /// What one new sample weighs; it grows, which is the same as letting the old ones fade.
    weight: f64,
    /// Samples after which an old one weighs 1/e.
    memory: f64,
    /// Ends since start: all, and those of the first way.
    samples: u64,
    seen: u32,
}

impl Lifetimes {
    /// A table that starts from a guess: `ends[bin][way]` in samples.
    pub(super) fn new(grid: Grid, memory: f64, prior: impl Fn(f64, f64) -> [f64; 2]) -> Self {
        let ends = (0..grid.bins).map(|b| prior(grid.edge(b), grid.edge(b + 1))).collect();
        Lifetimes { grid, ends, weight: 1.0, memory, samples: 0, seen: 0 }
    }

    /// Something ended at this age. `haste` above 1 lets the past fade faster.
    pub(super) fn ended(&mut self, age_s: f64, way: usize, haste: f64) {
        self.weight *= 1.0 + haste / self.memory;
        self.samples += 1;
        self.seen = self.seen.saturating_add(u32::from(way == 0));
        let bin = self.grid.bin(age_s);
        self.ends[bin][way] += self.weight;
        if self.weight > 1e9 {
            for bin in &mut self.ends {
                bin[0] /= self.weight;
                bin[1] /= self.weight;
            }
            self.weight = 1.0;
        }
    }

    /// Whether the floor has taught more than the guess: before that there is nothing that could drift.
    pub(super) fn knows(&self) -> bool {
        self.seen >= 100
    }

    /// One standard deviation of what it says of the first way, as a share: what caution adds.
    pub(super) fn doubt(&self) -> f64 {
        1.0 / (f64::from(self.seen) + 4.0).sqrt()
    }

    /// How many samples it has seen.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// The rates, counting those that still last (`lasting[bin]`).
    pub(super) fn rates(&self, lasting: &[u32]) -> Rates {
        let mut rates = vec![[0.0; 2]; self.grid.bins];
        let mut older = 0.0; // samples that outlived the bin
        for b in (0..self.grid.bins).rev() {
            let [one, two] = self.ends[b].map(|ends| ends / self.weight);
            let (ended, lasting) = (one + two, f64::from(lasting[b]));
            // What still lasts was there for half of the bin.
            let share = ended / (older + ended + lasting / 2.0).max(1e-9);
            if share > 0.0 {
                // The rate that ends this share within the bin; a time-out ends nearly all.
                let rate = -(-share.min(0.9999)).ln_1p() / (self.grid.edge(b + 1) - self.grid.edge(b));
                rates[b] = [rate * one / ended, rate * two / ended];
            }
            older += ended + lasting;
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_their_edges() {
        for grid in [Grid::even(0.5, 100), Grid::growing(1.0, 1.25, 40)] {
            for b in 0..grid.bins() {
                let middle = (grid.edge(b) + grid.edge(b + 1)) / 2.0;
                assert_eq!(grid.bin(middle), b);
            }
            assert_eq!(grid.bin(-1.0), 0);
            assert_eq!(grid.bin(1e9), grid.bins() - 1);
        }
    }

    #[test]
    fn rates_count_what_still_lasts() {
        let mut calls = Lifetimes::new(Grid::even(1.0, 10), 1e6, |_, _| [0.0; 2]);
        for _ in 0..50 {
            calls.ended(2.5, 0, 1.0);
        }
        let mut lasting = vec![0; 10];
        let alone = calls.rates(&lasting)[2][0];
        lasting[8] = 150;
        let beside_long_ones = calls.rates(&lasting)[2][0];
        assert!(alone > 9.0, "a time-out ends all: {alone}");
        assert!((beside_long_ones - (200.0f64 / 150.0).ln()).abs() < 0.01, "{beside_long_ones}");
    }
}
