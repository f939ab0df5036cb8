//! How calls are heard: what the media tells of it goes to the store, to the metrics and to the screens. The engine has
//! no use for it, and so it does not pass through the engine or its journal.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use kraliki_media::{BridgeQuality, LegId, LegQuality};
use kraliki_time::Time;
use prometheus::proto::MetricFamily;

use super::drive::Driver;
use super::metrics::family::{Series, counter, histograms};
use super::trunk::TrunkFigures;
use crate::store::Job;
use crate::{
    AgentId, CallQuality, Event, Grade, LegFigures, LegRecord, Side, TryId, Unheard, UnheardView, Write,
};

/// How often screens get the quality of calls.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// Upper bounds of opinion scores: the steps of G.107 annex B, and what is beyond help.
const MOS_BUCKETS: [f64; 7] = [2.0, 2.6, 3.1, 3.6, 4.0, 4.2, 4.3];
/// Upper bounds of the share of packets lost.
const LOSS_BUCKETS: [f64; 8] = [0.0, 0.001, 0.005, 0.01, 0.03, 0.05, 0.1, 0.25];
/// Upper bounds of jitter, in seconds.
const JITTER_BUCKETS_S: [f64; 7] = [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1];
/// Upper bounds of the round trip, in seconds.
const ROUND_TRIP_BUCKETS_S: [f64; 8] = [0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5];

/// Counts by upper bound.
#[derive(Debug)]
struct Buckets<const N: usize> {
    upper: [f64; N],
    at_most: [AtomicU64; N],
    count: AtomicU64,
    /// In millionths.
    sum: AtomicU64,
}

impl<const N: usize> Buckets<N> {
    fn new(upper: [f64; N]) -> Buckets<N> {
        let at_most = std::array::from_fn(|_| AtomicU64::default());
        Buckets { upper, at_most, count: AtomicU64::default(), sum: AtomicU64::default() }
    }

