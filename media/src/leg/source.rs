//! Who may be heard on a plain leg: the far address, learned once inside what the session description allows, and
//! its SSRC, locked while it speaks.

use std::net::SocketAddr;

use kraliki_time::Time;

use crate::codec::SAMPLE_RATE_HZ;
use crate::limits::{SSRC_QUIET, STRAGGLERS};
use crate::rtp::{Header, ReceiveStats};

/// How far the address from which packets really come may differ from the one in the session description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learn {
    /// Not at all.
    Exact,
    /// In its port (a NAT or a gateway with symmetric ports). The first packet decides.
    #[default]
    SameHost,
    /// Altogether (far ends behind NAT that describe their inside address). The first packet decides.
    Anywhere,
}

/// Sums over the sources before the present one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) received: u64,
    pub(super) octets: u64,
    pub(super) expected: u64,
    pub(super) lost: i64,
}

/// Why a packet is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Address,
    Ssrc,
}

/// Where the far end was before its description changed.
#[derive(Clone, Copy, Debug)]
struct Left {
    from: SocketAddr,
    /// When the first packet since then came from there.
    heard: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Source {
    learn: Learn,
    /// What the session description says.
    described: Option<SocketAddr>,
    described_rtcp: Option<SocketAddr>,
    /// Where packets really come from.
    learned: Option<SocketAddr>,
    learned_rtcp: Option<SocketAddr>,
    /// Until somebody is learned anew.
    left: Option<Left>,
    /// The next allowed packet decides the address.
    open: bool,
    /// So does the next allowed report.
    open_rtcp: bool,
    stats: Option<ReceiveStats>,
    /// The next packet may bring a new SSRC.
    relock: bool,
    last: Time,
    past: Sums,
    /// Timestamp units a second of what is sent at present.
    pub(super) clock_hz: u32,
}

impl Source {
    pub(super) fn new(learn: Learn) -> Source {
        Source {
            learn,
            described: None,
            described_rtcp: None,
            learned: None,
            learned_rtcp: None,
            left: None,
            open: true,
            open_rtcp: true,
            stats: None,
            relock: true,
            last: Time::ZERO,
            past: Sums::default(),
            clock_hz: SAMPLE_RATE_HZ,
        }
    }

    /// Takes the far end's description. The address may be learned again, and the SSRC too (RFC 4961 §4; a far end
    /// that re-invites may have switched gateways); until a packet comes, what was learned of the same address holds.
    ///
    /// What still comes from where the far end was before is not learned for a while: it was under way, or is the early
    /// media of another fork, and would take our audio to where nobody listens.
    pub(super) fn describe(&mut self, rtp: SocketAddr, rtcp: SocketAddr) {
        if rtp.ip().is_unspecified() {
            // A hold by c=0.0.0.0 (RFC 3264 §8.4) says what not to send, not where the far end is: it may send music.
            return;
        }
        if self.described != Some(rtp) {
            let before = self.learned.take().or(self.described);
            self.left = before.filter(|before| *before != rtp).map(|from| Left { from, heard: None });
            self.learned_rtcp = None;
        }
        self.described = Some(rtp);
        self.described_rtcp = Some(rtcp);
        (self.open, self.open_rtcp) = (true, true);
        self.relock = true;
    }

    /// Where RTP is to be sent.
    pub(super) fn rtp_target(&self) -> Option<SocketAddr> {
        self.learned.or(self.described).filter(is_usable)
    }

    /// See [`Leg::touch`](super::Leg::touch).
    pub(super) fn touch(&self) -> u64 {
        let learned = self.learned.map_or(0, |learned| learned.port().into());
        let stats = self.stats.as_ref().map_or(0, |stats| stats.received().wrapping_add(stats.ssrc().into()));
        stats.wrapping_add(learned).wrapping_add(self.last.as_nanos()).wrapping_add(self.clock_hz.into())
    }

    /// The one address from which RTP is heard, until another description.
    pub(super) fn only_address(&self) -> Option<SocketAddr> {
        self.learned.filter(|_| !self.open)
    }

    /// Where RTCP is to be sent.
    pub(super) fn rtcp_target(&self) -> Option<SocketAddr> {
        self.learned_rtcp.or(self.described_rtcp).filter(is_usable)
    }

    pub(super) fn stats(&self) -> Option<&ReceiveStats> {
        self.stats.as_ref()
    }

    pub(super) fn stats_mut(&mut self) -> Option<&mut ReceiveStats> {
        self.stats.as_mut()
    }

