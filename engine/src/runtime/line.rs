//! Lines: a try's SIP call, its RTP leg and what was agreed for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kraliki_media::detect::{COUNTRIES, Class, Detector, Event as Heard, country};
use kraliki_media::sdp::TrunkSession;
use kraliki_media::{Digit, LegId, MediaError, MediaEvent};
use kraliki_sip::{Body, CallKey, EndedBy as SipEndedBy, Event, ModifyAnswer, Reason, Scheme};
use kraliki_time::Time;

use super::drive::Driver;
use super::handle::Request;
use super::quality::{BothSides, Past};
use super::trunk::{TrunkConfig, TrunkFigures};
use super::{random_array, redress};
use crate::lead::phone::country_of;
use crate::{CancelReason, Dial, EndedBy, Failure, Input, LineEvent, Output, TryId, Verdict};

/// The line of a simulated carrier's answer that says who answered, and after how many ms that is known: a stand-in for
/// detection on floors with machines. Heeded only on trunks that are simulated.
pub const VERDICT_ATTRIBUTE: &str = "a=x-kraliki-verdict:";

/// One line.
struct Line {
    id: TryId,
    call: CallKey,
    leg: LegId,
    session: TrunkSession,
    /// The trunk as it was when the call began.
    trunk: Arc<TrunkConfig>,
    figures: Arc<TrunkFigures>,
    /// The session description of each early dialog's last word, for a 200 that brings none of its own.
    early: Option<bytes::Bytes>,
    dialed: Time,
    rang: bool,
    /// Somebody listens who answers.
    detecting: bool,
    /// The agent that it is bridged to, and who of both is not heard.
    heard: Option<BothSides>,
    /// Its agent is lost, and it hears music.
    parked: bool,
}

/// All lines, by try, by SIP call and by leg.
#[derive(Default)]
pub(super) struct Lines {
    by_try: HashMap<TryId, Line>,
    by_call: HashMap<CallKey, TryId>,
    by_leg: HashMap<LegId, TryId>,
    /// Legs that are being closed: what was heard of them is still to come.
    closing: HashMap<LegId, Past>,
}

impl Lines {
    pub(super) fn of_leg(&self, leg: LegId) -> Option<TryId> {
        self.by_leg.get(&leg).copied()
    }

    pub(super) fn leg(&self, id: TryId) -> Option<LegId> {
        self.by_try.get(&id).map(|line| line.leg)
    }

    /// Who is heard in a bridged call.
    pub(super) fn heard(&mut self, id: TryId) -> Option<&mut BothSides> {
        self.by_try.get_mut(&id)?.heard.as_mut()
    }

    /// The call of a leg, also when it is being closed.
    pub(super) fn past(&self, leg: LegId) -> Option<Past> {
        self.closing.get(&leg).cloned().or_else(|| {
            let line = self.by_try.get(self.by_leg.get(&leg)?)?;
            Some(Past { id: line.id, figures: line.figures.clone() })
        })
    }

    /// The call that an agent's leg is bridged to.
    pub(super) fn with_agent(&self, agent: crate::AgentId) -> Option<TryId> {
        // Asked when somebody is not heard any more: seldom.
        let mut lines = self.by_try.values();
        lines.find(|line| line.heard.as_ref().is_some_and(|heard| heard.agent == agent)).map(|line| line.id)
    }

    /// A call.
    pub(super) fn of_try(&self, id: TryId) -> Option<Past> {
        self.past(self.leg(id)?)
    }

    /// A leg is gone.
    pub(super) fn forget(&mut self, leg: LegId) {
        self.closing.remove(&leg);
    }

    fn of_call(&mut self, call: CallKey) -> Option<&mut Line> {
        let id = self.by_call.get(&call)?;
        self.by_try.get_mut(id)
    }
}

