//! A leg whose far end is a browser: datagrams go through ICE, DTLS and SRTP, and all of them over one port.

use std::net::SocketAddr;

use kraliki_time::Time;
use rand::{CryptoRng, Rng, RngExt};

use super::{Channel, Format, Inbound, Learn, Leg, Polled, Role, Sending};
use crate::event::{DownReason, LegId, MediaEvent};
use crate::limits::{CLEAR_AFTER, POOR_LOSS_256};
use crate::quality::LegCounters;
use crate::rtp::OutLine;
use crate::sdp::AudioCodec;
use crate::webrtc::{
    BrowserTransport, Event, Failure, LegTag, OfferError, Output, Received, TransportAddress,
};

/// Datagrams from an address belong to the leg from now on, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressChange {
    Learned(TransportAddress),
    Forgotten(TransportAddress),
}

/// What a datagram was.
pub(crate) enum Datagram {
    /// Sound to be passed on; it lies decrypted in front.
    Heard(Inbound),
    /// The leg wants to be polled.
    Handled,
    /// Nothing more to do.
    Done,
}

pub(super) struct Browser {
    transport: BrowserTransport,
    /// It was given something, and may want something.
    pending: bool,
    last_consent: Option<Time>,
    /// Since when the browser has reported little loss; `None` while its network is not poor.
    poor_until: Option<Time>,
    /// What it is sent is more than telephone sound.
    wide: bool,
}

impl Browser {
    /// The codec of a number, of those that may come.
    pub(super) fn codec(&self, payload_type: u8) -> Option<AudioCodec> {
        self.transport.media().codec(payload_type)
    }

    /// See [`Leg::touch`].
    pub(super) fn touch(&self) -> u64 {
        self.transport.touch() + u64::from(self.pending)
    }

    pub(super) fn touch_keys(&self) -> u64 {
        self.transport.touch_keys()
    }

    /// Where media goes, once there are keys.
    pub(super) fn media_target(&self) -> Option<SocketAddr> {
        self.transport.remote().filter(|_| self.transport.is_up()).map(|remote| remote.address)
    }

    pub(super) fn seal_rtp(&mut self, to: SocketAddr, buf: &mut [u8], len: usize) -> Option<Sending> {
        let len = self.transport.protect_rtp(buf, len).ok()?;
        Some(Sending { channel: self.channel(), to, len })
    }

    pub(super) fn seal_rtcp(&mut self, to: SocketAddr, buf: &mut [u8], len: usize) -> Option<Sending> {
        let len = self.transport.protect_rtcp(buf, len).ok()?;
        Some(Sending { channel: self.channel(), to, len })
    }

    /// Adds what the transport did not let through.
    pub(super) fn count(&self, counters: LegCounters) -> LegCounters {
        let dropped = self.transport.counters();
        let srtp = u32::try_from(dropped.srtp_refused + dropped.srtp_replayed).unwrap_or(u32::MAX);
        LegCounters {
            dropped_srtp: counters.dropped_srtp.saturating_add(srtp),
            dropped_address: counters.dropped_address + dropped.unchecked_source,
            dropped_malformed: counters.dropped_malformed + dropped.unknown + dropped.stun_refused,
            ..counters
        }
    }

    /// By what media goes.
    fn channel(&self) -> Channel {
        self.transport.remote().map_or(Channel::Shared, channel_of)
    }
}

fn channel_of(to: TransportAddress) -> Channel {
    to.stream.map_or(Channel::Shared, Channel::Stream)
}

impl Leg {
    /// An agent's leg over WebRTC, which sends as `ssrc`.
    pub(crate) fn browser(id: LegId, ssrc: u32, transport: BrowserTransport, rng: &mut impl Rng) -> Leg {
        // RFC 3711 §3.3.1: a first sequence number in the lower half keeps the roll-over counter known to both, even if
        // the first packets are lost.
        let line = OutLine::new(ssrc, rng.random::<u16>() >> 1, rng.random());
        let mut leg = Leg::new(id, Role::Agent, line, Learn::Exact, std::time::Duration::ZERO);
        leg.browser = Some(Box::new(Browser {
            transport,
            pending: true,
            last_consent: None,
            poor_until: None,
            wide: false,
        }));
        leg.set_browser_format(Time::ZERO);
        leg
    }

    /// What names the leg in STUN.
    pub(crate) fn tag(&self) -> Option<LegTag> {
        self.browser.as_ref().map(|browser| browser.transport.tag())
    }

    /// Answers a PATCH of the session.
    pub(crate) fn restart(
        &mut self,
        now: Time,
        body: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Option<String>, OfferError> {
        let Some(browser) = &mut self.browser else { return Err(OfferError::Ended) };
        browser.pending = true;
        let answer = browser.transport.restart(body, rng);
        self.set_browser_format(now);
        answer
    }

    /// Takes a datagram of `buf[..len]`; `buf` has room for an authentication tag behind it.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Time,
        from: impl Into<TransportAddress>,
        buf: &mut [u8],
        len: usize,
        events: &mut impl Extend<MediaEvent>,
    ) -> Datagram {
        let (Some(browser), Some(datagram)) = (&mut self.browser, buf.get_mut(..len)) else {
            return Datagram::Done;
        };
        match browser.transport.handle_datagram(now, from, datagram) {
            Received::Rtp(len) => {
                let packet = datagram.get(..len).unwrap_or_default();
                match self.take_decrypted_rtp(now, packet, events) {
                    Some(inbound) => Datagram::Heard(inbound),
                    None => Datagram::Done,
                }
            }
            Received::Rtcp(len) => {
                let packet = datagram.get(..len).unwrap_or_default();
                self.take_decrypted_rtcp(now, packet, events);
                Datagram::Done
            }
            Received::Nothing => {
                browser.pending = true;
                let consent = browser.transport.last_consent();
                if browser.last_consent != consent {
                    browser.last_consent = consent;
                    // Before the keys it is alive, but of no use.
                    if browser.transport.is_up() {
                        self.heard_of(now, events);
                    }
                }
                Datagram::Handled
            }
        }
    }