    /// Counts over all sources of the leg.
    pub(super) fn sums(&self) -> Sums {
        let now = self.stats.as_ref().map_or(Sums::default(), |s| Sums {
            received: s.received(),
            octets: s.octets(),
            expected: s.expected(),
            lost: s.lost(),
        });
        Sums {
            received: self.past.received + now.received,
            octets: self.past.octets + now.octets,
            expected: self.past.expected + now.expected,
            lost: self.past.lost + now.lost,
        }
    }

    /// Takes a packet of a plain leg, or says why not. `Ok(true)` when it begins a new source.
    pub(super) fn packet(&mut self, now: Time, from: SocketAddr, header: &Header) -> Result<bool, Refusal> {
        let address_is_new = self.learned != Some(from);
        if address_is_new && !(self.open && self.is_allowed(from)) {
            return Err(Refusal::Address);
        }
        if let Some(left) = self.left.as_mut().filter(|left| left.from == from)
            && now.since(*left.heard.get_or_insert(now)) < STRAGGLERS
        {
            return Err(Refusal::Address);
        }
        let begins = self.ssrc(now, header)?;
        (self.open, self.left) = (false, None);
        self.learned = Some(from);
        Ok(begins)
    }

    /// Takes a packet whose sender is known by other means (SRTP), or says why not.
    pub(super) fn ssrc(&mut self, now: Time, header: &Header) -> Result<bool, Refusal> {
        let known = self.stats.as_ref().is_some_and(|s| s.ssrc() == header.ssrc);
        if !known && !self.relock && now.since(self.last) < SSRC_QUIET {
            return Err(Refusal::Ssrc);
        }
        if !known {
            self.past = self.sums();
            self.stats = Some(ReceiveStats::new(header.ssrc, header.sequence));
        }
        self.relock = false;
        self.last = now;
        if let Some(stats) = &mut self.stats {
            stats.packet(now, header, self.clock_hz);
        }
        Ok(!known)
    }

    /// Takes the sender of an RTCP packet: the host that sends the RTP, or the one described. It is learned once, too: another
    /// program of that host would get our reports.
    pub(super) fn rtcp(&mut self, from: SocketAddr) -> Result<(), Refusal> {
        if self.learned_rtcp == Some(from) {
            return Ok(());
        }
        let is_host = |of: Option<SocketAddr>| of.is_some_and(|a| a.ip() == from.ip());
        let allowed = match self.learn {
            Learn::Exact => self.described_rtcp == Some(from),
            Learn::SameHost | Learn::Anywhere => is_host(self.rtp_target()) || is_host(self.described_rtcp),
        };
        if !allowed || (!self.open_rtcp && self.described_rtcp != Some(from)) {
            return Err(Refusal::Address);
        }
        self.open_rtcp = false;
        self.learned_rtcp = Some(from);
        Ok(())
    }

    fn is_allowed(&self, from: SocketAddr) -> bool {
        let Some(described) = self.described else { return false };
        match self.learn {
            Learn::Exact => from == described,
            Learn::SameHost => from.ip() == described.ip(),
            Learn::Anywhere => true,
        }
    }
}

/// Port 0 is nothing.
fn is_usable(address: &SocketAddr) -> bool {
    address.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc, payload: 12..172 }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_packet_of_the_described_host_decides() {
        let mut source = Source::new(Learn::SameHost);
        let far = address("192.0.2.1:4000");
        assert_eq!(source.packet(Time::ZERO, far, &header(1, 0)), Err(Refusal::Address), "nothing described");
        source.describe(far, address("192.0.2.1:4001"));
        assert_eq!((source.rtp_target(), source.only_address()), (Some(far), None));
        let attacker = address("203.0.113.9:4000");
        assert_eq!(source.packet(Time::ZERO, attacker, &header(9, 0)), Err(Refusal::Address));
        let real = address("192.0.2.1:50000");
        assert_eq!(source.packet(Time::ZERO, real, &header(1, 0)), Ok(true));
        assert_eq!((source.rtp_target(), source.only_address()), (Some(real), Some(real)));
        assert_eq!(source.packet(Time::ZERO, far, &header(1, 1)), Err(Refusal::Address), "learned once");
        // A re-INVITE opens it again, and what was learned holds until a packet says otherwise.
        source.describe(far, address("192.0.2.1:4001"));
        assert_eq!((source.rtp_target(), source.only_address()), (Some(real), None));
        assert_eq!(source.packet(Time::ZERO, far, &header(1, 1)), Ok(false));
        assert_eq!(source.rtp_target(), Some(far));
        // Another address in the description: send there at once.
        source.describe(address("192.0.2.7:6000"), address("192.0.2.7:6001"));
        assert_eq!(source.rtp_target(), Some(address("192.0.2.7:6000")));
    }

