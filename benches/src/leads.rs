//! Lists: how long one takes to come in, what a try's commit waits for meanwhile, and what a refill and a question about a
//! lead cost beside millions of leads. Wall times of a disk: they say what this machine does.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use kraliki_engine::store::{Job, Store, StoreEvent, Writer};
use kraliki_engine::{
    AttemptId, Campaign, CampaignId, CampaignSettings, CampaignStatus, LeadChange, LeadId, LeadStatus,
    NewTry, Outcome, TrunkId, TryId, Write,
};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::MissedTickBehavior;

use crate::results::{Better, Row};

const ONE: CampaignId = CampaignId(1);
/// A Sunday in November.
const NOW: i64 = 1_763_899_200_000;
/// Rows of the list whose import is timed.
const SMALL: u64 = 1_000_000;
/// Leads beside which the reads are timed; KRALIKI_BENCH_LEADS sets another number.
const LARGE: u64 = 10_000_000;
/// Leads that are there before: those whose tries are committed.
const DIALED: u64 = 50_000;
/// Tries a second beside the import.
const TRIES_PER_SECOND: u64 = 300;
/// Reads of each kind.
const READS: usize = 200;

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

/// Jobs that may wait for the writer.
const JOBS: usize = 10_000;

async fn measure() -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(&folder.path().join("bench.db")).await?;
    // At most one event of each job; they are read while jobs are sent.
    let (send, mut events) = channel(2 * JOBS);
    let (writer, task) = store.writer(JOBS, move |event| {
        // The bench is over when nobody listens.
        let _ = send.try_send(event);
    });
    let task = tokio::spawn(task.run());
    let settings = CampaignSettings { name: "bench".into(), ..CampaignSettings::default() };
    let campaign = Campaign { id: ONE, status: CampaignStatus::Running, settings };
    send_write(&writer, Some(0), Write::Campaign(Box::new(campaign)))?;
    events.recv().await.context("the writer is gone")?;
    import(&store, "dialed", 0..DIALED).await?;

    let mut rows = Vec::new();
    let before = resident();
    let quiet = import(&store, "quiet", DIALED..DIALED + SMALL).await?;
    let grown = resident().saturating_sub(before);
    rows.push(
        Row::new("leads", "import_1m", "s", quiet.as_secs_f64(), Better::Lower)
            .target(15.0)
            .note("a million rows into an idle store"),
    );
    rows.push(
        Row::new("leads", "import_1m_memory", "MB", grown as f64 / 1e6, Better::Lower)
            .target(100.0)
            .note("growth of the process, the pages of its caches included"),
    );

    let from = DIALED + SMALL;
    let beside = {
        let store = store.clone();
        tokio::spawn(async move { import(&store, "busy", from..from + SMALL).await })
    };
    let commits = dial(&writer, &mut events, || beside.is_finished()).await?;
    let busy = beside.await??;
    let p99 = percentile(&commits, 0.99);
    rows.push(
        Row::new("leads", "commit_p99_import", "ms", p99, Better::Lower)
            .target(20.0)
            .only_if(commits.len() as u64 > TRIES_PER_SECOND)
            .note(format!(
                "{} tries at {TRIES_PER_SECOND}/s beside a million rows in {:.1} s; 50, 90, 95 of 100 within {:.1}, {:.1}, {:.1} ms",
                commits.len(),
                busy.as_secs_f64(),
                percentile(&commits, 0.5),
                percentile(&commits, 0.9),
                percentile(&commits, 0.95)
            )),
    );
    rows.extend(reads(&store, &writer, &mut events, "1m").await?);

    let large = std::env::var("KRALIKI_BENCH_LEADS").ok().and_then(|n| n.parse().ok()).unwrap_or(LARGE);
    let from = from + SMALL;
    if large > from {
        let took = import(&store, "large", from..large).await?;
        let each = took.as_secs_f64() * 1e6 / (large - from) as f64;
        rows.push(
            Row::new("leads", "import_10m", "us", each, Better::Lower)
                .target(15.0)
                .note(format!("a row, up to {large} leads")),
        );
        rows.extend(reads(&store, &writer, &mut events, "10m").await?);
    }
    drop(writer);
    task.await?;
    Ok(rows)
}

/// Imports those numbers and gives the time it took.
async fn import(store: &Store, list: &str, numbers: std::ops::Range<u64>) -> anyhow::Result<Duration> {
    let all = numbers.end - numbers.start;
    let began = Instant::now();
    let mut importer = store.importer(ONE, list, "US").await?;
    let mut text = "phone,first_name,last_name,plan\n".to_owned();
    for n in numbers {
        writeln!(text, "{},Ada,Lovelace {n},gold", number(n))?;
        if text.len() > 256 * 1024 {
            importer.feed(text.as_bytes()).await.map_err(|error| anyhow!("the list: {error}"))?;
            text.clear();
        }
    }
    importer.feed(text.as_bytes()).await.map_err(|error| anyhow!("the list: {error}"))?;
    let report = importer.finish().await.map_err(|error| anyhow!("the list: {error}"))?;
    ensure!(report.imported == all, "of {all} rows {} came in: {:?}", report.imported, report.errors.first());
    Ok(began.elapsed())
}

