//! Invariants, checked from outside: what goes into an engine and what comes out of it, and nothing else. Every
//! simulated run must satisfy them, whatever its scenario. One file each, so that a new run is judged by all of them.

mod agents;
mod attempts;
mod bounds;
mod breaker;
mod commit;
mod cut;
mod dispositions;
mod ends;
mod forbidden;
mod hours;
mod ledger;
mod money;
mod outcomes;
mod prefixes;
mod recordings;
mod redial;
mod replies;
mod store;
mod supply;
#[cfg(test)]
mod testing;
mod tokens;
mod tries;
mod trunks;

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;

use crate::{AttemptId, Command, Gauges, Input, Outcome, Output, Reply, Snapshot, Trunk};

/// What is kept of violations; the first ones tell.
const KEPT: usize = 50;

/// One invariant. Each has its own memory of what it saw; none looks into the engine.
trait Check {
    /// Something goes into the engine.
    fn input(&mut self, _now: Time, _input: &Input, _found: &mut Found) {}
    /// Something comes out of it.
    fn output(&mut self, _now: Time, _output: &Output, _found: &mut Found) {}
    /// The engine's numbers, now and then.
    fn gauges(&mut self, _now: Time, _gauges: &Gauges, _found: &mut Found) {}
    /// The wall clock of the world, where it is not what the engine was told last.
    fn clock(&mut self, _now: Time, _unix_ms: i64) {}
    /// The engine died and another one starts from these books.
    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {}
    /// The run is over.
    fn finish(&mut self, _now: Time, _end: &End<'_>, _found: &mut Found) {}
}

/// Trunks that are added or changed by command: they hold from the reply on.
#[derive(Debug, Default)]
struct TrunkChanges(BTreeMap<u64, Trunk>);

impl TrunkChanges {
    fn input(&mut self, input: &Input) {
        if let Input::Command { reply, command: Command::PutTrunk { trunk, .. } } = input {
            self.0.insert(*reply, (**trunk).clone());
        }
    }

    /// The trunk that holds from this output on.
    fn output(&mut self, output: &Output) -> Option<Trunk> {
        let Output::Reply { reply, result } = output else { return None };
        let trunk = self.0.remove(reply)?;
        match result {
            Ok(Reply::Trunk(id)) => Some(Trunk { id: *id, ..trunk }),
            _ => None,
        }
    }
}

/// Violations, in words.
#[derive(Debug, Default)]
struct Found(Vec<String>);

impl Found {
    fn add(&mut self, now: Time, what: String) {
        if self.0.len() < KEPT {
            self.0.push(format!("{:.3} s: {what}", now.as_secs_f64()));
        }
    }
}

/// What is on disk, as far as it is promised.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Every attempt.
    pub attempts: BTreeMap<AttemptId, Entry>,
    /// Every disposition that was given, with its attempt.
    pub dispositions: BTreeSet<(AttemptId, String)>,
}

/// An attempt on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Whether it was answered.
    pub answered: bool,
    /// Whether an agent had it.
    pub connected: bool,
    /// Whether the agent came later than the grace.
    pub late: bool,
}

/// How things stand when a run is over.
#[derive(Debug)]
pub struct End<'a> {
    /// What people see.
    pub snapshot: &'a Snapshot,
    /// The numbers.
    pub gauges: &'a Gauges,
    /// The disk, where there is one.
    pub books: Option<&'a Books>,
    /// Whether the engine was drained, so that nothing may be left.
    pub drained: bool,
}

/// Watches one engine, or one after another. Give it each input before and each output after the engine, then ask for
/// violations.
pub struct Checker {
    checks: Vec<Box<dyn Check>>,
    found: Found,
    outcomes: outcomes::Tally,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").field("found", &self.found).finish_non_exhaustive()
    }
}

impl Default for Checker {
    fn default() -> Self {
        Checker::new()
    }
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Checker {
            checks: vec![
                Box::new(agents::OneCall::default()),
                Box::new(attempts::Attempts::default()),
                Box::new(bounds::Bounds::default()),
                Box::new(breaker::Resting::default()),
                Box::new(commit::Commit::default()),
                Box::new(cut::Cut::default()),
                Box::new(dispositions::Dispositions::default()),
                Box::new(ends::Ends::default()),
                Box::new(forbidden::Forbidden::default()),
                Box::new(hours::Hours::default()),
                Box::new(ledger::Ledger::default()),
                Box::new(outcomes::Once::default()),
                Box::new(prefixes::Prefixes::default()),
                Box::new(recordings::Recordings::default()),
                Box::new(redial::Redial::default()),
                Box::new(replies::Replies::default()),
                Box::new(store::Store::default()),
                Box::new(supply::Supply::default()),
                Box::new(tries::Tries::default()),
                Box::new(trunks::Trunks::default()),
            ],
            found: Found::default(),
            outcomes: outcomes::Tally::default(),
        }
    }

    /// What was violated so far, the first ones in words.
    pub fn violations(&self) -> &[String] {
        &self.found.0
    }

    /// Something goes into the engine.
    pub fn input(&mut self, now: Time, input: &Input) {
        for check in &mut self.checks {
            check.input(now, input, &mut self.found);
        }
    }

    /// Something comes out of the engine.
    pub fn output(&mut self, now: Time, output: &Output) {
        self.outcomes.output(output);
        for check in &mut self.checks {
            check.output(now, output, &mut self.found);
        }
    }

    /// The engine's numbers, to be held against its limits.
    pub fn gauges(&mut self, now: Time, gauges: &Gauges) {
        for check in &mut self.checks {
            check.gauges(now, gauges, &mut self.found);
        }
    }

    /// What the wall clock of the world reads from now on; the engine may not know yet.
    pub fn clock(&mut self, now: Time, unix_ms: i64) {
        for check in &mut self.checks {
            check.clock(now, unix_ms);
        }
    }

    /// The engine is gone with all that it had in memory; the next one gets what the books say.
    pub fn restarted(&mut self, now: Time, books: &Books) {
        self.outcomes.restarted(books);
        for check in &mut self.checks {
            check.restarted(now, books, &mut self.found);
        }
    }

    /// Something that the world itself found wrong.
    pub fn wrong(&mut self, now: Time, what: String) {
        self.found.add(now, what);
    }

    /// The run is over: what must have come to its end has, and the books agree.
    pub fn finish(&mut self, now: Time, end: &End<'_>) {
        for check in &mut self.checks {
            check.finish(now, end, &mut self.found);
        }
    }

    /// Attempts by outcome, as written.
    pub fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        self.outcomes.counts()
    }
}
