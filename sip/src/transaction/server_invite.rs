//! The INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1), and the 2xx's retransmission (§13.3.1.4).

use bytes::Bytes;

use super::{Fired, Timer};

/// Where a peer's INVITE stands.
#[derive(Debug)]
pub(crate) enum ServerInvite {
    /// Not answered; the last provisional answer is kept.
    Proceeding { last: Bytes },
    /// Answered with a non-2xx; no ACK yet.
    Completed { answer: Bytes },
    /// The non-2xx is acknowledged.
    Confirmed,
    /// Answered with a 2xx. No answer kept means that the ACK has come.
    Accepted { answer: Option<Bytes> },
}

impl ServerInvite {
    pub(super) fn fire(&mut self, timer: Timer) -> Fired {
        match (self, timer) {
            (ServerInvite::Completed { answer }, Timer::G)
            | (ServerInvite::Accepted { answer: Some(answer) }, Timer::Accepted) => {
                Fired::Again(answer.clone())
            }
            (ServerInvite::Completed { .. }, Timer::H)
            | (ServerInvite::Accepted { answer: Some(_) }, Timer::L) => Fired::TimedOut(None),
            (ServerInvite::Confirmed, Timer::I) | (ServerInvite::Accepted { answer: None }, Timer::L) => {
                Fired::Gone
            }
            _ => Fired::Nothing,
        }
    }

    /// What a retransmitted INVITE is answered with.
    pub(crate) fn repeat(&self) -> Option<&Bytes> {
        match self {
            ServerInvite::Proceeding { last } => Some(last),
            ServerInvite::Completed { answer } => Some(answer),
            // RFC 6026 §7.1: in Accepted a retransmission is absorbed; the 2xx has its own timer.
            ServerInvite::Confirmed | ServerInvite::Accepted { .. } => None,
        }
    }
}