impl Driver {
    /// Carries out what concerns lines and agents.
    pub(super) fn on_line_output(&mut self, output: Output) {
        match output {
            Output::Dial(dial) => {
                let id = dial.id;
                if let Err(reason) = self.dial(dial) {
                    self.give_line(id, LineEvent::Failed(Failure::NotSent { reason }));
                }
            }
            Output::Cancel { id, reason } => {
                // An answer that is on its way to the engine outruns this: it then decides anew.
                if let Some(line) = self.lines.by_try.get(&id)
                    && let Err(error) = self.sip.cancel(line.call, Some(cancel_reason(reason)))
                {
                    tracing::warn!(%error, %id, "cannot take a line back now");
                }
            }
            Output::Hangup { id } => self.end_call(id, Reason::q850(16, "Normal call clearing")),
            Output::Bridge { id, agent } => {
                if let Some(line) = self.lines.by_try.get_mut(&id) {
                    line.heard = Some(BothSides::new(agent));
                    if std::mem::take(&mut line.parked) {
                        told(self.media.stop(line.leg));
                    }
                }
                let legs = self.lines.leg(id).zip(self.desks.leg(agent));
                match legs {
                    Some((trunk, desk)) => {
                        told(self.media.bridge(trunk, desk, true));
                        self.record_agent(id, agent);
                    }
                    None => tracing::error!(%id, %agent, "asked to bridge a leg that is not there"),
                }
            }
            Output::Unbridge { id } => {
                if let Some(line) = self.lines.by_try.get_mut(&id) {
                    line.heard = None;
                    told(self.media.unbridge(line.leg));
                    // Somebody who lost their agent is not left in silence.
                    if let Some(music) = &self.config.hold_music {
                        line.parked = true;
                        told(self.media.play(line.leg, music.clone(), true));
                    }
                }
            }
            Output::Hold { id, on } => {
                if let Some(leg) = self.lines.leg(id) {
                    told(self.media.hold(leg, on));
                    if let Some(music) = &self.config.hold_music {
                        told(if on {
                            self.media.play(leg, music.clone(), true)
                        } else {
                            self.media.stop(leg)
                        });
                    }
                    self.hold_recording(id, on);
                }
            }
            Output::Dtmf { id, digits } => {
                if let Some(leg) = self.lines.leg(id) {
                    let digits: Vec<Digit> = digits.chars().filter_map(Digit::from_char).collect();
                    told(self.media.send_dtmf(leg, &digits));
                }
            }
            Output::Record { id, agent, beep_s } => self.begin_recording(id, agent, beep_s),
            Output::PauseRecording { id, on } => self.pause_recording(id, on),
            Output::StopRecording { id } => self.end_recording(id.attempt),
            Output::Play { id, campaign, what } => self.play_message(id, campaign, what),
            Output::StopPlay { id } => self.stop_message(id),
            other => tracing::error!(?other, "the runtime does not know this output"),
        }
    }

    fn dial(&mut self, dial: Dial) -> Result<(), String> {
        let known = self.trunks.get(&dial.trunk).cloned().zip(self.watches.figures(dial.trunk).cloned());
        let (trunk, figures) = known.ok_or("the trunk is not there any more")?;
        let leg = self.media.open_trunk_leg(&trunk.media).map_err(|e| e.to_string())?;
        let mut session = TrunkSession::new(u64::from_le_bytes(random_array()), leg.rtp, &trunk.codecs)
            .with_srtp(trunk.srtp, random_array());
        let call_id = self.call_ids.make(dial.id.attempt.0.unsigned_abs(), dial.id.number);
        let unix_s = u64::try_from(self.shared.clock.unix_ms() / 1_000).unwrap_or(0);
        let places = self.watches.places(dial.trunk);
        let sent = trunk
            .invite(places, &dial, &call_id, session.offer(), unix_s)
            .and_then(|request| self.sip.invite(request).map_err(|error| error.to_string()));
        let call = sent.inspect_err(|_| told(self.media.close(leg.id)))?;
        figures.dialed();
        self.lines.by_call.insert(call, dial.id);
        self.lines.by_leg.insert(leg.id, dial.id);
        let (dialed, rang) = (self.now(), false);
        let leg = leg.id;
        // A simulated carrier says itself who answers.
        let detecting = dial.detect && !trunk.simulated;
        if detecting
            && let Some(place) = country_of(&dial.phone).as_deref().and_then(country).or(COUNTRIES.first())
        {
            let detector = Detector::new(&self.config.detection, place);
            let detector = if dial.hear_out { detector.hearing_out() } else { detector };
            told(self.media.listen(leg, detector));
        }
        let line = Line {
            id: dial.id,
            call,
            leg,
            session,
            trunk,
            figures,
            early: None,
            dialed,
            rang,
            detecting,
            heard: None,
            parked: false,
        };
        self.lines.by_try.insert(dial.id, line);
        Ok(())
    }

