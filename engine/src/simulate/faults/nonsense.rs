//! Things that nobody expects: about calls that are, were or never will be.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use kraliki_time::Time;

use super::disk::stored;
use super::setting::{MADE, phone};
use crate::{
    AgentEvent, AgentId, AttemptId, CampaignId, CampaignSettings, Command, EndedBy, Failure, Input,
    LineEvent, Pii, Trunk, TrunkId, TryId, Verdict,
};

/// An input, or a command (which gets a reply number of its own).
pub(super) enum Nonsense {
    Input(Input),
    Command(Command),
}

/// The next of it. `attempts` is about how many there were; `settings` are those of some campaign.
pub(super) fn next(
    now: Time,
    attempts: i64,
    agents: i64,
    settings: &CampaignSettings,
    rng: &mut ChaCha8Rng,
) -> Nonsense {
    let attempt = AttemptId(rng.random_range(0..attempts.max(40)));
    let id = TryId { attempt, number: rng.random_range(0..3) };
    let agent = AgentId(rng.random_range(0..agents + 3));
    let campaign = CampaignId(rng.random_range(0..5));
    let line = |event| Nonsense::Input(Input::Line { id, event });
    let trunk = [TrunkId(1), MADE, TrunkId(MADE.0 + 1), TrunkId(MADE.0 + 2)]
        .get(rng.random_range(0..4))
        .copied()
        .unwrap_or(MADE);
    match rng.random_range(0..26) {
        0 => line(LineEvent::Trying),
        1 => line(LineEvent::Ringing { early_media: false }),
        2 => line(LineEvent::Answered { dialog: vec![1, 2], detecting: true }),
        3 => line(LineEvent::Verdict(Verdict::Machine)),
        4 => line(LineEvent::FirstPacket { at: now }),
        5 => line(LineEvent::Failed(Failure::Cancelled)),
        6 => line(LineEvent::Failed(Failure::NotSent { reason: String::new() })),
        7 => line(LineEvent::Ended { by: EndedBy::Near, q850: None }),
        8 => line(LineEvent::PlayDone),
        9 => Nonsense::Input(Input::Trunk { id: trunk, up: rng.random_range(0..4) > 0 }),
        10 => Nonsense::Input(Input::Committed { token: 0 }),
        11 => Nonsense::Input(Input::CommitFailed { token: u64::MAX }),
        12 => Nonsense::Input(Input::Agent { id: agent, event: AgentEvent::LegDown }),
        13 => Nonsense::Input(Input::Agent { id: agent, event: AgentEvent::LegUp }),
        14 => Nonsense::Command(Command::Hangup(attempt)),
        15 => Nonsense::Command(Command::PauseCampaign(campaign)),
        16 | 17 => Nonsense::Command(Command::StartCampaign(campaign)),
        18 => Nonsense::Command(Command::Suppress {
            phone: Pii(phone(attempt.0)),
            reason: "chaos".into(),
            campaign: None,
        }),
        19 => {
            Nonsense::Command(Command::UpdateCampaign { id: campaign, settings: Box::new(settings.clone()) })
        }
        20 if attempt.0 % 2 == 0 => {
            Nonsense::Command(Command::PauseRecording { call: attempt, on: attempt.0 % 4 == 0 })
        }
        20 => Nonsense::Command(Command::Dtmf { call: attempt, digits: "12x".into() }),
        21 => Nonsense::Command(Command::LeadsChanged(campaign)),
        22 | 23 => Nonsense::Command(put_trunk(trunk, rng)),
        24 => Nonsense::Command(Command::DeleteTrunk(trunk)),
        _ => Nonsense::Command(Command::Dispose {
            call: attempt,
            code: "call_back".into(),
            note: String::new(),
            callback_unix_ms: None,
            personal: false,
        }),
    }
}

/// A trunk by API: other limits for one that is there, or one more.
fn put_trunk(id: TrunkId, rng: &mut ChaCha8Rng) -> Command {
    let (id, name) = match rng.random_range(0..3) {
        0 => (None, format!("extra-{}", rng.random_range(0..3))),
        _ if id == MADE => (Some(id), "trunk-2".to_owned()),
        _ => (Some(id), format!("extra-{}", rng.random_range(0..3))),
    };
    let others = [TrunkId(1), TrunkId(MADE.0 + 1)];
    let trunk = Trunk {
        max_cps: rng.random_range(1..=20),
        max_channels: rng.random_range(1..=40),
        breaker_failures: 5,
        breaker_pause_s: 5,
        fail_over: others
            .into_iter()
            .filter(|other| Some(*other) != id && rng.random_range(0..2) == 0)
            .collect(),
        ..Trunk::new(id.unwrap_or(MADE), &name, "+12025550100")
    };
    let stored = Box::new(stored(&trunk));
    Command::PutTrunk { id, trunk: Box::new(trunk), stored }
}
