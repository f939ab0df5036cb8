//! How much risk may be taken: the ledger's long run, and the last half hour.

use std::collections::VecDeque;
use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::Observation;

/// The share of the cap that the long run aims at.
const AIM: f64 = 0.95;
/// Abandoned calls kept in hand, so that the next one does not break the cap: decides the first hours, until
/// (1 - AIM) of the cap has earned as many.
const RESERVE: f64 = 2.0;
/// Calls of difference that change the accepted risk by a factor of e. Smaller: nervous; larger: slow to settle.
const SCALE: f64 = 12.0;
/// The same while the ledger is short, where it matters.
const SHORT_SCALE: f64 = 4.0;
/// The window that bounds bursts, and its parts.
const WINDOW: Duration = Duration::from_secs(1800);
const PART: Duration = Duration::from_secs(60);
/// Abandoned calls that a window may hold whatever its answers; and else, times the cap.
const WINDOW_CALLS: f64 = 3.0;
const WINDOW_CAPS: f64 = 3.0;

/// Turns what was abandoned into the risk that one more line may carry.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// Calls that may still be abandoned, since start: what corrects the forecast's own errors.
    balance: f64,
    /// Answered and abandoned in each minute of the window, newest last.
    parts: VecDeque<(Time, f64, f64)>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Budget { balance: 0.0, parts: VecDeque::new() }
    }

    /// Counts people who were given an agent, or were not.
    pub(crate) fn observe(&mut self, now: Time, seen: &Observation, cap: f64) {
        let abandoned = match seen {
            Observation::Abandoned => true,
            Observation::Served { .. } => false,
            _ => return,
        };
        let lost = f64::from(u8::from(abandoned));
        self.balance = (self.balance + AIM * cap - lost).clamp(-3.0 * SCALE, 1.5 * SCALE);
        match self.parts.back_mut() {
            Some((since, all, abandoned)) if now.since(*since) < PART => {
                *all += 1.0;
                *abandoned += lost;
            }
            _ => self.parts.push_back((now, 1.0, lost)),
        }
    }

    /// What may be risked now.
    pub(crate) fn allowance(&mut self, now: Time, cap: f64, answered: u64, abandoned: u64) -> Allowance {
        let (answered, abandoned) = (answered as f64, abandoned as f64);
        let in_hand = (AIM * cap * answered).min(cap * answered - RESERVE) - abandoned;
        let risk = cap * (self.balance / SCALE + (in_hand / SHORT_SCALE).clamp(-4.0, 0.0)).exp();
        let (most, lost) = self.window(now, cap);
        // Held back from half of the window's calls on, and more than in proportion: losses come in company.
        let held_back = ((most - lost) / (most / 2.0)).clamp(0.0, 1.0).powi(2);
        // `as` saturates: a window that is over its limit has nothing to spare.
        Allowance { risk: (risk * held_back).min(0.5), spare: (most - lost) as usize }
    }

    /// The most calls that the last half hour may lose, and those it lost. A loss stays in the window while answers come
    /// and go, so what it may hold is counted from the answers of a bad half hour: a standard deviation below.
    fn window(&mut self, now: Time, cap: f64) -> (f64, f64) {
        while self.parts.front().is_some_and(|(since, ..)| now.since(*since) > WINDOW + PART) {
            self.parts.pop_front();
        }
        let (all, lost) = self.parts.iter().fold((0.0, 0.0), |(a, l), (_, all, lost)| (a + all, l + lost));
        let least = all - all.sqrt();
        ((WINDOW_CAPS * cap * least).max(WINDOW_CALLS).floor(), lost)
    }
}

/// What may be risked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// The chance that the next line loses its call; 0: only what is certain.
    pub(crate) risk: f64,
    /// Calls that may be lost before the half hour's limit is reached.
    pub(crate) spare: usize,
}
