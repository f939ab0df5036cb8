//! How well a leg is heard: the counters of a leg, and an estimate of what a listener would say.

use std::time::Duration;

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
    /// Datagrams that are no RTP or RTCP, or of a type that was not agreed.
    pub dropped_malformed: u64,
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

/// A mean opinion score by the E-model's outline (ITU-T G.107; delay impairment after Cole and Rosenbluth), for
/// G.711 with concealment. `loss` is a share.
pub fn mos(loss: f64, jitter: Duration, round_trip: Duration) -> f64 {
    // A jitter buffer holds about twice the jitter; 20 ms are one packet.
    let delay_ms = round_trip.as_secs_f64() * 500.0 + jitter.as_secs_f64() * 2_000.0 + 20.0;
    let delay_impairment = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
    // G.113: G.711 with concealment has Bpl 25.1 and Ie 0.
    let percent = loss * 100.0;
    let loss_impairment = 95.0 * percent / (percent + 25.1);
    let r = (93.2 - delay_impairment - loss_impairment).clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
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
}
