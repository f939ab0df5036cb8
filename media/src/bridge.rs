//! Two legs that hear each other. A packet is passed on where it lies: header rewritten, G.711 turned by a table where
//! the laws differ, nothing decoded but under the beep.

use kraliki_time::Time;

use crate::leg::{Inbound, Kind, Leg, Passed, Sending};
use crate::rtp::{self, COMFORT_NOISE, HEADER_LEN, Stamp};

/// Passes a packet that was heard on another leg on to `to`. It lies at the front of `buf`, which has room for an
/// authentication tag behind it, and is rewritten in place.
pub(crate) fn pass(now: Time, inbound: &Inbound, to: &mut Leg, buf: &mut [u8]) -> Option<Sending> {
    let is_noise = inbound.kind == Kind::Noise;
    if is_noise && !to.is_occupied() {
        to.pause(now, buf.get(inbound.header.payload.clone()).unwrap_or_default());
    }
    let sending = try_pass(now, inbound, to, buf);
    // Comfort noise is not lost: where it does not pass, noise is made of it.
    if sending.is_none() && !is_noise {
        to.count_dropped_relay();
    }
    sending
}

fn try_pass(now: Time, inbound: &Inbound, to: &mut Leg, buf: &mut [u8]) -> Option<Sending> {
    if to.is_occupied() {
        return None;
    }
    let format = to.format()?;
    let header = &inbound.header;
    let payload_type = match inbound.kind {
        Kind::Audio(codec) if !codec.relays_to(format.codec) => return None,
        Kind::Audio(_) => format.payload_type,
        Kind::Event => format.dtmf?,
        Kind::Noise if format.noise => COMFORT_NOISE,
        Kind::Noise => return None,
    };
    let len = rtp::strip(buf, &header.payload);
    if let Kind::Audio(codec) = inbound.kind
        && let Some(table) = codec.table_to(format.codec)
    {
        for byte in buf.get_mut(HEADER_LEN..len)? {
            // The table has an entry for every byte.
            #[allow(clippy::indexing_slicing)]
            let other = table[usize::from(*byte)];
            *byte = other;
        }
    }
    let passed = Passed {
        ssrc: header.ssrc,
        stamp: Stamp { marker: header.marker, sequence: header.sequence, timestamp: header.timestamp },
        payload_type,
        is_audio: matches!(inbound.kind, Kind::Audio(_)),
    };
    to.relay(now, &passed, buf, len)
}
