//! Which extended reports a side asks for: `a=rtcp-xr` (RFC 3611 §5).

use super::types::{Attribute, Description, Media};

const NAME: &str = "rtcp-xr";

/// The extended reports (RFC 3611) that a side wants of the other one, of those that we can make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XrReports {
    /// Reference time and its answer (§4.4, §4.5): the round trip also for one who sends nothing.
    pub reference_time: bool,
    /// VoIP metrics (§4.7).
    pub voip_metrics: bool,
}

impl XrReports {
    /// What a description asks for, in its stream or for all of it.
    pub(super) fn read(session: &Description, media: &Media) -> XrReports {
        let wanted = session.attribute(Some(media), NAME).unwrap_or_default();
        let mut reports = XrReports::default();
        for format in wanted.split_whitespace() {
            let name = format.split('=').next().unwrap_or_default();
            reports.reference_time |= name.eq_ignore_ascii_case("rcvr-rtt");
            reports.voip_metrics |= name.eq_ignore_ascii_case("voip-metrics");
        }
        reports
    }

    /// The same asked for by us, as an answer does (§5.2); none when it is nothing.
    pub(super) fn attribute(self) -> Option<Attribute> {
        let names = [(self.reference_time, "rcvr-rtt=all"), (self.voip_metrics, "voip-metrics")];
        let names: Vec<&str> = names.iter().filter(|(wanted, _)| *wanted).map(|(_, name)| *name).collect();
        (!names.is_empty()).then(|| Attribute::new(NAME, names.join(" ")))
    }
}
