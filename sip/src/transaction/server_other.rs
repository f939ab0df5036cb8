//! The non-INVITE server transaction (RFC 3261 §17.2.2).

use bytes::Bytes;

use super::{Fired, Timer};

/// Where a peer's request stands.
#[derive(Debug)]
pub(crate) enum ServerOther {
    /// Its owner has not decided yet.
    Trying,
    /// Answered; the answer is kept for retransmissions.
    Completed { answer: Bytes },
}

impl ServerOther {
    pub(super) fn fire(&mut self, timer: Timer) -> Fired {
        match (self, timer) {
            (ServerOther::Completed { .. }, Timer::J) => Fired::Gone,
            _ => Fired::Nothing,
        }
    }

    /// What a retransmission is answered with.
    pub(crate) fn repeat(&self) -> Option<&Bytes> {
        match self {
            ServerOther::Trying => None,
            ServerOther::Completed { answer } => Some(answer),
        }
    }
}
