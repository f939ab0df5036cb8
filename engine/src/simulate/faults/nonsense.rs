//! Things that nobody expects: about calls that are, were or never will be.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use kraliki_time::Time;

use super::setting::phone;
use crate::{
    AgentEvent, AgentId, AttemptId, CampaignId, CampaignSettings, Command, EndedBy, Failure, Input,
    LineEvent, Pii, TrunkId, TryId, Verdict,
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
    match rng.random_range(0..23) {
        0 => line(LineEvent::Trying),
        1 => line(LineEvent::Ringing { early_media: false }),
        2 => line(LineEvent::Answered { dialog: vec![1, 2], detecting: true }),
        3 => line(LineEvent::Verdict(Verdict::Machine)),
        4 => line(LineEvent::FirstPacket { at: now }),
        5 => line(LineEvent::Failed(Failure::Cancelled)),
        6 => line(LineEvent::Failed(Failure::NotSent { reason: String::new() })),
        7 => line(LineEvent::Ended { by: EndedBy::Near, q850: None }),
        8 => line(LineEvent::PlayDone),
        9 => {
            let id = TrunkId(rng.random_range(1..4));
            Nonsense::Input(Input::Trunk { id, up: rng.random_range(0..4) > 0 })
        }
        10 => Nonsense::Input(Input::Committed { token: 0 }),
        11 => Nonsense::Input(Input::CommitFailed { token: u64::MAX }),
        12 => Nonsense::Input(Input::Agent { id: agent, event: AgentEvent::LegDown }),
        13 => Nonsense::Input(Input::Agent { id: agent, event: AgentEvent::LegUp }),
        14 => Nonsense::Command(Command::Hangup(attempt)),
        15 => Nonsense::Command(Command::PauseCampaign(campaign)),
        16 | 17 => Nonsense::Command(Command::StartCampaign(campaign)),
        18 => Nonsense::Command(Command::Suppress { phone: Pii(phone(attempt.0)), reason: "chaos".into() }),
        19 => {
            Nonsense::Command(Command::UpdateCampaign { id: campaign, settings: Box::new(settings.clone()) })
        }
        20 => Nonsense::Command(Command::Dtmf { call: attempt, digits: "12x".into() }),
        21 => Nonsense::Command(Command::LeadsChanged(campaign)),
        _ => Nonsense::Command(Command::Dispose {
            call: attempt,
            code: "call_back".into(),
            note: String::new(),
            callback_unix_ms: None,
        }),
    }
}
