//! A campaign: whom to call, when, how fast, over which trunk.

mod live;
mod message;
mod validate;

pub(crate) use live::CampaignLive;
pub(crate) use message::{is_prompt_name, spoken, uploaded};
pub(crate) use validate::is_e164;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AgentId, CampaignId, Outcome, TeamId};

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStatus {
    /// Being prepared; nothing is dialed.
    Draft,
    /// Dialing when agents, hours and limits allow.
    Running,
    /// Stopped by a person; calls in progress go on.
    Paused,
    /// No lead is left to be dialed, now or later. New leads make it running again.
    Completed,
}

/// Who decides what is dialed, and how the number of lines is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Agents dial, each the lead or the number of their choice.
    Manual,
    /// An agent sees the next lead before it is dialed, and dials or skips it.
    Preview,
    /// One line for each idle agent.
    Progressive,
    /// A fixed number of lines for each idle agent.
    Power,
    /// Dials ahead of agents by a forecast of supply and demand.
    Predictive,
    /// No agent: who answers hears a prompt and may press keys.
    Agentless,
}

impl Mode {
    /// Whether the dialer dials by itself for whichever agent is free.
    pub(crate) const fn is_paced(self) -> bool {
        matches!(self, Mode::Progressive | Mode::Power | Mode::Predictive)
    }
}

/// A daily window in which a lead may be called, in the lead's own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallingWindow {
    /// Days it holds on: 1 is Monday, 7 is Sunday.
    pub days: Vec<u8>,
    /// First minute, as `HH:MM`.
    pub from: String,
    /// The minute at which it closes, as `HH:MM`; `24:00` is midnight.
    pub to: String,
}

/// Whether the dialer listens who answers, and what it does then. A person is connected as soon as it is known, or when it
/// is not known in time; calls that agents dial by hand are not listened to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineDetection {
    /// Whoever answers gets an agent.
    #[default]
    Off,
    /// Machines, screening services and faxes are hung up on.
    HangUp,
    /// Machines are left `voicemail_message`, behind the beep of their greeting or when it is over; the rest as `hang_up`.
    Voicemail,
}

/// Which calls are recorded: from the bridge to an agent until the end, each side in its own channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingPolicy {
    /// None.
    #[default]
    Off,
    /// Every call that an agent has.
    All,
}

/// Which of the idle agents a call goes to. Who stays idle longest comes first wherever a rule leaves several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// The one who is idle longest.
    #[default]
    LongestIdle,
    /// The one who had the fewest calls since signing in.
    FewestCalls,
    /// The one with the highest level times idle time: skilled agents get calls sooner, and nobody is left out.
    Skill,
    /// The one who talked with this lead last.
    Sticky,
}

/// What becomes of a call whose agent's browser is gone and does not come back in ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentLost {
    /// It is ended.
    #[default]
    End,
    /// It is given to another free agent. When there is none within the grace the call counts as abandoned, and the person
    /// hears the message.
    Offer,
}

/// When a lead with some outcome is dialed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRule {
    /// Seconds until the next attempt.
    pub delay_s: u32,
    /// How many attempts in a row may end like this before the lead is done.
    pub most: u32,
    /// Whether the next attempt waits for another part of the lead's day: morning (until 12:00), afternoon (until 17:00)
    /// or evening.
    #[serde(default)]
    pub other_daypart: bool,
    /// Whether the lead's next phone is tried soon, before the delay of this rule.
    #[serde(default)]
    pub next_phone: bool,
}

impl RetryRule {
    /// After so many seconds, so many times in a row, at the same phone and at any time of the day.
    pub const fn after(delay_s: u32, most: u32) -> RetryRule {
        RetryRule { delay_s, most, other_daypart: false, next_phone: false }
    }
}

/// How a campaign takes turns between its lists. Callbacks that are due go before all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mix {
    /// The list with the highest priority first, of equal ones the older; the next when nothing of it is due.
    #[default]
    InOrder,
    /// A lead of each list in turn.
    Even,
    /// Each lead from a list by chance, with equal odds.
    Random,
    /// The same, with odds by the lists' weights.
    Weights,
}