    /// CANCEL or BYE, as its state demands; what comes of it is told by SIP.
    fn end_call(&mut self, id: TryId, reason: Reason) {
        let Some(line) = self.lines.by_try.get(&id) else { return };
        if let Err(error) = self.sip.bye(line.call, Some(reason)) {
            // The engine asks again when nothing comes of it.
            tracing::warn!(%error, %id, "cannot end a call now");
        }
    }

    /// Forgets a line; its leg's ports rest and are used again.
    fn drop_line(&mut self, id: TryId) {
        if let Some(line) = self.lines.by_try.remove(&id) {
            self.lines.by_call.remove(&line.call);
            self.lines.by_leg.remove(&line.leg);
            self.lines.closing.insert(line.leg, Past { id, figures: line.figures });
            told(self.media.close(line.leg));
        }
    }

    pub(super) fn on_sip(&mut self, event: Event) {
        if let Some(agent) = super::phone::call_of(&event).and_then(|call| self.desks.of_call(call)) {
            return self.on_phone_call(agent, event);
        }
        match event {
            Event::Trying { call } => {
                if let Some(line) = self.lines.of_call(call) {
                    let id = line.id;
                    self.give_line(id, LineEvent::Trying);
                }
            }
            Event::Progress { call, body, .. } => self.on_progress(call, body),
            Event::Answered { call, body, dialog, .. } => {
                let dialog = dialog.encode().into_bytes();
                self.on_answered(call, body, dialog);
            }
            Event::Failed {
                call,
                failure,
                reasons,
                retry_after_s,
                progressed,
                retransmitted,
                call_info,
                ..
            } => {
                let Some(id) = self.line_over(call, retransmitted) else { return };
                let failure = match failure {
                    kraliki_sip::Failure::Status(status) => Failure::Status {
                        status,
                        q850: q850_of(&reasons),
                        reason: redress::reason(&reasons),
                        retry_after: retry_after_s.map(|s| Duration::from_secs(s.into())),
                        rang: progressed,
                    },
                    kraliki_sip::Failure::Refused(why) => Failure::NotSent { reason: why.to_string() },
                    _ => Failure::Timeout { rang: progressed },
                };
                if let Some(line) = self.lines.by_try.get(&id) {
                    let status = if let Failure::Status { status, .. } = failure { status } else { 0 };
                    line.figures.failed(status, q850_of(&reasons).unwrap_or(0));
                }
                self.drop_line(id);
                if let Some(address) = redress::address(call_info.as_deref(), &reasons) {
                    self.give_line(id, LineEvent::Redress(address));
                }
                self.give_line(id, LineEvent::Failed(failure));
            }
            Event::Ended { call, .. } | Event::Cancelled { call, .. } if self.callers.has(call) => {
                self.drop_caller(call);
            }
            Event::Cancelled { call, status, reasons, retransmitted } => {
                let Some(id) = self.line_over(call, retransmitted) else { return };
                let failure = match status {
                    Some(status) => Failure::Status {
                        status,
                        q850: q850_of(&reasons),
                        reason: reasons.first().map(|r| r.text.clone()).unwrap_or_default(),
                        retry_after: None,
                        rang: false,
                    },
                    None => Failure::Cancelled,
                };
                self.drop_line(id);
                self.give_line(id, LineEvent::Failed(failure));
            }
            Event::Ended { call, by, reasons, retransmitted } => {
                let Some(id) = self.line_over(call, retransmitted) else { return };
                let by = if by == SipEndedBy::Local { EndedBy::Near } else { EndedBy::Far };
                self.drop_line(id);
                self.give_line(id, LineEvent::Ended { by, q850: q850_of(&reasons) });
            }
            Event::Modify { call, body, .. } => self.on_modify(call, body),
            Event::Info { call, body } => self.on_info(call, body),
            Event::Registration { key, state } => self.on_registration(key, state),
            Event::OptionsResult { key, status, .. } => self.on_options_result(key, status),
            Event::CallCleared { attempt, try_number } => {
                let attempt = crate::AttemptId(i64::try_from(attempt).unwrap_or(i64::MAX));
                self.end_orphan(TryId { attempt, number: try_number });
            }
            Event::DialogCleared { key, .. } => {
                if let Some(id) = self.orphans.remove(&key) {
                    self.end_orphan(id);
                }
            }
            Event::Incoming { call, from, socket, user: None, request, body, .. } => {
                self.on_caller(call, (socket, from), request, body);
            }
            Event::Incoming { call, from, socket, user: Some(user), body, .. } => {
                self.on_phone_calls(call, (socket, from), &user, body);
            }
            Event::Bound { user, contact, user_agent, replaces, .. } => {
                self.on_bound(&user, contact, &user_agent, replaces.as_ref());
            }
            Event::Unbound { user, contact, reason } => self.on_unbound(&user, &contact, reason),
            Event::LockedOut { user, from, lasts } => self.on_locked_out(user.as_deref(), from, lasts),
            Event::Acknowledged { call, body: Some(body) } => self.on_caller_answer(call, &body),
            // Nobody here transfers calls: the carrier's wish is refused, and the call goes on.
            Event::Refer { call, .. } => drop(self.sip.respond_refer(call, 603)),
            _ => {}
        }
    }

