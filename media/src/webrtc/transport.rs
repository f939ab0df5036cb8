//! One browser: ICE-lite, DTLS and SRTP behind one UDP address, and the signalling that starts and restarts it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use kraliki_time::Time;
use rand::CryptoRng;

use super::address::TransportAddress;
use super::answer::{self, Origin};
use super::dtls::{DtlsLeg, Keys, Step};
use super::ice_lite::IceLite;
use super::identity::Identity;
use super::offer::{BrowserMedia, Offer, OfferError, RemoteIce, remote_ice};
use super::stun::LegTag;
use crate::limits::{BROWSER_SETUP_TIMEOUT, CONSENT_TIMEOUT, MAX_PENDING_DATAGRAMS};
use crate::sdp::{AudioCodec, parse};
use crate::srtp::SrtpError;

/// Our side of a browser leg.
#[derive(Clone, Debug)]
pub struct BrowserConfig {
    /// The process's certificate.
    pub identity: Arc<Identity>,
    /// Addresses under which the shard's UDP port is reached, the preferred one first.
    pub candidates: Vec<SocketAddr>,
    /// The same for its TCP port; empty where TCP is not offered.
    pub tcp_candidates: Vec<SocketAddr>,
    /// Our codecs in order of preference; the browser sends the first that it knows.
    pub codecs: Vec<AudioCodec>,
    /// The source that we send as, one for the leg's life.
    pub ssrc: u32,
    /// Our name in RTCP, of token characters.
    pub cname: String,
}

/// What a datagram turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing for the caller: STUN, DTLS or something dropped. Drain the outputs.
    Nothing,
    /// An RTP packet of this length lies decrypted at the front of the datagram.
    Rtp(usize),
    /// A compound RTCP packet of this length lies decrypted at the front of the datagram.
    Rtcp(usize),
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: TransportAddress,
    /// What.
    pub bytes: Vec<u8>,
}

/// What a leg wants; drain until `Timeout`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Something happened.
    Event(Event),
    /// Nothing more; call `handle_timeout` at that moment, if there is one.
    Timeout(Option<Time>),
}

/// What happened on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Datagrams from this address are the leg's from now on; another leg may have had the address before.
    AddressLearned(TransportAddress),
    /// Datagrams from this address are no longer the leg's.
    AddressForgotten(TransportAddress),
    /// Media now goes to this address, at first or after the browser changed its network.
    AddressChanged(TransportAddress),
    /// Keys are there: media flows.
    Connected,
    /// No valid check came for 30 s: nothing is sent until one comes (RFC 7675 §5.1). The leg stays.
    ConsentLost,
    /// A valid check came after consent was lost.
    ConsentRegained,
    /// The browser closed the leg. It is over.
    Closed,
    /// The leg is over.
    Failed(Failure),
}

/// Why a leg is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The browser did not connect within 30 s of our answer.
    #[error("the browser did not connect in time")]
    SetupTimeout,
    /// The DTLS peer's certificate is not the one that the offer promised.
    #[error("the certificate does not match the offer's fingerprint")]
    Fingerprint,
    /// No SRTP profile in common.
    #[error("DTLS gave no usable SRTP keys")]
    NoKeys,
    /// The handshake or the association broke.
    #[error("DTLS: {0}")]
    Dtls(dimpl::Error),
}

/// Datagrams that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// STUN that is malformed, not a request, or not authentic.
    pub stun_refused: u64,
    /// Anything else from an address without a valid check.
    pub unchecked_source: u64,
    /// Media before the keys.
    pub early_media: u64,
    /// SRTP or SRTCP that is not authentic or malformed.
    pub srtp_refused: u64,
    /// SRTP or SRTCP that came before, or too late.
    pub srtp_replayed: u64,
    /// What RFC 7983 gives no meaning to, or a leg has no use for.
    pub unknown: u64,
    /// Our own datagrams that found the queue full.
    pub overflow: u64,
}

enum Phase {
    /// Until the deadline, for ICE and DTLS.
    Connecting(Time),
    Up(Box<Keys>),
    Ended,
}

/// One browser's transport. Its association belongs to the leg, not to an address.
pub struct BrowserTransport {
    config: BrowserConfig,
    offer: Offer,
    origin: Origin,
    ice: IceLite,
    /// The browser's credentials before the last restart.
    former_ice: Option<RemoteIce>,
    /// Until the leg is over.
    dtls: Option<DtlsLeg>,
    dtls_timeout: Option<Time>,
    phase: Phase,
    consent_lost: bool,
    transmits: VecDeque<Transmit>,
    /// Drained after each input, which leads to five at most.
    events: VecDeque<Event>,
    counters: Counters,
}

