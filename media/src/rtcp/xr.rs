//! Extended reports (RFC 3611): receiver reference time, its answer (DLRR), and VoIP metrics. Other blocks are passed over.

use super::build::Writer;
use super::parse::u32_at;

/// The packet type (§2).
pub(super) const EXTENDED_REPORT: u8 = 207;
/// Receiver reference time (§4.4), delay since the last one (§4.5), VoIP metrics (§4.7).
const REFERENCE_TIME: u8 = 4;
const DLRR: u8 = 5;
const VOIP_METRICS: u8 = 7;
/// What a metric says that is not known (§4.7.5).
const UNKNOWN: u8 = 127;
/// Received packets in a row that end a burst of loss (§4.7.2).
const GMIN: u8 = 16;

/// How a call is heard (§4.7), as far as it can be known without a jitter buffer or an ear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VoipMetrics {
    /// The source that is heard.
    pub(crate) ssrc: u32,
    /// In 256ths: lost, and thrown away because they came too late.
    pub(crate) loss_rate: u8,
    pub(crate) discard_rate: u8,
    pub(crate) burst_density: u8,
    pub(crate) gap_density: u8,
    pub(crate) burst_duration_ms: u16,
    pub(crate) gap_duration_ms: u16,
    pub(crate) round_trip_ms: u16,
    /// The E-model's rating, 0 to 100.
    pub(crate) rating: Option<u8>,
    /// The opinion score of listening in tenths, 10 to 50.
    pub(crate) mos_lq: Option<u8>,
    /// The same of conversing: with the delay.
    pub(crate) mos_cq: Option<u8>,
}

/// When a reference time of the far end came (§4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dlrr {
    /// Whose it was.
    pub(crate) ssrc: u32,
    /// The middle of its NTP time.
    pub(crate) last: u32,
    /// How long ago it came, in 65,536ths of a second.
    pub(crate) delay: u32,
}

/// What we report beyond the report itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extended {
    /// Our NTP time, for the round trip of one who only hears.
    pub(crate) reference_time: Option<u64>,
    pub(crate) dlrr: Option<Dlrr>,
    pub(crate) voip: Option<VoipMetrics>,
}

/// What an extended report says to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// The far end's NTP time.
    pub(crate) reference_time: Option<u64>,
    /// The answer to ours.
    pub(crate) dlrr: Option<Dlrr>,
    /// What it hears of us.
    pub(crate) voip: Option<VoipMetrics>,
}

pub(super) fn write(writer: &mut Writer<'_>, ssrc: u32, extended: &Extended) {
    if extended.reference_time.is_none() && extended.dlrr.is_none() && extended.voip.is_none() {
        return;
    }
    let start = writer.begin(0, EXTENDED_REPORT);
    writer.u32(ssrc);
    if let Some(ntp) = extended.reference_time {
        writer.bytes(&[REFERENCE_TIME, 0, 0, 2]);
        writer.u32((ntp >> 32) as u32);
        writer.u32(ntp as u32);
    }
    if let Some(dlrr) = &extended.dlrr {
        writer.bytes(&[DLRR, 0, 0, 3]);
        writer.u32(dlrr.ssrc);
        writer.u32(dlrr.last);
        writer.u32(dlrr.delay);
    }
    if let Some(voip) = &extended.voip {
        writer.bytes(&[VOIP_METRICS, 0, 0, 8]);
        writer.u32(voip.ssrc);
        writer.bytes(&[voip.loss_rate, voip.discard_rate, voip.burst_density, voip.gap_density]);
        writer.bytes(&voip.burst_duration_ms.to_be_bytes());
        writer.bytes(&voip.gap_duration_ms.to_be_bytes());
        writer.bytes(&voip.round_trip_ms.to_be_bytes());
        // End system delay: the relay waits for nothing.
        writer.bytes(&[0, 0]);
        // Signal and noise level, and echo, are not measured.
        writer.bytes(&[UNKNOWN, UNKNOWN, UNKNOWN, GMIN]);
        let or_unknown = |metric: Option<u8>| metric.unwrap_or(UNKNOWN);
        writer.bytes(&[or_unknown(voip.rating), UNKNOWN, or_unknown(voip.mos_lq), or_unknown(voip.mos_cq)]);
        // How the far end conceals and buffers is not known here; there is no jitter buffer of ours.
        writer.bytes(&[0, 0, 0, 0, 0, 0, 0, 0]);
    }
    writer.end(start);
}

