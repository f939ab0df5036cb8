//! Runs an engine from a journal and compares what comes out with what came out then.

use std::collections::BTreeMap;
use std::io::Read;

use kraliki_time::Time;

use super::record::{Began, JournalError, Reader, Record, Start};
use super::{Sums, short};
use crate::{Engine, Input, Outcome, Output};

/// What the replay of a segment found.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// What it began with.
    pub start: Start,
    /// The time of its last record.
    pub last: Time,
    /// Its records, the start included.
    pub records: u64,
    /// Calls of the engine.
    pub calls: u64,
    /// Outputs of the engine, its time-outs included.
    pub outputs: u64,
    /// Checks that held.
    pub checks: u64,
    /// Outputs after the last check: each was compared by 32 bits of its digest but those of the last call.
    pub unchecked: u64,
    /// Attempts that ended in it, by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Whether it ends inside a record.
    pub truncated: bool,
}

/// A call of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// The number of its record; the start is 1.
    pub record: u64,
    /// When it was made.
    pub at: Time,
}

/// Where a replay went another way.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The call whose outputs differ.
    pub place: Place,
    /// What went in; none for a time-out.
    pub input: Option<Input>,
}

/// Why a replay did not get to the end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal cannot be read further.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state that a segment begins with is not one of this program.
    #[error("segment {segment} begins with a state that this program does not read; {program} wrote it")]
    State {
        /// The number of the segment.
        segment: u64,
        /// The program that wrote it.
        program: String,
    },
    /// A segment begins with another state than the one before ended with.
    #[error("segment {0} does not begin with the state that the replay of the segment before ended with")]
    NotContinued(u64),
    /// Outputs differ.
    #[error("{0}")]
    Difference(Box<Difference>),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Difference { place: Place { segment, record, at }, input } = self;
        let at = at.as_secs_f64();
        write!(f, "the outputs of record {record} of segment {segment} (at {at:.6} s) differ; it is ")?;
        match input {
            Some(input) => write!(f, "{input:?}"),
            None => f.write_str("a time-out"),
        }
    }
}

/// Replays segments, in order.
#[derive(Default)]
pub struct Replay {
    engine: Engine,
    sums: Sums,
    /// The call that was made last, and what went in.
    call: Option<(Place, Option<Input>)>,
    /// The number of the segment that was replayed last, and whether its end is missing.
    done: Option<(u64, bool)>,
}

impl Replay {
    /// Replays one segment; `see` gets each output, with the call that it came from.
    pub fn segment(
        &mut self,
        from: impl Read,
        mut see: impl FnMut(Place, &Output),
    ) -> Result<Segment, ReplayError> {
        let (mut reader, start, state) = Reader::new(from)?;
        self.begin(&start, &state)?;
        let before = self.engine.counters().outcomes.clone();
        let mut found = Segment {
            last: start.at,
            records: 1,
            calls: 0,
            outputs: 0,
            checks: 0,
            unchecked: 0,
            outcomes: BTreeMap::new(),
            truncated: false,
            start,
        };
        loop {
            let record = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(JournalError::Truncated) => {
                    found.truncated = true;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            found.records = reader.number();
            self.step(record, &mut found, &mut see)?;
        }
        found.unchecked = self.sums.outputs;
        for (outcome, count) in &self.engine.counters().outcomes {
            let count = count.saturating_sub(before.get(outcome).copied().unwrap_or(0));
            if count > 0 {
                found.outcomes.insert(*outcome, count);
            }
        }
        self.done = Some((found.start.number, found.truncated));
        Ok(found)
    }

    fn begin(&mut self, start: &Start, state: &[u8]) -> Result<(), ReplayError> {
        if let Some((done, truncated)) = self.done.take()
            && done + 1 == start.number
            && start.began == Began::Continued
            && (truncated || self.engine.checkpoint() != state)
        {
            return Err(ReplayError::NotContinued(start.number));
        }
        self.engine = Engine::from_checkpoint(state)
            .map_err(|_| ReplayError::State { segment: start.number, program: start.program.clone() })?;
        (self.sums, self.call) = (Sums::default(), None);
        Ok(())
    }

    fn step(
        &mut self,
        record: Record,
        found: &mut Segment,
        see: &mut impl FnMut(Place, &Output),
    ) -> Result<(), ReplayError> {
        let place = |at| Place { segment: found.start.number, record: found.records, at };
        let place = match record {
            // Refused by the reader but at the beginning.
            Record::Start(_) => return Err(JournalError::Damaged(found.records).into()),
            Record::Check { at, outputs, digest } => {
                if outputs != self.sums.outputs || digest != self.sums.digest() {
                    return Err(self.differs(found));
                }
                self.sums.outputs = 0;
                found.checks += 1;
                found.last = at;
                return Ok(());
            }
            Record::Input { before, at, input } => {
                self.compare(before, found)?;
                let place = place(at);
                self.call = Some((place, Some((*input).clone())));
                self.engine.handle_input(at, *input);
                place
            }
            Record::Timeout { before, at } => {
                self.compare(before, found)?;
                let place = place(at);
                self.call = Some((place, None));
                self.engine.handle_timeout(at);
                place
            }
        };
        found.last = place.at;
        found.calls += 1;
        loop {
            let output = self.engine.poll_output();
            self.sums.add(&output);
            found.outputs += 1;
            see(place, &output);
            if matches!(output, Output::Timeout(_)) {
                return Ok(());
            }
        }
    }

    fn compare(&mut self, before: u32, found: &Segment) -> Result<(), ReplayError> {
        if short(self.sums.digest()) == before { Ok(()) } else { Err(self.differs(found)) }
    }

    fn differs(&mut self, found: &Segment) -> ReplayError {
        let start = Place { segment: found.start.number, record: 1, at: found.start.at };
        let (place, input) = self.call.take().unwrap_or((start, None));
        ReplayError::Difference(Box::new(Difference { place, input }))
    }
}
