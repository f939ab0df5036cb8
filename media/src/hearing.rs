//! What is heard of a far end during a call: losses in their order, jitter, level, and whether it is heard at all.
//!
//! Relayed audio is not decoded. Of G.711 one packet in [`SAMPLE_EVERY`] is looked at, octet by octet in a table; of
//! other codecs the level is not known.

mod levels;

use std::time::Duration;

use kraliki_time::Time;

use self::levels::Levels;
use crate::limits::{NO_PACKETS_AFTER, NO_SOUND_AFTER};
use crate::quality::{Bursts, Impairments, LossMeter};
use crate::rtcp::{ReportBlock, VoipMetrics};
use crate::sdp::AudioCodec;

/// One packet in so many is looked at for its level. Speech is silent and loud for longer than 160 ms, and a table
/// look-up for each octet of every packet would cost as much as the relay itself.
const SAMPLE_EVERY: u32 = 8;
/// Packets that came out of order by less than this are not lost: 320 ms, more than jitter buffers wait.
const WINDOW: u32 = 16;
/// A jump in the sequence by more is another stream (RFC 3550 A.1, MAX_DROPOUT).
const JUMP: u16 = 3_000;

/// Why a far end is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Unheard {
    /// No RTP arrives.
    NoPackets,
    /// RTP arrives, and every sample in it is zero: a muted microphone, or a fault on the far side.
    DigitalSilence,
}

impl Unheard {
    /// Every reason.
    pub const ALL: [Unheard; 2] = [Unheard::NoPackets, Unheard::DigitalSilence];
}

/// How a far end was heard in a stretch of a call, and what it says of us.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegQuality {
    /// How long the stretch is.
    pub lasted: Duration,
    /// What it sends.
    pub codec: Option<AudioCodec>,
    /// Packets that came.
    pub received: u64,
    /// Packets that were sent to it.
    pub sent: u64,
    /// Packets that never came, or too late to be heard.
    pub lost: u64,
    /// The most that were lost in a row.
    pub longest_loss: u64,
    /// How losses were spread.
    pub bursts: Bursts,
    /// BurstR of G.107; 1 is random loss.
    pub burst_ratio: f64,
    /// Packets that came twice.
    pub repeated: u64,
    /// Packets that were overtaken.
    pub reordered: u64,
    /// Interarrival jitter (RFC 3550 A.8), on average.
    pub jitter: Duration,
    /// The most of it.
    pub jitter_most: Duration,
    /// To the far end and back, if it reports.
    pub round_trip: Option<Duration>,
    /// The share of our packets that the far end lost, if it reports.
    pub far_loss: Option<f64>,
    /// The jitter that it reported last.
    pub far_jitter: Option<Duration>,
    /// The opinion score that it gives us, if it sends VoIP metrics.
    pub far_score: Option<f64>,
    /// The share of the packets looked at with three samples in a row at full scale; none: the level is not known.
    pub clipped: Option<f64>,
    /// The share under -50 dBFS.
    pub silent: Option<f64>,
    /// Why it is not heard now.
    pub unheard: Option<Unheard>,
    /// Why it was not heard for the longest time.
    pub was_unheard: Option<Unheard>,
    /// For how long it was not heard, in all.
    pub unheard_for: Duration,
}

impl LegQuality {
    /// The share of packets lost, between 0 and 1.
    pub fn loss(&self) -> f64 {
        self.lost as f64 / (self.received + self.lost).max(1) as f64
    }

    /// The opinion score to be expected, from 1 to 4.5, of what we received.
    pub fn mos(&self) -> f64 {
        self.impairments().mos()
    }

    /// What takes from the score.
    pub(crate) fn impairments(&self) -> Impairments {
        Impairments { delay: self.delay(self.jitter), ..self.listening() }
    }

    /// The same for one who only listens, and is not hindered by the delay.
    pub(crate) fn listening(&self) -> Impairments {
        Impairments { loss: self.loss(), burst_ratio: self.burst_ratio, ..Impairments::of(self.codec) }
    }

