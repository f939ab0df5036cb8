//! How far the disk is: writes are numbered as they come out, tokens say which of them are acknowledged.

use std::collections::BTreeMap;

use crate::{Input, Output};

/// Numbers every write; knows the last one that is on disk for sure.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    last: u64,
    waiting: BTreeMap<u64, u64>,
    durable: u64,
}

impl Tokens {
    /// The number of the write that just came out.
    pub(super) fn output(&mut self, output: &Output) -> u64 {
        if let Output::Store { token, .. } = output {
            self.last += 1;
            if let Some(token) = token {
                self.waiting.insert(*token, self.last);
            }
        }
        self.last
    }

    /// Takes an answer of the store; gives the number of the write that failed, if one did.
    pub(super) fn input(&mut self, input: &Input) -> Option<u64> {
        match input {
            Input::Committed { token } => {
                let later = self.waiting.split_off(&token.saturating_add(1));
                if let Some(last) = std::mem::replace(&mut self.waiting, later).into_values().last() {
                    self.durable = self.durable.max(last);
                }
                None
            }
            Input::CommitFailed { token } => self.waiting.remove(token),
            _ => None,
        }
    }

    /// Whether that write is acknowledged.
    pub(super) fn is_durable(&self, number: u64) -> bool {
        number <= self.durable
    }

    /// Nothing more is heard of what waits.
    pub(super) fn restarted(&mut self) {
        self.waiting.clear();
    }
}
