//! What the media tells its user, and the names of legs in it.

use std::fmt;

use kraliki_time::Time;

use crate::dtmf::Digit;
use crate::hearing::{LegQuality, Unheard};
use crate::limits::SHARDS;
use crate::quality::LegCounters;

/// One leg, for as long as the process runs. Its shard of origin is part of it: commands find their way by that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(u64);

impl LegId {
    pub(crate) const fn new(count: u64, home: usize) -> LegId {
        LegId(count << 8 | (home % SHARDS) as u64)
    }

    /// The shard on which the leg was opened.
    pub(crate) const fn home(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// The id as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leg-{}/{}", self.0 >> 8, self.home())
    }
}

/// Why a browser's leg is down for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownReason {
    /// It did not connect in time.
    SetupTimeout,
    /// Its certificate is not the one that its offer promised: somebody stands in between.
    Fingerprint,
    /// The handshake failed.
    Handshake,
    /// It closed the leg.
    Closed,
}

/// How a bridged call is heard: in the time since this was asked for last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BridgeQuality {
    /// The call's leg.
    pub trunk: LegId,
    /// The agent's leg.
    pub agent: LegId,
    /// What is heard of the called person.
    pub of_trunk: LegQuality,
    /// What is heard of the agent.
    pub of_agent: LegQuality,
}

/// What happened on a leg. `at` is when, by the clock given to [`Media::start`](crate::Media::start).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MediaEvent {
    /// A browser's leg is connected: audio can flow.
    BrowserUp {
        /// The leg.
        leg: LegId,
    },
    /// A browser's leg is down and does not come back by itself. It still wants to be closed.
    LegDown {
        /// The leg.
        leg: LegId,
        /// Why.
        reason: DownReason,
    },
    /// The first sign of life of an agent's leg, or the first after [`MediaEvent::Silent`].
    Alive {
        /// The leg.
        leg: LegId,
    },
    /// An agent's leg gave no sign of life for a second.
    Silent {
        /// The leg.
        leg: LegId,
    },
    /// A browser's leg gave no sign of life for four seconds: it is lost until [`MediaEvent::Alive`] comes.
    Lost {
        /// The leg.
        leg: LegId,
    },
    /// The first RTP from the far end.
    FirstRtp {
        /// The leg.
        leg: LegId,
        /// When it came.
        at: Time,
    },
    /// The first of the caller's packets was sent to the agent.
    FirstPacket {
        /// The caller's leg.
        trunk: LegId,
        /// The agent's leg.
        agent: LegId,
        /// When it was handed to the kernel.
        at: Time,
    },
    /// The far end pressed a key.
    Dtmf {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
    },
    /// A detector heard something of the far end.
    Detected {
        /// The leg.
        leg: LegId,
        /// What; never a key, which is told as [`MediaEvent::Dtmf`].
        what: Box<crate::detect::Event>,
    },
    /// What was played once is over.
    PlayDone {
        /// The leg.
        leg: LegId,
    },
    /// An answered trunk leg gave no sign of life for its RTP time-out. It is told once.
    RtpTimeout {
        /// The leg.
        leg: LegId,
        /// Whether there ever was any.
        heard: bool,
    },
    /// A leg was closed. Nothing follows about it.
    LegEnded {
        /// The leg.
        leg: LegId,
        /// What went over it.
        counters: LegCounters,
        /// How a call was heard, from its answer on.
        quality: Option<Box<LegQuality>>,
    },
    /// An agent's leg was parted from a call.
    Parted {
        /// The agent's leg.
        leg: LegId,
        /// The call's leg.
        trunk: LegId,
        /// How the agent was heard in the call.
        quality: Box<LegQuality>,
    },
    /// A far end in an answered call is not heard, or is heard again. Not told of legs that are held, or are to send
    /// nothing.
    Unheard {
        /// The leg.
        leg: LegId,
        /// Why; none: it is heard again.
        why: Option<Unheard>,
    },
    /// The bridges of one shard, as they were asked for. Dropped when the reader is slow.
    Bridges {
        /// How each stands.
        bridges: Vec<BridgeQuality>,
    },
    /// The counters that were asked for. Dropped when the reader is slow.
    Counters {
        /// The leg.
        leg: LegId,
        /// What went over it so far.
        counters: LegCounters,
    },
}

impl MediaEvent {
    /// Whether it may be dropped: it says nothing that later events don't.
    pub(crate) const fn is_statistic(&self) -> bool {
        matches!(self, MediaEvent::Counters { .. } | MediaEvent::Bridges { .. })
    }
}