    pub(super) fn handle_transport_timeout(&mut self, now: Time) {
        if self.timers.transport > now {
            return;
        }
        self.timers.transport = Time::MAX;
        if let Some(browser) = &mut self.browser {
            browser.transport.handle_timeout(now);
            browser.pending = true;
        }
    }

    /// Tells the browser that the leg ends.
    pub(super) fn close_transport(&mut self, now: Time) {
        if let Some(browser) = &mut self.browser {
            browser.transport.close(now);
            browser.pending = true;
        }
    }

    pub(super) fn poll_transport(
        &mut self,
        now: Time,
        out: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<Polled> {
        loop {
            let browser = self.browser.as_mut().filter(|browser| browser.pending)?;
            match browser.transport.poll_output() {
                Output::Transmit(transmit) => {
                    let len = transmit.bytes.len();
                    // A datagram beyond the MTU could not be sent; DTLS keeps its flights below.
                    let Some(room) = out.get_mut(..len) else { continue };
                    room.copy_from_slice(&transmit.bytes);
                    let (channel, to) = (channel_of(transmit.to), transmit.to.address);
                    return Some(Polled::Send(Sending { channel, to, len }));
                }
                Output::Event(Event::AddressLearned(address)) => {
                    return Some(Polled::Address(AddressChange::Learned(address)));
                }
                Output::Event(Event::AddressForgotten(address)) => {
                    return Some(Polled::Address(AddressChange::Forgotten(address)));
                }
                Output::Event(event) => self.transport_event(now, &event, events),
                Output::Timeout(at) => {
                    browser.pending = false;
                    self.timers.transport = at.unwrap_or(Time::MAX);
                    return None;
                }
            }
        }
    }

    fn transport_event(&mut self, now: Time, event: &Event, events: &mut impl Extend<MediaEvent>) {
        let down = |reason| MediaEvent::LegDown { leg: self.id, reason };
        match event {
            Event::Connected => {
                events.extend([MediaEvent::BrowserUp { leg: self.id }]);
                self.timers.report = self.next_report(now);
                self.heard_of(now, events);
                self.wake_frames(now);
            }
            Event::ConsentRegained | Event::AddressChanged(_) => self.wake_frames(now),
            // Lost long before; what ends the leg is the user's decision.
            Event::ConsentLost => {}
            Event::Closed => events.extend([down(DownReason::Closed)]),
            Event::Failed(Failure::SetupTimeout) => events.extend([down(DownReason::SetupTimeout)]),
            Event::Failed(Failure::Fingerprint) => events.extend([down(DownReason::Fingerprint)]),
            Event::Failed(Failure::NoKeys | Failure::Dtls(_)) => events.extend([down(DownReason::Handshake)]),
            // Told to the relay by its own way.
            Event::AddressLearned(_) | Event::AddressForgotten(_) => {}
        }
    }

    /// The share of our packets that the far end has lost of late, in 256ths. A browser on a poor network is sent Opus, whose
    /// error correction bears it, until the network has been good for a while (RFC 3264 §5.1: any agreed codec may be sent
    /// at any time).
    pub(super) fn note_far_loss(&mut self, now: Time, lost_256: u8) {
        let Some(browser) = &mut self.browser else { return };
        if lost_256 >= POOR_LOSS_256 {
            browser.poor_until = Some(now + CLEAR_AFTER);
        } else if browser.poor_until.is_some_and(|until| until <= now) {
            browser.poor_until = None;
        }
        self.set_browser_format(now);
    }

    /// Whether what the far end is sent is more than telephone sound, so that it is worth another codec.
    pub(crate) fn set_wide(&mut self, now: Time, wide: bool) {
        if let Some(browser) = &mut self.browser {
            browser.wide = wide;
            self.set_browser_format(now);
        }
    }

    fn set_browser_format(&mut self, now: Time) {
        let Some(browser) = &self.browser else { return };
        let media = browser.transport.media();
        let opus = media.payload_type(AudioCodec::Opus).map(|number| (number, AudioCodec::Opus));
        let better = opus.filter(|_| browser.wide || browser.poor_until.is_some());
        let Some((payload_type, codec)) = better.or(media.codecs.first().copied()) else { return };
        let format = Format {
            codec,
            payload_type,
            receive_payload_type: payload_type,
            dtmf: media.dtmf,
            receive_dtmf: media.dtmf,
            noise: false,
            opus: media.opus,
            direction: media.direction,
        };
        if self.format != Some(format) {
            self.line.set_clock(now, codec.clock_hz());
            self.format = Some(format);
            self.format_changed = true;
        }
    }
}
