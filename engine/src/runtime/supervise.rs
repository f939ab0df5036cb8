//! Supervisors who listen, whisper or barge in: an audio session each, which follows an agent from call to call. It is the
//! media's affair alone; the engine decides nothing by it.

use std::collections::HashMap;

use kraliki_media::{LegId, MediaEvent, Supervision};
use tokio::sync::oneshot;

use super::desk::{is_plain_rtp, refused};
use super::drive::Driver;
use super::handle::{OpenedSession, SessionError};
use super::line::told;
use super::random_array;
use crate::AgentId;

/// What is asked of supervisors' sessions. `by` is the supervisor.
pub(super) enum SupervisionRequest {
    Open {
        by: AgentId,
        offer: String,
        reply: oneshot::Sender<Result<OpenedSession, SessionError>>,
    },
    Follow {
        by: AgentId,
        id: String,
        agent: AgentId,
        how: Supervision,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
    Patch {
        by: AgentId,
        id: String,
        body: String,
        reply: oneshot::Sender<Result<Option<String>, SessionError>>,
    },
    Close {
        by: AgentId,
        id: String,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
}

struct Session {
    /// Names it in URLs; hard to guess.
    id: String,
    leg: LegId,
    follows: Option<(AgentId, Supervision)>,
}

/// All supervisors' audio, one session each.
#[derive(Default)]
pub(super) struct Supervisors {
    sessions: HashMap<AgentId, Session>,
}

impl Supervisors {
    fn get(&self, by: AgentId, id: &str) -> Result<&Session, SessionError> {
        self.sessions.get(&by).filter(|session| session.id == id).ok_or(SessionError::NotFound)
    }

    fn of_leg(&self, leg: LegId) -> Option<AgentId> {
        self.sessions.iter().find(|(_, session)| session.leg == leg).map(|(by, _)| *by)
    }
}

impl Driver {
    pub(super) fn on_supervision(&mut self, request: SupervisionRequest) {
        match request {
            SupervisionRequest::Open { by, offer, reply } => {
                let _ = reply.send(self.open_supervision(by, &offer));
            }
            SupervisionRequest::Follow { by, id, agent, how, reply } => {
                let _ = reply.send(self.follow(by, &id, agent, how));
            }
            SupervisionRequest::Patch { by, id, body, reply } => match self.supervisors.get(by, &id) {
                Ok(session) => self.patch_leg(session.leg, body, reply),
                Err(error) => drop(reply.send(Err(error))),
            },
            SupervisionRequest::Close { by, id, reply } => {
                let known = self.supervisors.get(by, &id).map(|_| ());
                if known.is_ok() {
                    self.drop_supervisor(by);
                }
                let _ = reply.send(known);
            }
        }
    }

    fn open_supervision(&mut self, by: AgentId, offer: &str) -> Result<OpenedSession, SessionError> {
        let (leg, answer) = if is_plain_rtp(offer) && self.config.plain_agents {
            let (leg, answer, _) = self.open_plain_leg(offer, &kraliki_media::TrunkOptions::default())?;
            (leg, answer)
        } else {
            self.media.open_browser_leg(offer).map_err(refused)?
        };
        self.drop_supervisor(by);
        let id: String = random_array::<12>().iter().map(|b| format!("{b:02x}")).collect();
        self.supervisors.sessions.insert(by, Session { id: id.clone(), leg, follows: None });
        Ok(OpenedSession { id, answer })
    }

    fn follow(
        &mut self,
        by: AgentId,
        id: &str,
        agent: AgentId,
        how: Supervision,
    ) -> Result<(), SessionError> {
        let leg = self.supervisors.get(by, id)?.leg;
        if by == agent {
            return Err(SessionError::Conflict("nobody can supervise themselves".into()));
        }
        let Some(desk) = self.desks.leg(agent) else {
            return Err(SessionError::Conflict(
                "this agent has no audio; try again once they are signed in".into(),
            ));
        };
        self.media.supervise(leg, desk, how).map_err(|e| SessionError::Unavailable(e.to_string()))?;
        tracing::info!(supervisor = %by, %agent, ?how, "an agent is supervised");
        if let Some(session) = self.supervisors.sessions.get_mut(&by) {
            session.follows = Some((agent, how));
        }
        Ok(())
    }

    /// An agent has another leg: whoever follows them goes on there.
    pub(super) fn follow_to(&self, agent: AgentId, leg: LegId) {
        for session in self.supervisors.sessions.values() {
            if let Some((_, how)) = session.follows.filter(|(followed, _)| *followed == agent) {
                told(self.media.supervise(session.leg, leg, how));
            }
        }
    }

    fn drop_supervisor(&mut self, by: AgentId) {
        if let Some(session) = self.supervisors.sessions.remove(&by) {
            tracing::info!(supervisor = %by, "supervision has ended");
            told(self.media.close(session.leg));
        }
    }

    /// What happens on a supervisor's leg; false when it is none.
    pub(super) fn on_supervisor_media(&mut self, leg: LegId, event: &MediaEvent) -> bool {
        let Some(by) = self.supervisors.of_leg(leg) else { return false };
        if let MediaEvent::LegDown { reason, .. } = event {
            tracing::info!(supervisor = %by, ?reason, "a supervisor's audio is gone");
            self.drop_supervisor(by);
        }
        true
    }
}
