//! What deciding costs, and what the engine does in a second.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context;
use kraliki_engine::simulate::{Floor, SimConfig, record};
use kraliki_engine::{AgentPhase, Alone, Engine, LineView, ListId, Observation, Output, Traits};
use kraliki_time::Time;

use crate::cpu;
use crate::results::{Better, Row};

const AGENTS: u64 = 1000;
const LINES: u64 = 5000;
const DECISIONS: u64 = 500;
/// Decisions are at most ten a second.
const EVERY: Duration = Duration::from_millis(100);

/// The CPU time of one decision of the predictive policy; its tables are worked out anew as in earnest.
pub(super) fn decision() -> anyhow::Result<Row> {
    let mut pacer = Alone::new("predictive", None, 0.03).context("no predictive policy")?;
    let mut now = Time::from_millis(3_600_000);
    for n in 0..20_000 {
        teach(&mut pacer, now, n);
    }
    let mut used = Duration::ZERO;
    for n in 0..DECISIONS {
        now += EVERY;
        // What happens in a tenth of a second on such a floor.
        for i in 0..20 {
            teach(&mut pacer, now, 20 * n + i);
        }
        let (agents, lines) = (agents(now), lines(now));
        let leads = vec![pacer.answers(&lead(n)); 2_000];
        let began = cpu::of_thread()?;
        black_box(pacer.decide(now, &agents, &lines, &leads, (100_000, 2_800)));
        used += cpu::of_thread()?.saturating_sub(began);
    }
    let ms = used.as_secs_f64() * 1e3 / DECISIONS as f64;
    Ok(Row::new("pacing", "decision_1000x5000", "ms of CPU", ms, Better::Lower)
        .target(1.0)
        .note(format!("{AGENTS} agents, {LINES} lines in flight, mean of {DECISIONS}")))
}

/// Every sixth line is answered by a person, every fourth of the others by a machine, the rest rings out.
fn teach(pacer: &mut Alone, now: Time, n: u64) {
    let seconds = Duration::from_secs;
    let answered = |after, person| {
        let known_after = if person { Duration::ZERO } else { seconds(2) };
        Observation::Answered { after: seconds(after), person, known_after, lead: lead(n) }
    };
    pacer.observe(now, Observation::Dialed);
    pacer.observe(now, Observation::Ringing { after: seconds(2) });
    if n.is_multiple_of(6) {
        pacer.observe(now, answered(5 + n % 17, true));
        pacer.observe(now, Observation::Served { waited: Duration::ZERO });
        pacer.observe(now, Observation::TalkEnded { lasted: seconds(10 + n * 37 % 300) });
        pacer.observe(now, Observation::WrapEnded { lasted: seconds(5 + n % 20) });
    } else if n.is_multiple_of(4) {
        pacer.observe(now, answered(12 + n % 10, false));
    } else {
        pacer.observe(now, Observation::Failed { after: seconds(25), rang: true, lead: lead(n) });
    }
}

/// One of the leads of a list that differ.
fn lead(n: u64) -> Traits {
    let n = n % 1_000;
    Traits {
        hour: 12,
        list: ListId(1 + (n % 4).cast_signed()),
        area: 200 + n as u16,
        last: None,
        attempts: 0,
    }
}

/// Of 1000: 50 idle, 150 finishing a record, 800 in calls of any age.
fn agents(now: Time) -> Vec<AgentPhase> {
    (0..AGENTS)
        .map(|n| match n {
            0..50 => AgentPhase::Idle,
            50..200 => AgentPhase::WrapUp { since: now - Duration::from_secs(n % 20) },
            _ => AgentPhase::Talking { since: now - Duration::from_secs(n * 7919 % 400) },
        })
        .collect()
}

/// Dialed evenly over the last 24 s; ringing after two.
fn lines(now: Time) -> Vec<LineView> {
    (0..LINES)
        .map(|n| {
            let dialed = now - Duration::from_millis(24_000 * n / LINES);
            let rings = dialed + Duration::from_secs(2);
            let answers = 0.05 + 0.25 * (n % 10) as f64 / 10.0;
            LineView { dialed, ringing: (rings <= now).then_some(rings), answers }
        })
        .collect()
}

/// Inputs a second of the engine alone, decisions and all that follows from them included.
pub(super) fn inputs() -> anyhow::Result<Row> {
    let floor = Floor::named("f1").context("no floor f1")?;
    let config = SimConfig::new(floor, 500, Duration::from_secs(1800), 0.03, "predictive", 1);
    let tape = record(&config);
    let mut engine = Engine::new();
    let began = cpu::of_thread()?;
    for (now, input) in tape {
        match input {
            Some(input) => engine.handle_input(now, input),
            None => engine.handle_timeout(now),
        }
        while !matches!(black_box(engine.poll_output()), Output::Timeout(_)) {}
    }
    let used = cpu::of_thread()?.saturating_sub(began);
    let inputs = engine.counters().inputs;
    let rate = inputs as f64 / used.as_secs_f64().max(1e-9);
    Ok(Row::new("pacing", "engine_inputs", "inputs/s", rate, Better::Higher).target(20_000.0).note(format!(
        "{inputs} inputs of half an hour with 500 agents, one core, {:.1} s of CPU",
        used.as_secs_f64()
    )))
}
