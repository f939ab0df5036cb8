//! What is decoded of a far end's audio, for who listens here: a detector, a recording, a room. Nobody listens to most of a call, and
//! then there is no ear.

use kraliki_time::Time;

use super::receive::{Inbound, Kind};
use super::send::{FRAME, LATE};
use super::{Leg, Timers};
use crate::codec::{FRAME_SAMPLES, OpusPolicy, OpusRate, SAMPLE_RATE_HZ, decoder};
use crate::detect::{Detector, Event};
use crate::event::MediaEvent;
use crate::jitter::{Arrival, Content, Heard, JitterPolicy, Playout};
use crate::record::Tap;
use crate::resample::Resampler;
use crate::sdp::AudioCodec;

/// A leg's ear: jitter buffer and decoder, and who listens.
pub(super) struct Ear {
    detector: Option<Box<Detector>>,
    tap: Option<Box<Tap>>,
    /// A room listens, at so many samples a second, and says when a frame is due.
    room_hz: Option<u32>,
    /// Made with the first packet, and anew with another codec or rate.
    stream: Option<Stream>,
}

struct Stream {
    codec: AudioCodec,
    /// Samples a second of the frames that it gives.
    rate_hz: u32,
    playout: Playout,
    decoded: Vec<i16>,
    resampler: Resampler,
    /// For those who listen at 8 kHz beside a room that does not.
    narrow: Option<Resampler>,
}

impl Stream {
    /// `None` for a codec whose library does not start; the call goes on unheard.
    fn new(codec: AudioCodec, rate_hz: u32, seed: u32) -> Option<Stream> {
        let rate = if rate_hz > SAMPLE_RATE_HZ { OpusRate::Wide } else { OpusRate::Narrow };
        let decoder = decoder(codec, &OpusPolicy { rate, ..OpusPolicy::default() }).ok()?;
        let resampler = Resampler::new(decoder.rate_hz(), rate_hz).ok()?;
        let narrow = match rate_hz == SAMPLE_RATE_HZ {
            true => None,
            false => Some(Resampler::new(rate_hz, SAMPLE_RATE_HZ).ok()?),
        };
        let playout = Playout::new(decoder, JitterPolicy::default(), seed);
        let decoded = vec![0; playout.frame_samples()];
        Some(Stream { codec, rate_hz, playout, decoded, resampler, narrow })
    }
}

impl Ear {
    fn new() -> Box<Ear> {
        Box::new(Ear { detector: None, tap: None, room_hz: None, stream: None })
    }

    fn rate_hz(&self) -> u32 {
        self.room_hz.unwrap_or(SAMPLE_RATE_HZ)
    }

    fn is_idle(&self) -> bool {
        self.detector.is_none() && self.tap.is_none() && self.room_hz.is_none()
    }

    fn put(&mut self, now: Time, inbound: &Inbound, packet: &[u8]) {
        let content = match inbound.kind {
            Kind::Audio(codec) => {
                let rate_hz = self.rate_hz();
                if self.stream.as_ref().is_none_or(|s| s.codec != codec || s.rate_hz != rate_hz) {
                    self.stream = Stream::new(codec, rate_hz, inbound.header.ssrc);
                }
                Content::Audio
            }
            Kind::Noise => {
                // What is heard first may be a pause; the noise is of 8 kHz.
                if self.stream.is_none() {
                    self.stream = Stream::new(AudioCodec::Pcmu, self.rate_hz(), inbound.header.ssrc);
                }
                Content::Noise
            }
            Kind::Event => Content::Other,
        };
        let Some(stream) = &mut self.stream else { return };
        let header = &inbound.header;
        let payload = packet.get(header.payload.clone()).unwrap_or_default();
        stream.playout.put(
            now,
            Arrival {
                sequence: header.sequence,
                timestamp: header.timestamp,
                ssrc: header.ssrc,
                marker: header.marker,
                content,
                duration: 0,
                payload,
            },
        );
    }

    /// The frame that is due at `at`, given to all who listen here; `None` before anything was heard. A recording gets what
    /// the other side may hear: nothing of who is muted or on hold.
    fn hear(&mut self, now: Time, at: Time, passed_on: bool) -> Option<(&[i16], Heard)> {
        if self.stream.is_none() {
            self.gap(1);
        }
        let stream = self.stream.as_mut()?;
        let heard = stream.playout.tick(now, &mut stream.decoded);
        let frame = stream.resampler.process(&stream.decoded);
        let narrow = match &mut stream.narrow {
            Some(narrow) if self.detector.is_some() || self.tap.is_some() => narrow.process(frame),
            _ => frame,
        };
        if let Some(detector) = &mut self.detector {
            detector.push(narrow);
        }
        if let Some(tap) = self.tap.as_mut().filter(|_| passed_on) {
            tap.frame(at, narrow);
        }
        Some((frame, heard)).filter(|_| passed_on)
    }

    fn gap(&mut self, frames: usize) {
        self.detector.iter_mut().for_each(|detector| detector.gap(frames * FRAME_SAMPLES));
    }
}

impl Leg {
    /// Has a detector listen to the far end from now on. Before the answer it hears nothing but what is sent.
    pub(crate) fn listen(&mut self, detector: Detector) {
        self.ear.get_or_insert_with(Ear::new).detector = Some(Box::new(detector));
    }

