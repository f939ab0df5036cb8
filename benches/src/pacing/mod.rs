//! How busy each dialing policy keeps agents on simulated floors at a cap on abandoned calls: ours, those in use, and a
//! look-ahead that is given the floor's true distributions. Then what shocks do to ours, and what deciding costs.
//!
//! `target/bench/pacing.md` is the table of docs/pacing.md.

mod best;
mod cost;
mod markdown;
mod shocks;
mod work;

use std::time::Duration;

use anyhow::Context;
use kraliki_engine::simulate::{Floor, SimConfig, SimReport};

use crate::results::{Better, Row};
use markdown::Line;
use work::on_two_threads;

const FLOORS: [&str; 4] = ["f1", "f2", "f3", "f1mixed"];
const CAPS: [f64; 2] = [0.03, 0.01];
/// Left out, so that what is compared is not the time in which a pacer learns.
const WARM_UP: Duration = Duration::from_secs(2 * 3600);
const SEEDS: [u64; 3] = [1, 2, 3];
/// Where a fixed level is searched: another seed than those it is judged by.
const SEARCH_SEED: u64 = 99;
/// Agents, hours of ours, and hours of the policies beside it: from 20 agents on so many that the error is about that
/// of 10 agents in 100 hours.
const SIZES: [(u32, u64, u64); 6] =
    [(3, 200, 40), (5, 200, 30), (10, 200, 20), (20, 50, 10), (50, 20, 6), (100, 12, 4)];
/// The occupancy of a look-ahead that was given the truth, in a simulator of its own: F1, 3%.
const LOOK_AHEAD_F1: [(u32, f64); 6] =
    [(3, 0.665), (5, 0.729), (10, 0.803), (20, 0.865), (50, 0.926), (100, 0.953)];

/// `KRALIKI_PACING_SCALE=0.1` simulates a tenth of the hours: figures that are sooner there and less sure. From 0.01 to 1.
fn scale() -> f64 {
    let given = std::env::var("KRALIKI_PACING_SCALE").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(1.0_f64).clamp(0.01, 1.0)
}

/// One run of the table.
#[derive(Clone, Debug)]
struct Case {
    floor: Floor,
    agents: u32,
    hours: u64,
    cap: f64,
    pacer: String,
}

impl Case {
    fn config(&self, seed: u64) -> SimConfig {
        let lasts = Duration::from_secs_f64((self.hours as f64 * scale()).max(4.0) * 3600.0);
        let config = SimConfig::new(self.floor.clone(), self.agents, lasts, self.cap, &self.pacer, seed);
        SimConfig { warm_up: WARM_UP, ..config }
    }

    fn with(&self, hours: u64, pacer: impl Into<String>) -> Case {
        Case { hours, pacer: pacer.into(), ..self.clone() }
    }
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    rows.push(cost::decision()?);
    rows.push(cost::inputs()?);
    for floor in FLOORS {
        for (agents, hours, beside) in SIZES {
            let started = std::time::Instant::now();
            let floor = Floor::named(floor).with_context(|| format!("no floor {floor}"))?;
            for cap in CAPS {
                let case = Case { floor: floor.clone(), agents, hours, cap, pacer: "predictive".into() };
                let line = measure(&case, beside)?;
                rows.extend(rows_of(&line));
                lines.push(line);
            }
            eprintln!("  {} with {agents} agents: {:.0} s", floor.name, started.elapsed().as_secs_f64());
        }
    }
    let shocked = shocks::measure()?;
    rows.extend(shocks::rows(&shocked));
    markdown::write(&lines, &shocked)?;
    eprintln!("  {} has the tables of docs/pacing.md", markdown::PATH);
    Ok(rows)
}

