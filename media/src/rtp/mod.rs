//! RTP packets (RFC 3550), read and rewritten where they lie.

mod line;
mod stats;

pub(crate) use line::{OutLine, Stamp};
pub(crate) use stats::ReceiveStats;

use std::ops::Range;

/// Octets of a header without extension and contributing sources.
pub(crate) const HEADER_LEN: usize = 12;
/// Comfort noise (RFC 3389 §4: static payload type 13 at 8 kHz).
pub(crate) const COMFORT_NOISE: u8 = 13;

/// What the header of a packet says, and where its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Range<usize>,
}

impl Header {
    /// Reads a packet; `None` when it is not RTP version 2 or its lengths don't fit (RFC 3550 §5.1, 5.3.1, A.1).
    pub(crate) fn parse(packet: &[u8]) -> Option<Header> {
        let (fixed, _) = packet.split_first_chunk::<HEADER_LEN>()?;
        let [b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if b0 >> 6 != 2 {
            return None;
        }
        let mut start = HEADER_LEN + usize::from(b0 & 0x0f) * 4;
        if b0 & 0x10 != 0 {
            let words = packet.get(start + 2..start + 4)?;
            let words = words.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
            start += 4 + words * 4;
        }
        let mut end = packet.len();
        if b0 & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            if padding == 0 {
                return None;
            }
            end = end.checked_sub(padding)?;
        }
        if start > end {
            return None;
        }
        Some(Header {
            marker: b1 & 0x80 != 0,
            payload_type: b1 & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload: start..end,
        })
    }
}

/// Writes a plain header for `stamp` in front of a payload of the given type. `packet` must hold at least a header;
/// a shorter one is left alone.
pub(crate) fn write_header(packet: &mut [u8], payload_type: u8, ssrc: u32, stamp: Stamp) {
    let Some((fixed, _)) = packet.split_first_chunk_mut::<HEADER_LEN>() else { return };
    let [s0, s1] = stamp.sequence.to_be_bytes();
    let [t0, t1, t2, t3] = stamp.timestamp.to_be_bytes();
    let [c0, c1, c2, c3] = ssrc.to_be_bytes();
    let b1 = (payload_type & 0x7f) | (u8::from(stamp.marker) << 7);
    *fixed = [0x80, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
}

/// Brings the payload to the place behind a plain header and returns the packet's new length. Extensions and
/// contributing sources were agreed with one side only, so the other never sees them.
pub(crate) fn strip(packet: &mut [u8], payload: &Range<usize>) -> usize {
    if payload.start != HEADER_LEN {
        packet.copy_within(payload.clone(), HEADER_LEN);
    }
    HEADER_LEN + payload.len()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A packet as a far end would send it.
    pub(crate) fn packet(
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut packet = vec![0; HEADER_LEN];
        write_header(&mut packet, payload_type, ssrc, Stamp { marker: false, sequence, timestamp });
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn reads_what_it_writes() {
        let packet = packet(8, 65_535, 0xdead_beef, 7, b"sound");
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            header,
            Header {
                marker: false,
                payload_type: 8,
                sequence: 65_535,
                timestamp: 0xdead_beef,
                ssrc: 7,
                payload: 12..17
            }
        );
    }

    #[test]
    fn extension_sources_and_padding_are_stripped() {
        let mut packet = packet(0, 1, 2, 3, &[]);
        packet[0] = 0x80 | 0x20 | 0x10 | 1;
        packet.extend_from_slice(&[9; 4]); // one contributing source
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // one word of extension
        packet.extend_from_slice(b"hear");
        packet.extend_from_slice(&[0, 0, 3]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(&packet[header.payload.clone()], b"hear");
        let len = strip(&mut packet, &header.payload);
        assert_eq!(&packet[HEADER_LEN..len], b"hear");
    }

    #[test]
    fn nonsense_is_refused() {
        let good = packet(0, 1, 2, 3, &[0; 160]);
        assert!(Header::parse(&good[..11]).is_none());
        assert!(Header::parse(&[]).is_none());
        let with = |at: usize, value: u8| {
            let mut bad = good.clone();
            bad[at] = value;
            Header::parse(&bad)
        };
        assert!(with(0, 0x40).is_none(), "version 1");
        assert!(with(0, 0xa0).is_none(), "padding of zero");
        let mut bad = good.clone();
        bad[0] = 0xa0;
        *bad.last_mut().unwrap() = 200;
        assert!(Header::parse(&bad).is_none(), "more padding than packet");
        let mut bad = good;
        bad[0] = 0x90;
        bad[14] = 0xff;
        assert!(Header::parse(&bad).is_none(), "extension beyond the end");
    }
}