    /// The line of a call that is over, which is counted.
    fn line_over(&mut self, call: CallKey, retransmitted: u32) -> Option<TryId> {
        let line = self.lines.by_try.get(self.lines.by_call.get(&call)?)?;
        line.figures.over(retransmitted);
        Some(line.id)
    }

    /// The first ringing, early media or answer: how long the network took.
    fn line_rings(&mut self, call: CallKey) {
        let now = self.now();
        let Some(line) = self.lines.of_call(call) else { return };
        if !std::mem::replace(&mut line.rang, true) {
            line.figures.rang(now.since(line.dialed));
        }
    }

    fn on_progress(&mut self, call: CallKey, body: Option<Body>) {
        self.line_rings(call);
        let Some(line) = self.lines.of_call(call) else { return };
        let (id, leg) = (line.id, line.leg);
        let agreed = body.as_ref().and_then(|b| line.session.apply_answer(&b.data).ok());
        if let Some(agreed) = &agreed {
            line.early = body.map(|b| b.data);
            told(self.media.set_remote(leg, *agreed));
        }
        self.give_line(id, LineEvent::Ringing { early_media: agreed.is_some() });
    }

    fn on_answered(&mut self, call: CallKey, body: Option<Body>, dialog: Vec<u8>) {
        self.line_rings(call);
        let Some(line) = self.lines.of_call(call) else { return };
        line.figures.answered();
        let (id, leg, simulated, detecting) = (line.id, line.leg, line.trunk.simulated, line.detecting);
        // A 200 without a body after a 183 with one: the 183's answer stands (RFC 6337 §3.1.1).
        let answer = body.map(|b| b.data).or_else(|| line.early.clone()).unwrap_or_default();
        match line.session.apply_answer(&answer) {
            Ok(agreed) => {
                let verdict = if simulated { simulated_verdict(&answer) } else { None };
                told(self.media.set_remote(leg, agreed));
                told(self.media.answered(leg));
                let detecting = detecting || verdict.is_some();
                self.give_line(id, LineEvent::Answered { dialog, detecting });
                if let Some((verdict, after)) = verdict {
                    let requests = self.shared.requests.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        let _ = requests.send(Request::Verdict { id, verdict }).await;
                    });
                }
            }
            Err(mismatch) => {
                tracing::warn!(%id, %mismatch, "the carrier's answer does not fit; the call is ended");
                let _ = self.sip.bye(call, Some(Reason::sip(488, &mismatch.to_string())));
                self.drop_line(id);
                let reason = mismatch.to_string();
                let failure =
                    Failure::Status { status: 488, q850: None, reason, retry_after: None, rang: true };
                self.give_line(id, LineEvent::Failed(failure));
            }
        }
    }

    /// A re-INVITE or UPDATE: another address, another codec, hold (RFC 3264 §8).
    fn on_modify(&mut self, call: CallKey, body: Option<Body>) {
        let Some(line) = self.lines.of_call(call) else { return };
        let leg = line.leg;
        let answer = match body {
            None => ModifyAnswer::Accept(Some(Body::sdp(line.session.offer()))),
            Some(offer) => match line.session.answer(&offer.data) {
                Ok((answer, agreed)) => {
                    told(self.media.set_remote(leg, agreed));
                    ModifyAnswer::Accept(Some(Body::sdp(answer)))
                }
                Err(_) => ModifyAnswer::Reject(488),
            },
        };
        let _ = self.sip.respond_modify(call, answer);
    }

    /// Keys that a carrier sends by INFO: `Signal=5`, among other lines.
    fn on_info(&mut self, call: CallKey, body: Option<Body>) {
        let Some(body) = body.filter(|b| b.content_type.eq_ignore_ascii_case(b"application/dtmf-relay"))
        else {
            return;
        };
        let text = String::from_utf8_lossy(&body.data);
        let signal = text.lines().find_map(|l| l.trim().strip_prefix("Signal="));
        let Some(digit) = signal.and_then(|s| s.trim().chars().next()) else { return };
        match self.lines.of_call(call).map(|line| line.id) {
            Some(id) => self.give_line(id, LineEvent::Digit(digit)),
            None => self.on_caller_key(call, digit),
        }
    }

    pub(super) fn on_line_media(&mut self, id: TryId, event: MediaEvent) {
        let event = match event {
            MediaEvent::FirstRtp { .. } => LineEvent::FirstRtp,
            MediaEvent::FirstPacket { at, .. } => LineEvent::FirstPacket { at },
            MediaEvent::Dtmf { digit, .. } => LineEvent::Digit(digit.as_char()),
            MediaEvent::PlayDone { .. } => LineEvent::PlayDone,
            MediaEvent::Detected { what, .. } => match *what {
                Heard::Answered(decision) | Heard::Refined(decision) => {
                    tracing::info!(%id, %decision, "who answered");
                    LineEvent::Verdict(verdict_of(decision.class))
                }
                Heard::Beep { .. } => LineEvent::Beep,
                Heard::Quiet => LineEvent::Quiet,
                heard => {
                    tracing::debug!(%id, ?heard, "heard on a line");
                    return;
                }
            },
            MediaEvent::RtpTimeout { .. } => {
                tracing::info!(%id, "no audio came for too long; the call is ended");
                self.end_call(id, Reason::q850(102, "RTP timeout"));
                self.drop_line(id);
                LineEvent::Ended { by: EndedBy::MediaTimeout, q850: None }
            }
            _ => return,
        };
        self.give_line(id, event);
    }

    /// Tells the engine of an agent's leg.
    pub(super) fn give_agent(&mut self, id: crate::AgentId, event: crate::AgentEvent) {
        self.give(Input::Agent { id, event });
    }
}