    /// The score of what the far end received: as it says itself (RFC 3611), or by the loss that it reports; how that is
    /// spread is not known. It is taken to be sent the codec that it sends.
    pub fn far_mos(&self) -> Option<f64> {
        if self.far_score.is_some() {
            return self.far_score;
        }
        let loss = self.far_loss?;
        let delay = self.delay(self.far_jitter.unwrap_or_default());
        Some(Impairments { delay, loss, ..Impairments::of(self.codec) }.mos())
    }

    /// A jitter buffer holds about twice the jitter; 20 ms are one packet.
    fn delay(&self, jitter: Duration) -> Duration {
        self.round_trip.unwrap_or_default() / 2 + jitter * 2 + Duration::from_millis(20)
    }
}

/// Which of the last packets came, so that they can be counted in their order.
#[derive(Clone, Copy, Debug, Default)]
struct Arrivals {
    /// The highest sequence number, and the packets up to it: the lowest bit is the highest one, set when it came.
    window: Option<(u16, u32)>,
    /// Packets in the window that are to be counted: fewer than its bits just after the beginning.
    filled: u32,
    meter: LossMeter,
    repeated: u64,
    reordered: u64,
}

impl Arrivals {
    fn packet(&mut self, sequence: u16) {
        let Some((highest, bits)) = &mut self.window else {
            (self.window, self.filled) = (Some((sequence, 1)), 1);
            return;
        };
        let ahead = sequence.wrapping_sub(*highest);
        let behind = u32::from(highest.wrapping_sub(sequence));
        if behind < WINDOW {
            let bit = 1 << behind;
            if *bits & bit != 0 {
                self.repeated += 1;
            } else if behind < self.filled {
                *bits |= bit;
                self.reordered += 1;
            }
        } else if ahead < JUMP {
            for _ in 0..u32::from(ahead).min(WINDOW) {
                if self.filled == WINDOW {
                    self.meter.packet(*bits & (1 << (WINDOW - 1)) == 0);
                } else {
                    self.filled += 1;
                }
                *bits <<= 1;
            }
            // What does not fit into the window was lost before it.
            self.meter.lost_run(u64::from(u32::from(ahead).saturating_sub(WINDOW)));
            *bits |= 1;
            *highest = sequence;
        } else if ahead <= u16::MAX - JUMP {
            self.start_anew();
            self.packet(sequence);
        }
        // Otherwise it is too late for anybody: it stays lost.
    }

    /// Another stream follows.
    fn start_anew(&mut self) {
        if let Some((_, bits)) = self.window.take() {
            for at in (0..self.filled).rev() {
                self.meter.packet((bits >> at) & 1 == 0);
            }
        }
        self.filled = 0;
    }

    /// All that came up to now.
    fn meter(&self) -> LossMeter {
        let mut all = *self;
        all.start_anew();
        all.meter
    }
}

/// What is heard of a far end, from the answer of a call or from an agent's joining it.
#[derive(Debug)]
pub(crate) struct Hearing {
    since: Time,
    sent_before: u64,
    codec: Option<AudioCodec>,
    arrivals: Arrivals,
    received: u64,
    levels: Levels,
    jitter_sum: Duration,
    jitter_looks: u32,
    jitter_most: Duration,
    /// The far end's first report of our packets, the one before the last, and the last: lost, and the highest that came.
    far: Option<[(i32, u32); 3]>,
    far_jitter: Duration,
    /// What it says of us in VoIP metrics: lost or late, in 256ths, and its score.
    far_voip: Option<(u16, Option<f64>)>,
    /// What was counted when the figures of the last seconds were asked for.
    told: Told,
    last_packet: Time,
    last_sound: Time,
    /// It said that it is silent.
    pauses: bool,
    unheard: Option<(Unheard, Time)>,
    /// How long it was not heard, for each reason.
    unheard_for: [Duration; Unheard::ALL.len()],
}

impl Hearing {
    /// `sent`: packets that were sent to the far end before.
    pub(crate) fn new(now: Time, sent: u64) -> Hearing {
        Hearing {
            since: now,
            sent_before: sent,
            codec: None,
            arrivals: Arrivals::default(),
            received: 0,
            levels: Levels::default(),
            jitter_sum: Duration::ZERO,
            jitter_looks: 0,
            jitter_most: Duration::ZERO,
            far: None,
            far_jitter: Duration::ZERO,
            far_voip: None,
            told: Told { at: now, sent, ..Told::default() },
            last_packet: now,
            last_sound: now,
            pauses: false,
            unheard: None,
            unheard_for: Default::default(),
        }
    }