/// What a disposition does with the lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// The lead is done.
    Done,
    /// Dialed again after the retry rule of `connected`, or at the time that the agent gave.
    Retry,
    /// The number goes on the suppression list.
    Suppress,
}

/// A result an agent can choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disposition {
    /// The key in records and reports, e.g. `sale`.
    pub code: String,
    /// What the agent reads.
    pub label: String,
    /// What follows for the lead.
    pub follow_up: FollowUp,
}

/// What a manager sets. In the API and the store it is one JSON object; missing fields take the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CampaignSettings {
    /// Shown everywhere; unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// Who decides what is dialed, and how the number of lines is decided. May be changed while the campaign runs:
    /// calls in progress end under the mode they began with.
    pub mode: Mode,
    /// Lines for each idle agent in power mode (1 to 10).
    pub lines_per_agent: f64,
    /// The most lines at once for each agent who is there, in every mode that dials ahead of them (1 to 50).
    pub max_lines_per_agent: f64,
    /// INVITEs in any one second, beside the trunk's own limit; 0: the trunk's alone.
    pub max_cps: u32,
    /// Whether a line that rings may be taken back when no agent is in sight for it; not before it has rung as long
    /// as the law demands.
    pub cancel_ringing: bool,
    /// Abandoned calls allowed among the calls that a person answered (0 to 0.1).
    pub abandonment_cap: f64,
    /// The name of a trunk or of a trunk group; empty: the first trunk.
    pub trunk: String,
    /// The number shown to the called person, E.164; empty: the trunk's.
    pub caller_id: String,
    /// The name of a pool of caller ids, which then stands in for `caller_id`; empty: none.
    pub caller_id_pool: String,
    /// What becomes of calls that a machine answers.
    pub machine_detection: MachineDetection,
    /// Sound file, `prompt:NAME` of an uploaded one, or text as `say:VOICE:TEXT`, that machines are left where `machine_detection` is `voicemail`.
    pub voicemail_message: String,
    /// As `voicemail_message`, for people who call a number back that this campaign showed them: who called, and the key that takes
    /// them off the lists; empty: the dialer's own (`[callback]`).
    pub callback_message: String,
    /// The share of calls taken for machines that goes to an agent who is free all the same, to be checked (0 to 0.1): so
    /// it is known how many of them are people.
    pub machine_sample: f64,
    /// Which calls are recorded; holds for calls that are bridged from then on.
    pub recording: RecordingPolicy,
    /// Both sides of a recorded call hear a beep so many seconds apart (5 to 300), the first at its begin; 0: never.
    pub recording_beep_s: u32,
    /// How long a line rings before it is taken back, in seconds (15 to 120).
    pub ring_timeout_s: u32,
    /// How long a person who answered may wait for an agent, in milliseconds (0 to 10000; the profile's at most).
    pub grace_ms: u32,
    /// Wrap-up ends by itself after this long, in seconds; 0: only with a disposition.
    pub wrap_up_s: u32,
    /// How much longer an agent may make a wrap-up that ends by itself, once each time, in seconds (0 to 600).
    pub wrap_up_extension_s: u32,
    /// The disposition that a call gets when its wrap-up ends without one; empty: none.
    pub wrap_up_disposition: String,
    /// When leads may be called, in their own time. Empty: never.
    pub calling_hours: Vec<CallingWindow>,
    /// Attempts a lead gets in all.
    pub max_attempts: u32,
    /// Attempts a lead gets on one day of its own (1 to 100); 0: as many as the rules let.
    pub max_attempts_day: u32,
    /// Attempts at one number in any 24 hours, over all campaigns (1 to 100); 0: as many as the rules let.
    pub max_attempts_24h: u32,
    /// How its lists take turns.
    pub mix: Mix,
    /// Minutes that a callback waits for the agent who promised it before anybody may keep it (0 to 10080).
    pub callback_wait_min: u32,
    /// Rules that differ from the defaults, by outcome.
    pub retry: BTreeMap<Outcome, RetryRule>,
    /// What agents choose from.
    pub dispositions: Vec<Disposition>,
    /// Country of numbers written without a country code, as ISO 3166 (`US`).
    pub country: String,
    /// The compliance profile it goes by: a name; empty: the one of its country; `none`: only its own settings. They may
    /// be stricter than the profile, never looser.
    pub compliance: String,
    /// Agents who serve it, beside those of its teams; where both are empty: everybody who signs in.
    pub agents: Vec<AgentId>,
    /// Teams that serve it, with all teams below them.
    pub teams: Vec<TeamId>,
    /// Which of its idle agents a call goes to.
    pub routing: Routing,
    /// What becomes of a call whose agent is lost.
    pub agent_lost: AgentLost,
    /// Which of the agents' campaigns is served first; higher is earlier.
    pub priority: i32,
    /// Sound file, `prompt:NAME` of an uploaded one, or text as `say:VOICE:TEXT`, for a person whom nobody can take; empty: a built-in message tone.
    pub abandon_message: String,
    /// How long an agent may look at a lead in preview mode, in seconds (0 to 3600); 0: as long as they like.
    pub preview_s: u32,
    /// What happens then: the lead is dialed; else it is skipped.
    pub preview_auto_dial: bool,
    /// Calls at once in agentless mode (1 to 1000).
    pub max_lines: u32,
    /// Sound file, `prompt:NAME` of an uploaded one, or text as `say:VOICE:TEXT`, for a person who answers in agentless mode; empty: a built-in tone.
    pub prompt: String,
    /// The key that puts the called number on the suppression list, while a message or the prompt of an agentless call is
    /// played: one of 0-9, * and #; empty: none.
    pub opt_out_key: String,
    /// The key that asks for an agent in agentless mode: one of 0-9, * and #; empty: none.
    pub queue_key: String,
    /// How long a person who pressed that key waits for an agent, in seconds (0 to 600).
    pub queue_wait_s: u32,
}

