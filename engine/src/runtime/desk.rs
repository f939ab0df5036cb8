//! Agents' audio sessions: one leg each, up from sign-in to sign-out.

use std::collections::HashMap;

use kraliki_media::sdp::{AudioCodec, TrunkSession};
use kraliki_media::{BrowserError, LegId, MediaEvent, TrunkOptions};
use kraliki_sip::{CallKey, Reason};
use tokio::sync::oneshot;

use super::drive::Driver;
use super::handle::{OpenedSession, SessionError};
use super::line::told;
use super::phone::PhoneCall;
use super::quality::WayName;
use super::random_array;
use crate::{AgentEvent, AgentId, PhoneProblem};

/// One agent's audio.
pub(super) struct Desk {
    /// Names the session in URLs; hard to guess.
    pub(super) session: String,
    /// None while a phone rings.
    pub(super) leg: Option<LegId>,
    pub(super) way: Way,
    up: bool,
}

/// What the agent listens and speaks with.
pub(super) enum Way {
    /// The console's page.
    Browser,
    /// Plain RTP without signalling of its own.
    Plain,
    /// A registered SIP phone.
    Phone(Box<PhoneCall>),
}

impl Way {
    fn name(&self) -> WayName {
        match self {
            Way::Browser => WayName::Browser,
            Way::Plain => WayName::Plain,
            Way::Phone(_) => WayName::Phone,
        }
    }
}

impl Desk {
    pub(super) fn phone(&mut self) -> Option<&mut PhoneCall> {
        match &mut self.way {
            Way::Phone(phone) => Some(phone),
            Way::Browser | Way::Plain => None,
        }
    }

    pub(super) fn call(&self) -> Option<CallKey> {
        match &self.way {
            Way::Phone(phone) => phone.call,
            Way::Browser | Way::Plain => None,
        }
    }
}

/// All agents' audio.
#[derive(Default)]
pub(super) struct Desks {
    by_agent: HashMap<AgentId, Desk>,
    by_leg: HashMap<LegId, AgentId>,
    by_call: HashMap<CallKey, AgentId>,
    /// Legs that are being closed: what was heard of them is still to come.
    closing: HashMap<LegId, (AgentId, WayName)>,
}

impl Desks {
    pub(super) fn leg(&self, agent: AgentId) -> Option<LegId> {
        self.by_agent.get(&agent).and_then(|d| d.leg)
    }

    pub(super) fn get(&self, agent: AgentId) -> Option<&Desk> {
        self.by_agent.get(&agent)
    }

    pub(super) fn get_mut(&mut self, agent: AgentId) -> Option<&mut Desk> {
        self.by_agent.get_mut(&agent)
    }

    /// Whose leg it is, also when it is being closed.
    pub(super) fn of_leg(&self, leg: LegId) -> Option<(AgentId, WayName)> {
        self.closing.get(&leg).copied().or_else(|| {
            let agent = self.by_leg.get(&leg)?;
            Some((*agent, self.by_agent.get(agent)?.way.name()))
        })
    }

    /// A leg is gone.
    pub(super) fn forget(&mut self, leg: LegId) {
        self.closing.remove(&leg);
    }

    /// Whose phone this call is with.
    pub(super) fn of_call(&self, call: CallKey) -> Option<AgentId> {
        self.by_call.get(&call).copied()
    }

    /// The phones that are called or connected.
    pub(super) fn phones(&self) -> impl Iterator<Item = (AgentId, &PhoneCall)> {
        self.by_agent.iter().filter_map(|(agent, desk)| match &desk.way {
            Way::Phone(phone) => Some((*agent, &**phone)),
            Way::Browser | Way::Plain => None,
        })
    }

    /// The phone of an agent's session is called by this call.
    pub(super) fn called(&mut self, agent: AgentId, call: CallKey) {
        if let Some(phone) = self.by_agent.get_mut(&agent).and_then(Desk::phone) {
            phone.call = Some(call);
            self.by_call.insert(call, agent);
        }
    }

    /// The leg of an agent's session is there.
    pub(super) fn attach(&mut self, agent: AgentId, leg: LegId) {
        if let Some(desk) = self.by_agent.get_mut(&agent) {
            desk.leg = Some(leg);
            self.by_leg.insert(leg, agent);
        }
    }

    fn put(&mut self, agent: AgentId, desk: Desk) {
        if let Some(leg) = desk.leg {
            self.by_leg.insert(leg, agent);
        }
        if let Some(call) = desk.call() {
            self.by_call.insert(call, agent);
        }
        self.by_agent.insert(agent, desk);
    }

    fn take(&mut self, agent: AgentId) -> Option<Desk> {
        let desk = self.by_agent.remove(&agent)?;
        if let Some(leg) = desk.leg {
            self.by_leg.remove(&leg);
            self.closing.insert(leg, (agent, desk.way.name()));
        }
        if let Some(call) = desk.call() {
            self.by_call.remove(&call);
        }
        Some(desk)
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
        let (leg, answer, way) = if plain {
            let (leg, answer, _) = self.open_plain_leg(offer, &TrunkOptions::default())?;
            (leg, answer, Way::Plain)
        } else {
            let (leg, answer) = self.media.open_browser_leg(offer).map_err(refused)?;
            (leg, answer, Way::Browser)
        };
        let id = self.put_desk(agent, Some(leg), way);
        Ok(OpenedSession { id, answer })
    }