/// Reads the body of an extended report, its SSRC included, into what was read before of the compound packet. `about` is
/// our SSRC. A block that is cut off ends the report.
pub(super) fn read(body: &[u8], about: u32, into: &mut Read) {
    let mut rest = body.get(4..).unwrap_or_default();
    while let Some((&[kind, _, l0, l1], _)) = rest.split_first_chunk::<4>() {
        let len = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let Some((block, next)) = rest.split_at_checked(len) else { return };
        rest = next;
        let content = block.get(4..).unwrap_or_default();
        match kind {
            REFERENCE_TIME => {
                if let (Some(high), Some(low)) = (u32_at(content, 0), u32_at(content, 4)) {
                    into.reference_time = Some((u64::from(high) << 32) | u64::from(low));
                }
            }
            DLRR => {
                let blocks = content.chunks_exact(12).filter_map(|chunk| {
                    let (ssrc, last, delay) = (u32_at(chunk, 0)?, u32_at(chunk, 4)?, u32_at(chunk, 8)?);
                    Some(Dlrr { ssrc, last, delay })
                });
                into.dlrr = blocks.rev().find(|dlrr| dlrr.ssrc == about).or(into.dlrr);
            }
            VOIP_METRICS => into.voip = read_voip(content).filter(|voip| voip.ssrc == about).or(into.voip),
            _ => {}
        }
    }
}

fn read_voip(content: &[u8]) -> Option<VoipMetrics> {
    let rates: &[u8; 4] = content.get(4..)?.first_chunk()?;
    let [loss_rate, discard_rate, burst_density, gap_density] = *rates;
    let u16_at = |at: usize| content.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    let scores: &[u8; 4] = content.get(20..)?.first_chunk()?;
    let [rating, _, mos_lq, mos_cq] = *scores;
    let score = |score: u8| Some(score).filter(|score| (10..=50).contains(score));
    Some(VoipMetrics {
        ssrc: u32_at(content, 0)?,
        loss_rate,
        discard_rate,
        burst_density,
        gap_density,
        burst_duration_ms: u16_at(8)?,
        gap_duration_ms: u16_at(10)?,
        round_trip_ms: u16_at(12)?,
        rating: Some(rating).filter(|rating| *rating <= 100),
        mos_lq: score(mos_lq),
        mos_cq: score(mos_cq),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Report, compound, parse};

    fn voip(ssrc: u32) -> VoipMetrics {
        VoipMetrics {
            ssrc,
            loss_rate: 13,
            discard_rate: 2,
            burst_density: 100,
            gap_density: 1,
            burst_duration_ms: 220,
            gap_duration_ms: 4_000,
            round_trip_ms: 81,
            rating: Some(77),
            mos_lq: Some(39),
            mos_cq: None,
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let dlrr = Dlrr { ssrc: 42, last: 0xdead_beef, delay: 65_536 };
        let full = Extended { reference_time: Some((7 << 40) | 9), dlrr: Some(dlrr), voip: Some(voip(42)) };
        for extended in [full, Extended { dlrr: None, ..full }, Extended { voip: None, ..full }] {
            let report = Report { ssrc: 7, sender: None, block: None, cname: "a@b", bye: true, extended };
            let mut out = [0; 300];
            let len = compound(&report, &mut out);
            let read = parse(&out[..len], 42).unwrap();
            let Extended { reference_time, dlrr, voip } = extended;
            assert_eq!(read.extended, Read { reference_time, dlrr, voip });
            assert!(read.bye);
            let other = parse(&out[..len], 43).unwrap().extended;
            assert_eq!(other, Read { reference_time, ..Read::default() }, "of somebody else");
            for size in 0..len {
                assert_eq!(compound(&report, &mut out[..size]), 0);
            }
        }
    }

    /// The example's layout of §4.7.1, octet by octet.
    #[test]
    fn the_layout_of_voip_metrics() {
        let extended = Extended { voip: Some(voip(0x0102_0304)), ..Extended::default() };
        let report = Report { ssrc: 7, sender: None, block: None, cname: "", bye: false, extended };
        let mut out = [0; 300];
        let len = compound(&report, &mut out);
        let xr = &out[len - 44..len];
        assert_eq!(xr[..12], [0x80, 207, 0, 10, 0, 0, 0, 7, 7, 0, 0, 8]);
        assert_eq!(xr[12..20], [1, 2, 3, 4, 13, 2, 100, 1]);
        assert_eq!(xr[20..28], [0, 220, 15, 160, 0, 81, 0, 0]);
        assert_eq!(xr[28..36], [127, 127, 127, 16, 77, 127, 39, 127]);
        assert_eq!(xr[36..], [0; 8]);
    }

    #[test]
    fn nothing_to_say_is_no_packet() {
        let extended = Extended::default();
        let report = Report { ssrc: 7, sender: None, block: None, cname: "a", bye: false, extended };
        let mut out = [0; 300];
        let len = compound(&report, &mut out);
        assert_eq!(len, 8 + 12);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..120), kind in 0u8..9, words in 0u8..12) {
            let mut read = Read::default();
            super::read(&body, 1, &mut read);
            let mut body = body;
            if let [_, _, _, _, b4, _, b6, b7, ..] = body.as_mut_slice() {
                (*b4, *b6, *b7) = (kind, 0, words);
            }
            super::read(&body, 1, &mut read);
        }
    }
}
