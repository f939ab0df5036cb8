//! How well a leg is heard: the counters of a leg, and an estimate of what a listener would say.

use std::time::Duration;

use crate::sdp::AudioCodec;

/// What was sent and received on a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegCounters {
    /// Packets received and taken.
    pub packets_received: u64,
    /// Payload octets received.
    pub octets_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Payload octets sent.
    pub octets_sent: u64,
    /// Packets that should have come (RFC 3550 A.3).
    pub packets_expected: u64,
    /// Packets lost on the way to us; below zero when some came twice.
    pub packets_lost: i64,
    /// Interarrival jitter at the end (RFC 3550 A.8).
    pub jitter: Duration,
    /// Share of our packets that the far end last reported as lost, in 256ths.
    pub far_fraction_lost: u8,
    /// Jitter that the far end last reported.
    pub far_jitter: Duration,
    /// Round trip, if the far end reports.
    pub round_trip: Option<Duration>,
    /// Packets that came from another address, or before one was known.
    pub dropped_address: u64,
    /// Packets of another SSRC than the locked one.
    pub dropped_ssrc: u64,
    /// Datagrams that are no RTP or RTCP, or of a type that was not agreed; of a browser's also STUN that is not authentic.
    pub dropped_malformed: u64,
    /// Packets that are not authentic, or came again (SRTP).
    pub dropped_srtp: u32,
    /// Packets of the other leg that this one could not take: held, played over, late.
    pub dropped_relay: u64,
    /// Packets that the kernel refused to send.
    pub send_errors: u64,
}

impl LegCounters {
    /// The share of packets lost, between 0 and 1.
    pub fn loss(&self) -> f64 {
        let expected = self.packets_expected.max(1) as f64;
        (self.packets_lost.max(0) as f64 / expected).min(1.0)
    }

    /// The opinion score to be expected, from 1 to 4.5, of what we received.
    pub fn mos(&self) -> f64 {
        mos(self.loss(), self.jitter, self.round_trip.unwrap_or_default())
    }
}

/// A mean opinion score from 1 to 4.5 for G.711 with concealment, where loss is known only as a share: it is taken to be
/// random.
pub fn mos(loss: f64, jitter: Duration, round_trip: Duration) -> f64 {
    // A jitter buffer holds about twice the jitter; 20 ms are one packet.
    let delay = round_trip / 2 + jitter * 2 + Duration::from_millis(20);
    Impairments { loss, delay, ..Impairments::default() }.mos()
}

/// What stands between the mouth and the ear, for the E-model (ITU-T G.107; delay after Cole and Rosenbluth's
/// simplification of it). Everything else has G.107's default values, which make R 93.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairments {
    /// From mouth to ear.
    pub delay: Duration,
    /// The share of packets that were not there in time: lost, and too late for the jitter buffer.
    pub loss: f64,
    /// How much longer losses in a row are than by chance (BurstR); 1 is random loss.
    pub burst_ratio: f64,
    /// What the codec takes by itself (Ie). G.113 gives 0 for G.711.
    pub codec: f64,
    /// How well the codec and its concealment bear loss (Bpl). G.113: G.711 with concealment 25.1, without 4.3.
    pub robustness: f64,
}

impl Default for Impairments {
    fn default() -> Impairments {
        Impairments { delay: Duration::ZERO, loss: 0.0, burst_ratio: 1.0, codec: 0.0, robustness: 25.1 }
    }
}

impl Impairments {
    /// Nothing but a codec with concealment.
    ///
    /// - G.711: G.113 appendix I has Ie 0 and Bpl 25.1 with the concealment of G.711 appendix I, which ours follows.
    /// - Opus: Ie 2 and Bpl 16, the highest rate (11 kbit/s) that Alahmadi, Pocta and Melvin derived on this narrow-band scale
    ///   (ACM TOMM 17, 2021, doi:10.1145/3458751); no Recommendation has values. More, as browsers send, is no worse.
    /// - G.722 and linear samples: as G.711. G.113 has wide-band values alone, on which G.722 stands above G.711; their losses
    ///   are concealed in the same way.
    pub fn of(codec: Option<AudioCodec>) -> Impairments {
        let (codec, robustness) = match codec {
            Some(AudioCodec::Opus) => (2.0, 16.0),
            Some(AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 | AudioCodec::L16) | None => {
                (0.0, 25.1)
            }
        };
        Impairments { codec, robustness, ..Impairments::default() }
    }