    /// A leg that takes an offer of plain RTP.
    pub(super) fn open_plain_leg(
        &mut self,
        offer: &str,
        options: &TrunkOptions,
    ) -> Result<(LegId, String, TrunkSession), SessionError> {
        let leg = self.media.open_rtp_leg(options).map_err(|e| SessionError::Unavailable(e.to_string()))?;
        let mut session = TrunkSession::new(u64::from_le_bytes(random_array()), leg.rtp, &AudioCodec::G711);
        match session.answer(offer.as_bytes()) {
            Ok((answer, agreed)) => {
                told(self.media.set_remote(leg.id, agreed));
                Ok((leg.id, String::from_utf8_lossy(&answer).into_owned(), session))
            }
            Err(mismatch) => {
                told(self.media.close(leg.id));
                Err(SessionError::BadOffer(mismatch.to_string()))
            }
        }
    }

    /// An agent's session begins; an earlier one ends. Gives its name.
    pub(super) fn put_desk(&mut self, agent: AgentId, leg: Option<LegId>, way: Way) -> String {
        self.drop_desk(agent, None);
        let session: String = random_array::<12>().iter().map(|b| format!("{b:02x}")).collect();
        self.desks.put(agent, Desk { session: session.clone(), leg, way, up: false });
        leg.into_iter().for_each(|leg| self.follow_to(agent, leg));
        self.show_phone(agent);
        session
    }

    pub(super) fn patch_session(
        &mut self,
        agent: AgentId,
        session: &str,
        body: String,
        reply: oneshot::Sender<Result<Option<String>, SessionError>>,
    ) {
        let desk = self.desks.get(agent).filter(|d| d.session == session && matches!(d.way, Way::Browser));
        let Some(leg) = desk.and_then(|d| d.leg) else {
            let _ = reply.send(Err(SessionError::NotFound));
            return;
        };
        self.patch_leg(leg, body, reply);
    }

    /// Restarts a browser's ICE, or takes its candidates. The media's answer may take a moment: it is waited for elsewhere.
    pub(super) fn patch_leg(
        &self,
        leg: LegId,
        body: String,
        reply: oneshot::Sender<Result<Option<String>, SessionError>>,
    ) {
        let media = self.media.clone();
        tokio::task::spawn_blocking(move || {
            let answer = media.restart_browser_leg(leg, body.as_bytes()).map_err(refused);
            let _ = reply.send(answer);
        });
    }

    pub(super) fn close_session(&mut self, agent: AgentId, session: &str) -> Result<(), SessionError> {
        if self.desks.get(agent).is_none_or(|d| d.session != session) {
            return Err(SessionError::NotFound);
        }
        self.drop_desk(agent, None);
        Ok(())
    }

    /// Ends an agent's session; a phone is hung up. `problem`: why, when nobody wanted it.
    pub(super) fn drop_desk(&mut self, agent: AgentId, problem: Option<PhoneProblem>) {
        if let Some(call) = self.desks.get(agent).and_then(Desk::call)
            && let Err(error) = self.sip.bye(call, Some(Reason::q850(16, "Normal call clearing")))
        {
            tracing::warn!(%agent, %error, "cannot hang up at an agent's phone");
        }
        self.forget_desk(agent, problem);
    }

    /// As `drop_desk`, when the phone's call is over already.
    pub(super) fn forget_desk(&mut self, agent: AgentId, problem: Option<PhoneProblem>) {
        let Some(desk) = self.desks.take(agent) else { return };
        if let Some(leg) = desk.leg {
            told(self.media.close(leg));
        }
        if matches!(desk.way, Way::Phone(_)) {
            self.phones.set_problem(agent, problem);
            self.show_phone(agent);
        }
        if desk.up {
            self.give_agent(agent, AgentEvent::LegDown);
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
            // A plain RTP leg has no handshake: its first sign of life is its coming up. A browser that was lost is back.
            MediaEvent::Alive { .. } if !desk.up => {
                desk.up = true;
                AgentEvent::LegUp
            }
            MediaEvent::Alive { .. } => AgentEvent::Alive,
            MediaEvent::Silent { .. } => AgentEvent::Silent,
            MediaEvent::Lost { .. } if !desk.up => return,
            // Its session stays: it may come back by itself, or by an ICE restart.
            MediaEvent::Lost { .. } => {
                tracing::info!(%agent, "an agent's browser is lost");
                desk.up = false;
                AgentEvent::LegDown
            }
            MediaEvent::LegDown { reason, .. } => {
                tracing::info!(%agent, ?reason, "an agent's audio is gone");
                self.drop_desk(agent, Some(PhoneProblem::Lost));
                return;
            }
            _ => return,
        };
        self.give_agent(agent, event);
    }
}

pub(super) fn refused(error: BrowserError) -> SessionError {
    match error {
        BrowserError::Offer(why) => SessionError::BadOffer(why.to_string()),
        other => SessionError::Unavailable(other.to_string()),
    }
}

/// Whether the offer's audio is plain RTP rather than WebRTC's.
pub(super) fn is_plain_rtp(offer: &str) -> bool {
    let plain = |p: &str| ["RTP/AVP", "RTP/AVPF"].iter().any(|name| p.eq_ignore_ascii_case(name));
    offer.lines().filter(|l| l.starts_with("m=audio")).any(|l| l.split_whitespace().nth(2).is_some_and(plain))
}
