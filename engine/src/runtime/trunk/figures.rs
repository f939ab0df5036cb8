//! What is counted of each trunk.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{TrunkDetail, TrunkFailure, TrunkPlace, TrunkProfile};
use crate::TrunkId;
use crate::runtime::metrics::family::{Series, counter, gauge, histograms};
use crate::runtime::quality::TrunkQuality;

/// Upper bounds of the post-dial delay (INVITE to the first ringing or early media), in seconds.
const PDD_BUCKETS_S: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0];
/// Distinct causes that are counted by themselves; peers choose them, and so there is a bound.
const CAUSES: usize = 64;

/// The counts of one trunk. Written by the runtime's loop, read by whoever asks for metrics.
#[derive(Debug)]
pub(in crate::runtime) struct TrunkFigures {
    id: i64,
    pub(in crate::runtime) name: String,
    described: Mutex<Described>,
    places: Mutex<Vec<TrunkPlace>>,
    attempts: AtomicU64,
    answers: AtomicU64,
    retransmissions: AtomicU64,
    pdd_buckets: [AtomicU64; PDD_BUCKETS_S.len()],
    pdd_count: AtomicU64,
    pdd_us: AtomicU64,
    /// Final status and Q.850 cause of the calls that failed.
    causes: Mutex<BTreeMap<(u16, u16), u64>>,
    /// What came of verifying who calls us.
    identities: Mutex<BTreeMap<&'static str, u64>>,
    /// How it was found whose campaign a person called back.
    called_back: Mutex<BTreeMap<&'static str, u64>>,
    /// How its calls were heard.
    pub(in crate::runtime) quality: TrunkQuality,
    /// 1 registered, 0 not; meaningless for a trunk that does not register.
    registered: AtomicU64,
}

/// What may change of a trunk.
#[derive(Clone, Debug)]
struct Described {
    profile: TrunkProfile,
    problem: Option<String>,
}

impl TrunkFigures {
    pub(in crate::runtime) fn new(
        id: TrunkId,
        profile: TrunkProfile,
        problem: Option<String>,
    ) -> TrunkFigures {
        TrunkFigures {
            id: id.0,
            name: profile.name.clone(),
            described: Mutex::new(Described { profile, problem }),
            places: Mutex::default(),
            attempts: AtomicU64::default(),
            answers: AtomicU64::default(),
            retransmissions: AtomicU64::default(),
            pdd_buckets: Default::default(),
            pdd_count: AtomicU64::default(),
            pdd_us: AtomicU64::default(),
            causes: Mutex::default(),
            identities: Mutex::default(),
            called_back: Mutex::default(),
            quality: TrunkQuality::default(),
            registered: AtomicU64::default(),
        }
    }

    /// Another profile holds from now on.
    pub(in crate::runtime) fn describe(&self, profile: TrunkProfile) {
        *self.described.lock().unwrap_or_else(PoisonError::into_inner) = Described { profile, problem: None };
    }