    /// Counts a packet. `begins`: of another source than the one before. Gives true when the jitter is to be told.
    pub(crate) fn packet(&mut self, now: Time, sequence: u16, begins: bool) -> bool {
        if begins {
            self.arrivals.start_anew();
        }
        self.arrivals.packet(sequence);
        self.received += 1;
        self.last_packet = now;
        self.received.is_multiple_of(SAMPLE_EVERY.into())
    }

    /// See [`crate::leg::Leg::touch`].
    pub(crate) fn touch(&self) -> u64 {
        let arrivals = u64::from(self.arrivals.filled) + self.arrivals.meter.lost();
        let unheard = u64::from(self.pauses) + u64::from(self.unheard.is_some());
        arrivals.wrapping_add(self.received).wrapping_add(self.last_sound.as_nanos()).wrapping_add(unheard)
    }

    /// The present jitter.
    pub(crate) fn jitter(&mut self, jitter: Duration) {
        self.jitter_sum += jitter;
        self.jitter_looks += 1;
        self.jitter_most = self.jitter_most.max(jitter);
    }

    /// Audio of the last packet that was counted. It is looked at when `look` says so.
    pub(crate) fn audio(&mut self, now: Time, codec: AudioCodec, payload: &[u8], look: bool) {
        self.codec = Some(codec);
        self.pauses = false;
        if !AudioCodec::G711.contains(&codec) {
            // Not known without decoding.
            self.last_sound = now;
        } else if look && self.levels.take(codec, payload) {
            self.last_sound = now;
        }
    }

    /// Comfort noise or a key: a far end that says so is heard. After comfort noise, or an Opus frame of a pause, it may send
    /// nothing for as long as it likes (RFC 3389 §4).
    pub(crate) fn other(&mut self, now: Time, pauses: bool) {
        self.last_sound = now;
        self.pauses = pauses;
    }

    /// What the far end reports of our packets.
    pub(crate) fn report(&mut self, block: &ReportBlock, jitter: Duration) {
        let reported = (block.lost, block.highest_sequence);
        let (first, last) = self.far.map_or((reported, reported), |[first, _, last]| (first, last));
        self.far = Some([first, last, reported]);
        self.far_jitter = jitter;
    }

    /// What it says of us in VoIP metrics.
    pub(crate) fn report_voip(&mut self, voip: &VoipMetrics) {
        let lost = u16::from(voip.loss_rate) + u16::from(voip.discard_rate);
        let score = voip.mos_cq.or(voip.mos_lq).map(|tenths| f64::from(tenths) / 10.0);
        self.far_voip = Some((lost, score));
    }

    /// From now on it is to be heard: it was on hold, or nobody was there to hear it. To be looked at at once.
    pub(crate) fn expect(&mut self, now: Time) {
        (self.last_packet, self.last_sound) = (now, now);
    }

    /// When [`Hearing::look`] is due, if no packet comes before.
    pub(crate) fn due(&self, now: Time) -> Time {
        let dues = [self.last_packet + NO_PACKETS_AFTER, self.last_sound + NO_SOUND_AFTER];
        dues.into_iter().filter(|due| *due > now).min().unwrap_or(Time::MAX)
    }

    /// Looks whether it is heard. Gives what changed: the reason why it is not, or that it is again.
    pub(crate) fn look(&mut self, now: Time) -> Option<Option<Unheard>> {
        let is = if self.pauses {
            None
        } else if self.last_packet + NO_PACKETS_AFTER <= now {
            Some((Unheard::NoPackets, self.last_packet))
        } else if self.last_sound + NO_SOUND_AFTER <= now {
            Some((Unheard::DigitalSilence, self.last_sound))
        } else {
            None
        };
        let why = is.map(|(why, _)| why);
        if self.unheard.map(|(why, _)| why) == why {
            return None;
        }
        let before = self.unheard.take();
        if let Some((why, since)) = before
            && let Some(sum) = self.unheard_for.get_mut(why as usize)
        {
            *sum += now.since(since);
        }
        // A reason that follows another begins where that one ends.
        self.unheard = is.map(|(why, since)| (why, if before.is_some() { now } else { since }));
        Some(why)
    }

