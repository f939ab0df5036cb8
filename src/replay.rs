//! `kraliki replay`: runs the engine from a journal and compares what comes out with what came out then.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use kraliki_engine::journal::{Began, JournalError, Place, Replay, ReplayError, Segment};
use kraliki_engine::runtime::segments;
use kraliki_engine::{Outcome, Output};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Failed;
use crate::manage::print;

#[derive(Args)]
pub(crate) struct Options {
    /// The journal's path as in the configuration, or one of its segments (PATH.000001)
    path: PathBuf,
    /// Begin with this segment
    #[arg(long)]
    from_segment: Option<u64>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
    /// Write each output as a line of JSON into this file; numbers, names and notes are left out
    #[arg(long)]
    outputs: Option<PathBuf>,
    /// With --outputs: numbers, names and notes too
    #[arg(long, requires = "outputs")]
    personal_data: bool,
}

/// What was replayed, in figures.
#[derive(Debug, Default, Serialize)]
struct Summary {
    segments: u64,
    records: u64,
    /// Inputs and time-outs.
    calls: u64,
    outputs: u64,
    checks: u64,
    /// Outputs after the last check of a segment that ends early.
    unchecked: u64,
    span_s: f64,
    outcomes: BTreeMap<Outcome, u64>,
    warnings: Vec<String>,
    /// Why it ended early; null: every output is as it was.
    error: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), Failed> {
    let files = files(&options.path, options.from_segment)?;
    let mut lines =
        options.outputs.as_deref().map(|path| Lines::create(path, options.personal_data)).transpose()?;
    let mut summary = Summary::default();
    let replayed = replay(&files, &mut summary, lines.as_mut(), !options.json);
    if let Some(lines) = lines {
        lines.finish()?;
    }
    summary.error = replayed.as_ref().err().map(|error| format!("{error:#}"));
    if options.json {
        print(&serde_json::to_string(&summary)?);
    } else {
        for warning in &summary.warnings {
            eprintln!("{warning}");
        }
        print(&summary.to_string());
    }
    Ok(replayed?)
}

/// The segments to replay, in order.
fn files(path: &Path, from: Option<u64>) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        if from.is_some() {
            bail!("--from-segment goes with the path of a whole journal, without a segment's number");
        }
        return Ok(vec![path.to_owned()]);
    }
    let found = segments(path).with_context(|| format!("cannot look for {}", path.display()))?;
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        bail!("there is no journal {0}; its segments would be named {0}.000001 and on", path.display());
    };
    if let Some(from) = from.filter(|from| !found.iter().any(|segment| segment.number == *from)) {
        bail!("there is no segment {from}; there are segments from {} to {}", first.number, last.number);
    }
    let from = from.unwrap_or(first.number);
    Ok(found.into_iter().filter(|segment| segment.number >= from).map(|segment| segment.path).collect())
}

fn replay(
    files: &[PathBuf],
    summary: &mut Summary,
    mut lines: Option<&mut Lines>,
    say: bool,
) -> anyhow::Result<()> {
    let mut replay = Replay::default();
    let mut last = None;
    for path in files {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("{name} cannot be opened"))?;
        let found = replay.segment(BufReader::new(file), |place, output| {
            if let Some(lines) = lines.as_deref_mut() {
                lines.write(place, output);
            }
        });
        let found = match found {
            Err(ReplayError::Journal(JournalError::Truncated)) => {
                let text = format!("{name}: it ends before its first call; nothing of it was replayed");
                summary.warnings.push(text);
                continue;
            }
            found => found.with_context(|| name.to_string())?,
        };
        summary.add(&found, last, &name.to_string());
        last = Some(found.start.number);
        if say {
            let (calls, outputs, checks) = (found.calls, found.outputs, found.checks);
            let span = found.last.since(found.start.at).as_secs_f64();
            print(&format!("{name}: {calls} calls in {span:.1} s, {outputs} outputs, {checks} checks hold"));
        }
    }
    ensure!(summary.segments > 0, "nothing could be replayed: {}", summary.warnings.join("; "));
    Ok(())
}

impl Summary {
    fn add(&mut self, found: &Segment, last: Option<u64>, name: &str) {
        let number = found.start.number;
        let mut warn = |text: String| self.warnings.push(format!("{name}: {text}"));
        if let Some(last) = last.filter(|last| last + 1 != number) {
            warn(format!("no segment between {last} and {number} is there"));
        }
        if found.start.began == Began::AfterGap {
            warn("records before it are missing: the disk was too slow, or failed".into());
        }
        if found.start.program != this_program() {
            warn(format!("written by {}; this is {}", found.start.program, this_program()));
        }
        if found.truncated {
            let (records, unchecked) = (found.records, found.unchecked);
            warn(format!(
                "it ends inside a record, as after a crash; {records} records were replayed, {unchecked} outputs came after the last check"
            ));
        }
        self.segments += 1;
        self.records += found.records;
        self.calls += found.calls;
        self.outputs += found.outputs;
        self.checks += found.checks;
        self.unchecked += found.unchecked;
        self.span_s += found.last.since(found.start.at).as_secs_f64();
        for (outcome, count) in &found.outcomes {
            *self.outcomes.entry(*outcome).or_default() += count;
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { segments, records, outputs, checks, span_s, .. } = self;
        write!(
            f,
            "{segments} segments, {records} records, {span_s:.1} s: {outputs} outputs, {checks} checks hold"
        )?;
        if self.unchecked > 0 {
            write!(f, ", {} outputs are in no check", self.unchecked)?;
        }
        for (n, (outcome, count)) in self.outcomes.iter().enumerate() {
            write!(f, "{}{count} {}", if n == 0 { "\noutcomes: " } else { ", " }, outcome.as_str())?;
        }
        if self.error.is_none() {
            write!(f, "\nevery output is as it was")?;
        }
        Ok(())
    }
}

fn this_program() -> &'static str {
    concat!("kraliki ", env!("CARGO_PKG_VERSION"))
}