/// A campaign with its id and status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Where it stands.
    pub status: CampaignStatus,
    /// What a manager set.
    pub settings: CampaignSettings,
}

impl Default for CampaignSettings {
    fn default() -> Self {
        CampaignSettings {
            name: String::new(),
            description: String::new(),
            mode: Mode::Predictive,
            lines_per_agent: 1.0,
            max_lines_per_agent: 10.0,
            max_cps: 0,
            cancel_ringing: false,
            abandonment_cap: 0.03,
            trunk: String::new(),
            caller_id: String::new(),
            caller_id_pool: String::new(),
            machine_detection: MachineDetection::Off,
            voicemail_message: String::new(),
            callback_message: String::new(),
            machine_sample: 0.0,
            recording: RecordingPolicy::Off,
            recording_beep_s: 0,
            ring_timeout_s: 25,
            grace_ms: 2000,
            wrap_up_s: 60,
            wrap_up_extension_s: 0,
            wrap_up_disposition: String::new(),
            calling_hours: vec![CallingWindow {
                days: vec![1, 2, 3, 4, 5],
                from: "09:00".into(),
                to: "20:00".into(),
            }],
            max_attempts: 6,
            max_attempts_day: 0,
            max_attempts_24h: 0,
            mix: Mix::InOrder,
            callback_wait_min: 30,
            retry: BTreeMap::new(),
            dispositions: [
                ("sale", "Sale", FollowUp::Done),
                ("not_interested", "Not interested", FollowUp::Done),
                ("call_back", "Call back later", FollowUp::Retry),
                ("wrong_number", "Wrong number", FollowUp::Done),
                ("do_not_call", "Do not call again", FollowUp::Suppress),
            ]
            .into_iter()
            .map(|(code, label, follow_up)| Disposition { code: code.into(), label: label.into(), follow_up })
            .collect(),
            country: "US".into(),
            compliance: String::new(),
            agents: Vec::new(),
            teams: Vec::new(),
            routing: Routing::LongestIdle,
            agent_lost: AgentLost::End,
            priority: 0,
            abandon_message: String::new(),
            preview_s: 0,
            preview_auto_dial: false,
            max_lines: 10,
            prompt: String::new(),
            opt_out_key: "9".into(),
            queue_key: "1".into(),
            queue_wait_s: 30,
        }
    }
}