    fn described(&self) -> Described {
        self.described.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As it was given, without the password.
    pub(in crate::runtime) fn profile(&self) -> TrunkProfile {
        self.described().profile
    }

    /// Where the trunk is now.
    pub(in crate::runtime) fn found(&self, places: Vec<TrunkPlace>) {
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }

    /// For people.
    pub(in crate::runtime) fn detail(&self) -> TrunkDetail {
        let causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |n: u16| Some(n).filter(|n| *n != 0);
        let mut failures: Vec<TrunkFailure> = causes
            .iter()
            .map(|((status, q850), count)| TrunkFailure {
                status: known(*status),
                q850: known(*q850),
                count: *count,
            })
            .collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        let Described { profile, problem } = self.described();
        TrunkDetail {
            id: self.id(),
            name: self.name.clone(),
            places: self.places.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            registered: profile.register.then(|| self.registered.load(Relaxed) == 1),
            attempts: self.attempts.load(Relaxed),
            answers: self.answers.load(Relaxed),
            retransmissions: self.retransmissions.load(Relaxed),
            failures,
            configured: self.id() < TrunkId::FIRST_STORED,
            problem,
            profile,
        }
    }

    pub(in crate::runtime) fn id(&self) -> TrunkId {
        TrunkId(self.id)
    }

    pub(in crate::runtime) fn dialed(&self) {
        self.attempts.fetch_add(1, Relaxed);
    }

    pub(in crate::runtime) fn rang(&self, after: Duration) {
        let seconds = after.as_secs_f64();
        for (upper, bucket) in PDD_BUCKETS_S.iter().zip(&self.pdd_buckets) {
            if seconds <= *upper {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.pdd_count.fetch_add(1, Relaxed);
        self.pdd_us.fetch_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(in crate::runtime) fn answered(&self) {
        self.answers.fetch_add(1, Relaxed);
    }

    /// A call that failed: its status (0: none) and Q.850 cause (0: none).
    pub(in crate::runtime) fn failed(&self, status: u16, q850: u16) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if causes.len() < CAUSES || causes.contains_key(&(status, q850)) {
            (status, q850)
        } else {
            (status, 0)
        };
        *causes.entry(key).or_default() += 1;
    }

    /// A call to us was looked at, with this result.
    pub(in crate::runtime) fn identified(&self, result: &'static str) {
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        *identities.entry(result).or_default() += 1;
    }

    /// A person called back, and the campaign was found so.
    pub(in crate::runtime) fn called_back(&self, found: &'static str) {
        let mut callers = self.called_back.lock().unwrap_or_else(PoisonError::into_inner);
        *callers.entry(found).or_default() += 1;
    }

    /// A call is over, in which so many messages were sent again.
    pub(in crate::runtime) fn over(&self, retransmitted: u32) {
        self.retransmissions.fetch_add(retransmitted.into(), Relaxed);
    }

    pub(in crate::runtime) fn registered(&self, yes: bool) {
        self.registered.store(yes.into(), Relaxed);
    }
}

/// The metrics of all trunks.
pub(in crate::runtime) fn families(trunks: &[std::sync::Arc<TrunkFigures>]) -> Vec<MetricFamily> {
    let each = |value: fn(&TrunkFigures) -> f64| -> Vec<(String, f64)> {
        trunks.iter().map(|trunk| (trunk.name.clone(), value(trunk))).collect()
    };
    let count = |name: &str, help: &str, rows: Vec<(String, f64)>| {
        let rows: Vec<_> = rows.iter().map(|(trunk, v)| ([("trunk", trunk.as_str())], *v)).collect();
        counter(name, help, rows.iter().map(|(labels, v)| (&labels[..], *v)))
    };
    let mut causes = Vec::new();
    for trunk in trunks {
        let counted = trunk.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |n: u16| if n == 0 { String::new() } else { n.to_string() };
        causes.extend(counted.iter().map(|((s, q), n)| (trunk.name.clone(), text(*s), text(*q), *n as f64)));
    }
    let causes: Vec<_> = causes
        .iter()
        .map(|(trunk, s, q, n)| {
            ([("trunk", trunk.as_str()), ("status", s.as_str()), ("q850", q.as_str())], *n)
        })
        .collect();
    let mut identities = Vec::new();
    for trunk in trunks {
        let counted = trunk.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = |result: &'static str| [("trunk", trunk.name.as_str()), ("result", result)];
        identities.extend(counted.iter().map(|(result, n)| (labels(result), *n as f64)));
    }
    let mut called_back = Vec::new();
    for trunk in trunks {
        let counted = trunk.called_back.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = |found: &'static str| [("trunk", trunk.name.as_str()), ("found", found)];
        called_back.extend(counted.iter().map(|(found, n)| (labels(found), *n as f64)));
    }
    let asr: Vec<_> = trunks
        .iter()
        .map(|trunk| {
            let attempts = trunk.attempts.load(Relaxed);
            let ratio =
                if attempts == 0 { 0.0 } else { trunk.answers.load(Relaxed) as f64 / attempts as f64 };
            ([("trunk", trunk.name.as_str())], ratio)
        })
        .collect();
    let registering = trunks.iter().filter(|trunk| trunk.profile().register);
    let registered: Vec<_> = registering
        .map(|trunk| ([("trunk", trunk.name.as_str())], trunk.registered.load(Relaxed) as f64))
        .collect();
    let delays: Vec<_> = trunks
        .iter()
        .map(|trunk| Series {
            labels: vec![("trunk", trunk.name.as_str())],
            buckets: PDD_BUCKETS_S
                .iter()
                .zip(&trunk.pdd_buckets)
                .map(|(b, n)| (*b, n.load(Relaxed)))
                .collect(),
            count: trunk.pdd_count.load(Relaxed),
            sum: trunk.pdd_us.load(Relaxed) as f64 / 1e6,
        })
        .collect();
    vec![
        count(
            "kraliki_trunk_attempts_total",
            "INVITEs of calls that we placed.",
            each(|t| t.attempts.load(Relaxed) as f64),
        ),
        count("kraliki_trunk_answers_total", "Of these, answered.", each(|t| t.answers.load(Relaxed) as f64)),
        count(
            "kraliki_trunk_retransmissions_total",
            "Messages of its calls that we sent again.",
            each(|t| t.retransmissions.load(Relaxed) as f64),
        ),
        gauge(
            "kraliki_trunk_asr_ratio",
            "Answered / attempts since the start.",
            asr.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_trunk_failed_total",
            "Calls that failed, by final status and Q.850 cause.",
            causes.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_trunk_inbound_identity_total",
            "Calls to us whose caller was to be verified, by what came of it.",
            identities.iter().map(|(l, v)| (&l[..], *v)),
        ),
        counter(
            "kraliki_trunk_called_back_total",
            "Calls to us that were answered, by how it was found whose campaign they call back.",
            called_back.iter().map(|(l, v)| (&l[..], *v)),
        ),
        gauge(
            "kraliki_trunk_registered",
            "1 while the trunk that wants it has our registration.",
            registered.iter().map(|(l, v)| (&l[..], *v)),
        ),
        histograms(
            "kraliki_trunk_pdd_seconds",
            "From the INVITE to the first ringing or early media.",
            &delays,
        ),
    ]
}
