//! Judges the detection by calls of which it is known who answered: the corpus of `scripts/amd-corpus`.

mod silence_rules;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::{Class, Decision, Detector, Event, Features, LineTone, Rules, SitKind, country};
use crate::audio::{Audio, WavError};

pub use silence_rules::SilenceRules;

/// Calls of one manifest at most.
const MOST_CALLS: usize = 1_000_000;
/// The law's grace begins with the end of the first word; so long after it at the latest it is decided.
pub const DEADLINE_MS: i64 = 1_200;

/// Why a corpus cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file cannot be read.
    #[error("{0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// A line of the manifest is none.
    #[error("line {0} of the manifest: {1}")]
    Line(usize, String),
    /// A call's sound cannot be read.
    #[error("{0}: {1}")]
    Wav(PathBuf, WavError),
}

/// What is known of one call: a line of the manifest. Other keys are for people.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Call {
    /// Its WAV file, beside the manifest.
    pub file: String,
    /// Who answered.
    pub class: String,
    /// A closer word for it.
    pub kind: String,
    /// The called country.
    pub country: String,
    /// When the first word ended, after the answer.
    #[serde(default)]
    pub first_word_end_ms: Option<u32>,
    /// The frequency of the beep behind a greeting.
    #[serde(default)]
    pub beep_hz: Option<u16>,
}

/// What the detector said of one call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// The call.
    pub call: Call,
    /// The first decision. A call too short for one counts as a person.
    pub first: Option<Decision>,
    /// The last one.
    pub last: Class,
    /// When it was told that it is a machine, after the answer in ms; and that of the last change of mind.
    pub machine_ms: Option<u32>,
    /// What else was heard.
    pub heard: Vec<Event>,
    /// How long the call is.
    pub ms: u32,
}

/// Who was told to have answered, and when; for any detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Who answered.
    pub truth: Class,
    /// Who was told at first: what a dialer acts on.
    pub first: Class,
    /// Who was told in the end.
    pub last: Class,
    /// When a machine was told to be one, after the answer.
    pub machine_ms: Option<u32>,
    /// When the first was told, after the answer.
    pub at_ms: u32,
    /// When the first word ended.
    pub first_word_end_ms: Option<u32>,
}

/// The calls of a manifest with their sound.
pub fn read(manifest: &Path) -> Result<Vec<(Call, Audio)>, CorpusError> {
    let text = std::fs::read_to_string(manifest).map_err(|e| CorpusError::Read(manifest.to_owned(), e))?;
    let beside = manifest.parent().unwrap_or(Path::new("."));
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let call = |(n, line): (usize, &str)| {
        let call: Call = serde_json::from_str(line).map_err(|e| CorpusError::Line(n + 1, e.to_string()))?;
        if class(&call.class).is_none() || country(&call.country).is_none() {
            return Err(CorpusError::Line(n + 1, format!("class {}, country {}", call.class, call.country)));
        }
        let path = beside.join(&call.file);
        let file = std::fs::read(&path).map_err(|e| CorpusError::Read(path.clone(), e))?;
        let audio = Audio::from_wav(&file).map_err(|e| CorpusError::Wav(path, e))?;
        Ok((call, audio))
    };
    lines.take(MOST_CALLS).map(call).collect()
}

fn class(name: &str) -> Option<Class> {
    Some(match name {
        "person" => Class::Person,
        "machine" => Class::Machine,
        "screening" => Class::Screening,
        "silent" => Class::Silent,
        "fax" => Class::Fax,
        "network" => Class::Network,
        _ => return None,
    })
}