/// The file of outputs.
struct Lines {
    file: BufWriter<File>,
    path: PathBuf,
    personal_data: bool,
    failed: Option<std::io::Error>,
}

impl Lines {
    fn create(path: &Path, personal_data: bool) -> anyhow::Result<Lines> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = BufWriter::new(file.with_context(|| format!("{} cannot be written", path.display()))?);
        Ok(Lines { file, path: path.to_owned(), personal_data, failed: None })
    }

    fn write(&mut self, place: Place, output: &Output) {
        let mut output = serde_json::to_value(output).unwrap_or_default();
        if !self.personal_data {
            blank(&mut output);
        }
        let line = json!({
            "segment": place.segment,
            "record": place.record,
            "at_s": place.at.as_secs_f64(),
            "output": output,
        });
        if self.failed.is_none() {
            self.failed = writeln!(self.file, "{line}").err();
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let done = self.failed.take().map_or_else(|| self.file.flush(), Err);
        done.map_err(|error| anyhow!("{} cannot be written: {error}", self.path.display()))
    }
}

/// What names or describes a person, wherever it stands in an output.
const PERSONAL: [&str; 5] = ["phone", "first_name", "last_name", "custom", "note"];

fn blank(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if PERSONAL.contains(&name.as_str()) {
                    *field = Value::Null;
                } else {
                    blank(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use kraliki_engine::{
        AttemptId, CallState, CallView, CampaignId, Dial, Event, LeadChange, LeadId, LeadStatus, LeadView,
        NewTry, Pii, TrunkId, TryId, Write as Stored,
    };
    use kraliki_time::Time;

    use super::*;

    const NUMBER: &str = "+12125550142";
    const NAME: &str = "Quetzalcoatl";

    fn outputs() -> Vec<Output> {
        let id = TryId { attempt: AttemptId(1), number: 1 };
        let (phone, name, caller_id) =
            (Pii(NUMBER.to_owned()), Pii(NAME.to_owned()), "+12015550100".to_owned());
        let change = LeadChange {
            lead: LeadId(1),
            status: LeadStatus::Done,
            next_unix_ms: 0,
            attempts: 1,
            last_outcome: None,
            repeats: 1,
            callback: None,
            phone: None,
        };
        let new_try = NewTry {
            id,
            campaign: CampaignId(1),
            lead: LeadId(1),
            trunk: TrunkId(1),
            phone: phone.clone(),
            caller_id: caller_id.clone(),
            price: 0,
            at_unix_ms: 0,
            crash_retry_unix_ms: 0,
            evidence: String::new(),
        };
        let call = CallView {
            id: AttemptId(1),
            campaign: CampaignId(1),
            state: CallState::Talking,
            since_unix_ms: 0,
            dialed_unix_ms: 0,
            connected_unix_ms: None,
            trunk: TrunkId(1),
            agent: None,
            outcome: None,
            disposition: None,
            machine: None,
            recording: None,
            caller_id: caller_id.clone(),
            ends_unix_ms: None,
            lead: LeadView {
                id: LeadId(1),
                phone: phone.clone(),
                first_name: name.clone(),
                last_name: name.clone(),
                time_zone: "UTC".into(),
                country: String::new(),
                state: String::new(),
                consent: kraliki_engine::ConsentKind::None,
                attempts: 0,
                callback: None,
                custom: Pii([("pet".to_owned(), NAME.to_owned())].into()),
            },
        };
        let stored = |write| Output::Store { token: None, write };
        vec![
            Output::Dial(Dial {
                id,
                trunk: TrunkId(1),
                phone: phone.clone(),
                caller_id,
                detect: false,
                others: false,
                hear_out: false,
            }),
            Output::Event(Event::Call(call)),
            stored(Stored::Try(new_try)),
            stored(Stored::Suppress { phone, reason: "asked".into(), campaign: None, at_unix_ms: 0 }),
            stored(Stored::Disposed {
                attempt: AttemptId(1),
                code: "sale".into(),
                note: NAME.into(),
                at_unix_ms: 0,
                lead: Some(change),
            }),
        ]
    }

    #[test]
    fn outputs_are_written_without_personal_data_unless_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for personal_data in [false, true] {
            let place = Place { segment: 1, record: 2, at: Time::from_millis(1_500) };
            let mut lines = Lines::create(&path, personal_data).unwrap();
            outputs().iter().for_each(|output| lines.write(place, output));
            lines.finish().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), outputs().len());
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(
                    (&line["segment"], &line["record"], &line["at_s"]),
                    (&json!(1), &json!(2), &json!(1.5))
                );
                let found = line["output"].to_string();
                assert_eq!(found.contains(NUMBER) || found.contains(NAME), personal_data, "{found}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.journal");
        let error = files(&path, None).unwrap_err().to_string();
        assert!(error.contains("k.journal.000001"), "{error}");
        for number in [3, 10] {
            std::fs::write(dir.path().join(format!("k.journal.{number:06}")), "").unwrap();
        }
        assert_eq!(files(&path, None).unwrap().len(), 2);
        assert_eq!(files(&path, Some(10)).unwrap(), [dir.path().join("k.journal.000010")]);
        let error = files(&path, Some(4)).unwrap_err().to_string();
        assert!(error.contains("from 3 to 10"), "{error}");
        let one = dir.path().join("k.journal.000003");
        assert_eq!(files(&one, None).unwrap(), std::slice::from_ref(&one));
        assert!(files(&one, Some(3)).is_err());
    }
}