    #[test]
    fn stragglers_of_the_place_before_are_not_learned() {
        let (far, moved) = (address("192.0.2.1:4000"), address("192.0.2.1:6000"));
        let mut source = Source::new(Learn::SameHost);
        let at = Time::from_millis;
        source.describe(far, address("192.0.2.1:4001"));
        assert_eq!(source.packet(at(0), far, &header(1, 0)), Ok(true));
        source.describe(moved, address("192.0.2.1:6001"));
        assert_eq!(source.packet(at(5_000), far, &header(1, 1)), Err(Refusal::Address));
        assert_eq!(source.packet(at(5_500), far, &header(1, 2)), Err(Refusal::Address));
        assert_eq!(source.rtp_target(), Some(moved));
        // One that only says that it moved is heard in the end.
        assert_eq!(source.packet(at(6_000), far, &header(1, 3)), Ok(false));
        assert_eq!(source.rtp_target(), Some(far));
        // One that has moved is heard at once, and what it left is not any more.
        source.describe(far, address("192.0.2.1:4001"));
        source.describe(moved, address("192.0.2.1:6001"));
        assert_eq!(source.packet(at(7_000), moved, &header(2, 0)), Ok(true));
        assert_eq!(source.packet(at(9_000), far, &header(1, 4)), Err(Refusal::Address));
    }

    #[test]
    fn policies() {
        let far = address("10.0.0.1:4000");
        let outside = address("198.51.100.1:1024");
        let mut exact = Source::new(Learn::Exact);
        exact.describe(far, address("10.0.0.1:4001"));
        assert_eq!(exact.packet(Time::ZERO, address("10.0.0.1:4002"), &header(1, 0)), Err(Refusal::Address));
        assert_eq!(exact.packet(Time::ZERO, far, &header(1, 0)), Ok(true));
        let mut anywhere = Source::new(Learn::Anywhere);
        anywhere.describe(far, address("10.0.0.1:4001"));
        assert_eq!(anywhere.packet(Time::ZERO, outside, &header(1, 0)), Ok(true));
        assert_eq!(anywhere.packet(Time::ZERO, far, &header(1, 0)), Err(Refusal::Address));
        assert_eq!(anywhere.rtcp(address("203.0.113.9:1")), Err(Refusal::Address));
        assert_eq!(anywhere.rtcp(address("198.51.100.1:1025")), Ok(()));
        assert_eq!(anywhere.rtcp_target(), Some(address("198.51.100.1:1025")));
        // Learned once; where it is described it may always come from; a re-INVITE opens it again.
        assert_eq!(anywhere.rtcp(address("198.51.100.1:6666")), Err(Refusal::Address));
        assert_eq!(anywhere.rtcp_target(), Some(address("198.51.100.1:1025")));
        assert_eq!(anywhere.rtcp(address("10.0.0.1:4001")), Ok(()));
        assert_eq!(anywhere.rtcp(address("198.51.100.1:1025")), Err(Refusal::Address));
        anywhere.describe(far, address("10.0.0.1:4001"));
        assert_eq!(anywhere.rtcp(address("198.51.100.1:1025")), Ok(()));
    }

    #[test]
    fn a_second_ssrc_waits_for_silence() {
        let far = address("192.0.2.1:4000");
        let mut source = Source::new(Learn::SameHost);
        source.describe(far, far);
        let at = Time::from_millis;
        assert_eq!(source.packet(at(0), far, &header(1, 0)), Ok(true));
        assert_eq!(source.packet(at(10), far, &header(2, 500)), Err(Refusal::Ssrc));
        assert_eq!(source.packet(at(20), far, &header(1, 1)), Ok(false));
        assert_eq!(source.packet(at(150), far, &header(2, 501)), Ok(true));
        assert_eq!(source.packet(at(151), far, &header(1, 2)), Err(Refusal::Ssrc));
        assert_eq!((source.sums().received, source.sums().lost), (3, 0));
    }

    #[test]
    fn hold_by_the_zero_address_says_nothing_of_where_the_far_end_is() {
        let far = address("192.0.2.1:4000");
        let mut source = Source::new(Learn::SameHost);
        source.describe(address("0.0.0.0:4000"), address("0.0.0.0:4001"));
        assert_eq!(source.rtp_target(), None);
        source.describe(far, address("192.0.2.1:4001"));
        assert_eq!(source.packet(Time::ZERO, far, &header(1, 0)), Ok(true));
        source.describe(address("0.0.0.0:4000"), address("0.0.0.0:4001"));
        assert_eq!(source.packet(Time::ZERO, far, &header(1, 1)), Ok(false), "music");
        assert_eq!(source.packet(Time::ZERO, address("192.0.2.1:9"), &header(1, 2)), Err(Refusal::Address));
        source.describe(far, address("192.0.2.1:0"));
        assert_eq!(source.rtcp_target(), None);
    }
}
