//! Simulated agents: each has a leg, talks, hangs up, chooses a disposition and wraps up, by the floor's distributions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kraliki_engine::runtime::EngineHandle;
use kraliki_engine::simulate::Floor;
use kraliki_engine::{AgentId, AgentState, AgentView, Command, Event};
use kraliki_media::sdp::{AudioCodec, TrunkSession};
use kraliki_media::{Audio, MediaHandle, Voice};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::carrier::OUTSIDE_LEG;

/// What they choose from: the demo campaign's codes.
const CODES: [&str; 3] = ["sale", "not_interested", "call_back"];
/// A command that was refused is tried again after this long.
const RETRY: Duration = Duration::from_secs(1);
/// How long a voice speaks before it begins anew.
const SPEECH: Duration = Duration::from_secs(10);

/// Lets one agent work until the dialer stops.
pub(super) fn start(
    handle: EngineHandle,
    outside: MediaHandle,
    agent: AgentId,
    floor: Arc<Floor>,
    seed: u64,
) {
    tokio::spawn(async move {
        if let Err(error) = work(&handle, &outside, agent, &floor, seed).await {
            tracing::error!(%agent, "a simulated agent stopped: {error:#}");
        }
    });
}

async fn work(
    handle: &EngineHandle,
    outside: &MediaHandle,
    agent: AgentId,
    floor: &Floor,
    seed: u64,
) -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events = handle.subscribe();
    handle.command(Command::SignIn { agent, name: format!("Simulated {agent}") }).await?;
    open_leg(handle, outside, agent, seed).await?;
    let mut view = look(handle, agent);
    loop {
        let known = |v: &AgentView| (v.state, v.call, v.audio);
        let before = view.as_ref().map(known);
        let after = match before {
            Some((AgentState::Paused, _, true)) => Some(Duration::ZERO),
            Some((AgentState::Talking, ..)) => Some(floor.talk(&mut rng)),
            Some((AgentState::WrapUp, ..)) => Some(floor.wrap_up(&mut rng)),
            _ => None,
        };
        let mut due = after.map(|after| Instant::now() + after);
        while view.as_ref().map(known) == before {
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => {
                    if let Some(view) = &view {
                        act(handle, view, &mut rng).await;
                    }
                    // A refusal (the dialer was busy) is tried again; what was done comes back as an event.
                    due = Some(Instant::now() + RETRY);
                }
                event = events.recv() => match event {
                    Ok(event) => match event.as_ref() {
                        Event::Agent(new) if new.id == agent => view = Some(new.clone()),
                        _ => {}
                    },
                    Err(RecvError::Lagged(_)) => view = look(handle, agent),
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }
}

/// What an agent does when the time in a state is over.
async fn act(handle: &EngineHandle, view: &AgentView, rng: &mut ChaCha8Rng) {
    let agent = view.id;
    let commands = match (view.state, view.call) {
        (AgentState::Talking, Some(call)) => vec![Command::Hangup(call)],
        (AgentState::WrapUp, Some(call)) => {
            let code = CODES.get(rng.random_range(0..CODES.len())).copied().unwrap_or("sale").to_owned();
            let dispose =
                Command::Dispose { call, code, note: String::new(), callback_unix_ms: None, personal: false };
            vec![dispose, Command::Ready(agent)]
        }
        _ => vec![Command::Ready(agent)],
    };
    for command in commands {
        if let Err(error) = handle.command(command).await {
            tracing::debug!(%agent, %error, "refused");
        }
    }
}

fn look(handle: &EngineHandle, agent: AgentId) -> Option<AgentView> {
    handle.snapshot().agents.iter().find(|a| a.id == agent).cloned()
}

/// An audio leg of plain RTP between the agent outside and the dialer.
async fn open_leg(
    handle: &EngineHandle,
    outside: &MediaHandle,
    agent: AgentId,
    seed: u64,
) -> anyhow::Result<()> {
    let leg = outside.open_trunk_leg(&OUTSIDE_LEG).context("no port for the agent")?;
    let mut session = TrunkSession::new(seed, leg.rtp, &AudioCodec::G711);
    let offer = String::from_utf8_lossy(&session.offer()).into_owned();
    let opened = handle.open_session(agent, offer).await?;
    let agreed = session
        .apply_answer(opened.answer.as_bytes())
        .map_err(|mismatch| anyhow!("the dialer's answer does not fit: {mismatch}"))?;
    outside.set_remote(leg.id, agreed)?;
    outside.play(leg.id, Arc::new(Audio::speech(Voice::new(seed), SPEECH)), true)?;
    Ok(())
}
