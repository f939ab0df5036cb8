//! Packets in, in any order; out, the one that is due.

use std::collections::VecDeque;

use kraliki_time::Time;

use super::target::{JitterPolicy, Target, micros};

/// Packets kept: 1.2 s of 20 ms, six times the longest hold. Beyond it the oldest go.
const MAX_PACKETS: usize = 64;
/// One tick.
const FRAME_MICROS: i64 = 20_000;
/// While nothing comes, this many ticks are concealed; after it the line is quiet (the concealment has faded by then).
const CONCEALED_TICKS: u32 = 3;
/// A sequence number this far from the last is another stream (RFC 3550 A.1).
const MAX_SEQUENCE_JUMP: i64 = 3_000;
/// A timestamp this far from where it should be is another clock, not jitter.
const MAX_CLOCK_JUMP_MICROS: i64 = 2_000_000;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sound of the codec.
    Audio,
    /// Sound after which its side may send nothing for a while (discontinuous transmission).
    Pause,
    /// Comfort noise (RFC 3389).
    Noise,
    /// Something without sound that takes a sequence number: a telephone-event.
    Other,
}

/// A packet as it came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// RTP's sequence number.
    pub sequence: u16,
    /// RTP's timestamp.
    pub timestamp: u32,
    /// RTP's source.
    pub ssrc: u32,
    /// RTP's marker: the first packet after a pause.
    pub marker: bool,
    /// What it holds.
    pub content: Content,
    /// How long it sounds, in ticks of the RTP clock. A packet of audio without length is not put in.
    pub duration: u32,
    /// Its payload.
    pub payload: &'a [u8],
}

/// A packet that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its payload.
    pub payload: Vec<u8>,
    /// How long it sounds, in ticks of the RTP clock.
    pub duration: u32,
}

/// What is to be heard next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// This sound.
    Packet(Packet),
    /// A packet's length that did not come: conceal it. Where `recoverable`, the next packet is here and may hold a copy
    /// ([`JitterBuffer::peek`]).
    Lost {
        /// How long it was, in ticks of the RTP clock.
        duration: u32,
        /// Whether the next packet is here.
        recoverable: bool,
    },
    /// This comfort noise, until something else comes.
    Noise(Packet),
    /// Nothing for a frame of 20 ms: the far end pauses, or nothing is due yet.
    Silence,
}

/// What happened to packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Packets played.
    pub played: u64,
    /// Packets that never came in time and were concealed or passed over.
    pub lost: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that came behind a later one, and in time.
    pub reordered: u64,
    /// Packets dropped because too many were kept, or the delay had grown too long.
    pub dropped: u64,
    /// Packets left out in silence to shorten the delay.
    pub shrunk: u64,
    /// Frames of silence put in to lengthen it.
    pub stretched: u64,
    /// Ticks at which nothing was there though the far end had not paused.
    pub starved: u64,
    /// New sources, and jumps of their clocks.
    pub resets: u64,
}

#[derive(Clone, Debug)]
struct Stored {
    sequence: i64,
    timestamp: i64,
    content: Content,
    packet: Packet,
}

/// Where a source stands: numbers extended over their wraps.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    /// The highest numbers that came.
    sequence: i64,
    timestamp: i64,
}

/// The playing position.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// The timestamp that is due next.
    timestamp: i64,
    /// The last sequence number that was played or given up, and which of it and the 63 before it were played.
    sequence: i64,
    played: u64,
}

/// An adaptive jitter buffer for one stream of audio.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    clock_hz: i64,
    max_span: i64,
    target: Target,
    source: Option<Source>,
    position: Option<Position>,
    packets: VecDeque<Stored>,
    starving: u32,
    /// Comfort noise was the last that was played: what follows is a pause.
    pausing: bool,
    /// The length of the last packet, which a lost one is taken to have as well.
    packet_ticks: i64,
    counters: JitterCounters,
}

