//! The rows of all benches, in a file that tools read.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Where, from the root of the repository.
pub(crate) const PATH: &str = "target/bench/results.json";

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) bench: String,
    pub(crate) case: String,
    pub(crate) unit: String,
    pub(crate) ours: f64,
    /// What it was measured beside, in the same run; or what stated the limit.
    pub(crate) peer: Option<String>,
    pub(crate) peer_value: Option<f64>,
    /// ours / peer_value
    pub(crate) ratio: Option<f64>,
    pub(crate) better: Better,
    /// What `ours` should reach, in its unit.
    pub(crate) target: Option<f64>,
    pub(crate) holds: Option<bool>,
    pub(crate) commit: String,
    pub(crate) at: String,
    /// For the table: losses, retransmissions, how the measurement was made.
    #[serde(skip)]
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(bench: &str, case: &str, unit: &str, ours: f64, better: Better) -> Row {
        Row {
            bench: bench.into(),
            case: case.into(),
            unit: unit.into(),
            ours: round(ours),
            peer: None,
            peer_value: None,
            ratio: None,
            better,
            target: None,
            holds: None,
            commit: commit(),
            at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            note: String::new(),
        }
    }

    pub(crate) fn beside(mut self, peer: &str, value: f64) -> Row {
        self.peer = Some(peer.into());
        self.peer_value = Some(round(value));
        self.ratio = (value != 0.0).then(|| round(self.ours / value));
        self
    }

    pub(crate) fn target(mut self, target: f64) -> Row {
        self.target = Some(round(target));
        self.holds = Some(match self.better {
            Better::Lower => self.ours <= target,
            Better::Higher => self.ours >= target,
        });
        self
    }

    /// A run with failures shows nothing, whatever its figures.
    pub(crate) fn only_if(mut self, clean: bool) -> Row {
        self.holds = self.holds.map(|holds| holds && clean);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }
}

/// Four significant digits: more would be noise.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// The commit that was measured, marked when files differ from it.
fn commit() -> String {
    let describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    let output = Command::new("git").args(describe).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".into())
}

/// Replaces the rows of a bench in the file; the others stay.
pub(crate) fn keep(bench: &str, rows: &[Row]) -> anyhow::Result<()> {
    keep_in(Path::new(PATH), bench, rows)
}

fn keep_in(path: &Path, bench: &str, rows: &[Row]) -> anyhow::Result<()> {
    let old = match fs::read_to_string(path) {
        // A file of another form is of no use to anyone: it is written anew.
        Ok(text) => serde_json::from_str::<Vec<Row>>(&text).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let mut all: Vec<Row> = old.into_iter().filter(|row| row.bench != bench).collect();
    all.extend_from_slice(rows);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let new = path.with_extension("json.new");
    fs::write(&new, serde_json::to_string_pretty(&all)? + "\n").with_context(|| new.display().to_string())?;
    fs::rename(&new, path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_replaces_its_own_rows_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/results.json");
        let row = |bench: &str, ours| Row::new(bench, "x", "us", ours, Better::Lower);
        keep_in(&path, "a", &[row("a", 1.0), row("a", 2.0)]).unwrap();
        keep_in(&path, "b", &[row("b", 3.0)]).unwrap();
        keep_in(&path, "a", &[row("a", 4.0)]).unwrap();
        let rows: Vec<Row> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let seen: Vec<(&str, f64)> = rows.iter().map(|r| (r.bench.as_str(), r.ours)).collect();
        assert_eq!(seen, [("b", 3.0), ("a", 4.0)]);
    }

    #[test]
    fn ratio_and_target_go_by_what_is_better() {
        let cost = Row::new("b", "c", "us", 1.234_56, Better::Lower).beside("them", 2.0).target(1.3);
        assert_eq!((cost.ours, cost.ratio, cost.holds), (1.235, Some(0.6175), Some(true)));
        let share = Row::new("b", "c", "share", 0.8, Better::Higher).target(0.9);
        assert_eq!(share.holds, Some(false));
        assert_eq!(cost.only_if(false).holds, Some(false));
        assert_eq!(round(12_345.6), 12_350.0);
    }
}
