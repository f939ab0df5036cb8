//! What was received of one source: counts, loss and jitter (RFC 3550 A.1, A.3, A.8).

use kraliki_time::Time;

use super::Header;
use crate::codec::SAMPLE_RATE_HZ;

/// Behind the highest by less than this, a packet is late; otherwise the source has started anew (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// Ahead of the highest by less than this, packets were lost; otherwise the source has started anew.
const MAX_DROPOUT: u16 = 3_000;

/// Receive statistics of one SSRC.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveStats {
    ssrc: u32,
    base: u32,
    /// The highest sequence number, extended by the count of its rounds.
    highest: u32,
    received: u64,
    octets: u64,
    transit: Option<i64>,
    /// Timestamp units a second, of the last packet.
    clock_hz: u32,
    /// Jitter in sixteenths of a timestamp unit, as A.8 keeps it.
    jitter_16: u32,
    expected_prior: u64,
    received_prior: u64,
    /// What was expected before the source started anew.
    expected_before: u64,
}

impl ReceiveStats {
    /// Begins with a source's first packet, which is counted by [`ReceiveStats::packet`].
    pub(crate) fn new(ssrc: u32, first: u16) -> Self {
        let first = u32::from(first);
        ReceiveStats {
            ssrc,
            base: first,
            highest: first,
            received: 0,
            octets: 0,
            transit: None,
            clock_hz: SAMPLE_RATE_HZ,
            jitter_16: 0,
            expected_prior: 0,
            received_prior: 0,
            expected_before: 0,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Counts a packet of the source, whose timestamps have `clock_hz` units a second.
    pub(crate) fn packet(&mut self, now: Time, header: &Header, clock_hz: u32) {
        if self.clock_hz != clock_hz {
            (self.clock_hz, self.transit, self.jitter_16) = (clock_hz, None, 0);
        }
        let ahead = header.sequence.wrapping_sub(self.highest as u16);
        if ahead < MAX_DROPOUT {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        } else if ahead <= u16::MAX - MAX_MISORDER {
            self.start_anew(header.sequence);
        }
        self.received += 1;
        self.octets += header.payload.len() as u64;
        // A.8, in timestamp units. The 64-bit difference is taken modulo 2^32 by the cast.
        let arrival = (now.as_nanos() / 1_000 * u64::from(clock_hz) / 1_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(header.timestamp));
        if let Some(before) = self.transit.replace(transit) {
            let d = (transit - before) as i32;
            let d = d.unsigned_abs().min(clock_hz * 10);
            self.jitter_16 = self.jitter_16.saturating_add(d) - ((self.jitter_16 + 8) >> 4);
        }
    }

    /// Packets that should have come.
    pub(crate) fn expected(&self) -> u64 {
        self.expected_before + self.expected_here()
    }

    /// Packets that came, repeated ones included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Payload octets that came.
    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    /// Lost packets; below zero when some came twice (A.3).
    pub(crate) fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Interarrival jitter, in timestamp units.
    pub(crate) fn jitter(&self) -> u32 {
        self.jitter_16 >> 4
    }

    /// Timestamp units a second.
    pub(crate) fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// The highest sequence number received, with its rounds.
    pub(crate) fn extended_highest(&self) -> u32 {
        self.highest
    }

    /// The share lost since the last call, in 256ths (A.3).
    pub(crate) fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().saturating_sub(self.expected_prior);
        let received = self.received.saturating_sub(self.received_prior);
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = expected.saturating_sub(received);
        (lost << 8).checked_div(expected).map_or(0, |share| u8::try_from(share).unwrap_or(u8::MAX))
    }

    fn expected_here(&self) -> u64 {
        u64::from(self.highest.wrapping_sub(self.base)) + u64::from(self.received > 0)
    }

    fn start_anew(&mut self, sequence: u16) {
        self.expected_before = self.expected();
        self.base = u32::from(sequence);
        self.highest = self.base;
        self.transit = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 1, payload: 12..172 }
    }

    #[test]
    fn loss_over_the_wrap() {
        let mut stats = ReceiveStats::new(1, 65_530);
        for n in 0..20u16 {
            if n % 5 != 4 {
                let at = Time::from_millis(u64::from(n) * 20);
                stats.packet(at, &header(65_530u16.wrapping_add(n), u32::from(n) * 160), SAMPLE_RATE_HZ);
            }
        }
        // The last of the twenty is among the lost, so nobody knows that it was sent.
        assert_eq!((stats.expected(), stats.received(), stats.lost()), (19, 16, 3));
        assert_eq!(stats.take_fraction_lost(), (3 * 256 / 19) as u8);
        assert_eq!(stats.take_fraction_lost(), 0);
        assert_eq!(stats.extended_highest(), 65_530 + 18);
        assert_eq!(stats.jitter(), 0);
    }

    #[test]
    fn jitter_nears_the_mean_deviation() {
        let mut stats = ReceiveStats::new(1, 0);
        for n in 0..500u16 {
            // Every other packet 5 ms late: |D| is 40 units each time.
            let at = Time::from_millis(u64::from(n) * 20 + u64::from(n % 2) * 5);
            stats.packet(at, &header(n, u32::from(n) * 160), SAMPLE_RATE_HZ);
        }
        assert!((38..=40).contains(&stats.jitter()), "{}", stats.jitter());
    }

    #[test]
    fn late_and_repeated_packets_are_not_new_ones() {
        let mut stats = ReceiveStats::new(1, 10);
        for sequence in [10, 12, 11, 12] {
            stats.packet(Time::ZERO, &header(sequence, 0), SAMPLE_RATE_HZ);
        }
        assert_eq!((stats.expected(), stats.lost()), (3, -1));
    }

    #[test]
    fn a_jump_is_no_loss() {
        let mut stats = ReceiveStats::new(1, 10);
        for sequence in [10, 11, 40_000, 40_001] {
            stats.packet(Time::ZERO, &header(sequence, 0), SAMPLE_RATE_HZ);
        }
        assert_eq!((stats.expected(), stats.received(), stats.lost()), (4, 4, 0));
    }
}
