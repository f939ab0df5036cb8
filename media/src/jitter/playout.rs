//! A stream made audible: packets in, a frame of samples at each tick.

use kraliki_time::Time;

use super::buffer::{Arrival, Content, JitterBuffer, JitterCounters, Take};
use super::target::JitterPolicy;
use crate::codec::{Decoder, MAX_PACKET_SAMPLES};
use crate::conceal::Concealer;
use crate::level::{dbov, rms};
use crate::noise::{NoiseGenerator, NoiseProfile};
use crate::quality::LossMeter;

/// Frames below this are silence, whatever the line's noise is.
const QUIET_DBOV: f64 = -55.0;
/// So are frames within this of the softest that were heard of late.
const ABOVE_NOISE_DB: f64 = 6.0;
/// The noise of a pause is looked at in each of this many quiet frames.
const NOISE_EVERY: u32 = 8;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What the far end sent.
    Sound,
    /// Something made up for what did not come.
    Concealed,
    /// Nothing was sent: silence, or comfort noise.
    Pause,
}

/// A stream's jitter buffer, decoder, concealment and comfort noise.
pub struct Playout {
    buffer: JitterBuffer,
    decoder: Box<dyn Decoder>,
    concealer: Option<Concealer>,
    noise: NoiseGenerator,
    /// Decoded samples that were not given out yet, and what the last of them are.
    samples: Vec<i16>,
    heard: Heard,
    scratch: Vec<i16>,
    frame: usize,
    quiet: bool,
    quiet_frames: u32,
    floor_dbov: f64,
    losses: LossMeter,
    malformed: u64,
}

impl Playout {
    /// A playout for a decoder's stream. `seed` makes its comfort noise.
    pub fn new(decoder: Box<dyn Decoder>, policy: JitterPolicy, seed: u32) -> Playout {
        let rate_hz = decoder.rate_hz();
        Playout {
            buffer: JitterBuffer::new(decoder.codec().clock_hz(), policy),
            concealer: (!decoder.conceals()).then(|| Concealer::new(rate_hz)),
            decoder,
            noise: NoiseGenerator::new(NoiseProfile::white(127), seed),
            samples: Vec::new(),
            heard: Heard::Pause,
            scratch: vec![0; MAX_PACKET_SAMPLES],
            frame: (rate_hz / 50) as usize,
            quiet: false,
            quiet_frames: 0,
            floor_dbov: QUIET_DBOV,
            losses: LossMeter::default(),
            malformed: 0,
        }
    }

    /// Samples in a frame: 20 ms at the decoder's rate.
    pub fn frame_samples(&self) -> usize {
        self.frame
    }

    /// What happened to packets.
    pub fn counters(&self) -> JitterCounters {
        self.buffer.counters()
    }

    /// How losses were spread, as they were heard.
    pub fn losses(&self) -> &LossMeter {
        &self.losses
    }

    /// Payloads that the decoder refused.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The jitter buffer's present hold.
    pub fn target(&self) -> std::time::Duration {
        self.buffer.target()
    }

    /// Takes a packet that came at `now`. Its `duration` is filled in here.
    pub fn put(&mut self, now: Time, arrival: Arrival<'_>) {
        let codec = self.decoder.codec();
        let content = match arrival.content {
            Content::Audio if codec.pauses(arrival.payload) => Content::Pause,
            content => content,
        };
        let duration = match content {
            Content::Audio | Content::Pause => self.decoder.duration(arrival.payload),
            Content::Noise => codec.clock_hz() / 50,
            Content::Other => 0,
        };
        if duration == 0 && matches!(content, Content::Audio | Content::Pause) {
            self.malformed += 1;
            return;
        }
        self.buffer.put(now, &Arrival { duration, content, ..arrival });
    }

    /// The frame of this tick: `frame` is filled, [`Playout::frame_samples`] long. Called each 20 ms.
    pub fn tick(&mut self, now: Time, frame: &mut [i16]) -> Heard {
        // A packet of 10 ms fills half a frame; each round adds at least one sample.
        while self.samples.len() < frame.len() {
            self.heard = self.next(now);
        }
        let first = self.samples.drain(..frame.len());
        frame.iter_mut().zip(first).for_each(|(to, from)| *to = from);
        if self.heard == Heard::Sound {
            self.listen(frame);
        }
        self.heard
    }

    fn next(&mut self, now: Time) -> Heard {
        match self.buffer.take(now, self.quiet) {
            Take::Packet(packet) => {
                self.losses.packet(false);
                if let Ok(len @ 1..) = self.decoder.decode(&packet.payload, &mut self.scratch) {
                    let decoded = self.scratch.get_mut(..len).unwrap_or_default();
                    if let Some(concealer) = &mut self.concealer {
                        concealer.heard(decoded);
                    }
                    self.samples.extend_from_slice(decoded);
                    return Heard::Sound;
                }
                self.malformed += 1;
                self.conceal(packet.duration, false)
            }
            Take::Lost { duration, recoverable } => {
                self.losses.packet(true);
                self.conceal(duration, recoverable)
            }
            Take::Noise(packet) => {
                if let Some(profile) = NoiseProfile::parse(&packet.payload) {
                    self.noise.set(profile);
                }
                self.pause()
            }
            Take::Silence => self.pause(),
        }
    }

    fn conceal(&mut self, duration: u32, recoverable: bool) -> Heard {
        let ticks = u64::from(duration) * u64::from(self.decoder.rate_hz());
        let len = ticks / u64::from(self.decoder.codec().clock_hz());
        let len = usize::try_from(len).unwrap_or(self.frame).clamp(1, MAX_PACKET_SAMPLES);
        let made = self.scratch.get_mut(..len).unwrap_or_default();
        match &mut self.concealer {
            Some(concealer) => concealer.conceal(made),
            None => self.decoder.conceal(self.buffer.peek().filter(|_| recoverable), made),
        }
        self.samples.extend_from_slice(made);
        Heard::Concealed
    }

    /// A frame of comfort noise.
    fn pause(&mut self) -> Heard {
        self.quiet = true;
        let made = self.scratch.get_mut(..self.frame).unwrap_or_default();
        self.noise.fill(made);
        if let Some(concealer) = &mut self.concealer {
            concealer.heard(made);
        }
        self.samples.extend_from_slice(made);
        Heard::Pause
    }

    /// Whether a frame is silence, and how that silence sounds: a pause without comfort noise of its own is filled so.
    fn listen(&mut self, frame: &[i16]) {
        let level = dbov(rms(frame));
        // The floor rises by 1.5 dB a second, so that a voice does not become noise.
        self.floor_dbov = level.min(self.floor_dbov + 0.03);
        self.quiet = level < QUIET_DBOV.max(self.floor_dbov + ABOVE_NOISE_DB).min(-35.0);
        if self.quiet {
            self.quiet_frames = self.quiet_frames.wrapping_add(1);
            if self.quiet_frames % NOISE_EVERY == 1 {
                self.noise.set(NoiseProfile::of(frame));
            }
        }
    }
}

impl std::fmt::Debug for Playout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playout").field("codec", &self.decoder.codec()).finish_non_exhaustive()
    }
}
