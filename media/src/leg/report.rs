//! Extended reports (RFC 3611) of a leg: sent where the far end asks for them, read from whoever sends them.

use std::time::Duration;

use kraliki_time::Time;

use super::Leg;
use crate::rtcp::{self, Compound, Dlrr, Extended, VoipMetrics};
use crate::sdp::XrReports;

/// A round trip above this is nonsense.
const ROUND_TRIP_MOST: u32 = 10 << 16;
/// RTP packets that last a second, for the length of bursts.
const PACKETS_PER_SECOND: f64 = 50.0;

/// What is kept between extended reports.
#[derive(Debug, Default)]
pub(super) struct Xr {
    /// What the far end asks for.
    pub(super) wanted: XrReports,
    /// Whose reference time came last, its middle, and when it came.
    reference_time: Option<(u32, u32, Time)>,
}

impl Leg {
    /// A round trip from what the far end says of our NTP time: arrival less it less the delay since (RFC 3550 §6.4.1,
    /// RFC 3611 §4.5), in 65,536ths of a second. Nonsense wraps to a huge value.
    pub(super) fn round_trip(&mut self, now: Time, last: u32, delay: u32) {
        let arrival = rtcp::ntp_middle(rtcp::ntp(now));
        let round_trip = arrival.wrapping_sub(last).wrapping_sub(delay);
        if last != 0 && round_trip < ROUND_TRIP_MOST {
            let nanos = (u64::from(round_trip) * 1_000_000_000) >> 16;
            self.counters.round_trip = Some(Duration::from_nanos(nanos));
        }
    }

    pub(super) fn take_extended(&mut self, now: Time, compound: &Compound) {
        let extended = &compound.extended;
        if let Some(ntp) = extended.reference_time {
            self.report.xr.reference_time = Some((compound.ssrc, rtcp::ntp_middle(ntp), now));
        }
        if let Some(dlrr) = &extended.dlrr {
            self.round_trip(now, dlrr.last, dlrr.delay);
        }
        if let (Some(voip), Some(hearing)) = (&extended.voip, &mut self.hearing) {
            hearing.report_voip(voip);
        }
    }

    /// What the far end asked for.
    pub(super) fn extended_report(&self, now: Time) -> Extended {
        let Xr { wanted, reference_time } = &self.report.xr;
        Extended {
            reference_time: wanted.reference_time.then(|| rtcp::ntp(now)),
            // Who sends a reference time wants its answer, whatever the description says.
            dlrr: reference_time.map(|(ssrc, last, at)| {
                let delay = rtcp::ntp_middle(rtcp::ntp(Time::ZERO + now.since(at)));
                Dlrr { ssrc, last, delay }
            }),
            voip: if wanted.voip_metrics { self.voip_metrics(now) } else { None },
        }
    }

    fn voip_metrics(&self, now: Time) -> Option<VoipMetrics> {
        let (quality, ssrc) = (self.quality(now)?, self.source.stats()?.ssrc());
        let in_256ths = |share: f64| (share * 256.0).clamp(0.0, 255.0) as u8;
        let in_ms = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let bursts = quality.bursts;
        let heard = Duration::from_secs_f64((quality.received + quality.lost) as f64 / PACKETS_PER_SECOND);
        let burst = Duration::from_secs_f64(bursts.mean_burst_packets / PACKETS_PER_SECOND);
        let bursts_in_all = u32::try_from(bursts.bursts).unwrap_or(u32::MAX);
        let in_gaps = heard.saturating_sub(burst.saturating_mul(bursts_in_all));
        let listening = quality.listening();
        let tenths = |mos: f64| Some((mos * 10.0).round() as u8);
        Some(VoipMetrics {
            ssrc,
            loss_rate: in_256ths(quality.loss()),
            discard_rate: 0,
            burst_density: in_256ths(bursts.burst_density),
            gap_density: in_256ths(bursts.gap_density),
            burst_duration_ms: in_ms(burst),
            gap_duration_ms: in_ms(in_gaps / bursts_in_all.saturating_add(1)),
            round_trip_ms: in_ms(quality.round_trip.unwrap_or_default()),
            rating: Some(quality.impairments().rating().round() as u8),
            mos_lq: tenths(listening.mos()),
            mos_cq: tenths(quality.mos()),
        })
    }
}