/// Lets the detector hear one call from its answer on, in frames of 20 ms.
pub fn listen(rules: &Arc<Rules>, call: &Call, samples: &[i16]) -> Judged {
    let heard_in = country(&call.country).unwrap_or(&super::COUNTRIES[0]);
    let mut detector = Detector::new(rules, heard_in);
    let mut judged = Judged {
        call: call.clone(),
        first: None,
        last: Class::Person,
        machine_ms: None,
        heard: Vec::new(),
        ms: u32::try_from(samples.len() / 8).unwrap_or(u32::MAX),
    };
    detector.answered();
    for frame in samples.chunks(160) {
        detector.push(frame);
        while let Some(event) = detector.poll_event() {
            match event {
                Event::Answered(decision) => {
                    judged.told(&decision);
                    judged.first = Some(decision);
                }
                Event::Refined(decision) => judged.told(&decision),
                other => judged.heard.push(other),
            }
        }
    }
    judged
}

/// The features of one call at moments `every_ms` apart, with the time after the answer in ms: to fit rules by.
pub fn trace(rules: &Arc<Rules>, call: &Call, samples: &[i16], every_ms: usize) -> Vec<(usize, Features)> {
    let heard_in = country(&call.country).unwrap_or(&super::COUNTRIES[0]);
    let mut detector = Detector::new(rules, heard_in);
    detector.answered();
    let mut seen = Vec::new();
    for (n, part) in samples.chunks(8 * every_ms.max(10)).enumerate() {
        detector.push(part);
        while detector.poll_event().is_some() {}
        seen.extend(detector.features().map(|features| ((n + 1) * every_ms, features)));
    }
    seen
}

impl Judged {
    fn told(&mut self, decision: &Decision) {
        if is_machine(decision.class) && self.machine_ms.is_none() {
            self.machine_ms = Some(decision.at_ms);
        }
        self.last = decision.class;
    }

    /// Who was told, and when.
    pub fn row(&self) -> Row {
        Row {
            truth: class(&self.call.class).unwrap_or(Class::Person),
            first: self.first.as_ref().map_or(Class::Person, |d| d.class),
            last: self.last,
            machine_ms: self.machine_ms,
            at_ms: self.first.as_ref().map_or(self.ms, |d| d.at_ms),
            first_word_end_ms: self.call.first_word_end_ms,
        }
    }

    /// The features of the first decision.
    pub fn features(&self) -> Option<Features> {
        self.first.as_ref().map(|decision| decision.features)
    }

    /// Whether the tones of this call were told as what they are: SIT, busy, congestion, ringback, fax, the beep.
    /// `None` where there were none.
    pub fn tones_right(&self) -> Option<bool> {
        let heard = |event: &Event| self.heard.contains(event);
        Some(match self.call.kind.as_str() {
            "busy" => heard(&Event::Line(LineTone::Busy)),
            "congestion" => heard(&Event::Line(LineTone::Congestion)),
            "ringback" => heard(&Event::Line(LineTone::Ringback)),
            "sit-itu" => heard(&Event::Sit(SitKind::Unspecified)),
            "sit-intercept" => heard(&Event::Sit(SitKind::Intercept)),
            "sit-vacant" => heard(&Event::Sit(SitKind::VacantCode)),
            "sit-reorder" => heard(&Event::Sit(SitKind::Reorder)),
            "sit-no-circuit" => heard(&Event::Sit(SitKind::NoCircuit)),
            "cng" => heard(&Event::FaxCalling),
            "ced" => heard(&Event::FaxAnswering),
            _ => {
                let hz = self.call.beep_hz?;
                let beep = |e: &Event| matches!(e, Event::Beep { hz: found, .. } if found.abs_diff(hz) <= 20);
                self.heard.iter().any(beep)
            }
        })
    }
}

/// What the silence rules say of one call.
pub fn judge_by_silence(rules: &SilenceRules, call: &Call, samples: &[i16]) -> Row {
    let (class, at_ms) = rules.judge(samples);
    let truth = self::class(&call.class).unwrap_or(Class::Person);
    let machine_ms = is_machine(class).then_some(at_ms);
    Row { truth, first: class, last: class, machine_ms, at_ms, first_word_end_ms: call.first_word_end_ms }
}

/// Lets the detector hear every call of a manifest.
pub fn judge(manifest: &Path, rules: &Arc<Rules>) -> Result<Table, CorpusError> {
    let calls = read(manifest)?;
    Ok(calls.iter().map(|(call, audio)| listen(rules, call, audio.samples()).row()).collect())
}

