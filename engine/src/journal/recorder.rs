//! Turns calls of an engine and what came out of them into the bytes of a segment.

use std::time::Duration;

use kraliki_time::Time;

use super::record::{self, RecordOf, Start};
use super::{Began, Sums};
use crate::{Engine, Input, Output};

/// A check is written at least this often while anything is recorded, in the engine's time.
pub const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Writes one segment. Record a call before it is made, and then each of its outputs.
#[derive(Debug)]
pub struct Recorder {
    out: Vec<u8>,
    sums: Sums,
    checked: Time,
}

impl Recorder {
    /// A segment that begins with the engine's state as it is.
    pub fn begin(number: u64, began: Began, at: Time, engine: &Engine) -> Recorder {
        let program = concat!("kraliki ", env!("CARGO_PKG_VERSION")).to_owned();
        let mut out = Vec::new();
        record::write_start(&mut out, Start { number, began, at, program }, &engine.checkpoint());
        Recorder { out, sums: Sums::default(), checked: at }
    }

    /// `handle_input` is called.
    pub fn input(&mut self, at: Time, input: &Input) {
        let before = self.call(at);
        record::write(&mut self.out, &RecordOf::Input { before, at, input }, &[]);
    }

    /// `handle_timeout` is called.
    pub fn timeout(&mut self, at: Time) {
        let before = self.call(at);
        record::write(&mut self.out, &RecordOf::Timeout { before, at }, &[]);
    }

    /// This came out of the last call.
    pub fn output(&mut self, output: &Output) {
        self.sums.add(output);
    }

    /// Writes a check if anything came out since the last one.
    pub fn check(&mut self, at: Time) {
        self.checked = at;
        if self.sums.outputs > 0 {
            let digest = self.sums.digest();
            let outputs = std::mem::take(&mut self.sums.outputs);
            record::write(&mut self.out, &RecordOf::Check { at, outputs, digest }, &[]);
        }
    }

    /// Writes a check if it is time for one.
    pub fn check_if_due(&mut self, at: Time) {
        if at.since(self.checked) >= CHECK_EVERY {
            self.check(at);
        }
    }

    /// Bytes that wait to be taken.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes the bytes that wait; those taken before and these, in order, are the segment.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn call(&mut self, at: Time) -> u32 {
        self.check_if_due(at);
        super::short(self.sums.digest())
    }
}