    /// The transmission rating R, between 0 and 93.2.
    pub fn rating(&self) -> f64 {
        let delay_ms = self.delay.as_secs_f64() * 1_000.0;
        let delay_impairment = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
        // Ie-eff (G.107 §7.5): loss in bursts hurts more than the same share spread out.
        let percent = self.loss.clamp(0.0, 1.0) * 100.0;
        let loss_impairment =
            (95.0 - self.codec) * percent / (percent / self.burst_ratio.max(1.0) + self.robustness);
        (93.2 - delay_impairment - self.codec - loss_impairment).clamp(0.0, 100.0)
    }

    /// The mean opinion score of the rating (G.107 annex B), from 1 to 4.5.
    pub fn mos(&self) -> f64 {
        let r = self.rating();
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
    }
}

/// Received packets in a row that end a burst of loss (RFC 3611 §4.7.2: Gmin of 16).
const GAP_MIN: u64 = 16;

/// How losses are spread: told by packet, in their order. It counts bursts and gaps as RFC 3611 §4.7.2 does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossMeter {
    packets: u64,
    lost: u64,
    /// Losses in a row: how many rows there were, the present one's length, and the longest.
    runs: u64,
    run: u64,
    longest_run: u64,
    bursts: u64,
    burst_packets: u64,
    burst_lost: u64,
    /// The burst that may still grow: its packets, the lost among them, and how many were received since.
    open: Option<(u64, u64, u64)>,
}

impl LossMeter {
    /// Counts a packet.
    pub fn packet(&mut self, lost: bool) {
        if lost {
            return self.lost_run(1);
        }
        self.packets += 1;
        self.run = 0;
        if let Some((.., since)) = &mut self.open {
            *since += 1;
            if *since >= GAP_MIN {
                self.close();
            }
        }
    }

    /// Counts so many lost packets in a row.
    pub fn lost_run(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        self.packets += count;
        self.lost += count;
        self.runs += u64::from(self.run == 0);
        self.run += count;
        self.longest_run = self.longest_run.max(self.run);
        match &mut self.open {
            Some((packets, lost, since)) => {
                *packets += *since + count;
                *lost += count;
                *since = 0;
            }
            open @ None => *open = Some((count, count, 0)),
        }
    }

    /// Packets that were lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The most that were lost in a row.
    pub fn longest_run(&self) -> u64 {
        self.longest_run
    }

    fn close(&mut self) {
        // One loss between two gaps belongs to the gap.
        if let Some((packets, lost, _)) = self.open.take().filter(|(_, lost, _)| *lost > 1) {
            self.bursts += 1;
            self.burst_packets += packets;
            self.burst_lost += lost;
        }
    }

    /// The share that was lost.
    pub fn loss(&self) -> f64 {
        self.lost as f64 / self.packets.max(1) as f64
    }

    /// BurstR of G.107: the mean row of losses against that of random loss of the same share, 1 / (1 - loss).
    pub fn burst_ratio(&self) -> f64 {
        if self.runs == 0 {
            return 1.0;
        }
        (self.lost as f64 / self.runs as f64 * (1.0 - self.loss())).max(1.0)
    }

    /// Bursts and gaps up to now (RFC 3611 §4.7.2).
    pub fn bursts(&self) -> Bursts {
        let mut closed = *self;
        closed.close();
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        Bursts {
            bursts: closed.bursts,
            burst_density: share(closed.burst_lost, closed.burst_packets),
            gap_density: share(closed.lost - closed.burst_lost, closed.packets - closed.burst_packets),
            mean_burst_packets: share(closed.burst_packets, closed.bursts),
        }
    }
}

