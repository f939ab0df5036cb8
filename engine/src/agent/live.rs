//! An agent as the engine knows it.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::By;
use crate::event::CallView;
use crate::{AgentState, AttemptId, CampaignId, Lead};

/// An agent who is signed in, or whose audio leg is up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgentLive {
    pub(crate) name: String,
    pub(crate) activity: Activity,
    /// Since when.
    pub(crate) since: Time,
    pub(crate) leg_up: bool,
    pub(crate) silent: bool,
    /// Asked for during a call; takes effect after wrap-up.
    pub(crate) next: Option<Next>,
    /// The supervisor who set what comes next, and who set what is now.
    pub(crate) next_by: Option<By>,
    pub(crate) by: Option<By>,
    /// One more call, then offline.
    pub(crate) last_call: bool,
    /// When the shift ends, as far as is known.
    pub(crate) shift_ends: Option<Time>,
    /// When the limits of this pause are used up.
    pub(crate) pause_ends: Option<Time>,
    /// Calls since sign-in.
    pub(crate) calls: u32,
    /// Time in calls and wrap-up since sign-in, states that ended.
    pub(crate) busy: Duration,
    /// Time signed in and not paused since sign-in, states that ended.
    pub(crate) available: Duration,
}

/// What an agent is doing, with what belongs to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Activity {
    /// Not signed in.
    Offline,
    /// Not available, with a reason.
    Paused(String),
    /// Waiting for a call.
    Ready,
    /// Looking at a lead, to dial or to skip it.
    Preview(Box<Preview>),
    /// Dialing by hand: bound to a call that nobody answered yet.
    Dialing(AttemptId),
    /// Chosen for an answered call.
    Reserved(AttemptId),
    /// In a call.
    Talking(AttemptId),
    /// In a call that is on hold.
    Hold(AttemptId),
    /// The call is over, the record is being finished.
    WrapUp(Box<WrapUp>),
}

/// A lead on an agent's screen that is not dialed yet. Nobody else gets it meanwhile.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Preview {
    pub(crate) campaign: CampaignId,
    pub(crate) lead: Lead,
    /// When it is dialed or skipped by itself.
    pub(crate) ends: Option<Time>,
    /// Why it was skipped, for the record of the agent's time.
    pub(crate) skipped: String,
}

/// A wrap-up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WrapUp {
    pub(crate) campaign: CampaignId,
    /// The call as it ended; a desk that is loaded again shows it.
    pub(crate) call: CallView,
    /// Whether the agent has said what came of it.
    pub(crate) disposed: bool,
    /// Dispositions of the call that wait for their commit: it does not end before everybody has seen the last one.
    pub(crate) writing: u32,
    /// Whether it ends with that.
    pub(crate) over: bool,
    /// When it ends by itself; none: with a disposition, or when the agent has long gone home.
    pub(crate) ends: Option<Time>,
    /// How much longer the agent may make it, in seconds; 0: no longer.
    pub(crate) extension_s: u32,
}

/// What an agent becomes after wrap-up when not Ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Next {
    /// Paused, with a reason.
    Paused(String),
    /// Signed out.
    Offline,
}

impl AgentLive {
    pub(crate) fn new(now: Time) -> Self {
        AgentLive {
            name: String::new(),
            activity: Activity::Offline,
            since: now,
            leg_up: false,
            silent: false,
            next: None,
            next_by: None,
            by: None,
            last_call: false,
            shift_ends: None,
            pause_ends: None,
            calls: 0,
            busy: Duration::ZERO,
            available: Duration::ZERO,
        }
    }

    pub(crate) fn state(&self) -> AgentState {
        match &self.activity {
            Activity::Offline => AgentState::Offline,
            Activity::Paused(_) => AgentState::Paused,
            Activity::Ready => AgentState::Ready,
            Activity::Preview(_) => AgentState::Preview,
            Activity::Dialing(_) | Activity::Reserved(_) => AgentState::Reserved,
            Activity::Talking(_) => AgentState::Talking,
            Activity::Hold(_) => AgentState::Hold,
            Activity::WrapUp(_) => AgentState::WrapUp,
        }
    }

    /// Whether the audio leg is up and not silent.
    pub(crate) fn audio(&self) -> bool {
        self.leg_up && !self.silent
    }

    /// The call that the agent is in.
    pub(crate) fn in_call(&self) -> Option<AttemptId> {
        match &self.activity {
            Activity::Reserved(call) | Activity::Talking(call) | Activity::Hold(call) => Some(*call),
            _ => None,
        }
    }

    /// The call that the agent dials, is in or wraps up.
    pub(crate) fn call(&self) -> Option<AttemptId> {
        match &self.activity {
            Activity::Dialing(call) => Some(*call),
            Activity::WrapUp(wrap) => Some(wrap.call.id),
            _ => self.in_call(),
        }
    }

    /// Signed in and not paused.
    pub(crate) fn is_available(&self) -> bool {
        !matches!(self.activity, Activity::Offline | Activity::Paused(_))
    }

    /// In a call or wrapping up.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_available()
            && !matches!(self.activity, Activity::Ready | Activity::Preview(_) | Activity::Dialing(_))
    }

    /// Waiting for a call, or with a lead on the screen.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.activity, Activity::Ready | Activity::Preview(_))
    }

    /// Whether the pacer may count on this agent, now or after the call: not one who leaves after it, nor one who has a
    /// call of their own to make.
    pub(crate) fn is_supply(&self) -> bool {
        let own = matches!(self.activity, Activity::Preview(_) | Activity::Dialing(_));
        self.is_available() && !own && self.next.is_none() && self.audio()
    }

    /// Busy and available time since sign-in, the present state included.
    pub(crate) fn times(&self, now: Time) -> (Duration, Duration) {
        let lasted = now.since(self.since);
        let busy = if self.is_busy() { lasted } else { Duration::ZERO };
        let available = if self.is_available() { lasted } else { Duration::ZERO };
        (self.busy + busy, self.available + available)
    }
}
