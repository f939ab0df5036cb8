//! How well the far end is heard in a call, and whether at all.

use kraliki_time::Time;

use super::receive::{Inbound, Kind};
use super::send::FRAME;
use super::{Leg, Role, units};
use crate::event::MediaEvent;
use crate::hearing::{Hearing, LegQuality};

impl Leg {
    /// A call begins: it was answered, or an agent joins it.
    pub(super) fn begin_hearing(&mut self, now: Time) {
        if self.hearing.is_none() {
            let hearing = Hearing::new(now, self.line.packets());
            self.timers.hearing = hearing.due(now);
            self.hearing = Some(Box::new(hearing));
        }
    }

    /// From now on somebody should be heard here.
    pub(super) fn expect_to_hear(&mut self, now: Time) {
        if let Some(hearing) = &mut self.hearing {
            hearing.expect(now);
            // Who was not heard is told to be so no more, at the next look.
            self.timers.hearing = if hearing.is_unheard() { now + FRAME } else { hearing.due(now) };
        }
    }

    /// The call is over for an agent; a call itself is heard until its leg ends.
    pub(super) fn end_hearing(&mut self, now: Time) -> Option<LegQuality> {
        if self.role != Role::Agent {
            return None;
        }
        let quality = self.quality(now);
        self.hearing = None;
        self.timers.hearing = Time::MAX;
        quality
    }

    /// How the far end is heard in the call, if there is one.
    pub(crate) fn quality(&self, now: Time) -> Option<LegQuality> {
        let hearing = self.hearing.as_ref()?;
        Some(hearing.quality(now, self.line.packets(), self.counters.round_trip))
    }

    /// The same of the last seconds: since this was asked for last.
    pub(crate) fn recent_quality(&mut self, now: Time) -> Option<LegQuality> {
        let hearing = self.hearing.as_mut()?;
        Some(hearing.recent(now, self.line.packets(), self.counters.round_trip))
    }

    pub(super) fn hear(
        &mut self,
        now: Time,
        begins: bool,
        inbound: &Inbound,
        packet: &[u8],
        events: &mut impl Extend<MediaEvent>,
    ) {
        let Some(hearing) = &mut self.hearing else { return };
        let look = hearing.packet(now, inbound.header.sequence, begins);
        if look && let Some(stats) = self.source.stats() {
            hearing.jitter(units(stats.jitter(), stats.clock_hz()));
        }
        match inbound.kind {
            Kind::Audio(codec) => {
                let payload = packet.get(inbound.header.payload.clone()).unwrap_or_default();
                hearing.audio(now, codec, payload, look || hearing.is_unheard());
                if codec.pauses(payload) {
                    hearing.other(now, true);
                }
            }
            Kind::Event => hearing.other(now, false),
            Kind::Noise => hearing.other(now, true),
        }
        if hearing.is_unheard() {
            // It may be heard again: that is not to wait.
            self.look(now, events);
        }
    }

    pub(super) fn handle_hearing_timeout(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        // Who is not asked to send, or not listened to, need not be heard.
        let expected = self.is_passed_on() && self.format.is_some_and(|format| format.direction.receives());
        if let Some(hearing) = self.hearing.as_mut().filter(|_| !expected) {
            hearing.expect(now);
        }
        self.look(now, events);
    }

    fn look(&mut self, now: Time, events: &mut impl Extend<MediaEvent>) {
        let Some(hearing) = &mut self.hearing else {
            self.timers.hearing = Time::MAX;
            return;
        };
        if let Some(why) = hearing.look(now) {
            events.extend([MediaEvent::Unheard { leg: self.id, why }]);
        }
        // What is not heard is looked at with every packet that comes, too.
        self.timers.hearing = hearing.due(now);
    }
}
