//! The tables of docs/pacing.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use kraliki_engine::simulate::ShockReport;

use super::{Case, Figures, SEEDS};

/// Where, from the root of the repository.
pub(super) const PATH: &str = "target/bench/pacing.md";

/// All policies on one floor with so many agents at one cap, ours first.
pub(super) struct Line {
    pub(super) case: Case,
    pub(super) policies: Vec<Figures>,
}

const HEAD: &str = "| agents | ours | look-ahead, given the truth | progressive | best lines per agent | best per idle \
agent | VICIdial hard | average | tapered | ours: talk min/h | abandoned of answered | waited | worst half hour | worst week |\n\
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

pub(super) fn write(lines: &[Line], shocks: &[ShockReport]) -> anyhow::Result<()> {
    let mut text = String::new();
    let mut part = String::new();
    for line in lines {
        let title = format!("{}, cap {:.0}%", line.case.floor.name.to_uppercase(), line.case.cap * 100.0);
        // Lines come by floor and size; tables are by floor and cap.
        if part.contains(&title) {
            continue;
        }
        writeln!(part, "{title}")?;
        write!(text, "### {title}\n\n{HEAD}")?;
        let same =
            |other: &&Line| other.case.floor.name == line.case.floor.name && other.case.cap == line.case.cap;
        for line in lines.iter().filter(same) {
            writeln!(text, "{}", row(line))?;
        }
        text.push('\n');
    }
    writeln!(
        text,
        "Mean of {} seeds; a policy that breaks its cap by more than a tenth is in parentheses.\n",
        SEEDS.len()
    )?;
    text.push_str(&shock_table(shocks)?);
    let path = Path::new(PATH);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(path, text).with_context(|| PATH.to_owned())
}

fn row(line: &Line) -> String {
    let find = |name: &str| line.policies.iter().find(|p| p.pacer.split(':').next() == Some(name));
    let cell = |name: &str| {
        find(name).map_or("-".into(), |p| {
            let level = p.pacer.split_once(':').filter(|_| !name.starts_with("vicidial"));
            let level = level.map_or(String::new(), |(_, level)| format!(" ({level})"));
            let occupancy = format!("{:.3}{level}", p.occupancy);
            if p.abandonment() > line.case.cap * 1.1 { format!("({occupancy})") } else { occupancy }
        })
    };
    let others = [
        "look_ahead",
        "progressive",
        "per_agent",
        "power",
        "vicidial_hard",
        "vicidial_average",
        "vicidial_tapered",
    ];
    let Some(ours) = line.policies.first() else { return String::new() };
    let week = ours.worst_week.map_or("-".into(), |week| format!("{:.2}%", week * 100.0));
    format!(
        "| {} | **{}** | {} | {:.1} | {:.2}% ({} of {}) | {:.1}% | {} of {} | {week} |",
        line.case.agents,
        cell(&ours.pacer),
        others.map(cell).join(" | "),
        ours.talk_min_per_hour,
        ours.abandonment() * 100.0,
        ours.abandoned,
        ours.answered,
        ours.waited * 100.0,
        ours.worst_30min.0,
        ours.worst_30min.1,
    )
}

fn shock_table(shocks: &[ShockReport]) -> anyhow::Result<String> {
    let mut text = String::from(
        "| shock | abandoned of answered in ten minutes | seeds over the bound | worst half hour | occupancy before | two minutes after | in the long run | recovery |\n|---|---|---|---|---|---|---|---|\n",
    );
    for report in shocks {
        let recovery = report.recovery_s.map_or("over ten minutes".into(), |s| format!("{s} s"));
        writeln!(
            text,
            "| {} | {:.1} of {:.1} | {} of {} | {} of {} | {:.3} | {:.3} | {:.3} | {recovery} |",
            report.shock,
            report.abandoned,
            report.answered,
            report.over_bound,
            report.seeds,
            report.worst_30min_abandoned,
            report.worst_30min_answered,
            report.occupancy_before,
            report.occupancy_after,
            report.occupancy_long_run,
        )?;
    }
    Ok(text)
}
