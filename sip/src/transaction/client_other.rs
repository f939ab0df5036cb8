//! The non-INVITE client transaction (RFC 3261 §17.1.2).

use bytes::Bytes;

use super::{Fired, Timer};

/// Where a request of ours stands.
#[derive(Debug)]
pub(crate) enum ClientOther {
    /// Sent; nothing heard.
    Trying { request: Bytes },
    /// A provisional answer came.
    Proceeding { request: Bytes },
    /// Answered: only retransmitted answers are absorbed.
    Done,
}

impl ClientOther {
    pub(super) fn fire(&mut self, timer: Timer) -> Fired {
        match (self, timer) {
            (ClientOther::Trying { request } | ClientOther::Proceeding { request }, Timer::E) => {
                Fired::Again(request.clone())
            }
            (ClientOther::Trying { .. } | ClientOther::Proceeding { .. }, Timer::F) => Fired::TimedOut(None),
            (ClientOther::Done, Timer::K) => Fired::Gone,
            _ => Fired::Nothing,
        }
    }

    pub(super) fn proceeding(&self) -> bool {
        matches!(self, ClientOther::Proceeding { .. })
    }

    /// The request, until its final answer.
    pub(crate) fn request(&self) -> Option<&Bytes> {
        match self {
            ClientOther::Trying { request } | ClientOther::Proceeding { request } => Some(request),
            ClientOther::Done => None,
        }
    }
}