/// Numbers in no order, each once: four area codes with the exchanges from 200 to 899 that there may be: none ends in
/// 11.
fn number(n: u64) -> String {
    const AREAS: [u64; 4] = [212, 312, 415, 617];
    const EACH: u64 = 7 * 99 * 10_000;
    // Odd and prime to the numbers: each is met once.
    let mixed = n.wrapping_mul(7_368_787) % (EACH * 4);
    let area = AREAS.get((mixed / EACH) as usize).copied().unwrap_or(212);
    let (exchange, line) = (mixed % EACH / 10_000, mixed % 10_000);
    let (hundreds, rest) = (2 + exchange / 99, exchange % 99);
    format!("+1{area}{hundreds}{:02}{line:04}", rest + u64::from(rest >= 11))
}

fn send_write(writer: &Writer, token: Option<u64>, write: Write) -> anyhow::Result<()> {
    writer.try_send(Job::Write { token, write }).map_err(|_| anyhow!("the writer's queue is full"))
}

/// Commits tries and their outcomes at a steady rate; gives how long each try waited, in ms.
async fn dial(
    writer: &Writer,
    events: &mut Receiver<StoreEvent>,
    over: impl Fn() -> bool,
) -> anyhow::Result<Vec<f64>> {
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / TRIES_PER_SECOND));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent: Vec<Instant> = Vec::new();
    let mut waited = Vec::new();
    while !over() && (sent.len() as u64) < DIALED {
        tokio::select! {
            _ = tick.tick() => {
                let n = sent.len() as u64 + 1;
                sent.push(Instant::now());
                attempt(writer, n)?;
            }
            event = events.recv() => match event.context("the writer is gone")? {
                StoreEvent::Committed { token } => {
                    let at = usize::try_from(token).ok().and_then(|n| sent.get(n.checked_sub(1)?));
                    waited.extend(at.map(|at| at.elapsed().as_secs_f64() * 1e3));
                }
                other => return Err(anyhow!("a try was not committed: {other:?}")),
            },
        }
    }
    Ok(waited)
}

fn attempt(writer: &Writer, n: u64) -> anyhow::Result<()> {
    let id = i64::try_from(n)?;
    let (attempt, lead) = (AttemptId(id), LeadId(id));
    let phone = number(n - 1);
    let new = NewTry {
        id: TryId { attempt, number: 1 },
        campaign: ONE,
        lead,
        trunk: TrunkId(1),
        phone: phone.into(),
        caller_id: "+12025550100".into(),
        at_unix_ms: NOW,
        price: 0,
        crash_retry_unix_ms: NOW + 3_600_000,
        evidence: String::new(),
    };
    send_write(writer, Some(n), Write::Try(new))?;
    let lead = LeadChange {
        lead,
        status: LeadStatus::Retry,
        next_unix_ms: NOW + 3_600_000,
        attempts: 1,
        last_outcome: Some(Outcome::NoAnswer),
        repeats: 1,
        callback: None,
        phone: None,
    };
    let ended =
        Write::AttemptEnded { attempt, outcome: Outcome::NoAnswer, at_unix_ms: NOW, talk_ms: 0, lead };
    send_write(writer, None, ended)
}

/// A refill of the largest size, and where a lead stands, at random places.
async fn reads(
    store: &Store,
    writer: &Writer,
    events: &mut Receiver<StoreEvent>,
    size: &str,
) -> anyhow::Result<Vec<Row>> {
    // What is left of the tries before.
    while events.try_recv().is_ok() {}
    let mut refills = Vec::with_capacity(READS);
    for _ in 0..READS {
        let began = Instant::now();
        let job = Job::Refill { campaign: ONE, limit: 2_000, now_unix_ms: NOW };
        writer.try_send(job).map_err(|_| anyhow!("the writer's queue is full"))?;
        loop {
            match events.recv().await.context("the writer is gone")? {
                StoreEvent::Leads { leads, .. } => {
                    ensure!(leads.len() == 2_000, "a refill of {} leads", leads.len());
                    break;
                }
                StoreEvent::Committed { .. } => {}
                other => return Err(anyhow!("no answer to a refill: {other:?}")),
            }
        }
        refills.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let all = store.stats().imported.load(Relaxed);
    let mut places = Vec::with_capacity(READS);
    for n in 0..READS as u64 {
        let id = LeadId(i64::try_from(1 + n.wrapping_mul(2_654_435_761) % all)?);
        let began = Instant::now();
        let lead = store.lead(id).await?.with_context(|| format!("lead {id} is not there"))?;
        store.queue_place(&lead, NOW).await?;
        places.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(vec![
        Row::new("leads", &format!("refill_{size}"), "ms", percentile(&refills, 0.99), Better::Lower)
            .target(50.0)
            .note(format!("2,000 leads of {all}, the slowest of a hundred")),
        Row::new("leads", &format!("why_{size}"), "ms", percentile(&places, 0.99), Better::Lower)
            .target(50.0)
            .note(format!("a lead and its place among {all}, the slowest of a hundred")),
    ])
}

fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len() as f64) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// What the process holds in memory, in bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}
