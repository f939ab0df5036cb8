//! Writing compound packets.

use super::xr::{self, Extended};
use super::{BYE, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo};

/// The CNAME item of a source description (§6.5.1).
const CNAME: u8 = 1;

/// What we report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    /// Present when we sent something since the last report (§6.4).
    pub(crate) sender: Option<SenderInfo>,
    /// About the source that we hear, if any.
    pub(crate) block: Option<ReportBlock>,
    pub(crate) cname: &'a str,
    /// We are leaving (§6.6).
    pub(crate) bye: bool,
    /// What the far end asked for beyond that.
    pub(crate) extended: Extended,
}

/// Writes report, SDES, and possibly an extended report and BYE, as §6.1 wants them together. Gives the length; 0 when `out` is too small.
pub(crate) fn compound(report: &Report<'_>, out: &mut [u8]) -> usize {
    let mut writer = Writer { out, at: 0, full: false };
    let blocks = u8::from(report.block.is_some());
    let kind = if report.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    let start = writer.begin(blocks, kind);
    writer.u32(report.ssrc);
    if let Some(sender) = &report.sender {
        writer.u32((sender.ntp >> 32) as u32);
        writer.u32(sender.ntp as u32);
        writer.u32(sender.rtp_timestamp);
        writer.u32(sender.packets);
        writer.u32(sender.octets);
    }
    if let Some(block) = &report.block {
        writer.u32(block.ssrc);
        // 24 bits with a sign, held at the ends (A.3).
        let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        writer.u32((u32::from(block.fraction_lost) << 24) | lost);
        writer.u32(block.highest_sequence);
        writer.u32(block.jitter);
        writer.u32(block.last_sr);
        writer.u32(block.delay_since_last_sr);
    }
    writer.end(start);

    let start = writer.begin(1, SOURCE_DESCRIPTION);
    writer.u32(report.ssrc);
    let cname = report.cname.as_bytes();
    let cname = cname.get(..255).unwrap_or(cname);
    writer.bytes(&[CNAME, cname.len() as u8]);
    writer.bytes(cname);
    // The list ends with at least one zero, up to the next word (§6.5).
    writer.bytes(&[0]);
    while !writer.full && !(writer.at - start).is_multiple_of(4) {
        writer.bytes(&[0]);
    }
    writer.end(start);

    xr::write(&mut writer, report.ssrc, &report.extended);
    if report.bye {
        let start = writer.begin(1, BYE);
        writer.u32(report.ssrc);
        writer.end(start);
    }
    if writer.full { 0 } else { writer.at }
}

pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    full: bool,
}

impl Writer<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.at..self.at + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            None => self.full = true,
        }
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn begin(&mut self, count: u8, kind: u8) -> usize {
        let start = self.at;
        self.bytes(&[0x80 | count, kind, 0, 0]);
        start
    }

    pub(super) fn end(&mut self, start: usize) {
        let words = (self.at - start) / 4;
        let len = (words.saturating_sub(1) as u16).to_be_bytes();
        if let Some(room) = self.out.get_mut(start + 2..start + 4) {
            room.copy_from_slice(&len);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, parse};

    fn block(ssrc: u32, lost: i32) -> ReportBlock {
        ReportBlock {
            ssrc,
            fraction_lost: 12,
            lost,
            highest_sequence: 70_000,
            jitter: 33,
            last_sr: 0xdead_beef,
            delay_since_last_sr: 65_536,
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let sender = SenderInfo { ntp: 1 << 40 | 5, rtp_timestamp: 9, packets: 100, octets: 16_000 };
        for lost in [-3, 0, 5, -0x80_0000, 0x7f_ffff] {
            for (sender, bye) in [(Some(sender), false), (None, true)] {
                let block = block(42, lost);
                let extended = Extended::default();
                let report = Report { ssrc: 7, sender, block: Some(block), cname: "a@b", bye, extended };
                let mut out = [0; 200];
                let len = compound(&report, &mut out);
                assert_eq!(len % 4, 0);
                let read = parse(&out[..len], 42).unwrap();
                assert_eq!(
                    read,
                    Compound { ssrc: 7, sender, block: Some(block), bye, ..Compound::default() }
                );
                assert_eq!(parse(&out[..len], 43).unwrap().block, None);
                assert!(parse(&out[..len - 4], 42).is_none());
            }
        }
    }

    #[test]
    fn too_small_a_buffer_gives_nothing() {
        let extended = Extended::default();
        let report = Report { ssrc: 7, sender: None, block: None, cname: "somebody", bye: true, extended };
        let mut out = [0; 200];
        let len = compound(&report, &mut out);
        for size in 0..len {
            assert_eq!(compound(&report, &mut out[..size]), 0);
        }
    }

    proptest! {
        #[test]
        fn bytes_never_panic(mut body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&body, 1);
            if let [b0, kind, l0, l1, ..] = body.as_mut_slice() {
                (*b0, *kind, *l0, *l1) = (0x80 | (*b0 & 0x1f), 200 + (*kind & 3), 0, *l1 & 0x1f);
            }
            let _ = parse(&body, 1);
        }
    }
}
