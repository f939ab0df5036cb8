//! The carrier's calls: each is decided when it comes in, and then runs by the clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kraliki_engine::runtime::VERDICT_ATTRIBUTE;
use kraliki_engine::simulate::{Callee, Floor};
use kraliki_media::sdp::{AudioCodec, Negotiated, TrunkSession};
use kraliki_media::{Audio, Digit, LegId, MediaHandle, Tone, Voice};
use kraliki_sip::net::{EventReceiver, SipHandle};
use kraliki_sip::{Body, CallKey, Event, ModifyAnswer, Reason};
use kraliki_time::{Clock, Time};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::OUTSIDE_LEG;
use super::profile::{Press, Profile, Sound};

/// Voices that the called people share. Each is some 100 kB.
const VOICES: u64 = 8;
/// How long a voice speaks before it begins anew.
const SPEECH: Duration = Duration::from_secs(12);

/// Peak of the tone, about -12 dBm0.
const TONE_AMPLITUDE: i16 = 8_000;

/// What happens next to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ring,
    Answer { machine: bool },
    Fail(u16),
    Press(char),
    HangUp,
}

struct Call {
    session: TrunkSession,
    leg: Option<LegId>,
    /// What the leg is told when the answer goes out: before it, the line is silent.
    agreed: Option<Negotiated>,
    answer: Body,
    early_media: bool,
    verdict_ms: Option<u128>,
}

pub(super) struct Carrier {
    sip: SipHandle,
    media: Option<MediaHandle>,
    profile: Profile,
    floor: Floor,
    address: SocketAddr,
    clock: Clock,
    rng: ChaCha8Rng,
    calls: HashMap<CallKey, Call>,
    steps: BinaryHeap<Reverse<(Time, CallKey, Step)>>,
    voices: Vec<Arc<Audio>>,
    greeting: Arc<Audio>,
    ringback: Arc<Audio>,
}

impl Carrier {
    pub(super) fn new(
        sip: SipHandle,
        media: Option<MediaHandle>,
        profile: Profile,
        floor: Floor,
        address: SocketAddr,
        clock: Clock,
    ) -> Carrier {
        let voices = match profile.audio {
            Sound::Speech => (0..VOICES).map(|v| Arc::new(Audio::speech(Voice::new(v), SPEECH))).collect(),
            Sound::Tone => vec![Arc::new(Tone::sine(440, TONE_AMPLITUDE).render(Duration::from_secs(4)))],
            Sound::None => Vec::new(),
        };
        Carrier {
            sip,
            media,
            rng: ChaCha8Rng::seed_from_u64(profile.seed),
            profile,
            floor,
            address,
            clock,
            calls: HashMap::new(),
            steps: BinaryHeap::new(),
            voices,
            greeting: Arc::new(Audio::voicemail_greeting(Voice::new(VOICES))),
            ringback: Arc::new(Tone::ringback().render(Duration::from_secs(6))),
        }
    }