    fn add(&self, value: f64) {
        for (upper, count) in self.upper.iter().zip(&self.at_most) {
            if value <= *upper {
                count.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Relaxed);
    }

    fn series<'a>(&self, label: (&'a str, &'a str)) -> Series<'a> {
        Series {
            labels: vec![label],
            buckets: self.upper.iter().zip(&self.at_most).map(|(b, n)| (*b, n.load(Relaxed))).collect(),
            count: self.count.load(Relaxed),
            sum: self.sum.load(Relaxed) as f64 / 1e6,
        }
    }
}

/// Of many stretches.
#[derive(Debug)]
struct Histograms {
    mos: Buckets<{ MOS_BUCKETS.len() }>,
    loss: Buckets<{ LOSS_BUCKETS.len() }>,
    jitter: Buckets<{ JITTER_BUCKETS_S.len() }>,
    round_trip: Buckets<{ ROUND_TRIP_BUCKETS_S.len() }>,
}

impl Default for Histograms {
    fn default() -> Histograms {
        Histograms {
            mos: Buckets::new(MOS_BUCKETS),
            loss: Buckets::new(LOSS_BUCKETS),
            jitter: Buckets::new(JITTER_BUCKETS_S),
            round_trip: Buckets::new(ROUND_TRIP_BUCKETS_S),
        }
    }
}

impl Histograms {
    /// A stretch in which nothing came has no score: it is counted as not heard.
    fn add(&self, quality: &LegQuality) {
        if quality.received > 0 {
            self.mos.add(quality.mos());
            self.loss.add(quality.loss());
            self.jitter.add(quality.jitter.as_secs_f64());
        }
        if let Some(round_trip) = quality.round_trip {
            self.round_trip.add(round_trip.as_secs_f64());
        }
    }
}

/// How the calls of a trunk were heard.
#[derive(Debug, Default)]
pub(in crate::runtime) struct TrunkQuality {
    heard: Histograms,
    /// By side, then by reason.
    one_way: [[AtomicU64; Unheard::ALL.len()]; Side::ALL.len()],
}

impl TrunkQuality {
    fn one_way(&self, side: Side, why: Unheard) {
        if let Some(count) = self.one_way.get(side as usize).and_then(|reasons| reasons.get(why as usize)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

/// What agents listen and speak with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayName {
    Browser,
    Plain,
    Phone,
}

/// How agents were heard.
#[derive(Debug, Default)]
pub(super) struct AgentQuality {
    browser: Histograms,
    plain: Histograms,
    phone: Histograms,
}

impl AgentQuality {
    fn of(&self, way: WayName) -> &Histograms {
        match way {
            WayName::Browser => &self.browser,
            WayName::Plain => &self.plain,
            WayName::Phone => &self.phone,
        }
    }
}

/// A call whose leg is there, or is being closed.
#[derive(Clone)]
pub(super) struct Past {
    pub(super) id: TryId,
    pub(super) figures: Arc<TrunkFigures>,
}

/// Who is heard in a bridged call.
pub(super) struct BothSides {
    pub(super) agent: AgentId,
    /// Why the sides are not, the carrier's first.
    unheard: [Option<Unheard>; Side::ALL.len()],
}

impl BothSides {
    pub(super) fn new(agent: AgentId) -> BothSides {
        BothSides { agent, unheard: [None; Side::ALL.len()] }
    }

    /// Sets how a side is. Gives whether the other one is heard.
    fn set(&mut self, side: Side, why: Option<Unheard>) -> bool {
        let [carrier, agent] = &mut self.unheard;
        let (this, other) = if side == Side::Carrier { (carrier, agent) } else { (agent, carrier) };
        *this = why;
        other.is_none()
    }
}

impl Driver {
    /// A call's leg is gone: its record.
    pub(super) fn on_leg_ended(&mut self, leg: LegId, quality: Option<&LegQuality>) {
        if let (Some(past), Some(quality)) = (self.lines.past(leg), quality) {
            past.figures.quality.heard.add(quality);
            self.store_leg(&past, Side::Carrier, None, quality);
        }
        self.lines.forget(leg);
        self.desks.forget(leg);
    }

    /// An agent's leg is out of a call: its record of that call.
    pub(super) fn on_parted(&mut self, leg: LegId, trunk: LegId, quality: &LegQuality) {
        let Some((agent, way)) = self.desks.of_leg(leg) else { return };
        self.shared.metrics.agents().of(way).add(quality);
        if let Some(past) = self.lines.past(trunk) {
            self.store_leg(&past, Side::Agent, Some(agent), quality);
        }
    }

    fn store_leg(&mut self, past: &Past, side: Side, agent: Option<AgentId>, quality: &LegQuality) {
        let leg = LegRecord {
            side,
            number: past.id.number,
            trunk: past.figures.id(),
            agent,
            ended_unix_ms: self.shared.clock.unix_ms(),
            figures: LegFigures::of_past(quality),
        };
        let write = Write::Leg { attempt: past.id.attempt, leg: Box::new(leg) };
        self.job(Job::Write { token: None, write });
    }

    /// Somebody is not heard, or heard again. Only where two should hear each other it is worth telling.
    pub(super) fn on_unheard(&mut self, leg: LegId, why: Option<kraliki_media::Unheard>) {
        let (id, side) = match self.lines.of_leg(leg) {
            Some(id) => (id, Side::Carrier),
            None => {
                let call = self.desks.of_leg(leg).and_then(|(agent, _)| self.lines.with_agent(agent));
                let Some(id) = call else { return };
                (id, Side::Agent)
            }
        };
        let why = why.map(Unheard::from);
        let Some(heard) = self.lines.heard(id) else { return };
        let one_way = heard.set(side, why) && why.is_some();
        let agent = heard.agent;
        if let Some(why) = why {
            tracing::info!(%id, %agent, side = side.as_str(), why = why.as_str(), one_way, "a side of a call is not heard");
            if one_way && let Some(past) = self.lines.of_try(id) {
                past.figures.quality.one_way(side, why);
            }
        }
        let view = UnheardView { call: id.attempt, agent, side, why, one_way };
        drop(self.shared.events.send(Arc::new(Event::Unheard(view))));
    }

    /// Asks the media how calls are heard, while anybody looks.
    pub(super) fn watch_quality(&mut self, now: Time) {
        if now.since(self.quality_asked) >= ASK_EVERY && self.shared.events.receiver_count() > 0 {
            self.quality_asked = now;
            self.media.bridges();
        }
    }

    /// One message for all calls of a shard.
    pub(super) fn on_bridges(&mut self, bridges: &[BridgeQuality]) {
        let call = |bridge: &BridgeQuality| {
            let id = self.lines.of_leg(bridge.trunk)?;
            let (agent, _) = self.desks.of_leg(bridge.agent)?;
            let carrier = LegFigures::of_present(&bridge.of_trunk);
            let desk = LegFigures::of_present(&bridge.of_agent);
            let grade = Grade::of(carrier.worst_mos().min(desk.worst_mos()));
            Some(CallQuality { call: id.attempt, agent, grade, carrier, desk })
        };
        let calls: Vec<_> = bridges.iter().filter_map(call).collect();
        if !calls.is_empty() {
            drop(self.shared.events.send(Arc::new(Event::Quality { calls })));
        }
    }
}

/// The metrics of calls that are over.
pub(super) fn families(trunks: &[Arc<TrunkFigures>], agents: &AgentQuality) -> Vec<MetricFamily> {
    let ways = [("browser", &agents.browser), ("plain", &agents.plain), ("phone", &agents.phone)]
        .map(|(way, h)| (("way", way), h));
    let trunk = |trunk: &'_ Arc<TrunkFigures>| (("trunk", trunk.name.clone()), trunk.clone());
    let trunks: Vec<_> = trunks.iter().map(trunk).collect();
    let of_trunks = trunks.iter().map(|((label, name), t)| ((*label, name.as_str()), &t.quality.heard));
    let mut families = Vec::new();
    for (whose, what, all) in [
        ("trunk", "called people, as their carrier sends them", of_trunks.collect::<Vec<_>>()),
        ("agent", "agents", ways.to_vec()),
    ] {
        let mut family = |name: &str, help: &str, series: Vec<Series<'_>>| {
            families.push(histograms(
                &format!("kraliki_{whose}_{name}"),
                &format!("{help} of {what}."),
                &series,
            ));
        };
        let each = all.iter();
        family("mos", "Opinion score (G.107)", each.clone().map(|(l, h)| h.mos.series(*l)).collect());
        family("loss_ratio", "Share of packets lost", each.clone().map(|(l, h)| h.loss.series(*l)).collect());
        family(
            "jitter_seconds",
            "Interarrival jitter",
            each.clone().map(|(l, h)| h.jitter.series(*l)).collect(),
        );
        family("round_trip_seconds", "Round trip", each.map(|(l, h)| h.round_trip.series(*l)).collect());
    }
    let mut one_way = Vec::new();
    for ((label, name), trunk) in &trunks {
        for (side, reasons) in Side::ALL.into_iter().zip(&trunk.quality.one_way) {
            for (why, count) in Unheard::ALL.into_iter().zip(reasons) {
                let labels = [(*label, name.as_str()), ("side", side.as_str()), ("why", why.as_str())];
                one_way.push((labels, count.load(Relaxed) as f64));
            }
        }
    }
    families.push(counter(
        "kraliki_trunk_one_way_total",
        "Calls in which one side was heard and this one was not.",
        one_way.iter().map(|(labels, v)| (&labels[..], *v)),
    ));
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_is_when_the_other_side_is_heard() {
        let mut heard = BothSides::new(AgentId(1));
        assert!(heard.set(Side::Carrier, Some(Unheard::NoPackets)));
        assert!(!heard.set(Side::Agent, Some(Unheard::DigitalSilence)), "nobody is heard");
        assert!(!heard.set(Side::Carrier, None));
        assert!(heard.set(Side::Agent, None));
    }

    #[test]
    fn what_never_came_has_no_score() {
        let histograms = Histograms::default();
        histograms.add(&LegQuality { lasted: Duration::from_secs(9), ..LegQuality::default() });
        histograms.add(&LegQuality {
            received: 950,
            lost: 50,
            burst_ratio: 1.0,
            round_trip: Some(Duration::from_millis(60)),
            ..LegQuality::default()
        });
        let loss = histograms.loss.series(("trunk", "a"));
        assert_eq!((loss.count, loss.sum), (1, 0.05));
        assert_eq!(loss.buckets.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(histograms.mos.series(("trunk", "a")).buckets.iter().map(|(_, n)| n).sum::<u64>(), 3);
        assert_eq!(histograms.round_trip.series(("trunk", "a")).count, 1);
    }
}