/// A command that the media did not take: its queue is full, or it stops. The call's own timers clear what comes of it.
pub(super) fn told(result: Result<(), MediaError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the media did not take a command");
    }
}

fn q850_of(reasons: &[Reason]) -> Option<u16> {
    reasons.iter().find(|r| r.scheme == Scheme::Q850).and_then(|r| r.cause)
}

fn cancel_reason(reason: CancelReason) -> Reason {
    match reason {
        // 19: no answer from user, user alerted; 31: normal, unspecified (Q.850).
        CancelReason::RingTimeout => Reason::q850(19, "No answer"),
        CancelReason::Pacing => Reason::q850(31, "No agent"),
        CancelReason::Drain => Reason::q850(31, "Shutting down"),
        CancelReason::Spend => Reason::q850(31, "Limit of the day"),
        CancelReason::Command => Reason::q850(31, "Taken back"),
    }
}

/// What was heard, as the engine takes it. Who says nothing may be a person, and gets an agent.
fn verdict_of(class: Class) -> Verdict {
    match class {
        Class::Machine => Verdict::Machine,
        Class::Network => Verdict::Network,
        Class::Screening => Verdict::Screening,
        Class::Fax => Verdict::Fax,
        _ => Verdict::Person,
    }
}

/// What a simulated carrier's answer says of who answered.
fn simulated_verdict(answer: &[u8]) -> Option<(Verdict, Duration)> {
    let text = std::str::from_utf8(answer).ok()?;
    let (who, ms) = text.lines().find_map(|l| l.strip_prefix(VERDICT_ATTRIBUTE))?.trim().split_once(' ')?;
    let verdict = if who == "machine" { Verdict::Machine } else { Verdict::Person };
    Some((verdict, Duration::from_millis(ms.parse().ok()?)))
}