    /// Runs until the SIP driver stops.
    pub(super) async fn run(mut self, mut events: EventReceiver) {
        loop {
            let next = self.steps.peek().map(|Reverse((at, ..))| *at);
            let wake = next.map(|at| tokio::time::Instant::from_std(self.clock.instant(at)));
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some((_, event)) => self.on_event(event),
                    None => return,
                },
                () = timer => {}
            }
            let now = self.clock.now();
            while let Some(Reverse((at, call, step))) = self.steps.peek().copied() {
                if at > now {
                    break;
                }
                self.steps.pop();
                self.on_step(now, call, step);
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Incoming { call, body, .. } => self.on_incoming(call, body),
            Event::Cancelled { call, .. } | Event::Ended { call, .. } | Event::Failed { call, .. } => {
                if let Some(ended) = self.calls.remove(&call) {
                    self.close(ended.leg);
                }
            }
            Event::Modify { call, body, .. } => self.on_modify(call, body),
            _ => {}
        }
    }

    fn on_incoming(&mut self, key: CallKey, body: Option<Body>) {
        let now = self.clock.now();
        let roll: f64 = self.rng.random();
        let mut passed = 0.0;
        for fail in &self.profile.failures {
            passed += fail.share;
            if roll < passed {
                let _ = self.sip.reject(key, fail.status, Vec::new());
                return;
            }
        }
        let callee = self.floor.callee(&mut self.rng);
        let early_media = self.rng.random::<f64>() < self.profile.early_media;
        let Some(mut call) = self.prepare(body) else {
            let _ = self.sip.reject(key, 488, Vec::new());
            return;
        };
        call.early_media = early_media;
        let mut at = |after: Duration, step| self.steps.push(Reverse((now + after, key, step)));
        match callee {
            Callee::Person { answers } => at(answers, Step::Answer { machine: false }),
            Callee::Machine { answers, known } => {
                call.verdict_ms = Some(known.saturating_sub(answers).as_millis());
                at(answers, Step::Answer { machine: true });
            }
            Callee::Busy { fails } => at(fails, Step::Fail(486)),
            // Rings until the caller gives up; a network gives up itself after three minutes.
            Callee::NoAnswer => at(Duration::from_secs(180), Step::Fail(480)),
        }
        if !matches!(callee, Callee::Busy { .. }) {
            at(self.floor.post_dial_delay(), Step::Ring);
        }
        self.calls.insert(key, call);
    }

    /// A leg for the call, and the answer to its offer.
    fn prepare(&mut self, offer: Option<Body>) -> Option<Call> {
        let offer = offer?;
        let (leg, rtp) = match &self.media {
            Some(media) => {
                let leg = media.open_trunk_leg(&OUTSIDE_LEG).ok()?;
                (Some(leg.id), leg.rtp)
            }
            // The discard port: nothing is sent to it by a caller that respects the answer's direction.
            None => (None, SocketAddr::new(self.address.ip(), 9)),
        };
        let mut session = TrunkSession::new(self.rng.random(), rtp, &AudioCodec::G711);
        let Ok((answer, agreed)) = session.answer(&offer.data) else {
            self.close(leg);
            return None;
        };
        let agreed = Some(agreed);
        Some(Call { session, leg, agreed, answer: Body::sdp(answer), early_media: false, verdict_ms: None })
    }

    fn on_step(&mut self, now: Time, key: CallKey, step: Step) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        match step {
            Step::Ring => {
                if call.early_media {
                    open(&self.media, call);
                    play(&self.media, call.leg, &self.ringback, true);
                    let _ = self.sip.ring(key, 183, Some(call.answer.clone()));
                } else {
                    let _ = self.sip.ring(key, 180, None);
                }
            }
            Step::Answer { machine } => {
                let mut answer = call.answer.clone();
                if let Some(ms) = call.verdict_ms {
                    let line = format!("{VERDICT_ATTRIBUTE}machine {ms}\r\n");
                    answer = Body::sdp([&answer.data[..], line.as_bytes()].concat());
                }
                let voice = usize::try_from(self.rng.random::<u32>()).unwrap_or(0) % self.voices.len().max(1);
                let sound = if machine { Some(&self.greeting) } else { self.voices.get(voice) };
                open(&self.media, call);
                if let Some(sound) = sound {
                    play(&self.media, call.leg, sound, !machine);
                }
                let _ = self.sip.answer(key, Some(answer));
                if !machine && let Some(press) = self.press() {
                    let at = now + Duration::from_secs_f64(press.after_s);
                    self.steps.push(Reverse((at, key, Step::Press(press.key))));
                }
                if let Some(lasts) = self.profile.hang_up {
                    let at = now + lasts.draw(&mut self.rng);
                    self.steps.push(Reverse((at, key, Step::HangUp)));
                }
            }
            Step::Fail(status) => {
                let _ = self.sip.reject(key, status, Vec::new());
                if let Some(ended) = self.calls.remove(&key) {
                    self.close(ended.leg);
                }
            }
            Step::Press(key) => {
                if let (Some(media), Some(leg), Some(digit)) = (&self.media, call.leg, Digit::from_char(key))
                {
                    let _ = media.send_dtmf(leg, &[digit]);
                }
            }
            Step::HangUp => drop(self.sip.bye(key, Some(Reason::q850(16, "Normal call clearing")))),
        }
    }

    /// The key that a person who answers presses, if any. Nothing is drawn without keys, so that a seed gives the same
    /// calls with and without them.
    fn press(&mut self) -> Option<Press> {
        if self.profile.presses.is_empty() {
            return None;
        }
        let mut roll: f64 = self.rng.random();
        self.profile.presses.iter().copied().find(|press| {
            roll -= press.share;
            roll < 0.0
        })
    }

    fn on_modify(&mut self, key: CallKey, body: Option<Body>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let answer = match body {
            None => ModifyAnswer::Accept(Some(Body::sdp(call.session.offer()))),
            Some(offer) => match call.session.answer(&offer.data) {
                Ok((answer, agreed)) => {
                    if let (Some(media), Some(leg)) = (&self.media, call.leg) {
                        let _ = media.set_remote(leg, agreed);
                    }
                    ModifyAnswer::Accept(Some(Body::sdp(answer)))
                }
                Err(_) => ModifyAnswer::Reject(488),
            },
        };
        let _ = self.sip.respond_modify(key, answer);
    }

    fn close(&self, leg: Option<LegId>) {
        if let (Some(media), Some(leg)) = (&self.media, leg) {
            let _ = media.close(leg);
        }
    }
}

/// From now on audio flows.
fn open(media: &Option<MediaHandle>, call: &mut Call) {
    if let (Some(media), Some(leg), Some(agreed)) = (media, call.leg, call.agreed.take()) {
        let _ = media.set_remote(leg, agreed);
    }
}

fn play(media: &Option<MediaHandle>, leg: Option<LegId>, sound: &Arc<Audio>, looped: bool) {
    if let (Some(media), Some(leg)) = (media, leg) {
        let _ = media.play(leg, sound.clone(), looped);
    }
}