impl JitterBuffer {
    /// A buffer for a stream whose timestamps count at `clock_hz`.
    pub fn new(clock_hz: u32, policy: JitterPolicy) -> JitterBuffer {
        let clock_hz = i64::from(clock_hz.max(1_000));
        JitterBuffer {
            clock_hz,
            max_span: micros(policy.max) + 3 * FRAME_MICROS,
            target: Target::new(policy),
            source: None,
            position: None,
            packets: VecDeque::new(),
            starving: 0,
            pausing: false,
            packet_ticks: clock_hz / 50,
            counters: JitterCounters::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// How long packets are held at present.
    pub fn target(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.target.hold().unsigned_abs())
    }

    /// The payload of the next packet, if it is sound.
    pub fn peek(&self) -> Option<&[u8]> {
        let front = self.packets.front()?;
        (front.content == Content::Audio).then_some(&front.packet.payload)
    }

    /// Takes a packet that came at `now`.
    pub fn put(&mut self, now: Time, arrival: &Arrival<'_>) {
        let (sequence, timestamp, offset) = self.place(now, arrival);
        if let Some(position) = &self.position
            && sequence <= position.sequence
        {
            let back = position.sequence - sequence;
            if back < 64 && position.played >> back & 1 == 1 {
                self.counters.duplicate += 1;
            } else {
                self.counters.late += 1;
                self.target.arrived(offset);
            }
            return;
        }
        let at = self.packets.partition_point(|stored| stored.sequence < sequence);
        if self.packets.get(at).is_some_and(|stored| stored.sequence == sequence) {
            self.counters.duplicate += 1;
            return;
        }
        if arrival.content != Content::Other {
            self.target.arrived(offset);
            self.counters.reordered += u64::from(at < self.packets.len());
        }
        let packet = Packet { payload: arrival.payload.to_vec(), duration: arrival.duration };
        self.packets.insert(at, Stored { sequence, timestamp, content: arrival.content, packet });
        if self.packets.len() > MAX_PACKETS {
            self.drop_front();
            self.counters.dropped += 1;
        }
    }

    /// The numbers of a packet without their wraps, and its offset. Another source, or a clock that jumped, begins anew.
    fn place(&mut self, now: Time, arrival: &Arrival<'_>) -> (i64, i64, i64) {
        let now = now_micros(now);
        let known = self.source.filter(|source| source.ssrc == arrival.ssrc);
        if let Some(source) = known {
            // The casts take the differences modulo 2^16 and 2^32.
            let step = i64::from(arrival.sequence.wrapping_sub(source.sequence as u16).cast_signed());
            let ticks = i64::from(arrival.timestamp.wrapping_sub(source.timestamp as u32).cast_signed());
            let timestamp = source.timestamp + ticks;
            let offset = now - self.micros_of(timestamp);
            let apart = self.target.fastest().map_or(0, |fastest| offset - fastest);
            // A far end that stops its clock in pauses says so by the marker.
            let stopped = arrival.marker && apart > self.max_span;
            if step.abs() <= MAX_SEQUENCE_JUMP && apart.abs() <= MAX_CLOCK_JUMP_MICROS && !stopped {
                let sequence = source.sequence + step;
                if step > 0 {
                    self.source = Some(Source { sequence, timestamp, ..source });
                }
                return (sequence, timestamp, offset);
            }
        }
        if self.source.is_some() {
            self.counters.resets += 1;
        }
        self.packets.clear();
        self.position = None;
        self.starving = 0;
        self.pausing = false;
        self.target.restart();
        let (sequence, timestamp) = (i64::from(arrival.sequence), i64::from(arrival.timestamp));
        self.source = Some(Source { ssrc: arrival.ssrc, sequence, timestamp });
        (sequence, timestamp, now - self.micros_of(timestamp))
    }

    /// What is to be heard next, asked for when the last answer has been played out: once a tick for packets of 20 ms.
    /// `quiet` says that what was heard last was silence, in which frames may be left out or put in unnoticed.
    pub fn take(&mut self, now: Time, quiet: bool) -> Take {
        let now = now_micros(now);
        let mut may_shrink = quiet;
        loop {
            let Some(front) = self.packets.front() else { return self.starve() };
            if front.content == Content::Other {
                self.drop_front();
                continue;
            }
            let (sequence, timestamp) = (front.sequence, front.timestamp);
            let (fastest, hold) = (self.target.fastest().unwrap_or(0), self.target.hold());
            // How long after its fastest arrival a timestamp would be played now.
            let delay_of = |buffer: &JitterBuffer, timestamp| now - fastest - buffer.micros_of(timestamp);
            let Some(mut position) = self.position else {
                if delay_of(self, timestamp) < hold {
                    return Take::Silence;
                }
                self.position = Some(Position { timestamp, sequence: sequence - 1, played: 0 });
                continue;
            };
            let delay = delay_of(self, position.timestamp);
            let hole = timestamp - position.timestamp;
            if hole <= 0 {
                let too_long = self.span(position.timestamp) > self.max_span;
                if too_long || may_shrink && delay > hold + FRAME_MICROS && self.packets.len() > 1 {
                    *(if too_long { &mut self.counters.dropped } else { &mut self.counters.shrunk }) += 1;
                    may_shrink = false;
                    self.drop_front();
                    continue;
                }
                if quiet && delay + FRAME_MICROS <= hold {
                    self.counters.stretched += 1;
                    return Take::Silence;
                }
                return self.play_front();
            }
            if sequence == position.sequence + 1 {
                // Nothing was lost: the far end paused. It goes on when the packet is due.
                if delay_of(self, timestamp) < hold {
                    return Take::Silence;
                }
                position.timestamp = timestamp;
                self.position = Some(position);
                continue;
            }
            let ticks = hole.min(self.packet_ticks);
            position.timestamp += ticks;
            position.sequence += 1;
            position.played <<= 1;
            self.position = Some(position);
            self.counters.lost += 1;
            // Its time went by while nothing was here, and was concealed then.
            if delay >= hold + self.micros_of(ticks) {
                continue;
            }
            return Take::Lost { duration: ticks as u32, recoverable: position.sequence + 1 == sequence };
        }
    }

    fn starve(&mut self) -> Take {
        if self.position.is_none() || self.pausing {
            return Take::Silence;
        }
        self.starving = self.starving.saturating_add(1);
        if self.starving > CONCEALED_TICKS {
            return Take::Silence;
        }
        self.counters.starved += 1;
        Take::Lost { duration: (self.clock_hz / 50) as u32, recoverable: false }
    }

    fn play_front(&mut self) -> Take {
        let Some(front) = self.drop_front() else { return Take::Silence };
        if let Some(position) = &mut self.position {
            position.played |= 1;
        }
        self.counters.played += 1;
        self.starving = 0;
        self.pausing = matches!(front.content, Content::Noise | Content::Pause);
        if front.content == Content::Noise {
            return Take::Noise(front.packet);
        }
        self.packet_ticks = i64::from(front.packet.duration).max(1);
        Take::Packet(front.packet)
    }

    /// Takes the first packet out and moves the position behind it.
    fn drop_front(&mut self) -> Option<Stored> {
        let front = self.packets.pop_front()?;
        if let Some(position) = &mut self.position {
            let steps = (front.sequence - position.sequence).max(0);
            position.played = position.played.checked_shl(steps.try_into().unwrap_or(64)).unwrap_or(0);
            position.sequence = position.sequence.max(front.sequence);
            if front.content != Content::Other {
                let end = front.timestamp + i64::from(front.packet.duration);
                position.timestamp = position.timestamp.max(end);
            }
        }
        Some(front)
    }

    #[cfg(test)]
    pub(super) fn packets_kept(&self) -> usize {
        self.packets.len()
    }

    /// How much sound is kept behind a timestamp.
    fn span(&self, from: i64) -> i64 {
        let end = self.packets.back().map_or(from, |last| last.timestamp + i64::from(last.packet.duration));
        self.micros_of(end - from)
    }

    fn micros_of(&self, ticks: i64) -> i64 {
        ticks * 1_000_000 / self.clock_hz
    }
}

fn now_micros(now: Time) -> i64 {
    (now.as_nanos() / 1_000).cast_signed()
}
