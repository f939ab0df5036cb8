//! The state machine: a cache, and resolutions under way.

use std::collections::BTreeMap;

use kraliki_time::Time;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::cache::{Cache, Known};
use super::plan::Walk;
use super::{Answer, Candidate, Question, ResolveConfig, ResolveError, Target};
use crate::limits;

/// Resolves targets, with what DNS said before.
#[derive(Debug)]
pub struct Resolver {
    config: ResolveConfig,
    cache: Cache,
    rng: ChaCha8Rng,
}

/// One target on its way.
#[derive(Debug)]
pub struct Resolution {
    target: Target,
    /// The same chance at every step, so that the order does not change under way.
    seed: u64,
    /// Answers that were given to this resolution. They count even when they expire meanwhile.
    answers: BTreeMap<Question, Known>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask these, at once if you can. All that were asked have to be answered.
    Ask(Vec<Question>),
    /// Done: the places to try, in order; never empty.
    Done(Result<Vec<Candidate>, ResolveError>),
}

impl Resolver {
    /// A resolver with its own chance from `seed`.
    pub fn new(config: ResolveConfig, seed: u64) -> Resolver {
        Resolver { config, cache: Cache::default(), rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Begins with a target: [`Resolver::poll`] says what is needed.
    pub fn start(&mut self, target: Target) -> Resolution {
        Resolution { target, seed: self.rng.next_u64(), answers: BTreeMap::new() }
    }

    /// The next step.
    pub fn poll(&self, now: Time, resolution: &Resolution) -> Step {
        let known = |question: &Question| {
            resolution.answers.get(question).or_else(|| self.cache.get(now, question)).cloned()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(resolution.seed);
        // The bound is far below 2^32, so that the remainder favours nobody noticeably.
        let mut below = |bound: u32| (rng.next_u64() % u64::from(bound.max(1))) as u32;
        let (missing, result) = Walk::new(&self.config, &known, &mut below).run(&resolution.target);
        if missing.is_empty() {
            return Step::Done(result);
        }
        if resolution.answers.len() + missing.len() > limits::DNS_QUESTIONS {
            // What was found so far will do.
            let host = resolution.target.host.clone();
            return Step::Done(result.map_err(|_| ResolveError::Endless { host }));
        }
        Step::Ask(missing)
    }

    /// Takes the answer to a question of [`Step::Ask`].
    pub fn handle_answer(
        &mut self,
        now: Time,
        resolution: &mut Resolution,
        question: Question,
        answer: Answer,
    ) {
        let known = self.cache.put(now, &question, answer);
        resolution.answers.insert(question, known);
    }

    /// Answers that are kept.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}
