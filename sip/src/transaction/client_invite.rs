//! The INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2).

use bytes::Bytes;
use kraliki_time::Time;

use super::{Fired, Hop, Timer, TxnId};

/// Where our INVITE stands.
#[derive(Debug)]
pub(crate) enum ClientInvite {
    /// Sent; nothing heard.
    Calling { request: Bytes },
    /// A provisional answer came. With the CANCEL's transaction, once there is one: it shares the branch.
    Proceeding { request: Bytes, cancel: Option<TxnId> },
    /// A non-2xx came and was acknowledged; the ACK is kept for its retransmissions.
    Completed { ack: Bytes, acked: Time, cancel: Option<TxnId> },
    /// A 2xx came; the ACK is kept for its retransmissions, and its To tag to tell forks from them.
    Accepted { ack: Bytes, acked: Time, to: Hop, tag: Bytes, cancel: Option<TxnId> },
}

impl ClientInvite {
    pub(super) fn fire(&mut self, timer: Timer) -> Fired {
        match (self, timer) {
            (ClientInvite::Calling { request }, Timer::A) => Fired::Again(request.clone()),
            (ClientInvite::Calling { request }, Timer::B) => Fired::TimedOut(Some(request.clone())),
            (ClientInvite::Proceeding { .. }, Timer::Cancelled) => Fired::TimedOut(None),
            (ClientInvite::Completed { .. }, Timer::D) | (ClientInvite::Accepted { .. }, Timer::M) => {
                Fired::Gone
            }
            _ => Fired::Nothing,
        }
    }

    /// The INVITE, until its final answer.
    pub(crate) fn request(&self) -> Option<&Bytes> {
        match self {
            ClientInvite::Calling { request } | ClientInvite::Proceeding { request, .. } => Some(request),
            _ => None,
        }
    }

    /// The CANCEL's transaction.
    pub(crate) fn cancel(&self) -> Option<TxnId> {
        match self {
            ClientInvite::Calling { .. } => None,
            ClientInvite::Proceeding { cancel, .. }
            | ClientInvite::Completed { cancel, .. }
            | ClientInvite::Accepted { cancel, .. } => *cancel,
        }
    }
}
