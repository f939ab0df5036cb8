//! RTCP (RFC 3550 §6): what the far end reports, and our reports; extended reports (RFC 3611).

mod build;
mod parse;
mod xr;

pub(crate) use build::{Report, compound};
pub(crate) use parse::{Compound, parse};
pub(crate) use xr::{Dlrr, Extended, VoipMetrics};

/// Packet types (RFC 3550 §12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// One report block (§6.4.1): what the reporter received of `ssrc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReportBlock {
    pub(crate) ssrc: u32,
    /// In 256ths, since its last report.
    pub(crate) fraction_lost: u8,
    /// Packets lost since the beginning; below zero when some came twice. 24 bits on the wire.
    pub(crate) lost: i32,
    pub(crate) highest_sequence: u32,
    /// In timestamp units.
    pub(crate) jitter: u32,
    /// The middle of the NTP time in our last sender report.
    pub(crate) last_sr: u32,
    /// How long ago it received that, in 65,536ths of a second.
    pub(crate) delay_since_last_sr: u32,
}

/// The sender's part of a sender report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SenderInfo {
    pub(crate) ntp: u64,
    pub(crate) rtp_timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// `now` as an NTP time. A sender without the time of day may use its own clock (§6.4.1); only differences matter.
pub(crate) fn ntp(now: kraliki_time::Time) -> u64 {
    ((u128::from(now.as_nanos()) << 32) / 1_000_000_000) as u64
}

/// The middle 32 bits of an NTP time.
pub(crate) fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}
