//! How calls are heard, as people see it. Nothing here decides anything: it does not pass through the engine.

use kraliki_media::LegQuality;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AgentId, AttemptId, TrunkId};

/// A far end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The called person, as the carrier sends them.
    Carrier,
    /// The agent.
    Agent,
}

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::Carrier, Side::Agent];

    /// The name used in the API and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Carrier => "carrier",
            Side::Agent => "agent",
        }
    }
}

/// Why a side of a call is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unheard {
    /// No RTP arrives.
    NoPackets,
    /// RTP arrives with nothing but zeros in it.
    DigitalSilence,
}

impl Unheard {
    /// Every reason.
    pub const ALL: [Unheard; 2] = [Unheard::NoPackets, Unheard::DigitalSilence];

    /// The name used in the API and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unheard::NoPackets => "no_packets",
            Unheard::DigitalSilence => "digital_silence",
        }
    }
}

impl From<kraliki_media::Unheard> for Unheard {
    fn from(why: kraliki_media::Unheard) -> Unheard {
        match why {
            kraliki_media::Unheard::DigitalSilence => Unheard::DigitalSilence,
            _ => Unheard::NoPackets,
        }
    }
}

/// What a listener would say, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// A score of 4.0 and better: users are satisfied (G.107 annex B: R of 80).
    Good,
    /// 3.6 and better: some are not (R of 70).
    Fair,
    /// Many are not.
    Poor,
}

impl Grade {
    /// The grade of an opinion score.
    pub fn of(mos: f64) -> Grade {
        match mos {
            mos if mos >= 4.0 => Grade::Good,
            mos if mos >= 3.6 => Grade::Fair,
            _ => Grade::Poor,
        }
    }
}

/// How one side of a call was heard, and what its far end says of us. Shares are between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LegFigures {
    /// What it sent last; empty: nothing.
    pub codec: String,
    /// How long the stretch is that the figures are of.
    pub lasted_ms: u64,
    /// Packets that came from it.
    pub packets_received: u64,
    /// Packets that were sent to it.
    pub packets_sent: u64,
    /// Packets that never came, or too late to be heard.
    pub packets_lost: u64,
    /// The share of these.
    pub loss: f64,
    /// The most packets lost in a row.
    pub longest_loss: u64,
    /// The share lost within bursts of loss (RFC 3611 §4.7.2).
    pub burst_density: f64,
    /// Packets that were overtaken by others.
    pub reordered: u64,
    /// Packets that came twice.
    pub repeated: u64,
    /// Interarrival jitter (RFC 3550), on average.
    pub jitter_ms: f64,
    /// The most of it.
    pub jitter_most_ms: f64,
    /// To the far end and back; none: it does not report.
    pub round_trip_ms: Option<f64>,
    /// The share of our packets that the far end lost; none: it does not report.
    pub far_loss: Option<f64>,
    /// The jitter that it reported last.
    pub far_jitter_ms: Option<f64>,
    /// The opinion score to be expected of what came, 1 to 4.5 (ITU-T G.107).
    pub mos: f64,
    /// The same of what the far end received.
    pub far_mos: Option<f64>,
    /// The share of packets looked at that were clipped; none: not known of this codec.
    pub clipped: Option<f64>,
    /// The share that was silent.
    pub silent: Option<f64>,
    /// Why it is not heard; of a call that is over, why it was not for the longest time.
    pub unheard: Option<Unheard>,
    /// For how long it was not heard, in all.
    pub unheard_ms: u64,
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

impl LegFigures {
    /// The figures of a stretch that is over.
    pub(crate) fn of_past(quality: &LegQuality) -> LegFigures {
        let unheard = quality.was_unheard.map(Unheard::from);
        LegFigures { unheard, ..LegFigures::of_present(quality) }
    }

    /// The figures of a stretch up to now.
    pub(crate) fn of_present(quality: &LegQuality) -> LegFigures {
        let ms = |time: std::time::Duration| rounded(time.as_secs_f64() * 1_000.0);
        let whole_ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        LegFigures {
            codec: quality.codec.map(|codec| codec.to_string()).unwrap_or_default(),
            lasted_ms: whole_ms(quality.lasted),
            packets_received: quality.received,
            packets_sent: quality.sent,
            packets_lost: quality.lost,
            loss: rounded(quality.loss()),
            longest_loss: quality.longest_loss,
            burst_density: rounded(quality.bursts.burst_density),
            reordered: quality.reordered,
            repeated: quality.repeated,
            jitter_ms: ms(quality.jitter),
            jitter_most_ms: ms(quality.jitter_most),
            round_trip_ms: quality.round_trip.map(ms),
            far_loss: quality.far_loss.map(rounded),
            far_jitter_ms: quality.far_jitter.map(ms),
            mos: rounded(quality.mos()),
            far_mos: quality.far_mos().map(rounded),
            clipped: quality.clipped.map(rounded),
            silent: quality.silent.map(rounded),
            unheard: quality.unheard.map(Unheard::from),
            unheard_ms: whole_ms(quality.unheard_for),
        }
    }

    /// The worse of both directions.
    pub(crate) fn worst_mos(&self) -> f64 {
        self.far_mos.map_or(self.mos, |far| far.min(self.mos))
    }
}

/// One side of a call that is over, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LegRecord {
    /// Which side.
    pub side: Side,
    /// Of which try.
    pub number: u32,
    /// Over which trunk the call went.
    pub trunk: TrunkId,
    /// Whose leg it was; none: the carrier's.
    pub agent: Option<AgentId>,
    /// When the stretch ended, in ms since 1970.
    pub ended_unix_ms: i64,
    /// How it was heard.
    pub figures: LegFigures,
}

/// How a call with an agent is heard, in the last seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallQuality {
    /// The call.
    pub call: AttemptId,
    /// Its agent.
    pub agent: AgentId,
    /// By the worst of both sides and both directions.
    pub grade: Grade,
    /// What the carrier sends.
    pub carrier: LegFigures,
    /// What the agent sends.
    pub desk: LegFigures,
}

/// A side of a call with an agent is not heard, or is heard again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnheardView {
    /// The call.
    pub call: AttemptId,
    /// Its agent.
    pub agent: AgentId,
    /// Who is not heard.
    pub side: Side,
    /// Why; none: heard again.
    pub why: Option<Unheard>,
    /// Whether the other side is heard: audio goes one way.
    pub one_way: bool,
}
