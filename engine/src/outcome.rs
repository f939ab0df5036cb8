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
    /// A person heard the prompt of an agentless call, to its end or until they hung up.
    PromptPlayed,
    /// A person pressed the key of an agentless call that ends all calls to the number.
    OptedOut,
    /// Answered, but not one RTP packet came.
    NoMedia,
    /// A machine answered.
    Machine,
    /// A call-screening service answered, and asked who calls.
    Screened,
    /// A fax or modem answered.
    Fax,
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
    pub const ALL: [Outcome; 21] = [
        Outcome::Connected,
        Outcome::Abandoned,
        Outcome::CallerHangup,
        Outcome::PromptPlayed,
        Outcome::OptedOut,
        Outcome::NoMedia,
        Outcome::Machine,
        Outcome::Screened,
        Outcome::Fax,
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
            Outcome::PromptPlayed => "prompt_played",
            Outcome::OptedOut => "opted_out",
            Outcome::NoMedia => "no_media",
            Outcome::Machine => "machine",
            Outcome::Screened => "screened",
            Outcome::Fax => "fax",
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

    /// The outcome of an INVITE that failed: by its final status (none: nothing came in time), the Q.850 cause of the
    /// Reason header, the text of that header or of the status line, and whether anything beyond 100 had come.
    pub fn of_failure(status: Option<u16>, q850: Option<u16>, reason: &str, rang: bool) -> Outcome {
        let silent = if rang { Outcome::NoAnswer } else { Outcome::Congestion };
        let Some(status) = status else { return silent };
        match status {
            // An analytics engine says so itself, by RFC 8688 or by "603+" (ATIS-1000099); a Q.850 21 beside it says less.
            608 => return Outcome::Blocked,
            603 if names_analytics(reason) => return Outcome::Blocked,
            // RFC 8197
            607 => return Outcome::Unwanted,
            _ => {}
        }
        // RFC 3326: the cause from the telephone network is nearer to what happened than the status it was mapped to.
        match q850 {
            Some(1 | 22 | 28) => return Outcome::Invalid,
            Some(17) => return Outcome::Busy,
            Some(18..=20) => return Outcome::NoAnswer,
            Some(21) => return Outcome::Rejected,
            Some(34 | 38 | 41 | 42 | 102) => return Outcome::Congestion,
            _ => {}
        }
        match status {
            404 | 410 | 484 | 485 | 604 => Outcome::Invalid,
            480 => Outcome::NoAnswer,
            // 487 without a CANCEL of ours: the carrier's own ring time-out.
            408 | 487 => silent,
            403 | 603 => Outcome::Rejected,
            486 | 600 => Outcome::Busy,
            500..=599 => Outcome::Congestion,
            606 => Outcome::TrunkFault,
            // RFC 3261 §8.1.3.2: an unknown 6xx is a 600.
            600..=699 => Outcome::Busy,
            _ => Outcome::TrunkFault,
        }
    }

    /// Whether such an attempt counts among a lead's attempts: the call reached the called side, or could have.
    pub(crate) const fn counts(self) -> bool {
        !matches!(self, Outcome::Congestion | Outcome::NotSent | Outcome::Blocked | Outcome::TrunkFault)
    }

    /// Whether a person answered: the denominator of the abandonment rate. Not those who heard a prompt and did not ask
    /// for an agent: nobody was promised one, and they must not make room for calls that are abandoned. Calls by hand
    /// are among them, as they are answered by a person; they are never abandoned.
    pub const fn is_person(self) -> bool {
        matches!(self, Outcome::Connected | Outcome::Abandoned | Outcome::CallerHangup)
    }
}

/// Whether a Reason's text says that an analytics engine blocks ("603+", ATIS-1000099).
pub(crate) fn names_analytics(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("network blocked") || reason.contains("v=analytics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        use Outcome::*;
        type Row<'a> = (&'a [u16], Option<u16>, &'a str, bool, Outcome);
        let rows: &[Row<'_>] = &[
            (&[486, 600], Some(17), "", true, Busy),
            (&[486, 600], None, "Busy Here", true, Busy),
            (&[480], None, "", true, NoAnswer),
            (&[480, 500, 503], Some(18), "", true, NoAnswer),
            (&[480], Some(19), "", true, NoAnswer),
            (&[480], Some(20), "", false, NoAnswer),
            (&[408, 487], None, "", true, NoAnswer),
            (&[408, 487], None, "", false, Congestion),
            (&[408], Some(102), "", false, Congestion),
            (&[404, 410, 484, 485, 604], None, "Not Found", false, Invalid),
            (&[404, 480, 503], Some(1), "", false, Invalid),
            (&[410], Some(22), "", false, Invalid),
            (&[484], Some(28), "", false, Invalid),
            (&[403, 603], None, "Decline", true, Rejected),
            (&[403, 603, 480], Some(21), "", true, Rejected),
            (&[603], Some(21), "Network Blocked", false, Blocked),
            (&[603], None, "SIP;cause=603;text=\"v=analytics1;url=https://a.example\"", false, Blocked),
            (&[608], None, "Rejected", false, Blocked),
            (&[607], None, "Unwanted", false, Unwanted),
            (&[500, 502, 503, 504, 580], None, "", false, Congestion),
            (&[503], Some(34), "", false, Congestion),
            (&[503], Some(38), "", false, Congestion),
            (&[480], Some(41), "", false, Congestion),
            (&[486], Some(42), "", false, Congestion),
            (&[503], Some(17), "", true, Busy),
            (&[404], Some(16), "", false, Invalid),
            (&[503], Some(31), "", false, Congestion),
            (
                &[401, 407, 488, 400, 402, 405, 413, 414, 415, 416, 420, 421, 422, 423],
                None,
                "",
                false,
                TrunkFault,
            ),
            (&[481, 482, 483, 491, 493, 606, 302, 305], None, "", false, TrunkFault),
            (&[699], None, "", false, Busy),
        ];
        for (statuses, q850, reason, rang, outcome) in rows {
            for status in *statuses {
                let found = Outcome::of_failure(Some(*status), *q850, reason, *rang);
                assert_eq!(found, *outcome, "{status} {q850:?} {reason} {rang}");
            }
        }
        assert_eq!(Outcome::of_failure(None, None, "", true), NoAnswer);
        assert_eq!(Outcome::of_failure(None, None, "", false), Congestion);
    }

    #[test]
    fn names_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
        assert_eq!(Outcome::parse("answered"), None);
    }
}
