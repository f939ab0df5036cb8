//! People who call a shown number back: they hear who called, and a key takes them off the lists.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kraliki_media::sdp::{SrtpPolicy, TrunkSession};
use kraliki_media::{Audio, LegId, MediaEvent};
use kraliki_sip::{Body, CallKey, Name, NameAddr, Reason, Request, SocketId, Transport};
use kraliki_time::Time;
use tokio::sync::oneshot;

use super::called_back::Placing;
use super::drive::Driver;
use super::identity::Waiting;
use super::line::told;
use super::random_array;
use super::trunk::{InboundStir, TrunkConfig};
use crate::{CampaignId, Command};

/// Calls to us at once. Beyond it a caller is asked to try again: calls that we place matter more.
const CALLERS: usize = 200;
/// After the prompt a caller may still press the key for this long.
const KEY_WAIT: Duration = Duration::from_secs(10);
/// No such call is longer.
const LONGEST: Duration = Duration::from_secs(120);
/// The reason on the suppression list.
const REASON: &str = "opted out by calling back";

/// A caller whose call is to be answered.
pub(super) struct Admitted {
    pub(super) trunk: Arc<TrunkConfig>,
    /// Whether the audio is encrypted: what the trunk wants, where the signalling is.
    srtp: SrtpPolicy,
}

/// A status, and headers beside it.
type Refusal = (u16, Vec<(String, String)>);

/// What callers hear.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Who called, and which key to press.
    pub prompt: Arc<Audio>,
    /// That the number is not called any more.
    pub confirm: Arc<Audio>,
    /// The key.
    pub opt_out_key: char,
    /// For how long an attempt says whose campaign a person calls back.
    pub look_back: Duration,
}

/// One call to us.
struct Caller {
    leg: LegId,
    session: TrunkSession,
    /// E.164; none when the trunk does not say.
    number: Option<String>,
    opted_out: bool,
    ends: Time,
}

/// All calls to us.
#[derive(Default)]
pub(super) struct Callers {
    by_call: HashMap<CallKey, Caller>,
    by_leg: HashMap<LegId, CallKey>,
    /// Those that are answered once it is known who calls.
    pub(super) waiting: HashMap<CallKey, Waiting>,
    /// Those that are answered once it is known whose campaign they call back.
    pub(super) placing: HashMap<CallKey, Placing>,
}

impl Callers {
    pub(super) fn of_leg(&self, leg: LegId) -> Option<CallKey> {
        self.by_leg.get(&leg).copied()
    }

    fn count(&self) -> usize {
        self.by_call.len() + self.waiting.len() + self.placing.len()
    }

    pub(super) fn has(&self, call: CallKey) -> bool {
        self.by_call.contains_key(&call)
            || self.waiting.contains_key(&call)
            || self.placing.contains_key(&call)
    }
}

impl Driver {
    /// A trunk brings a call.
    pub(super) fn on_caller(
        &mut self,
        call: CallKey,
        by: (SocketId, SocketAddr),
        request: Box<Request>,
        body: Option<Body>,
    ) {
        match self.admit_caller(by) {
            Err((status, headers)) => drop(self.sip.reject(call, status, headers)),
            Ok(admitted) if admitted.trunk.inbound_stir == InboundStir::Off => {
                self.place_caller(call, admitted, request, body);
            }
            Ok(admitted) => self.verify_caller(call, by.1, admitted, request, body),
        }
    }

    fn admit_caller(&self, (socket, from): (SocketId, SocketAddr)) -> Result<Admitted, Refusal> {
        // Nobody answers calls to us: the caller hears that nobody is there (RFC 3261 §21.4.18).
        if self.config.callback.is_none() {
            return Err((480, Vec::new()));
        }
        let Some(trunk) = self.trunk_of(from.ip()).cloned() else { return Err((403, Vec::new())) };
        if self.callers.count() >= CALLERS {
            return Err((503, vec![("Retry-After".into(), "30".into())]));
        }
        let srtp = match trunk.srtp {
            // Keys would come and go in clear (RFC 4568 §7.3): none are exchanged, or there is no call.
            SrtpPolicy::Required if !self.is_tls(socket) => return Err((488, Vec::new())),
            _ if !self.is_tls(socket) => SrtpPolicy::Off,
            policy => policy,
        };
        Ok(Admitted { trunk, srtp })
    }

    /// Answers a caller with what the campaign that is called back says, else with what the dialer says for all.
    pub(super) fn answer_caller(&mut self, call: CallKey, placing: &Placing, campaign: Option<CampaignId>) {
        if let Err((status, headers)) = self.try_to_answer(call, placing, campaign) {
            let _ = self.sip.reject(call, status, headers);
        }
    }

