//! Reading compound packets.

use super::xr::{self, EXTENDED_REPORT};
use super::{BYE, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo};

/// What a compound packet says, as far as we use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compound {
    /// Who reports.
    pub(crate) ssrc: u32,
    pub(crate) sender: Option<SenderInfo>,
    /// The block about `about`, if there is one.
    pub(crate) block: Option<ReportBlock>,
    /// The reporter says good-bye.
    pub(crate) bye: bool,
    /// What its extended reports say.
    pub(crate) extended: xr::Read,
}

/// Reads a compound packet; `about` is our SSRC. `None` when it is not RTCP (§A.2): version, lengths that add up, and
/// a first packet that is a report.
pub(crate) fn parse(datagram: &[u8], about: u32) -> Option<Compound> {
    let mut compound = Compound::default();
    let mut rest = datagram;
    let mut first = true;
    while !rest.is_empty() {
        let (&[b0, kind, l0, l1], _) = rest.split_first_chunk::<4>()?;
        if b0 >> 6 != 2 {
            return None;
        }
        let len = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let (packet, next) = rest.split_at_checked(len)?;
        rest = next;
        let body = packet.get(4..).unwrap_or_default();
        let count = usize::from(b0 & 0x1f);
        if first {
            // Reduced-size RTCP (RFC 5506) is not agreed with anybody, so the first is a report.
            if !matches!(kind, SENDER_REPORT | RECEIVER_REPORT) {
                return None;
            }
            compound.ssrc = u32_at(body, 0)?;
            first = false;
        }
        match kind {
            SENDER_REPORT => {
                compound.sender = Some(SenderInfo {
                    ntp: (u64::from(u32_at(body, 4)?) << 32) | u64::from(u32_at(body, 8)?),
                    rtp_timestamp: u32_at(body, 12)?,
                    packets: u32_at(body, 16)?,
                    octets: u32_at(body, 20)?,
                });
                read_blocks(body.get(24..)?, count, about, &mut compound);
            }
            RECEIVER_REPORT => read_blocks(body.get(4..)?, count, about, &mut compound),
            BYE => {
                compound.bye |= (0..count).any(|n| u32_at(body, n * 4) == Some(compound.ssrc));
            }
            SOURCE_DESCRIPTION => {}
            EXTENDED_REPORT => xr::read(body, about, &mut compound.extended),
            // Feedback, application packets.
            _ => {}
        }
    }
    (!first).then_some(compound)
}

fn read_blocks(body: &[u8], count: usize, about: u32, compound: &mut Compound) {
    for chunk in body.chunks_exact(24).take(count) {
        if let Some(block) = read_block(chunk).filter(|b| b.ssrc == about) {
            compound.block = Some(block);
        }
    }
}

fn read_block(chunk: &[u8]) -> Option<ReportBlock> {
    let loss = u32_at(chunk, 4)?;
    Some(ReportBlock {
        ssrc: u32_at(chunk, 0)?,
        fraction_lost: (loss >> 24) as u8,
        // 24 bits with a sign.
        lost: (loss << 8).cast_signed() >> 8,
        highest_sequence: u32_at(chunk, 8)?,
        jitter: u32_at(chunk, 12)?,
        last_sr: u32_at(chunk, 16)?,
        delay_since_last_sr: u32_at(chunk, 20)?,
    })
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
