//! The table on standard output.

use std::fs;

use crate::results::{Better, Row};

/// What was measured on: processors and how busy they were before the first bench.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{cores} cores, {model}; load average {load} before the first bench\n")
}

/// Prints the rows.
pub(crate) fn print(rows: &[Row]) {
    let head = ["case", "unit", "ours", "peer", "peer value", "ratio", "better", "target", "holds", "note"];
    let mut lines = vec![head.map(String::from)];
    for row in rows {
        let number = |value: Option<f64>| value.map_or("-".into(), |v| v.to_string());
        lines.push([
            format!("{}/{}", row.bench, row.case),
            row.unit.clone(),
            row.ours.to_string(),
            row.peer.clone().unwrap_or_else(|| "-".into()),
            number(row.peer_value),
            row.ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")),
            match row.better {
                Better::Lower => "lower".into(),
                Better::Higher => "higher".into(),
            },
            number(row.target),
            row.holds.map_or("-", |holds| if holds { "yes" } else { "NO" }).into(),
            row.note.clone(),
        ]);
    }
    let mut widths = [0; 10];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if line.first().is_some_and(|cell| cell == "case") {
            println!("|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
        }
    }
}