    pub(crate) fn is_unheard(&self) -> bool {
        self.unheard.is_some()
    }

    /// How it stands. `sent` and `round_trip` are the leg's.
    pub(crate) fn quality(&self, now: Time, sent: u64, round_trip: Option<Duration>) -> LegQuality {
        let meter = self.arrivals.meter();
        let mut unheard_for = self.unheard_for;
        if let Some((why, since)) = self.unheard
            && let Some(sum) = unheard_for.get_mut(why as usize)
        {
            *sum += now.since(since);
        }
        let most = Unheard::ALL.into_iter().zip(unheard_for).max_by_key(|(_, lasted)| *lasted);
        LegQuality {
            lasted: now.since(self.since),
            codec: self.codec,
            received: self.received,
            sent: sent.saturating_sub(self.sent_before),
            lost: meter.lost(),
            longest_loss: meter.longest_run(),
            bursts: meter.bursts(),
            burst_ratio: meter.burst_ratio(),
            repeated: self.arrivals.repeated,
            reordered: self.arrivals.reordered,
            jitter: self.jitter_sum.checked_div(self.jitter_looks).unwrap_or_default(),
            jitter_most: self.jitter_most,
            round_trip,
            // Its own word counts what came too late, too.
            far_loss: self
                .far_voip
                .map(|(lost, _)| (f64::from(lost) / 256.0).min(1.0))
                .or_else(|| self.far.and_then(|[first, _, last]| far_loss(first, last))),
            far_score: self.far_voip.and_then(|(_, score)| score),
            far_jitter: self.far.map(|_| self.far_jitter),
            clipped: self.levels.clipped(),
            silent: self.levels.silent(),
            unheard: self.unheard.map(|(why, _)| why),
            was_unheard: most.filter(|(_, lasted)| !lasted.is_zero()).map(|(why, _)| why),
            unheard_for: unheard_for.iter().sum(),
        }
    }

    /// How it stands since this was asked for last; what was not heard is still of the whole.
    pub(crate) fn recent(&mut self, now: Time, sent: u64, round_trip: Option<Duration>) -> LegQuality {
        let whole = self.quality(now, sent, round_trip);
        // Those that may still come are left to the next time.
        let lost = self.arrivals.meter.lost();
        let told = Told {
            at: now,
            received: self.received,
            sent,
            lost,
            levels: self.levels,
            jitter_sum: self.jitter_sum,
            jitter_looks: self.jitter_looks,
        };
        let before = std::mem::replace(&mut self.told, told);
        let levels = self.levels.since(&before.levels);
        let looks = self.jitter_looks - before.jitter_looks;
        LegQuality {
            lasted: now.since(before.at),
            received: self.received - before.received,
            sent: sent.saturating_sub(before.sent),
            lost: lost - before.lost,
            burst_ratio: 1.0,
            jitter: (self.jitter_sum - before.jitter_sum).checked_div(looks).unwrap_or_default(),
            far_loss: self.far.and_then(|[_, before, last]| far_loss(before, last)),
            clipped: levels.clipped(),
            silent: levels.silent(),
            ..whole
        }
    }
}

/// What had been counted at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    at: Time,
    received: u64,
    sent: u64,
    lost: u64,
    levels: Levels,
    jitter_sum: Duration,
    jitter_looks: u32,
}

/// The share of our packets lost between two reports of the far end; none when it knows of none.
fn far_loss((lost_before, from): (i32, u32), (lost, to): (i32, u32)) -> Option<f64> {
    let expected = to.wrapping_sub(from);
    let lost = i64::from(lost) - i64::from(lost_before);
    (expected > 0 && expected < u32::MAX / 2).then(|| (lost.max(0) as f64 / f64::from(expected)).min(1.0))
}

#[cfg(test)]
mod tests;
