//! Agents' audio sessions: one leg each, up from sign-in to sign-out.

use std::collections::HashMap;

use kraliki_media::sdp::{AudioCodec, TrunkSession};
use kraliki_media::{BrowserError, LegId, MediaEvent, TrunkOptions};
use tokio::sync::oneshot;

use super::drive::Driver;
use super::handle::{OpenedSession, SessionError};
use super::line::told;
use super::random_array;
use crate::{AgentEvent, AgentId};

/// One agent's leg.
struct Desk {
    /// Names the session in URLs; hard to guess.
    session: String,
    leg: LegId,
    /// A plain RTP leg has no handshake: its first sign of life is its coming up.
    plain: bool,
    up: bool,
}

/// All agents' legs.
#[derive(Default)]
pub(super) struct Desks {
    by_agent: HashMap<AgentId, Desk>,
    by_leg: HashMap<LegId, AgentId>,
}

impl Desks {
    pub(super) fn leg(&self, agent: AgentId) -> Option<LegId> {
        self.by_agent.get(&agent).map(|d| d.leg)
    }
}

impl Driver {
    pub(super) fn open_session(
        &mut self,
        agent: AgentId,
        offer: &str,
    ) -> Result<OpenedSession, SessionError> {
        let plain = is_plain_rtp(offer);
        if plain && !self.config.plain_agents {
            return Err(SessionError::BadOffer(
                "plain RTP is not accepted from agents; offer WebRTC (UDP/TLS/RTP/SAVPF)".into(),
            ));
        }
        let (leg, answer) = if plain {
            let leg = self
                .media
                .open_rtp_leg(&TrunkOptions::default())
                .map_err(|e| SessionError::Unavailable(e.to_string()))?;
            let mut session =
                TrunkSession::new(u64::from_le_bytes(random_array()), leg.rtp, &AudioCodec::ALL);
            match session.answer(offer.as_bytes()) {
                Ok((answer, agreed)) => {
                    told(self.media.set_remote(leg.id, agreed));
                    (leg.id, String::from_utf8_lossy(&answer).into_owned())
                }
                Err(mismatch) => {
                    told(self.media.close(leg.id));
                    return Err(SessionError::BadOffer(mismatch.to_string()));
                }
            }
        } else {
            self.media.open_browser_leg(offer).map_err(refused)?
        };
        self.drop_desk(agent);
        let session: String = random_array::<12>().iter().map(|b| format!("{b:02x}")).collect();
        self.desks.by_leg.insert(leg, agent);
        self.desks.by_agent.insert(agent, Desk { session: session.clone(), leg, plain, up: false });
        Ok(OpenedSession { id: session, answer })
    }

    /// The media's answer may take a moment: it is waited for elsewhere.
    pub(super) fn patch_session(
        &mut self,
        agent: AgentId,
        session: &str,
        body: String,
        reply: oneshot::Sender<Result<Option<String>, SessionError>>,
    ) {
        let desk = self.desks.by_agent.get(&agent).filter(|d| d.session == session && !d.plain);
        let Some(leg) = desk.map(|d| d.leg) else {
            let _ = reply.send(Err(SessionError::NotFound));
            return;
        };
        let media = self.media.clone();
        tokio::task::spawn_blocking(move || {
            let answer = media.restart_browser_leg(leg, body.as_bytes()).map_err(refused);
            let _ = reply.send(answer);
        });
    }

    pub(super) fn close_session(&mut self, agent: AgentId, session: &str) -> Result<(), SessionError> {
        if self.desks.by_agent.get(&agent).is_none_or(|d| d.session != session) {
            return Err(SessionError::NotFound);
        }
        self.drop_desk(agent);
        Ok(())
    }

    fn drop_desk(&mut self, agent: AgentId) {
        if let Some(desk) = self.desks.by_agent.remove(&agent) {
            self.desks.by_leg.remove(&desk.leg);
            told(self.media.close(desk.leg));
            if desk.up {
                self.give_agent(agent, AgentEvent::LegDown);
            }
        }
    }

    pub(super) fn on_desk_media(&mut self, leg: LegId, event: MediaEvent) {
        let Some(&agent) = self.desks.by_leg.get(&leg) else { return };
        let Some(desk) = self.desks.by_agent.get_mut(&agent) else { return };
        let event = match event {
            MediaEvent::BrowserUp { .. } => {
                desk.up = true;
                AgentEvent::LegUp
            }
            MediaEvent::Alive { .. } if desk.plain && !desk.up => {
                desk.up = true;
                AgentEvent::LegUp
            }
            MediaEvent::Alive { .. } => AgentEvent::Alive,
            MediaEvent::Silent { .. } => AgentEvent::Silent,
            MediaEvent::LegDown { reason, .. } => {
                tracing::info!(%agent, ?reason, "an agent's audio is gone");
                self.drop_desk(agent);
                return;
            }
            _ => return,
        };
        self.give_agent(agent, event);
    }
}

fn refused(error: BrowserError) -> SessionError {
    match error {
        BrowserError::Offer(why) => SessionError::BadOffer(why.to_string()),
        other => SessionError::Unavailable(other.to_string()),
    }
}

/// Whether the offer's audio is plain RTP rather than WebRTC's.
fn is_plain_rtp(offer: &str) -> bool {
    offer
        .lines()
        .filter(|l| l.starts_with("m=audio"))
        .any(|l| l.split_whitespace().nth(2).is_some_and(|p| p.eq_ignore_ascii_case("RTP/AVP")))
}