/// Every policy on one floor with so many agents at one cap.
fn measure(case: &Case, beside_hours: u64) -> anyhow::Result<Line> {
    let per_agent = best::level(case, beside_hours, "per_agent", &best::steps(1.0, 0.05, 61))?;
    let per_idle = best::level(case, beside_hours, "power", &best::steps(1.0, 0.25, 57))?;
    let mut cases = vec![case.clone()];
    cases.extend(["progressive", &per_agent, &per_idle].map(|pacer| case.with(beside_hours, pacer)));
    let vicidial = ["vicidial_hard:3", "vicidial_average:3", "vicidial_tapered:3"];
    cases.extend(vicidial.map(|pacer| case.with(beside_hours, pacer)));
    // What ours is measured against is measured as well as half of ours.
    cases.push(case.with(case.hours / 2, "look_ahead"));
    let runs: Vec<SimConfig> = cases.iter().flat_map(|case| SEEDS.map(|seed| case.config(seed))).collect();
    let reports = on_two_threads(&runs, kraliki_engine::simulate::run)?;
    let policies = cases.iter().zip(reports.chunks(SEEDS.len()));
    Ok(Line {
        case: case.clone(),
        policies: policies.map(|(case, reports)| Figures::of(&case.pacer, reports)).collect(),
    })
}

/// A policy's figures: the mean of the seeds, and sums of calls.
#[derive(Clone, Debug)]
struct Figures {
    pacer: String,
    occupancy: f64,
    talk_min_per_hour: f64,
    waited: f64,
    answered: u64,
    abandoned: u64,
    bursts: u64,
    worst_30min: (u64, u64),
    worst_week: Option<f64>,
}

impl Figures {
    fn of(pacer: &str, reports: &[SimReport]) -> Figures {
        let mean = |figure: fn(&SimReport) -> f64| {
            reports.iter().map(figure).sum::<f64>() / reports.len().max(1) as f64
        };
        let worst = reports.iter().map(|r| (r.worst_30min_abandoned, r.worst_30min_answered));
        Figures {
            pacer: pacer.into(),
            occupancy: mean(|r| r.occupancy),
            talk_min_per_hour: mean(|r| r.talk_min_per_hour),
            waited: mean(|r| r.waited),
            answered: reports.iter().map(|r| r.answered).sum(),
            abandoned: reports.iter().map(|r| r.abandoned).sum(),
            bursts: reports.iter().map(|r| r.bursts).sum(),
            worst_30min: worst.max_by_key(|(lost, all)| (*lost, std::cmp::Reverse(*all))).unwrap_or_default(),
            worst_week: reports.iter().filter_map(|r| r.worst_week_abandonment).reduce(f64::max),
        }
    }

    fn abandonment(&self) -> f64 {
        self.abandoned as f64 / self.answered.max(1) as f64
    }
}

/// Ours beside each of the others, and what it abandoned.
fn rows_of(line: &Line) -> Vec<Row> {
    let case = &line.case;
    let name = format!("{}_{}_{:.0}pct", case.floor.name, case.agents, case.cap * 100.0);
    let Some((ours, others)) = line.policies.split_first() else { return Vec::new() };
    let row = |case: &str, value| Row::new("pacing", case, "share", value, Better::Higher);
    let mut rows = Vec::new();
    for other in others {
        let beside = other.pacer.split(':').next().unwrap_or_default();
        let occupancy =
            row(&format!("{name}_{beside}"), ours.occupancy).beside(&other.pacer, other.occupancy);
        rows.push(match beside {
            "look_ahead" => {
                let known = LOOK_AHEAD_F1.iter().find(|(agents, _)| *agents == case.agents);
                let target = known.filter(|_| case.floor.name == "f1" && case.cap == CAPS[0]);
                occupancy.target(target.map_or(other.occupancy, |(_, occupancy)| *occupancy))
            }
            _ => occupancy,
        });
    }
    let hours = case.config(0).lasts.as_secs() / 3600;
    let hours = format!("{hours} h x {} seeds", SEEDS.len());
    let week = ours.worst_week.map_or(String::new(), |w| format!(", worst week {:.2}%", w * 100.0));
    rows.push(
        Row::new("pacing", &format!("{name}_abandonment"), "share", ours.abandonment(), Better::Lower)
            .target(case.cap)
            .only_if(ours.bursts == 0 && ours.worst_week.is_none_or(|w| w <= case.cap))
            .note(format!(
                "{} of {} abandoned, {} half hours over the bound{week}; {hours}",
                ours.abandoned, ours.answered, ours.bursts
            )),
    );
    rows
}
