//! What comes from the far end.

use std::net::SocketAddr;

use kraliki_time::Time;

use super::secure::What;
use super::source::Refusal;
use super::{Leg, units};
use crate::dtmf::Digit;
use crate::event::MediaEvent;
use crate::rtcp;
use crate::rtp::{COMFORT_NOISE, Header};
use crate::sdp::AudioCodec;

/// A packet that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub(crate) header: Header,
    pub(crate) kind: Kind,
    /// The key that was pressed with it.
    pub(crate) digit: Option<Digit>,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio(AudioCodec),
    /// A telephone-event.
    Event,
    /// Comfort noise: a sign of life, and no sound.
    Noise,
}

/// Either law may come under its static number, whichever was agreed: some far ends switch without a word.
fn static_g711(payload_type: u8) -> Option<Kind> {
    AudioCodec::from_payload_type(payload_type)
        .filter(|codec| AudioCodec::G711.contains(codec))
        .map(Kind::Audio)
}

impl Leg {
    /// Takes an RTP packet of a plain leg; one of SRTP lies decrypted in front. What is not heard is counted and gives
    /// nothing.
    pub(crate) fn handle_rtp(
        &mut self,
        now: Time,
        from: SocketAddr,
        packet: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<Inbound> {
        let packet = self.open(packet, What::Rtp)?;
        let inbound = self.read(packet)?;
        match self.source.packet(now, from, &inbound.header) {
            Ok(begins) => Some(self.take(now, begins, inbound, packet, events)),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Takes an RTCP packet of a plain leg.
    pub(crate) fn handle_rtcp(
        &mut self,
        now: Time,
        from: SocketAddr,
        packet: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) {
        let Some(packet) = self.open(packet, What::Rtcp) else { return };
        // Who may speak is asked last, so that nonsense teaches us no address.
        let Some(compound) = rtcp::parse(packet, self.line.ssrc()) else {
            self.counters.dropped_malformed += 1;
            return;
        };
        match self.source.rtcp(from) {
            Ok(()) => self.take_report(now, &compound, events),
            Err(_) => self.counters.dropped_address += 1,
        }
    }

    /// What a packet of a plain leg holds, once it is known to be authentic: a forged one teaches no address.
    fn open<'a>(&mut self, packet: &'a mut [u8], what: What) -> Option<&'a [u8]> {
        let Some(secure) = self.secure.as_mut().filter(|secure| secure.is_on()) else { return Some(packet) };
        match secure.open(packet, what) {
            Ok(len) => packet.get(..len),
            Err(_) => {
                self.counters.dropped_srtp = self.counters.dropped_srtp.saturating_add(1);
                None
            }
        }
    }

    /// Takes an RTP packet of the browser, decrypted.
    pub(super) fn take_decrypted_rtp(
        &mut self,
        now: Time,
        packet: &[u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<Inbound> {
        let inbound = self.read(packet)?;
        match self.source.ssrc(now, &inbound.header) {
            Ok(begins) => Some(self.take(now, begins, inbound, packet, events)),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Takes an RTCP packet of the browser, decrypted.
    pub(super) fn take_decrypted_rtcp(
        &mut self,
        now: Time,
        packet: &[u8],
        events: &mut impl Extend<MediaEvent>,
    ) {
        match rtcp::parse(packet, self.line.ssrc()) {
            Some(compound) => self.take_report(now, &compound, events),
            None => self.counters.dropped_malformed += 1,
        }
    }

    fn read(&mut self, packet: &[u8]) -> Option<Inbound> {
        let inbound = Header::parse(packet).and_then(|header| {
            Some(Inbound { kind: self.kind_of(header.payload_type)?, header, digit: None })
        });
        match inbound {
            Some(Inbound { kind: Kind::Audio(codec), .. }) => self.source.clock_hz = codec.clock_hz(),
            Some(_) => {}
            None => self.counters.dropped_malformed += 1,
        }
        inbound
    }

    fn kind_of(&self, payload_type: u8) -> Option<Kind> {
        let Some(format) = self.format else {
            // Packets may overtake the answer (RFC 3264 §5.1), but where they come from is not known yet: they are
            // refused for their address, and counted so.
            return static_g711(payload_type);
        };
        if payload_type == format.receive_payload_type {
            return Some(Kind::Audio(format.codec));
        }
        if let Some(codec) = self.browser.as_ref().and_then(|browser| browser.codec(payload_type)) {
            return Some(Kind::Audio(codec));
        }
        if Some(payload_type) == format.receive_dtmf {
            return Some(Kind::Event);
        }
        if payload_type == COMFORT_NOISE {
            return Some(Kind::Noise);
        }
        static_g711(payload_type)
    }

    fn refuse(&mut self, refusal: Refusal) -> Option<Inbound> {
        match refusal {
            Refusal::Address => self.counters.dropped_address += 1,
            Refusal::Ssrc => self.counters.dropped_ssrc += 1,
        }
        None
    }

    fn take(
        &mut self,
        now: Time,
        begins: bool,
        mut inbound: Inbound,
        packet: &[u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Inbound {
        if begins {
            self.digits_in.reset();
        }
        self.heard_of(now, events);
        if !self.heard {
            self.heard = true;
            events.extend([MediaEvent::FirstRtp { leg: self.id, at: now }]);
        }
        if inbound.kind == Kind::Event {
            let payload = packet.get(inbound.header.payload.clone()).unwrap_or_default();
            inbound.digit = self.digits_in.packet(inbound.header.timestamp, payload);
            if let Some(digit) = inbound.digit {
                events.extend([MediaEvent::Dtmf { leg: self.id, digit }]);
            }
        }
        self.hear(now, begins, &inbound, packet, events);
        self.put_in_ear(now, &inbound, packet);
        inbound
    }

    fn take_report(&mut self, now: Time, compound: &rtcp::Compound, events: &mut impl Extend<MediaEvent>) {
        // A far end that says good-bye is leaving; its silence afterwards is what tells.
        if !compound.bye {
            self.heard_of(now, events);
        }
        if let Some(sender) = compound.sender {
            self.report.last_sr = Some((rtcp::ntp_middle(sender.ntp), now));
        }
        if let Some(block) = compound.block {
            self.counters.far_fraction_lost = block.fraction_lost;
            self.note_far_loss(now, block.fraction_lost);
            self.counters.far_jitter = units(block.jitter, self.line.clock_hz());
            if let Some(hearing) = &mut self.hearing {
                hearing.report(&block, self.counters.far_jitter);
            }
            self.round_trip(now, block.last_sr, block.delay_since_last_sr);
        }
        self.take_extended(now, compound);
    }
}
