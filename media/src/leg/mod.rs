//! One leg: a far end, what is heard from it and what is sent to it. A state machine without socket or clock.
//!
//! A leg is a trunk's (a call) or an agent's (up for the whole shift). Towards the far end it has one SSRC, sequence
//! and timestamp line, whoever speaks: see [`OutLine`].

mod browser;
mod ear;
mod heard;
mod mouth;
mod pause;
mod receive;
mod report;
mod secure;
mod send;
mod source;
mod touch;

pub use source::Learn;

pub(crate) use browser::{AddressChange, Datagram};
pub(crate) use receive::{Inbound, Kind};
pub(crate) use send::{Channel, FRAME, LATE, Passed, Polled, Sending};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kraliki_time::Time;
use rand::{Rng, RngExt};

use self::browser::Browser;
use self::ear::Ear;
use self::mouth::Mouth;
use self::secure::Secure;
use self::source::Source;
use crate::audio::Audio;
use crate::dtmf::{Digit, DigitReceiver, DigitSender};
use crate::event::{LegId, MediaEvent};
use crate::hearing::{Hearing, LegQuality};
use crate::limits::{LOST_AFTER, SHARDS, SILENT_AFTER};
use crate::noise::NoiseGenerator;
use crate::play::{Overlay, Player};
use crate::quality::LegCounters;
use crate::relay::Supervision;
use crate::rtp::OutLine;
use crate::sdp::{AudioCodec, Direction, Negotiated, OpusFormat};

/// Whose leg it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A call.
    Trunk,
    /// An agent: silence is sent between calls, and signs of life are watched.
    Agent,
}

/// What both sides agreed to send and take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) codec: AudioCodec,
    pub(crate) payload_type: u8,
    pub(crate) receive_payload_type: u8,
    pub(crate) dtmf: Option<u8>,
    pub(crate) receive_dtmf: Option<u8>,
    /// Comfort noise is sent where nothing is said: to calls that take it. An agent is sent sound all the time.
    pub(crate) noise: bool,
    /// What the far end says of Opus.
    pub(crate) opus: Option<OpusFormat>,
    pub(crate) direction: Direction,
}

/// How far the end of a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// The far end is to be told.
    Bye,
    /// It was told; what is left is to be sent.
    Told,
}

/// Sound that is made here for the far end.
#[derive(Debug, Default)]
struct Sound {
    player: Option<Player>,
    overlay: Option<Overlay>,
    digits: DigitSender,
    /// What stands for the other side while it pauses.
    noise: Option<Box<NoiseGenerator>>,
}

/// When the leg wants to be woken, and for what. [`Time::MAX`] is never.
#[derive(Debug)]
struct Timers {
    /// The next frame that may have to be made.
    frame: Time,
    /// The next RTCP report.
    report: Time,
    /// When an agent's leg would be silent, and then when it would be lost.
    silent: Time,
    /// When an answered call would be given up.
    rtp_timeout: Time,
    /// The browser's transport.
    transport: Time,
    /// The next frame that is heard.
    ear: Time,
    /// When the far end would not be heard.
    hearing: Time,
}

pub(crate) struct Leg {
    id: LegId,
    role: Role,
    /// The browser behind it; otherwise it is plain RTP and RTCP.
    browser: Option<Box<Browser>>,
    /// Present once a plain leg's far end agreed on SRTP.
    secure: Option<Box<Secure>>,
    format: Option<Format>,
    /// It is another one since this was asked for.
    format_changed: bool,
    source: Source,
    line: OutLine,
    sound: Sound,
    digits_in: DigitReceiver,
    /// Present while somebody listens here.
    ear: Option<Box<Ear>>,
    /// Present once frames were to be encoded.
    mouth: Option<Box<Mouth>>,
    /// Present from the answer on, or while an agent is in a call.
    hearing: Option<Box<Hearing>>,
    timers: Timers,
    sending: send::State,
    report: send::ReportState,
    /// The slot of the leg it is bridged to, on the same shard.
    peer: Option<usize>,
    /// Who supervises this agent.
    pub(crate) supervisors: Vec<(LegId, Supervision)>,
    /// Whom this supervisor supervises.
    pub(crate) supervises: Option<LegId>,
    /// The caller's first packet to the agent is to be told.
    announce: bool,
    /// What this leg says is not passed on.
    muted: bool,
    /// Nothing is passed either way.
    held: bool,
    heard: bool,
    alive: bool,
    last_heard: Time,
    rtp_timeout: Duration,
    /// Since when the RTP time-out counts.
    watched_since: Option<Time>,
    ending: Ending,
    /// The shards that know where it went, one bit each.
    visited: u64,
    counters: LegCounters,
}

impl Leg {
    /// A leg over plain RTP. It is mute until [`Leg::set_remote`].
    pub(crate) fn plain(
        id: LegId,
        role: Role,
        learn: Learn,
        rtp_timeout: Duration,
        rng: &mut impl Rng,
    ) -> Leg {
        // RFC 3550 §5.1: SSRC, first sequence number and first timestamp are random; the number in the lower half, as for
        // browsers, since the far end may agree on SRTP.
        let line = OutLine::new(rng.random(), rng.random::<u16>() >> 1, rng.random());
        Leg::new(id, role, line, learn, rtp_timeout)
    }