/// A confusion table and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl FromIterator<Row> for Table {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Table {
        Table { rows: rows.into_iter().collect() }
    }
}

/// Machines of any kind: nobody to be connected.
fn is_machine(class: Class) -> bool {
    !matches!(class, Class::Person | Class::Silent)
}

impl Table {
    /// Calls that were judged.
    pub fn calls(&self) -> usize {
        self.rows.len()
    }

    /// People taken for something else, of all people (0 to 1).
    pub fn false_machines(&self) -> f64 {
        share(self.of(|truth| truth == Class::Person), |row| is_machine(row.first) || is_machine(row.last))
    }

    /// Machines and screening taken for a person at first, of all machines and screening (0 to 1).
    pub fn misses_at_first(&self) -> f64 {
        share(self.machines(), |row| !is_machine(row.first))
    }

    /// Machines and screening that were not told as such within so many ms of the answer, of all of them (0 to 1).
    pub fn misses_after(&self, ms: u32) -> f64 {
        share(self.machines(), |row| row.machine_ms.is_none_or(|told| told > ms))
    }

    /// Machines and screening that were never told as such (0 to 1).
    pub fn misses(&self) -> f64 {
        share(self.machines(), |row| !is_machine(row.last))
    }

    /// The time of the first decision after a person's answer: the `share` quantile, in ms.
    pub fn after_answer_ms(&self, share: f64) -> i64 {
        quantile(self.of(|truth| truth == Class::Person).map(|row| i64::from(row.at_ms)).collect(), share)
    }

    /// The same after the end of the first word, of everybody and everything that spoke.
    pub fn after_word_ms(&self, share: f64) -> i64 {
        let after = |row: &Row| Some(i64::from(row.at_ms) - i64::from(row.first_word_end_ms?));
        quantile(self.spoken().filter_map(after).collect(), share)
    }

    /// Decisions later than 1.2 s after the end of the first word, of all calls in which somebody spoke (0 to 1).
    pub fn late(&self) -> f64 {
        let late = |row: &Row| {
            row.first_word_end_ms.is_some_and(|end| i64::from(row.at_ms) > i64::from(end) + DEADLINE_MS)
        };
        share(self.spoken(), late)
    }

    fn of(&self, wanted: impl Fn(Class) -> bool) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| wanted(row.truth))
    }

    fn machines(&self) -> impl Iterator<Item = &Row> {
        self.of(|truth| matches!(truth, Class::Machine | Class::Screening))
    }

    fn spoken(&self) -> impl Iterator<Item = &Row> {
        self.of(|truth| matches!(truth, Class::Person | Class::Machine | Class::Screening))
    }
}

fn share<'a>(rows: impl Iterator<Item = &'a Row>, is: impl Fn(&Row) -> bool) -> f64 {
    let (mut all, mut some) = (0u32, 0u32);
    for row in rows {
        all += 1;
        some += u32::from(is(row));
    }
    f64::from(some) / f64::from(all.max(1))
}

fn quantile(mut values: Vec<i64>, share: f64) -> i64 {
    values.sort_unstable();
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(0)
}

impl fmt::Display for Table {
    /// A Markdown table: who answered by line, who was told in the end by column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes =
            [Class::Person, Class::Machine, Class::Screening, Class::Silent, Class::Fax, Class::Network];
        let mut counts: BTreeMap<(Class, Class), u32> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry((row.truth, row.last)).or_default() += 1;
        }
        write!(f, "| answered by \\ told |")?;
        classes.iter().try_for_each(|class| write!(f, " {class:?} |"))?;
        write!(f, "\n|---|{}", "---|".repeat(classes.len()))?;
        for truth in classes {
            write!(f, "\n| {truth:?} |")?;
            for told in classes {
                write!(f, " {} |", counts.get(&(truth, told)).copied().unwrap_or(0))?;
            }
        }
        writeln!(f)
    }
}
