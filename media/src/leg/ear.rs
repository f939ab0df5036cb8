//! What is decoded of a far end's audio, for who listens here. Nobody listens to most of a call, and then there is no ear.

use std::sync::Arc;

use kraliki_time::Time;

use super::receive::{Inbound, Kind};
use super::send::{FRAME, LATE};
use super::{Leg, Timers};
use crate::audio::Audio;
use crate::codec::{FRAME_SAMPLES, OpusPolicy, SAMPLE_RATE_HZ, decoder};
use crate::detect::{Detector, Event};
use crate::event::MediaEvent;
use crate::jitter::{Arrival, Content, JitterPolicy, Playout};
use crate::play::Overlay;
use crate::record::Tap;
use crate::resample::Resampler;
use crate::sdp::AudioCodec;

/// A leg's ear: jitter buffer and decoder, and who listens: a detector, a recording, or both.
#[derive(Default)]
pub(super) struct Ear {
    detector: Option<Detector>,
    tap: Option<Box<Tap>>,
    /// Made with the first packet, and anew with another codec.
    stream: Option<Stream>,
}

struct Stream {
    codec: AudioCodec,
    playout: Playout,
    resampler: Resampler,
    frame: Vec<i16>,
}

impl Stream {
    /// `None` for a codec whose library does not start; the call goes on unheard.
    fn new(codec: AudioCodec, seed: u32) -> Option<Stream> {
        let decoder = decoder(codec, &OpusPolicy::default()).ok()?;
        let resampler = Resampler::new(decoder.rate_hz(), SAMPLE_RATE_HZ).ok()?;
        let playout = Playout::new(decoder, JitterPolicy::default(), seed);
        let frame = vec![0; playout.frame_samples()];
        Some(Stream { codec, playout, resampler, frame })
    }
}

impl Ear {
    fn put(&mut self, now: Time, inbound: &Inbound, packet: &[u8]) {
        let content = match inbound.kind {
            Kind::Audio(codec) => {
                if self.stream.as_ref().is_none_or(|stream| stream.codec != codec) {
                    self.stream = Stream::new(codec, inbound.header.ssrc);
                }
                Content::Audio
            }
            Kind::Noise => Content::Noise,
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

    /// One frame, due at `at`. A recording gets what the other side may hear: nothing of who is muted or on hold.
    fn hear(&mut self, now: Time, at: Time, passed_on: bool) {
        let Some(stream) = &mut self.stream else { return self.gap(FRAME_SAMPLES) };
        stream.playout.tick(now, &mut stream.frame);
        let frame = stream.resampler.process(&stream.frame);
        if let Some(detector) = &mut self.detector {
            detector.push(frame);
        }
        if let Some(tap) = self.tap.as_mut().filter(|_| passed_on) {
            tap.frame(at, frame);
        }
    }

    fn gap(&mut self, samples: usize) {
        if let Some(detector) = &mut self.detector {
            detector.gap(samples);
        }
    }
}

impl Leg {
    /// Has a detector listen to the far end from now on. Before the answer it hears nothing but what is sent.
    pub(crate) fn listen(&mut self, detector: Detector) {
        self.ear.get_or_insert_default().detector = Some(detector);
    }

    /// No detector listens any more.
    pub(crate) fn stop_listening(&mut self) {
        self.ear.iter_mut().for_each(|ear| ear.detector = None);
        self.drop_idle_ear();
    }

    /// Gives a recording what the far end says from now on, whoever it is bridged to.
    pub(crate) fn record(&mut self, tap: Tap) {
        self.ear.get_or_insert_default().tap = Some(Box::new(tap));
    }

    /// Nothing is recorded any more.
    pub(crate) fn stop_recording(&mut self) {
        self.ear.iter_mut().for_each(|ear| ear.tap = None);
        self.drop_idle_ear();
    }

    /// Mixes sound into what the far end hears, in place of what is mixed in still.
    pub(crate) fn overlay(&mut self, sound: Arc<Audio>) {
        self.sound.overlay = Some(Overlay::new(sound));
    }

    fn drop_idle_ear(&mut self) {
        if self.ear.as_ref().is_some_and(|ear| ear.detector.is_none() && ear.tap.is_none()) {
            self.ear = None;
            self.timers.ear = Time::MAX;
        }
    }

    /// The call was answered: what is heard from now on says by whom, and so does silence.
    pub(super) fn listen_to_answer(&mut self, now: Time) {
        if let Some(detector) = self.ear.as_mut().and_then(|ear| ear.detector.as_mut()) {
            detector.answered();
            Leg::wake_ear(&mut self.timers, now);
        }
    }

    /// Another stream may come from now on: what was heard of the one before says nothing of it (RFC 3960 §3).
    pub(super) fn listen_anew(&mut self) {
        if let Some(ear) = &mut self.ear {
            ear.detector.iter_mut().for_each(Detector::reset);
            ear.stream = None;
        }
    }

    pub(super) fn put_in_ear(&mut self, now: Time, inbound: &Inbound, packet: &[u8]) {
        if let Some(ear) = &mut self.ear {
            ear.put(now, inbound, packet);
            Leg::wake_ear(&mut self.timers, now);
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
            let missed = (now.since(self.timers.ear).as_millis() / FRAME.as_millis()) as usize;
            ear.gap(missed * FRAME_SAMPLES);
            self.timers.ear += FRAME * missed as u32;
        }
        while self.timers.ear <= now {
            ear.hear(now, self.timers.ear, passed_on);
            self.timers.ear += FRAME;
        }
        // Keys as tones count only where none come as events: a gateway may let both through.
        let by_tone = self.format.is_some_and(|format| format.receive_dtmf.is_none());
        let Some(detector) = &mut ear.detector else { return };
        while let Some(event) = detector.poll_event() {
            match event {
                Event::Digit(digit) if by_tone => events.extend([MediaEvent::Dtmf { leg: self.id, digit }]),
                Event::Digit(_) => {}
                event => events.extend([MediaEvent::Detected { leg: self.id, what: Box::new(event) }]),
            }
        }
        if detector.is_done() && !by_tone {
            self.stop_listening();
        }
    }
}
