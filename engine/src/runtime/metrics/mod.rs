//! Metrics of everything below the API. docs/metrics.md explains each.

pub(super) mod family;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;
use family::{Sample, counter, gauge, histogram};
use kraliki_media::{LegCounters, MediaHandle};
use kraliki_sip::METHODS;
use kraliki_sip::net::SipHandle;
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::journal::JournalStats;
use super::quality::AgentQuality;
use super::trunk::TrunkFigures;
use crate::store::{COMMIT_BUCKETS_US, StoreStats};
use crate::{AgentState, BreakerState, CallState, Counters, Gauges, Outcome, Snapshot};

/// Upper bounds of the latency from an answer to the agent's first packet, in seconds.
const BRIDGE_BUCKETS_S: [f64; 10] = [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Upper bounds of the time that people wait for an agent, in seconds.
const WAIT_BUCKETS_S: [f64; 7] = [0.05, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0];

/// Lengths of the runtime's own queues.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) jobs: usize,
    pub(super) sip_commands: usize,
    pub(super) replies: usize,
}

/// What the runtime published last of the engine.
#[derive(Debug, Default)]
struct Published {
    counters: Counters,
    gauges: Gauges,
    waiting: Waiting,
}

/// Where the figures come from.
pub(super) struct Metrics {
    published: ArcSwap<Published>,
    sip: SipHandle,
    media: MediaHandle,
    store: Arc<StoreStats>,
    journal: Option<Arc<JournalStats>>,
    trunks: ArcSwap<Vec<Arc<TrunkFigures>>>,
    recording: Option<super::recording::Figures>,
    ended: Ended,
    /// Of agents' legs.
    agents: AgentQuality,
}

/// Sums over the legs that have ended.
#[derive(Debug, Default)]
struct Ended {
    received: AtomicU64,
    sent: AtomicU64,
    lost: AtomicU64,
    dropped_address: AtomicU64,
    dropped_ssrc: AtomicU64,
    dropped_malformed: AtomicU64,
    dropped_srtp: AtomicU64,
    dropped_relay: AtomicU64,
}

impl Metrics {
    pub(super) fn new(
        sip: SipHandle,
        media: MediaHandle,
        store: Arc<StoreStats>,
        journal: Option<Arc<JournalStats>>,
        trunks: Vec<Arc<TrunkFigures>>,
        recording: Option<super::recording::Figures>,
    ) -> Metrics {
        let trunks = ArcSwap::from_pointee(trunks);
        Metrics {
            published: ArcSwap::default(),
            sip,
            media,
            store,
            journal,
            trunks,
            recording,
            ended: Ended::default(),
            agents: AgentQuality::default(),
        }
    }

    /// A trunk as people look at it.
    pub(super) fn trunk(&self, id: crate::TrunkId) -> Option<super::TrunkDetail> {
        self.trunks.load().iter().find(|figures| figures.id() == id).map(|figures| figures.detail())
    }

    /// The figures of every trunk.
    pub(super) fn trunks(&self) -> Arc<Vec<Arc<TrunkFigures>>> {
        self.trunks.load_full()
    }

    /// Other trunks are counted from now on. Called by the runtime's loop alone.
    pub(super) fn set_trunks(&self, trunks: Vec<Arc<TrunkFigures>>) {
        self.trunks.store(Arc::new(trunks));
    }

    /// The handle that the figures of SIP come from.
    pub(super) fn sip(&self) -> &SipHandle {
        &self.sip
    }

    pub(super) fn publish(&self, counters: Counters, gauges: Gauges, waiting: Waiting) {
        self.published.store(Arc::new(Published { counters, gauges, waiting }));
    }

    /// Of agents' legs that were in a call.
    pub(super) fn agents(&self) -> &AgentQuality {
        &self.agents
    }

    pub(super) fn leg_ended(&self, leg: &LegCounters) {
        let sums = [
            (&self.ended.received, leg.packets_received),
            (&self.ended.sent, leg.packets_sent),
            // Repeats make it negative: then nothing was lost.
            (&self.ended.lost, u64::try_from(leg.packets_lost).unwrap_or(0)),
            (&self.ended.dropped_address, leg.dropped_address),
            (&self.ended.dropped_ssrc, leg.dropped_ssrc),
            (&self.ended.dropped_malformed, leg.dropped_malformed),
            (&self.ended.dropped_srtp, u64::from(leg.dropped_srtp)),
            (&self.ended.dropped_relay, leg.dropped_relay),
        ];
        for (sum, n) in sums {
            sum.fetch_add(n, Relaxed);
        }
    }