    fn try_to_answer(
        &mut self,
        call: CallKey,
        Placing { admitted: Admitted { trunk, srtp }, body, number, .. }: &Placing,
        campaign: Option<CampaignId>,
    ) -> Result<(), Refusal> {
        let Some(config) = self.config.callback.clone() else { return Err((480, Vec::new())) };
        let prompt = campaign.and_then(|id| self.callback_message(id)).unwrap_or(config.prompt);
        let busy = |_| (503, vec![("Retry-After".into(), "5".into())]);
        let leg = self.media.open_trunk_leg(&trunk.media).map_err(busy)?;
        let mut session = TrunkSession::new(u64::from_le_bytes(random_array()), leg.rtp, &trunk.codecs)
            .with_srtp(*srtp, random_array());
        let answer = match body {
            None => session.offer(),
            Some(offer) => match session.answer(&offer.data) {
                Ok((answer, agreed)) => {
                    told(self.media.set_remote(leg.id, agreed));
                    answer
                }
                Err(_) => {
                    told(self.media.close(leg.id));
                    return Err((488, Vec::new()));
                }
            },
        };
        if self.sip.answer(call, Some(Body::sdp(answer))).is_err() {
            told(self.media.close(leg.id));
            return Err((503, Vec::new()));
        }
        told(self.media.answered(leg.id));
        told(self.media.play(leg.id, prompt, false));
        let caller = Caller {
            leg: leg.id,
            session,
            number: number.clone(),
            opted_out: false,
            ends: self.now() + LONGEST,
        };
        self.callers.by_leg.insert(leg.id, call);
        self.callers.by_call.insert(call, caller);
        Ok(())
    }

    /// Whether what comes by a socket is encrypted.
    fn is_tls(&self, socket: SocketId) -> bool {
        let listen = self.config.sip.listen.get(usize::from(socket.0));
        listen.is_some_and(|listen| matches!(listen.transport, Transport::Tls | Transport::Wss))
    }

    /// The ACK with the answer to our offer.
    pub(super) fn on_caller_answer(&mut self, call: CallKey, body: &Body) {
        let Some(caller) = self.callers.by_call.get_mut(&call) else { return };
        match caller.session.apply_answer(&body.data) {
            Ok(agreed) => told(self.media.set_remote(caller.leg, agreed)),
            Err(_) => self.end_caller(call),
        }
    }

    pub(super) fn on_caller_media(&mut self, call: CallKey, event: &MediaEvent) {
        match event {
            MediaEvent::Dtmf { digit, .. } => self.on_caller_key(call, digit.as_char()),
            MediaEvent::PlayDone { .. } => {
                let now = self.now();
                let Some(caller) = self.callers.by_call.get_mut(&call) else { return };
                if caller.opted_out || caller.number.is_none() {
                    return self.end_caller(call);
                }
                caller.ends = caller.ends.min(now + KEY_WAIT);
            }
            MediaEvent::RtpTimeout { .. } => self.end_caller(call),
            _ => {}
        }
    }

    pub(super) fn on_caller_key(&mut self, call: CallKey, key: char) {
        let Some(config) = &self.config.callback else { return };
        let Some(caller) = self.callers.by_call.get_mut(&call) else { return };
        let Some(number) = caller.number.clone() else { return };
        if key != config.opt_out_key || std::mem::replace(&mut caller.opted_out, true) {
            return;
        }
        told(self.media.play(caller.leg, config.confirm.clone(), false));
        let command = Command::Suppress { phone: number.into(), reason: REASON.into(), campaign: None };
        let (reply, done) = oneshot::channel();
        self.command(command, reply);
        tokio::spawn(async move {
            if let Ok(Err(error)) = done.await {
                tracing::error!(%error, "somebody who called back to opt out is not on the suppression list");
            }
        });
    }

    /// Ends calls whose time is over.
    pub(super) fn watch_callers(&mut self, now: Time) {
        self.watch_waiting_callers(now);
        self.watch_placing_callers(now);
        let over = self.callers.by_call.iter().filter(|(_, caller)| caller.ends <= now);
        for call in over.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.end_caller(call);
        }
    }

    fn end_caller(&mut self, call: CallKey) {
        let _ = self.sip.bye(call, Some(Reason::q850(16, "Normal call clearing")));
        self.drop_caller(call);
    }

    /// A caller has hung up, or is to be forgotten.
    pub(super) fn drop_caller(&mut self, call: CallKey) {
        self.callers.waiting.remove(&call);
        self.callers.placing.remove(&call);
        if let Some(caller) = self.callers.by_call.remove(&call) {
            self.callers.by_leg.remove(&caller.leg);
            told(self.media.close(caller.leg));
        }
    }
}

/// Who calls: what the trunk asserts (RFC 3325) before what From says.
pub(super) fn caller_of(request: &Request) -> Option<NameAddr<'_>> {
    let asserted = request.values(Name::PAssertedIdentity).next().and_then(NameAddr::parse);
    asserted.or_else(|| request.from())
}
