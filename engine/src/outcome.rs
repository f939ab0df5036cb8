//! What became of an attempt: found by the machine, exactly one each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an attempt ended. The table from signal to outcome stands in [`Outcome::of_failure`] and in docs/outcomes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A person answered and was bridged to an agent.
    Connected,
    /// A person answered and no agent was there within the grace.
    Abandoned,
    /// A person answered and hung up inside the grace, before an agent was there.
    CallerHangup,
    /// Answered, but not one RTP packet came.
    NoMedia,
    /// A machine answered.
    Machine,
    /// Answered and gone in less than a second.
    FalseAnswer,
    /// 486 or 600.
    Busy,
    /// Rang out: 480, our ring time-out, or 408 after ringing.
    NoAnswer,
    /// The network had no room: 5xx, or nothing at all came back.
    Congestion,
    /// We took the call back: by the pacer, on drain, or because an agent was lost.
    Cancelled,
    /// Committed but never sent (too late, a limit, no port). The attempt does not count.
    NotSent,
    /// There is no such number: 404, 410, 484, 485, 604.
    Invalid,
    /// Refused: 403 or 603.
    Rejected,
    /// Blocked by an analytics engine: 608, or 603 with the block reason.
    Blocked,
    /// 607: the called person does not want these calls.
    Unwanted,
    /// The trunk refused us or does not understand us: authentication, 488, other 4xx.
    TrunkFault,
    /// We crashed before an outcome was known.
    UnknownCrash,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Outcome; 17] = [
        Outcome::Connected,
        Outcome::Abandoned,
        Outcome::CallerHangup,
        Outcome::NoMedia,
        Outcome::Machine,
        Outcome::FalseAnswer,
        Outcome::Busy,
        Outcome::NoAnswer,
        Outcome::Congestion,
        Outcome::Cancelled,
        Outcome::NotSent,
        Outcome::Invalid,
        Outcome::Rejected,
        Outcome::Blocked,
        Outcome::Unwanted,
        Outcome::TrunkFault,
        Outcome::UnknownCrash,
    ];

    /// The name used in the API, the store and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Connected => "connected",
            Outcome::Abandoned => "abandoned",
            Outcome::CallerHangup => "caller_hangup",
            Outcome::NoMedia => "no_media",
            Outcome::Machine => "machine",
            Outcome::FalseAnswer => "false_answer",
            Outcome::Busy => "busy",
            Outcome::NoAnswer => "no_answer",
            Outcome::Congestion => "congestion",
            Outcome::Cancelled => "cancelled",
            Outcome::NotSent => "not_sent",
            Outcome::Invalid => "invalid",
            Outcome::Rejected => "rejected",
            Outcome::Blocked => "blocked",
            Outcome::Unwanted => "unwanted",
            Outcome::TrunkFault => "trunk_fault",
            Outcome::UnknownCrash => "unknown_crash",
        }
    }

    /// The outcome of that name.
    pub fn parse(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|o| o.as_str() == name)
    }
}