    pub(super) fn figures(&self) -> (Counters, Gauges) {
        let published = self.published.load();
        (published.counters.clone(), published.gauges.clone())
    }

    /// The Prometheus text format.
    pub(super) fn render(&self, snapshot: &Snapshot) -> String {
        let published = self.published.load();
        let mut families = engine(&published.counters, &published.gauges);
        families.extend(live(snapshot));
        families.extend(super::trunk::families(&self.trunks.load()));
        families.extend(super::quality::families(&self.trunks.load(), &self.agents));
        families.extend(sip(&self.sip));
        families.extend(media(&self.media));
        families.extend(rtp(&self.ended));
        families.extend(store(&self.store));
        families.extend(self.journal.iter().flat_map(|stats| journal(stats)));
        families.extend(self.recording.iter().flat_map(recording));
        families.push(queues(&self.store, &published));
        let filled: Vec<MetricFamily> = families.into_iter().filter(|f| !f.get_metric().is_empty()).collect();
        TextEncoder::new().encode_to_string(&filled).unwrap_or_default()
    }
}

fn one(value: u64) -> [Sample<'static>; 1] {
    [(&[], value as f64)]
}

fn engine(counters: &Counters, gauges: &Gauges) -> Vec<MetricFamily> {
    let outcomes: Vec<_> = Outcome::ALL
        .iter()
        .map(|o| ([("outcome", o.as_str())], counters.outcomes.get(o).copied().unwrap_or(0) as f64))
        .collect();
    let refused: Vec<_> =
        counters.refused.iter().map(|(rule, n)| ([("rule", rule.as_ref())], *n as f64)).collect();
    let agents: Vec<_> = AgentState::ALL
        .iter()
        .map(|s| ([("state", s.as_str())], f64::from(gauges.agents.get(s).copied().unwrap_or(0))))
        .collect();
    let calls: Vec<_> = CallState::IN_PROGRESS
        .iter()
        .map(|s| ([("state", s.as_str())], f64::from(gauges.calls.get(s).copied().unwrap_or(0))))
        .collect();
    let bridge = &counters.bridge_us;
    let wait = &counters.wait_ms;
    vec![
        counter("kraliki_attempts_total", "Attempts begun.", one(counters.attempts)),
        counter(
            "kraliki_outcomes_total",
            "Attempts ended, by outcome.",
            outcomes.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter("kraliki_invites_total", "INVITEs given to SIP.", one(counters.dials)),
        counter(
            "kraliki_fail_overs_total",
            "Attempts that went on over another trunk.",
            one(counters.fail_overs),
        ),
        counter("kraliki_late_total", "Calls given to an agent later than the grace.", one(counters.late)),
        counter(
            "kraliki_messages_left_total",
            "Messages that machines were left, to their end.",
            one(counters.messages_left),
        ),
        counter(
            "kraliki_machine_signs_total",
            "Calls with agents that sounded like machines after the bridge.",
            one(counters.machine_signs),
        ),
        counter(
            "kraliki_machine_samples_total",
            "Calls taken for machines that were given to agents to be checked.",
            one(counters.sampled),
        ),
        counter(
            "kraliki_machine_checks_total",
            "Of these, those that agents said were a machine or a person.",
            [
                (&[("answer", "machine")][..], counters.sampled_machines as f64),
                (&[("answer", "person")][..], counters.sampled_persons as f64),
            ],
        ),
        counter("kraliki_pacing_decisions_total", "Pacing decisions.", one(counters.decisions)),
        counter(
            "kraliki_refused_total",
            "Leads refused by the gate, by rule.",
            refused.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter("kraliki_taken_back_total", "Lines taken back for want of agents.", one(counters.taken_back)),
        counter(
            "kraliki_too_long_total",
            "Calls ended because they were as long as their trunk lets calls be.",
            one(counters.too_long),
        ),
        counter(
            "kraliki_over_cap_total",
            "Calls ended because their trunk had spent what it may in a day.",
            one(counters.over_cap),
        ),
        counter("kraliki_engine_inputs_total", "Inputs that the engine handled.", one(counters.inputs)),
        gauge(
            "kraliki_agents_pause_over",
            "Agents whose pause is longer than its limits.",
            one(gauges.pause_over.into()),
        ),
        counter(
            "kraliki_pauses_over_total",
            "Pauses that lasted longer than their limits.",
            one(counters.pauses_over),
        ),
        counter(
            "kraliki_agents_lost_total",
            "Calls whose agent's browser was lost.",
            one(counters.agents_lost),
        ),
        counter(
            "kraliki_calls_handed_over_total",
            "Calls that were given to another agent when theirs was lost.",
            one(counters.handed_over),
        ),
        counter("kraliki_forced_states_total", "Agents' states that a supervisor set.", one(counters.forced)),
        counter(
            "kraliki_dispositions_automatic_total",
            "Dispositions given automatically at the end of a wrap-up.",
            one(counters.disposed_automatically),
        ),
        counter("kraliki_engine_stray_total", "Inputs about calls that had ended.", one(counters.stray)),
        counter(
            "kraliki_unconfirmed_total",
            "CANCELs and BYEs that were never confirmed.",
            one(counters.unconfirmed),
        ),
        counter(
            "kraliki_facts_lost_total",
            "Records lost because the store took no writes for too long.",
            one(counters.facts_lost),
        ),
        gauge("kraliki_agents", "Agents, by state.", agents.iter().map(|(l, v)| (&l[..], *v))),
        gauge("kraliki_calls", "Calls in progress, by state.", calls.iter().map(|(l, v)| (&l[..], *v))),
        gauge("kraliki_hopper_leads", "Leads held ready.", one(gauges.hopper.into())),
        gauge(
            "kraliki_occupancy_ratio",
            "(Talk, hold and wrap-up) / (time signed in and not paused).",
            [(&[][..], gauges.occupancy)],
        ),
        histogram(
            "kraliki_bridge_seconds",
            "From the answer (and an agent being free) to the caller's first packet sent to the agent.",
            BRIDGE_BUCKETS_S.map(|b| (b, bridge.at_most((b * 1e6) as u64))),
            bridge.len(),
            bridge.sum() / 1e6,
        ),
        histogram(
            "kraliki_wait_seconds",
            "Time that people queued for an agent, of those who were given one.",
            WAIT_BUCKETS_S.map(|b| (b, wait.at_most((b * 1e3) as u64))),
            wait.len(),
            wait.sum() / 1e3,
        ),
    ]
}

fn live(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let by_campaign = |value: fn(&crate::CampaignView) -> f64| -> Vec<(String, f64)> {
        snapshot.campaigns.iter().map(|c| (c.id.to_string(), value(c))).collect()
    };
    let by_trunk = |value: fn(&crate::TrunkView) -> f64| -> Vec<(String, f64)> {
        snapshot.trunks.iter().map(|t| (t.name.clone(), value(t))).collect()
    };
    let labelled = |name: &str, help: &str, label: &str, rows: Vec<(String, f64)>| {
        // What is not known has no sample.
        let known = rows.iter().filter(|(_, v)| !v.is_nan());
        let rows: Vec<_> = known.map(|(value, v)| ([(label, value.as_str())], *v)).collect();
        gauge(name, help, rows.iter().map(|(l, v)| (&l[..], *v)))
    };
    vec![
        labelled(
            "kraliki_campaign_answered",
            "Calls that a person answered in 30 days.",
            "campaign",
            by_campaign(|c| c.answered as f64),
        ),
        labelled(
            "kraliki_campaign_abandoned",
            "Of these, abandoned.",
            "campaign",
            by_campaign(|c| c.abandoned as f64),
        ),
        labelled(
            "kraliki_campaign_abandonment_ratio",
            "Abandoned / answered by a person, over 30 days.",
            "campaign",
            by_campaign(|c| if c.answered == 0 { 0.0 } else { c.abandoned as f64 / c.answered as f64 }),
        ),
        labelled(
            "kraliki_campaign_false_machines_ratio",
            "People / calls taken for machines, by those that agents checked in 30 days; without checks there is none.",
            "campaign",
            by_campaign(|c| c.machines.share.unwrap_or(f64::NAN)),
        ),
        labelled(
            "kraliki_campaign_false_machines_ratio_least",
            "The least that this ratio is, with 95 % certainty.",
            "campaign",
            by_campaign(|c| c.machines.share_least.unwrap_or(f64::NAN)),
        ),
        labelled(
            "kraliki_campaign_false_machines_ratio_most",
            "The most that this ratio is, with 95 % certainty.",
            "campaign",
            by_campaign(|c| c.machines.share_most.unwrap_or(f64::NAN)),
        ),
        labelled(
            "kraliki_campaign_machines_estimated_persons",
            "People among calls that ended as machines in 30 days, by estimate; the ledger counts them as abandoned.",
            "campaign",
            by_campaign(|c| c.machines.estimated as f64),
        ),
        labelled(
            "kraliki_campaign_lines",
            "Lines in progress that are not with an agent.",
            "campaign",
            by_campaign(|c| c.lines.into()),
        ),
        labelled(
            "kraliki_campaign_occupancy_ratio",
            "Occupancy of its agents.",
            "campaign",
            by_campaign(|c| c.occupancy),
        ),
        labelled(
            "kraliki_trunk_up",
            "1 when calls may go there.",
            "trunk",
            by_trunk(|t| f64::from(u8::from(t.up))),
        ),
        labelled(
            "kraliki_trunk_breaker_open",
            "1 while no call goes there because it failed too often, 0.5 while one call tries it.",
            "trunk",
            by_trunk(|t| match t.breaker {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 0.5,
                BreakerState::Open => 1.0,
            }),
        ),
        labelled(
            "kraliki_trunk_failures",
            "Calls in a row that failed for the trunk's sake.",
            "trunk",
            by_trunk(|t| t.failures.into()),
        ),
        labelled(
            "kraliki_trunk_calls_today",
            "INVITEs of the trunk's present day.",
            "trunk",
            by_trunk(|t| t.calls_today.into()),
        ),
        labelled(
            "kraliki_trunk_spent_today",
            "What its calls of the present day cost so far, in the carrier's currency.",
            "trunk",
            by_trunk(|t| t.spent_today),
        ),
        labelled(
            "kraliki_trunk_limited",
            "1 while a limit of its own keeps it from calling anybody: no prefixes, calls or spend of the day.",
            "trunk",
            by_trunk(|t| f64::from(u8::from(t.limit.is_some()))),
        ),
        labelled("kraliki_trunk_channels", "Calls on the trunk.", "trunk", by_trunk(|t| t.channels.into())),
        labelled(
            "kraliki_trunk_channels_limit",
            "Most calls at once.",
            "trunk",
            by_trunk(|t| t.max_channels.into()),
        ),
        labelled(
            "kraliki_trunk_invites_per_second",
            "INVITEs in the last second.",
            "trunk",
            by_trunk(|t| t.cps.into()),
        ),
        labelled(
            "kraliki_trunk_invites_per_second_limit",
            "Most in any second.",
            "trunk",
            by_trunk(|t| t.max_cps.into()),
        ),
        gauge("kraliki_store_ok", "1 while the store takes writes.", one(snapshot.store_ok.into())),
        gauge("kraliki_draining", "1 while the dialer shuts down.", one(snapshot.draining.into())),
    ]
}

fn sip(handle: &SipHandle) -> Vec<MetricFamily> {
    const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
    let stats = handle.stats();
    let mut messages = Vec::new();
    for (direction, kinds) in [("received", &stats.received), ("sent", &stats.sent)] {
        let methods = METHODS.iter().zip(&kinds.methods);
        for (kind, count) in methods.chain(CLASSES.iter().zip(&kinds.classes)) {
            messages.push(([("direction", direction), ("kind", *kind)], count.get() as f64));
        }
    }
    let dropped = [
        ("malformed", &stats.dropped_malformed),
        ("source", &stats.dropped_source),
        ("unmatched", &stats.dropped_unmatched),
        ("table_full", &stats.dropped_full),
        ("shard", &stats.dropped_shard),
        ("send", &stats.dropped_send),
        ("receive_buffer", &stats.dropped_receive_buffer),
    ]
    .map(|(cause, count)| ([("cause", cause)], count.get() as f64));
    let connections = [
        ("accepted", &stats.connections_accepted),
        ("made", &stats.connections_made),
        ("failed", &stats.connections_failed),
        ("refused", &stats.connections_refused),
        ("overrun", &stats.connections_overrun),
    ]
    .map(|(what, count)| ([("what", what)], count.get() as f64));
    let hep = handle.hep_counts().map(|counts| {
        [
            ("sent", counts.sent),
            ("dropped_full", counts.dropped_full),
            ("dropped_large", counts.dropped_large),
            ("dropped_send", counts.dropped_send),
        ]
        .map(|(what, count)| ([("what", what)], count as f64))
    });
    let hep = hep.iter().flatten().collect::<Vec<_>>();
    vec![
        counter(
            "kraliki_sip_messages_total",
            "SIP messages, by direction and by method or status class.",
            messages.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_sip_retransmissions_total",
            "SIP messages sent again.",
            one(stats.retransmitted.get()),
        ),
        counter("kraliki_sip_repeats_total", "SIP requests received again.", one(stats.repeats.get())),
        counter(
            "kraliki_sip_dropped_total",
            "SIP datagrams dropped, by cause.",
            dropped.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_sip_refused_malformed_total",
            "Requests that could not be acted on and were told so.",
            one(stats.refused_malformed.get()),
        ),
        counter(
            "kraliki_sip_refused_overload_total",
            "Calls that were refused, ours and theirs, because the SIP threads were behind.",
            one(stats.refused_overload.get()),
        ),
        gauge("kraliki_sip_connections", "Connections that exist.", one(stats.connections.get())),
        counter(
            "kraliki_sip_connections_total",
            "Connections of SIP, by what became of them.",
            connections.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_sip_hep_total",
            "Messages for the HEP collector, by what became of them.",
            hep.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_sip_strays_total",
            "Calls cleared because nobody here knew them.",
            one(stats.strays.get()),
        ),
        gauge("kraliki_sip_calls", "SIP calls that exist.", one(stats.calls.get())),
        gauge(
            "kraliki_sip_transactions",
            "SIP transactions that exist, ended ones that absorb repeats included.",
            one(stats.transactions.get()),
        ),
        gauge("kraliki_sip_bindings", "SIP phones that are registered.", one(stats.bindings.get())),
        counter(
            "kraliki_sip_auth_failures_total",
            "Wrong passwords of SIP phones, unknown users among them.",
            one(stats.auth_failures.get()),
        ),
        counter(
            "kraliki_sip_lockouts_total",
            "Users locked out at an address after too many wrong passwords of SIP phones.",
            one(stats.lockouts.get()),
        ),
    ]
}

fn media(handle: &MediaHandle) -> Vec<MetricFamily> {
    let stats = handle.stats();
    let sum = |value: fn(&kraliki_media::ShardStats) -> u64| one(stats.shards.iter().map(value).sum());
    let cpu: f64 = stats.shards.iter().map(|s| s.cpu.as_secs_f64()).sum();
    let datagrams = [
        ([("direction", "received")], stats.shards.iter().map(|s| s.received).sum::<u64>() as f64),
        ([("direction", "sent")], stats.shards.iter().map(|s| s.sent).sum::<u64>() as f64),
    ];
    let free = stats.ports.total.saturating_sub(stats.ports.in_use + stats.ports.resting);
    vec![
        counter(
            "kraliki_media_datagrams_total",
            "Media datagrams, by direction.",
            datagrams.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_media_relayed_total",
            "RTP packets of one leg passed on to another.",
            sum(|s| s.relayed),
        ),
        counter(
            "kraliki_media_send_errors_total",
            "Datagrams that the kernel refused to send.",
            sum(|s| s.send_errors),
        ),
        counter(
            "kraliki_media_strangers_total",
            "Datagrams on the browsers' port that belong to no leg.",
            sum(|s| s.strangers),
        ),
        counter(
            "kraliki_media_events_lost_total",
            "Events lost because nobody read them; 0 unless there is a fault.",
            sum(|s| s.events_lost),
        ),
        gauge(
            "kraliki_media_tcp_connections",
            "Connections over TCP to the browsers' port that are open.",
            sum(|s| s.streams),
        ),
        counter("kraliki_media_cpu_seconds_total", "CPU time of the media threads.", [(&[][..], cpu)]),
        gauge("kraliki_media_legs", "Legs that exist.", sum(|s| s.legs)),
        gauge("kraliki_media_ports_free", "Port pairs ready for calls.", one(free)),
        counter(
            "kraliki_media_ports_exhausted_total",
            "Legs refused for want of a port.",
            one(stats.ports.exhausted),
        ),
    ]
}

fn rtp(ended: &Ended) -> Vec<MetricFamily> {
    let get = |n: &AtomicU64| n.load(Relaxed) as f64;
    let packets =
        [([("direction", "received")], get(&ended.received)), ([("direction", "sent")], get(&ended.sent))];
    let dropped = [
        ([("cause", "address")], get(&ended.dropped_address)),
        ([("cause", "ssrc")], get(&ended.dropped_ssrc)),
        ([("cause", "malformed")], get(&ended.dropped_malformed)),
        ([("cause", "srtp")], get(&ended.dropped_srtp)),
        ([("cause", "relay")], get(&ended.dropped_relay)),
    ];
    vec![
        counter(
            "kraliki_rtp_packets_total",
            "RTP packets of ended legs.",
            packets.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_rtp_lost_total",
            "Packets that never came, of ended legs.",
            [(&[][..], get(&ended.lost))],
        ),
        counter(
            "kraliki_rtp_dropped_total",
            "Packets not taken, of ended legs.",
            dropped.iter().map(|(l, v)| (&l[..], *v)),
        ),
    ]
}

fn store(stats: &StoreStats) -> Vec<MetricFamily> {
    let get = |n: &std::sync::atomic::AtomicU64| n.load(Relaxed);
    let mut cumulative = 0;
    let buckets: Vec<(f64, u64)> = COMMIT_BUCKETS_US
        .iter()
        .zip(&stats.commit_us_buckets)
        .map(|(&upper, count)| {
            cumulative += get(count);
            (upper as f64 / 1e6, cumulative)
        })
        .collect();
    vec![
        histogram(
            "kraliki_store_commit_seconds",
            "From a write's arrival to its commit.",
            buckets,
            get(&stats.commits),
            get(&stats.commit_us_sum) as f64 / 1e6,
        ),
        counter("kraliki_store_writes_total", "Writes on disk.", one(get(&stats.writes))),
        counter(
            "kraliki_store_commit_failures_total",
            "Commits that failed for the disk's sake.",
            one(get(&stats.commit_failures)),
        ),
        counter(
            "kraliki_store_writes_refused_total",
            "Writes that can never be applied.",
            one(get(&stats.writes_refused)),
        ),
        counter(
            "kraliki_store_outcomes_refused_total",
            "Second outcomes of an attempt, refused.",
            one(get(&stats.outcomes_refused)),
        ),
        counter("kraliki_leads_imported_total", "Leads imported.", one(get(&stats.imported))),
    ]
}

fn journal(stats: &JournalStats) -> [MetricFamily; 4] {
    let get = |n: &AtomicU64| one(n.load(Relaxed));
    [
        counter("kraliki_journal_bytes_total", "Bytes of the journal on disk.", get(&stats.bytes)),
        counter("kraliki_journal_segments_total", "Segments of the journal begun.", get(&stats.segments)),
        counter(
            "kraliki_journal_dropped_total",
            "Calls of the engine that the journal lacks; 0 unless the disk is slow or full.",
            get(&stats.dropped),
        ),
        gauge("kraliki_journal_writing", "1 while the journal is written.", get(&stats.writing)),
    ]
}

fn recording(figures: &super::recording::Figures) -> [MetricFamily; 8] {
    let (stats, keeping) = (figures.recorder(), figures.keeping());
    [
        gauge("kraliki_recordings", "Calls that are being recorded.", one(stats.recordings)),
        counter(
            "kraliki_recording_bytes_total",
            "Bytes of recordings written to the disk.",
            one(stats.bytes_written),
        ),
        counter(
            "kraliki_recording_frames_dropped_total",
            "Frames of 20 ms that recordings lack because the disk was too slow.",
            one(stats.frames_dropped),
        ),
        counter(
            "kraliki_recording_errors_total",
            "Recordings that could not be begun or written.",
            one(stats.errors),
        ),
        gauge(
            "kraliki_recording_uploads_pending",
            "Recordings that wait for their upload.",
            one(keeping.uploads_pending.load(Relaxed)),
        ),
        counter(
            "kraliki_recording_uploads_total",
            "Recordings uploaded.",
            one(keeping.uploaded.load(Relaxed)),
        ),
        counter(
            "kraliki_recording_upload_failures_total",
            "Uploads that failed; they are tried again.",
            one(keeping.upload_failures.load(Relaxed)),
        ),
        counter(
            "kraliki_recordings_deleted_total",
            "Recordings whose files were removed, by people or because they were old.",
            one(keeping.deleted.load(Relaxed)),
        ),
    ]
}

fn queues(stats: &StoreStats, published: &Published) -> MetricFamily {
    let rows = [
        ("store", stats.queued.load(Relaxed)),
        ("store_retry", stats.backlog.load(Relaxed)),
        ("store_overflow", published.waiting.jobs as u64),
        ("sip_commands", published.waiting.sip_commands as u64),
        ("replies", published.waiting.replies as u64),
        ("commits", published.gauges.committing.into()),
        ("facts", published.gauges.facts_waiting.into()),
    ]
    .map(|(queue, n)| ([("queue", queue)], n as f64));
    gauge("kraliki_queue_depth", "Entries that wait, by queue.", rows.iter().map(|(l, v)| (&l[..], *v)))
}