    /// No detector listens any more.
    pub(crate) fn stop_listening(&mut self) {
        self.change_ear(|ear| ear.detector = None);
    }

    /// The call is bridged: what is heard for some seconds more may show that a machine answered.
    pub(super) fn listen_past_bridge(&mut self) {
        let Some(detector) = self.ear.as_mut().and_then(|ear| ear.detector.as_mut()) else { return };
        detector.bridged();
        if detector.is_done() {
            self.stop_listening();
        }
    }

    /// Gives a recording what the far end says from now on, whoever it is bridged to.
    pub(crate) fn record(&mut self, tap: Tap) {
        self.ear.get_or_insert_with(Ear::new).tap = Some(Box::new(tap));
    }

    /// Nothing is recorded any more.
    pub(crate) fn stop_recording(&mut self) {
        self.change_ear(|ear| ear.tap = None);
    }

    /// A room listens from now on: each 20 ms it asks by [`Leg::take_frame`] for a frame at `rate_hz`.
    pub(crate) fn enter_room(&mut self, rate_hz: u32) {
        self.ear.get_or_insert_with(Ear::new).room_hz = Some(rate_hz);
        self.timers.ear = Time::MAX;
    }

    /// The room asks no longer.
    pub(crate) fn leave_room(&mut self, now: Time) {
        self.change_ear(|ear| ear.room_hz = None);
        if self.ear.is_some() {
            Leg::wake_ear(&mut self.timers, now);
        }
        self.hush();
        self.line.cut();
        self.wake_frames(now);
    }

    /// Whether a room listens and speaks.
    pub(crate) fn is_in_room(&self) -> bool {
        self.ear.as_ref().is_some_and(|ear| ear.room_hz.is_some())
    }

    /// The frame of this tick for the room; `None` when nothing was ever heard, or nothing is to be passed on.
    pub(crate) fn take_frame(
        &mut self,
        now: Time,
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<(&[i16], Heard)> {
        let passed_on = self.is_passed_on();
        self.tell_detected(events);
        self.ear.as_mut()?.hear(now, now, passed_on)
    }

    /// Changes who listens; without anybody there is no ear.
    fn change_ear(&mut self, change: impl FnOnce(&mut Ear)) {
        let Some(ear) = &mut self.ear else { return };
        change(ear);
        if ear.is_idle() {
            self.ear = None;
            self.timers.ear = Time::MAX;
        }
    }

    /// The call was answered: what is heard from now on says by whom, and so does silence.
    pub(super) fn listen_to_answer(&mut self, now: Time) {
        let Some(ear) = &mut self.ear else { return };
        let Some(detector) = &mut ear.detector else { return };
        detector.answered();
        if ear.room_hz.is_none() {
            Leg::wake_ear(&mut self.timers, now);
        }
    }

    /// Another stream may come from now on: what was heard of the one before says nothing of it (RFC 3960 §3).
    pub(super) fn listen_anew(&mut self) {
        if let Some(ear) = &mut self.ear {
            ear.detector.iter_mut().for_each(|detector| detector.reset());
            ear.stream = None;
        }
    }

    pub(super) fn put_in_ear(&mut self, now: Time, inbound: &Inbound, packet: &[u8]) {
        if let Some(ear) = &mut self.ear {
            ear.put(now, inbound, packet);
            if ear.room_hz.is_none() {
                Leg::wake_ear(&mut self.timers, now);
            }
        }
    }

    fn wake_ear(timers: &mut Timers, now: Time) {
        if timers.ear == Time::MAX {
            timers.ear = now + FRAME;
        }
    }

    pub(super) fn handle_ear_timeout(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        let passed_on = self.is_passed_on();
        let Some(ear) = &mut self.ear else {
            self.timers.ear = Time::MAX;
            return;
        };
        if self.timers.ear + LATE < now {
            // The machine stood still. What came meanwhile is in the buffer, and time went on.
            let missed = (now.since(self.timers.ear).as_millis() / FRAME.as_millis()) as u32;
            ear.gap(missed as usize);
            self.timers.ear += FRAME * missed;
        }
        while self.timers.ear <= now {
            ear.hear(now, self.timers.ear, passed_on);
            self.timers.ear += FRAME;
        }
        self.tell_detected(events);
    }

    fn tell_detected(&mut self, events: &mut impl Extend<MediaEvent>) {
        let Some(detector) = self.ear.as_mut().and_then(|ear| ear.detector.as_mut()) else { return };
        // Keys as tones count only where none come as events: a gateway may let both through.
        let by_tone = self.format.is_some_and(|format| format.receive_dtmf.is_none());
        while let Some(event) = detector.poll_event() {
            match event {
                Event::Digit(digit) if by_tone => events.extend([MediaEvent::Dtmf { leg: self.id, digit }]),
                Event::Digit(_) => {}
                event => events.extend([MediaEvent::Detected { leg: self.id, what: Box::new(event) }]),
            }
        }
        // Nobody heeds keys of a bridged call.
        if detector.is_done() && (!by_tone || detector.is_bridged()) {
            self.stop_listening();
        }
    }
}