/// How loss was spread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bursts {
    /// Stretches with losses fewer than 16 received packets apart.
    pub bursts: u64,
    /// The share lost within them.
    pub burst_density: f64,
    /// The share lost outside of them.
    pub gap_density: f64,
    /// Their mean length, in packets.
    pub mean_burst_packets: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_with_loss_and_delay() {
        let good = mos(0.0, Duration::ZERO, Duration::from_millis(20));
        assert!((4.3..=4.5).contains(&good), "{good}");
        let lossy = mos(0.05, Duration::ZERO, Duration::from_millis(20));
        let bad = mos(0.2, Duration::from_millis(50), Duration::from_millis(600));
        assert!(good > lossy && lossy > bad);
        assert!((1.0..2.5).contains(&bad), "{bad}");
        assert_eq!(mos(1.0, Duration::from_secs(9), Duration::from_secs(9)), 1.0);
    }

    #[test]
    fn bursts_hurt_more_than_spread_loss() {
        // One in twenty: spread evenly, or five in a row of each hundred.
        let (mut spread, mut burst) = (LossMeter::default(), LossMeter::default());
        for n in 0..1_000 {
            spread.packet(n % 20 == 10);
            burst.packet((50..55).contains(&(n % 100)));
        }
        assert_eq!((spread.loss(), burst.loss()), (0.05, 0.05));
        assert_eq!(spread.burst_ratio(), 1.0);
        assert!((burst.burst_ratio() - 4.75).abs() < 1e-9, "{}", burst.burst_ratio());
        assert_eq!(spread.bursts(), Bursts { gap_density: 0.05, ..Bursts::default() });
        let seen = burst.bursts();
        assert_eq!((seen.bursts, seen.burst_density, seen.gap_density), (10, 1.0, 0.0));
        assert_eq!(seen.mean_burst_packets, 5.0);
        let mos = |meter: LossMeter| {
            Impairments { loss: meter.loss(), burst_ratio: meter.burst_ratio(), ..Impairments::default() }
                .mos()
        };
        assert!(mos(spread) > mos(burst) + 0.05, "{} and {}", mos(spread), mos(burst));
        assert_eq!((spread.longest_run(), burst.longest_run()), (1, 5));
        let mut at_once = LossMeter::default();
        for n in 0..1_000 {
            match n % 100 {
                50 => at_once.lost_run(5),
                51..55 => {}
                _ => at_once.packet(false),
            }
        }
        assert_eq!(at_once, burst);
    }

    #[test]
    fn known_ratings() {
        assert!((Impairments::default().rating() - 93.2).abs() < 1e-9);
        assert!((Impairments::default().mos() - 4.41).abs() < 0.01);
        // G.711 without concealment at 1%: 95 / 5.3 = 17.9 less.
        let bare = Impairments { loss: 0.01, robustness: 4.3, ..Impairments::default() };
        assert!((bare.rating() - 75.3).abs() < 0.1, "{}", bare.rating());
        // Opus at 5% random loss: 93.2 - 2 - 93 * 5 / (5 + 16) = 69.1; G.711: 93.2 - 95 * 5 / 30.1 = 77.4.
        let at_5 = |codec| Impairments { loss: 0.05, ..Impairments::of(Some(codec)) }.rating();
        assert!((at_5(AudioCodec::Opus) - 69.06).abs() < 0.01, "{}", at_5(AudioCodec::Opus));
        assert!((at_5(AudioCodec::Pcma) - 77.42).abs() < 0.01, "{}", at_5(AudioCodec::Pcma));
        assert_eq!(Impairments::of(None), Impairments::default());
        let empty = LossMeter::default();
        assert_eq!((empty.loss(), empty.burst_ratio(), empty.bursts()), (0.0, 1.0, Bursts::default()));
    }
}