impl BrowserTransport {
    /// Answers a browser's offer; the leg and the answer's SDP. `now` starts the time-out of the set-up.
    pub fn accept(
        now: Time,
        offer: &[u8],
        config: BrowserConfig,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(BrowserTransport, String), OfferError> {
        let mut offer = Offer::parse(offer, &config.codecs)?;
        let ice = IceLite::new(&offer.ice.ufrag, rng);
        // 62 bits (RFC 8829 §5.2.1).
        let origin = Origin { session_id: rng.next_u64() >> 2, version: 1 };
        let answer = answer::to_offer(&offer, &config, ice.local(), &origin);
        offer.settle();
        let transport = BrowserTransport {
            dtls: Some(DtlsLeg::new(Arc::clone(&config.identity), offer.fingerprint, now)),
            config,
            offer,
            origin,
            ice,
            former_ice: None,
            dtls_timeout: None,
            phase: Phase::Connecting(now + BROWSER_SETUP_TIMEOUT),
            consent_lost: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        };
        Ok((transport, answer))
    }

    /// Answers a PATCH: a whole offer, or a fragment (application/trickle-ice-sdpfrag). New credentials restart ICE; the
    /// DTLS association, role and certificate stay (RFC 8842 §5.5). Candidates are not needed: `None`, and 204, when
    /// there is nothing else in a fragment. A whole offer is always answered.
    pub fn restart(
        &mut self,
        body: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Option<String>, OfferError> {
        if matches!(self.phase, Phase::Ended) {
            return Err(OfferError::Ended);
        }
        let description = parse(body)?;
        if description.origin.is_none() {
            let stream = description.media.first();
            let named = |name| description.attribute(stream, name).is_some();
            return match remote_ice(&description, stream) {
                // Candidates of this session, or late ones of the session before.
                Some(ice) if ice == self.offer.ice || self.former_ice.as_ref() == Some(&ice) => Ok(None),
                Some(ice) => {
                    self.restart_ice(ice, rng);
                    Ok(Some(answer::to_fragment(&self.offer, &self.config, self.ice.local())))
                }
                None if named("ice-ufrag") || named("ice-pwd") => Err(OfferError::NoIceCredentials),
                None => Ok(None),
            };
        }
        let offer = Offer::parse(body, &self.config.codecs)?;
        if offer.fingerprint != self.offer.fingerprint {
            return Err(OfferError::FingerprintChanged);
        }
        if offer.at != self.offer.at
            || offer.mid() != self.offer.mid()
            || offer.media.codecs != self.offer.media.codecs
        {
            return Err(OfferError::StreamsChanged);
        }
        if offer.ice != self.offer.ice {
            self.restart_ice(offer.ice.clone(), rng);
        }
        self.offer = offer;
        self.origin.version = self.origin.version.saturating_add(1);
        let answer = answer::to_offer(&self.offer, &self.config, self.ice.local(), &self.origin);
        self.offer.settle();
        Ok(Some(answer))
    }

    /// What names the leg in STUN, for its whole life.
    pub fn tag(&self) -> LegTag {
        self.ice.tag()
    }

    /// The audio that was agreed on.
    pub fn media(&self) -> &BrowserMedia {
        &self.offer.media
    }

    /// Where media goes; `None` before a valid check, without consent, and after the end.
    pub fn remote(&self) -> Option<TransportAddress> {
        match self.phase {
            Phase::Ended => None,
            _ if self.consent_lost => None,
            _ => self.ice.selected(),
        }
    }

    /// See [`crate::leg::Leg::touch`].
    pub(crate) fn touch(&self) -> u64 {
        let is_up = u64::from(matches!(self.phase, Phase::Up(_)));
        is_up + u64::from(self.consent_lost) + self.ice.selected().map_or(0, |to| to.address.port().into())
    }

    /// The same of the keys.
    pub(crate) fn touch_keys(&self) -> u64 {
        match &self.phase {
            Phase::Up(keys) => keys.tx.touch().wrapping_add(keys.rx.touch()),
            _ => 0,
        }
    }

    /// Whether media can be sent.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_)) && self.remote().is_some()
    }

    /// When the last valid check came.
    pub fn last_consent(&self) -> Option<Time> {
        self.ice.last_check()
    }

    /// What was dropped.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes a datagram. What kind it is shows in its first byte (RFC 7983 §7).
    pub fn handle_datagram(
        &mut self,
        now: Time,
        from: impl Into<TransportAddress>,
        datagram: &mut [u8],
    ) -> Received {
        let from = from.into();
        if matches!(self.phase, Phase::Ended) {
            return Received::Nothing;
        }
        match *datagram {
            [0..=3, ..] => self.handle_stun(now, from, datagram),
            _ if !self.ice.is_checked(from) => self.counters.unchecked_source += 1,
            [20..=63, ..] => self.handle_dtls(now, datagram),
            // With the marker bit in its place, an RTCP type lies in 192..=223 (RFC 5761 §4).
            [128..=191, 192..=223, ..] => return self.handle_media(datagram, true),
            [128..=191, ..] => return self.handle_media(datagram, false),
            _ => self.counters.unknown += 1,
        }
        Received::Nothing
    }

    /// Encrypts the RTP packet in `buf[..len]`; its length on the wire. `buf` has [`crate::srtp::MAX_OVERHEAD`] bytes of
    /// room behind the packet.
    pub fn protect_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        self.sender()?.protect_rtp(buf, len)
    }

