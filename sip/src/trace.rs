//! The recent messages of each call, so that a ladder can be drawn of a call that runs or has just ended.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use crate::endpoint::CallKey;
use crate::hep::redact;
use crate::limits;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Direction {
    In,
    Out,
}

/// One message of a call.
#[derive(Clone, Debug)]
pub struct TraceEntry {
    /// When.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// The other side.
    pub peer: SocketAddr,
    /// The message as it was on the wire. It may hold a digest and phone numbers: see [`ladder`].
    pub message: Bytes,
}

/// A call's messages, the latest [`limits::TRACE_MESSAGES_PER_CALL`].
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The messages, oldest first.
    pub entries: VecDeque<TraceEntry>,
    /// How many older ones were let go.
    pub dropped: u32,
}

impl Trace {
    pub(crate) fn push(&mut self, at: Time, direction: Direction, peer: SocketAddr, message: &Bytes) {
        if self.entries.len() >= limits::TRACE_MESSAGES_PER_CALL {
            self.entries.pop_front();
            self.dropped += 1;
        } else if self.entries.capacity() == 0 {
            self.entries.reserve(8);
        }
        self.entries.push_back(TraceEntry { at, direction, peer, message: message.clone() });
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.message.len()).sum()
    }
}

/// The traces of calls that ended, the latest ones.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    calls: VecDeque<(CallKey, Bytes, Trace)>,
    bytes: usize,
}

impl Ended {
    pub(crate) fn push(&mut self, key: CallKey, call_id: Bytes, trace: Trace) {
        self.bytes += trace.bytes();
        self.calls.push_back((key, call_id, trace));
        while self.calls.len() > limits::TRACE_ENDED_CALLS || self.bytes > limits::TRACE_ENDED_BYTES {
            let Some((_, _, old)) = self.calls.pop_front() else { break };
            self.bytes -= old.bytes();
        }
    }

    pub(crate) fn find(&self, wanted: &dyn Fn(CallKey, &[u8]) -> bool) -> Option<&Trace> {
        self.calls.iter().rev().find(|(key, id, _)| wanted(*key, id)).map(|(_, _, trace)| trace)
    }
}

/// A call's messages as text, one block each, without credentials and keys; with `hide_numbers` also without who calls
/// whom. What is left out shows as `x`.
pub fn ladder(trace: &Trace, hide_numbers: bool) -> String {
    let mut out = String::new();
    let start = trace.entries.front().map_or(Time::ZERO, |entry| entry.at);
    if trace.dropped > 0 {
        let _ = writeln!(out, "({} earlier messages are gone)", trace.dropped);
    }
    for entry in &trace.entries {
        let arrow = if entry.direction == Direction::Out { "──►" } else { "◄──" };
        let _ = writeln!(out, "{:>9.3} s {arrow} {}", entry.at.since(start).as_secs_f64(), entry.peer);
        let mut message = entry.message.to_vec();
        redact(&mut message, hide_numbers);
        for line in String::from_utf8_lossy(&message).lines() {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_bounded_and_credentials_stay_inside() {
        let mut trace = Trace::default();
        let peer = "192.0.2.1:5060".parse().unwrap();
        let message =
            Bytes::from_static(b"BYE sip:a@h SIP/2.0\r\nAuthorization: Digest response=\"s3cret\"\r\n\r\n");
        for i in 0..40 {
            trace.push(Time::from_millis(i), Direction::Out, peer, &message);
        }
        assert_eq!((trace.entries.len(), trace.dropped), (limits::TRACE_MESSAGES_PER_CALL, 8));
        assert!(ladder(&trace, false).contains("BYE sip:a@h") && !ladder(&trace, false).contains("s3cret"));
        assert!(ladder(&trace, true).contains("BYE sip:x@h") && !ladder(&trace, true).contains("s3cret"));
        let mut ended = Ended::default();
        for i in 0..(limits::TRACE_ENDED_CALLS as u64 + 5) {
            ended.push(CallKey(i), Bytes::from(i.to_string()), trace.clone());
        }
        assert_eq!(ended.calls.len(), limits::TRACE_ENDED_CALLS);
        assert!(ended.find(&|key, _| key == CallKey(4)).is_none());
        assert!(ended.find(&|_, id| id == b"2004").is_some());
    }
}