    fn new(id: LegId, role: Role, line: OutLine, learn: Learn, rtp_timeout: Duration) -> Leg {
        let never = Timers {
            frame: Time::MAX,
            report: Time::MAX,
            silent: Time::MAX,
            rtp_timeout: Time::MAX,
            transport: Time::MAX,
            ear: Time::MAX,
            hearing: Time::MAX,
        };
        Leg {
            id,
            role,
            browser: None,
            secure: None,
            format: None,
            format_changed: false,
            source: Source::new(learn),
            sound: Sound::default(),
            digits_in: DigitReceiver::default(),
            ear: None,
            mouth: None,
            hearing: None,
            timers: never,
            sending: send::State::default(),
            report: send::ReportState::new(line.ssrc()),
            line,
            peer: None,
            supervisors: Vec::new(),
            supervises: None,
            announce: false,
            muted: false,
            held: false,
            heard: false,
            alive: false,
            last_heard: Time::ZERO,
            rtp_timeout,
            watched_since: None,
            ending: Ending::No,
            visited: 0,
            counters: LegCounters::default(),
        }
    }

    pub(crate) fn id(&self) -> LegId {
        self.id
    }

    #[cfg(test)]
    pub(crate) fn rename(&mut self, id: LegId) {
        self.id = id;
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn peer(&self) -> Option<usize> {
        self.peer
    }

    pub(crate) fn format(&self) -> Option<Format> {
        self.format
    }

    /// Whether it is sent another codec since this was asked last.
    pub(crate) fn take_format_change(&mut self) -> bool {
        std::mem::take(&mut self.format_changed)
    }

    /// Whether what it says is to be passed on.
    pub(crate) fn is_passed_on(&self) -> bool {
        !self.muted && !self.held
    }

    /// What was agreed with the far end, at first or by a re-INVITE.
    pub(crate) fn set_remote(&mut self, now: Time, agreed: &Negotiated) {
        self.source.describe(agreed.remote, agreed.remote_rtcp);
        if agreed.srtp.is_some() || self.secure.is_some() {
            self.secure.get_or_insert_with(|| Box::new(Secure::new())).agree(agreed.srtp.as_ref());
        }
        self.report.xr.wanted = agreed.xr;
        self.digits_in.reset();
        self.listen_anew();
        self.set_format(
            now,
            Format {
                codec: agreed.codec,
                payload_type: agreed.payload_type,
                receive_payload_type: agreed.receive_payload_type,
                dtmf: agreed.dtmf,
                receive_dtmf: agreed.receive_dtmf,
                noise: agreed.comfort_noise && self.role == Role::Trunk,
                opus: agreed.opus,
                direction: agreed.direction,
            },
        );
    }

    fn set_format(&mut self, now: Time, format: Format) {
        self.line.set_clock(now, format.codec.clock_hz());
        let first = self.format.replace(format).is_none();
        if first {
            self.timers.report = self.next_report(now);
        }
        self.wake_frames(now);
    }

    /// The call is answered: from now on its silence counts for the RTP time-out.
    pub(crate) fn watch(&mut self, now: Time) {
        self.listen_to_answer(now);
        self.begin_hearing(now);
        if self.role == Role::Trunk && self.watched_since.is_none() && !self.rtp_timeout.is_zero() {
            self.watched_since = Some(now);
            self.timers.rtp_timeout = now + self.rtp_timeout;
        }
    }

    /// Plays sound instead of anything else, once or until it is stopped.
    pub(crate) fn play(&mut self, now: Time, audio: Arc<Audio>, looped: bool) {
        self.sound.player = Some(Player::new(audio, looped));
        self.line.cut();
        self.wake_frames(now);
    }

    /// Mixes sound into what the far end hears, in place of what is mixed in still.
    pub(crate) fn overlay(&mut self, sound: Arc<Audio>) {
        self.sound.overlay = Some(Overlay::new(sound));
    }

    /// Stops what is played.
    pub(crate) fn stop(&mut self, now: Time) {
        if self.sound.player.take().is_some() {
            self.line.cut();
            self.wake_frames(now);
        }
    }

    /// Sends keys after those that wait. False when too many wait.
    pub(crate) fn send_digits(&mut self, now: Time, digits: &[Digit]) -> bool {
        let taken = self.sound.digits.push(digits);
        self.wake_frames(now);
        taken
    }

    /// Passes nothing on, either way, and does not time out.
    pub(crate) fn set_held(&mut self, now: Time, held: bool) {
        if self.held && !held {
            // Silence on hold is not held against it.
            self.watched_since = self.watched_since.map(|_| now);
            self.expect_to_hear(now);
        }
        self.held = held;
        self.line.cut();
        self.wake_frames(now);
    }

    /// Does not pass on what this leg says.
    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Joins it to the leg in slot `peer`; what was played stops.
    pub(crate) fn join(&mut self, now: Time, peer: usize, beep: Option<Arc<Audio>>) {
        self.peer = Some(peer);
        (self.sound.player, self.sound.noise) = (None, None);
        self.sound.overlay = beep.map(Overlay::new);
        self.announce = self.role == Role::Trunk;
        self.line.cut();
        self.watch(now);
        self.listen_past_bridge();
        self.expect_to_hear(now);
        self.wake_frames(now);
    }

    /// Parts it from its peer. Gives how an agent was heard in the call.
    pub(crate) fn part(&mut self, now: Time) -> Option<LegQuality> {
        self.peer = None;
        (self.sound.overlay, self.sound.noise) = (None, None);
        self.announce = false;
        self.held = false;
        self.line.cut();
        self.wake_frames(now);
        self.end_hearing(now)
    }

    /// Asks for the last words: a BYE, then the end.
    pub(crate) fn close(&mut self) {
        self.ending = Ending::Bye;
    }

    /// A shard that it leaves: it will keep telling others where the leg went, until it ends.
    pub(crate) fn leaves(&mut self, shard: usize) {
        self.visited |= 1 << (shard % SHARDS);
    }

    /// The shards that it left, one bit each.
    pub(crate) fn visited(&self) -> u64 {
        self.visited
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    /// Whether the caller's first packet is to be told; asked once it was sent.
    pub(crate) fn take_announce(&mut self) -> bool {
        std::mem::take(&mut self.announce)
    }

    /// The one address from which a plain leg's RTP is heard, once there is but one.
    pub(crate) fn only_far_end(&self) -> Option<SocketAddr> {
        self.source.only_address().filter(|_| !self.is_ending())
    }

    pub(crate) fn count_send_error(&mut self) {
        self.counters.send_errors += 1;
    }

    pub(crate) fn count_dropped_relay(&mut self) {
        self.counters.dropped_relay += 1;
    }

    pub(crate) fn counters(&self) -> LegCounters {
        let sums = self.source.sums();
        let dropped = self.browser.as_ref().map_or(self.counters, |browser| browser.count(self.counters));
        LegCounters {
            packets_received: sums.received,
            octets_received: sums.octets,
            packets_sent: self.line.packets(),
            octets_sent: self.line.octets(),
            packets_expected: sums.expected,
            packets_lost: sums.lost,
            jitter: self.source.stats().map_or(Duration::ZERO, |s| units(s.jitter(), s.clock_hz())),
            ..dropped
        }
    }

    /// When it wants [`Leg::handle_timeout`].
    pub(crate) fn timeout(&self) -> Time {
        let t = &self.timers;
        t.frame.min(t.report).min(t.silent).min(t.rtp_timeout).min(t.transport).min(t.ear).min(t.hearing)
    }

    /// Looks at the watches; frames and reports are made by [`Leg::poll`].
    pub(crate) fn handle_timeout(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        if self.timers.silent <= now {
            self.check_silence(now, events);
        }
        if self.timers.rtp_timeout <= now {
            self.check_rtp_timeout(now, events);
        }
        if self.timers.ear <= now {
            self.handle_ear_timeout(now, events);
        }
        if self.timers.hearing <= now {
            self.handle_hearing_timeout(now, events);
        }
        self.handle_transport_timeout(now);
    }

    /// A quiet agent's leg is silent first; a browser, which never stops sending by itself, is lost in the end.
    fn check_silence(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        let due = self.last_heard + if self.alive { SILENT_AFTER } else { LOST_AFTER };
        if due > now {
            self.timers.silent = due;
        } else if std::mem::take(&mut self.alive) {
            events.extend([MediaEvent::Silent { leg: self.id }]);
            self.timers.silent =
                if self.browser.is_some() { self.last_heard + LOST_AFTER } else { Time::MAX };
        } else {
            events.extend([MediaEvent::Lost { leg: self.id }]);
            self.timers.silent = Time::MAX;
        }
    }

    fn check_rtp_timeout(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        let Some(since) = self.watched_since else {
            self.timers.rtp_timeout = Time::MAX;
            return;
        };
        let receives = self.format.is_some_and(|f| f.direction.receives());
        if self.held || !receives {
            self.watched_since = Some(now);
            self.timers.rtp_timeout = now + self.rtp_timeout;
            return;
        }
        let due = self.last_heard.max(since) + self.rtp_timeout;
        if due > now {
            self.timers.rtp_timeout = due;
            return;
        }
        self.watched_since = None;
        self.timers.rtp_timeout = Time::MAX;
        events.extend([MediaEvent::RtpTimeout { leg: self.id, heard: self.heard }]);
    }

    /// A sign of life.
    fn heard_of(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        self.last_heard = now;
        if self.role == Role::Agent && !self.alive {
            self.alive = true;
            self.timers.silent = now + SILENT_AFTER;
            events.extend([MediaEvent::Alive { leg: self.id }]);
        }
    }
}

/// Timestamp units as time.
fn units(units: u32, clock_hz: u32) -> Duration {
    Duration::from_micros(u64::from(units) * 1_000_000 / u64::from(clock_hz))
}

#[cfg(test)]
pub(crate) mod tests;
