//! Two legs that hear each other. A packet is passed on where it lies: header rewritten, G.711 turned by a table where
//! the laws differ, nothing decoded but under the beep.

use kraliki_time::Time;

use crate::leg::{Inbound, Kind, Leg, Sending};
use crate::rtp::{self, HEADER_LEN, Stamp};

/// Passes a packet that was heard on another leg on to `to`. `packet` is the datagram; it is rewritten in place.
pub(crate) fn pass(now: Time, inbound: &Inbound, to: &mut Leg, packet: &mut [u8]) -> Option<Sending> {
    let sending = try_pass(now, inbound, to, packet);
    // Comfort noise is not lost: the silence that follows says as much.
    if sending.is_none() && inbound.kind != Kind::Noise {
        to.count_dropped_relay();
    }
    sending
}

fn try_pass(now: Time, inbound: &Inbound, to: &mut Leg, packet: &mut [u8]) -> Option<Sending> {
    if to.is_occupied() {
        return None;
    }
    let format = to.format()?;
    let header = &inbound.header;
    let payload_type = match inbound.kind {
        Kind::Audio(_) => format.payload_type,
        Kind::Event => format.dtmf?,
        Kind::Noise => return None,
    };
    let len = rtp::strip(packet, &header.payload);
    let packet = packet.get_mut(..len)?;
    if let Kind::Audio(codec) = inbound.kind
        && let Some(table) = codec.table_to(format.codec)
    {
        for byte in packet.get_mut(HEADER_LEN..)? {
            // The table has an entry for every byte.
            #[allow(clippy::indexing_slicing)]
            let other = table[usize::from(*byte)];
            *byte = other;
        }
    }
    let stamp = Stamp { marker: header.marker, sequence: header.sequence, timestamp: header.timestamp };
    to.relay(now, header.ssrc, stamp, payload_type, matches!(inbound.kind, Kind::Audio(_)), packet)
}