    /// Encrypts the compound RTCP packet in `buf[..len]`, as `protect_rtp` does.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        self.sender()?.protect_rtcp(buf, len)
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Phase::Connecting(deadline) = self.phase
            && now >= deadline
        {
            return self.end(Event::Failed(Failure::SetupTimeout));
        }
        if !self.consent_lost && self.consent_ends().is_some_and(|at| now >= at) {
            self.consent_lost = true;
            self.events.push_back(Event::ConsentLost);
        }
        if self.dtls_timeout.is_some_and(|at| now >= at) {
            self.drive_dtls(now, |dtls| dtls.handle_timeout(now));
        }
    }

    /// Ends the leg from our side; the browser is told.
    pub fn close(&mut self, now: Time) {
        self.drive_dtls(now, |dtls| {
            dtls.close();
            Ok(())
        });
        self.dtls = None;
        self.dtls_timeout = None;
        self.phase = Phase::Ended;
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        if let Some(transmit) = self.transmits.pop_front() {
            return Output::Transmit(transmit);
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        let timeouts = match self.phase {
            Phase::Ended => [None; 3],
            Phase::Connecting(deadline) => [Some(deadline), self.consent_timer(), self.dtls_timeout],
            Phase::Up(_) => [None, self.consent_timer(), self.dtls_timeout],
        };
        Output::Timeout(timeouts.into_iter().flatten().min())
    }

    fn restart_ice(&mut self, theirs: RemoteIce, rng: &mut (impl CryptoRng + ?Sized)) {
        self.ice.restart(&theirs.ufrag, rng);
        self.former_ice = Some(std::mem::replace(&mut self.offer.ice, theirs));
    }

    fn handle_stun(&mut self, now: Time, from: TransportAddress, datagram: &[u8]) {
        let Some(checked) = self.ice.handle_check(now, from, datagram) else {
            self.counters.stun_refused += 1;
            return;
        };
        self.transmit(from, checked.response);
        self.events.extend(checked.forgotten.map(Event::AddressForgotten));
        if checked.learned {
            self.events.push_back(Event::AddressLearned(from));
        }
        if checked.selected {
            self.events.push_back(Event::AddressChanged(from));
        }
        if std::mem::take(&mut self.consent_lost) {
            self.events.push_back(Event::ConsentRegained);
        }
    }

    fn handle_dtls(&mut self, now: Time, datagram: &[u8]) {
        self.drive_dtls(now, |dtls| dtls.handle_packet(now, datagram));
    }

    fn handle_media(&mut self, packet: &mut [u8], is_rtcp: bool) -> Received {
        let Phase::Up(keys) = &mut self.phase else {
            self.counters.early_media += 1;
            return Received::Nothing;
        };
        let result = match is_rtcp {
            true => keys.rx.unprotect_rtcp(packet).map(Received::Rtcp),
            false => keys.rx.unprotect_rtp(packet).map(Received::Rtp),
        };
        result.unwrap_or_else(|error| {
            match error {
                SrtpError::Replayed => self.counters.srtp_replayed += 1,
                _ => self.counters.srtp_refused += 1,
            }
            Received::Nothing
        })
    }

    /// Gives the endpoint its input and does what it wants.
    fn drive_dtls(&mut self, now: Time, input: impl FnOnce(&mut DtlsLeg) -> Result<(), Failure>) {
        let Some(mut dtls) = self.dtls.take() else { return };
        if let Err(failure) = input(&mut dtls) {
            return self.end(Event::Failed(failure));
        }
        loop {
            match dtls.poll(now) {
                Step::Packet(bytes) => {
                    if let Some(to) = self.remote() {
                        self.transmit(to, bytes);
                    }
                }
                Step::Connected(keys) => {
                    self.phase = Phase::Up(keys);
                    self.events.push_back(Event::Connected);
                }
                Step::Closed => return self.end(Event::Closed),
                Step::Failed(failure) => return self.end(Event::Failed(failure)),
                Step::Wait(at) => {
                    self.dtls_timeout = at;
                    self.dtls = Some(dtls);
                    return;
                }
            }
        }
    }

    fn end(&mut self, event: Event) {
        self.dtls = None;
        self.dtls_timeout = None;
        self.phase = Phase::Ended;
        self.events.push_back(event);
    }

    fn sender(&mut self) -> Result<&mut crate::srtp::Protector, SrtpError> {
        match &mut self.phase {
            Phase::Up(keys) => Ok(&mut keys.tx),
            _ => Err(SrtpError::NotUp),
        }
    }

    fn consent_ends(&self) -> Option<Time> {
        self.ice.last_check().map(|at| at + CONSENT_TIMEOUT)
    }

    fn consent_timer(&self) -> Option<Time> {
        self.consent_ends().filter(|_| !self.consent_lost)
    }

    fn transmit(&mut self, to: TransportAddress, bytes: Vec<u8>) {
        if self.transmits.len() < MAX_PENDING_DATAGRAMS {
            self.transmits.push_back(Transmit { to, bytes });
        } else {
            self.counters.overflow += 1;
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod world;
