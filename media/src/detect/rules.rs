//! The rule set: data, in a file of its own, with a version. A decision names the rules that made it.

use serde::Deserialize;

use super::features::{Feature, Features};

/// Rules of a set at most: each is looked at every 20 ms of a call's first seconds.
const MOST_RULES: usize = 128;
/// The file's size at most.
const MOST_BYTES: usize = 64 * 1024;
const STANDARD: &str = include_str!("rules.toml");

/// Why a rule set is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// It is no rule set.
    #[error("not a rule set: {0}")]
    Malformed(String),
    /// It is one, and says something that cannot be.
    #[error("a rule set cannot have {0}")]
    Impossible(&'static str),
}

/// How who answered is told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rules {
    /// Grows with each change; every decision carries it.
    pub version: u32,
    /// What counts as speech.
    pub voice: VoiceRules,
    /// Until when is decided.
    pub time: TimeRules,
    /// At the deadline a machine has at least this score.
    pub machine_at: f32,
    /// Before the deadline a person has at most this score.
    pub person_at: f32,
    /// The scored rules.
    pub rule: Vec<Rule>,
    /// What shows after the deadline that it was a machine all the same; one is enough.
    pub later: Vec<Sign>,
    /// Scored rules for after the deadline, when it was taken for a person.
    #[serde(default)]
    pub late: Vec<Rule>,
    /// From this score of them on it is a machine.
    #[serde(default = "never")]
    pub late_at: f32,
    /// When a machine turns out to be a call screening that waits for words: all must hold.
    pub screening: Vec<Condition>,
}

/// What counts as speech.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VoiceRules {
    /// Speech is at least this much louder than what is around, dB.
    pub over_floor_db: f32,
    /// And at least this much, however little the room for a threshold, dB.
    pub over_floor_least_db: f32,
    /// Speech is at most this much softer than the loudest, dB: a television behind the speaker is softer.
    pub under_peak_db: f32,
    /// However loud the room, what is this close to the loudest is speech, dB.
    pub under_peak_least_db: f32,
    /// Between what is around and the loudest must be this much, or nobody speaks, dB.
    pub least_range_db: f32,
    /// What is softer is no speech, dBov.
    pub least_dbov: f32,
    /// Shorter pauses are within a word, ms.
    pub bridge_ms: u32,
    /// Shorter sounds are no word, ms.
    pub least_word_ms: u32,
}

/// Until when is decided.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TimeRules {
    /// From the beginning of the first word to the decision at the latest, ms. The law's grace begins when the first word
    /// ends, and where that is nobody knows in fluent speech: this is for the shortest of words.
    pub deadline_ms: u32,
    /// Nobody spoke for this long after the answer, ms.
    pub no_speech_ms: u32,
    /// For so long after the answer is looked for what shows later, ms.
    pub listen_ms: u32,
    /// The same of a call that is bridged to an agent, ms: it costs a decoder.
    #[serde(default = "bridged_ms")]
    pub bridged_ms: u32,
    /// A greeting without a beep is over when nobody has spoken for so long, ms.
    #[serde(default = "quiet_ms")]
    pub quiet_ms: u32,
}

/// Without late rules there is no score.
const fn never() -> f32 {
    f32::MAX
}

/// For rule sets from before there was such a time.
const fn bridged_ms() -> u32 {
    6_000
}

/// The same.
const fn quiet_ms() -> u32 {
    3_000
}

/// A rule: its points count when all of its conditions hold. Points for a machine are positive, for a person negative.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// What a decision calls it.
    pub name: String,
    /// What it counts.
    pub points: f32,
    /// When it counts.
    pub when: Vec<Condition>,
}

/// Something that shows by itself what it is: all of its conditions hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sign {
    /// What a decision calls it.
    pub name: String,
    /// What must hold.
    pub when: Vec<Condition>,
}

/// A feature within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Condition {
    /// The feature.
    pub feature: Feature,
    /// At least.
    #[serde(default)]
    pub min: Option<f32>,
    /// Less than.
    #[serde(default)]
    pub below: Option<f32>,
}

impl Condition {
    /// Whether it holds.
    pub(crate) fn holds(&self, features: &Features) -> bool {
        let value = features.get(self.feature);
        self.min.is_none_or(|min| value >= min) && self.below.is_none_or(|below| value < below)
    }
}

/// Whether all of them hold.
pub(crate) fn all_hold(when: &[Condition], features: &Features) -> bool {
    when.iter().all(|condition| condition.holds(features))
}

/// The points of those rules that hold, and which.
fn total(rules: &[Rule], features: Features) -> (f32, impl Iterator<Item = &Rule>) {
    let hold = move |rule: &&Rule| all_hold(&rule.when, &features);
    (rules.iter().filter(hold).map(|rule| rule.points).sum(), rules.iter().filter(hold))
}

impl Rules {
    /// Reads a rule set (TOML).
    pub fn parse(text: &str) -> Result<Rules, RulesError> {
        if text.len() > MOST_BYTES {
            return Err(RulesError::Impossible("more than 64 kB"));
        }
        let rules: Rules = toml::from_str(text).map_err(|e| RulesError::Malformed(e.to_string()))?;
        rules.check()?;
        Ok(rules)
    }

    /// The rule set that is built in.
    pub fn standard() -> Rules {
        // A test reads it; an empty set calls everybody a person.
        Rules::parse(STANDARD).unwrap_or_else(|_| Rules::nobody_is_a_machine())
    }

    /// The points of all rules that hold, and which.
    pub(crate) fn score<'a>(
        &'a self,
        features: &Features,
    ) -> (f32, impl Iterator<Item = &'a Rule> + use<'a>) {
        total(&self.rule, *features)
    }

    /// The same of the rules for after the deadline.
    pub(crate) fn late_score<'a>(
        &'a self,
        features: &Features,
    ) -> (f32, impl Iterator<Item = &'a Rule> + use<'a>) {
        total(&self.late, *features)
    }

    fn check(&self) -> Result<(), RulesError> {
        let later = || self.later.iter().flat_map(|sign| &sign.when);
        let scored = || self.rule.iter().chain(&self.late);
        let conditions = || scored().flat_map(|rule| &rule.when).chain(later()).chain(&self.screening);
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        let bounds = |c: &Condition| finite(&[c.min.unwrap_or(0.0), c.below.unwrap_or(0.0)]);
        if self.rule.len() + self.late.len() + self.later.len() > MOST_RULES
            || conditions().count() > 4 * MOST_RULES
        {
            return Err(RulesError::Impossible("more than 128 rules or 512 conditions"));
        }
        if self.later.iter().any(|sign| sign.when.is_empty()) {
            return Err(RulesError::Impossible("a sign without conditions"));
        }
        if !scored().all(|rule| rule.points.is_finite()) || !conditions().all(bounds) {
            return Err(RulesError::Impossible("a number that is not finite"));
        }
        if !conditions().all(|c| c.min.is_some() || c.below.is_some()) || self.screening.is_empty() {
            return Err(RulesError::Impossible("a condition without bounds"));
        }
        if !finite(&[self.machine_at, self.person_at, self.late_at]) || self.person_at >= self.machine_at {
            return Err(RulesError::Impossible("a score of persons that is not below that of machines"));
        }
        let time = &self.time;
        if !(300..=5_000).contains(&time.deadline_ms) || !(500..=10_000).contains(&time.no_speech_ms) {
            return Err(RulesError::Impossible(
                "a deadline outside 0.3 to 5 s, or silence outside 0.5 to 10 s",
            ));
        }
        if !(1_000..=20_000).contains(&time.listen_ms) {
            return Err(RulesError::Impossible("listening outside 1 to 20 s"));
        }
        if time.bridged_ms > time.listen_ms || !(1_000..=20_000).contains(&time.quiet_ms) {
            return Err(RulesError::Impossible(
                "listening longer when bridged than else, or quiet outside 1 to 20 s",
            ));
        }
        if self.voice.bridge_ms > 500 || !(10..=500).contains(&self.voice.least_word_ms) {
            return Err(RulesError::Impossible("words or pauses in a word longer than 0.5 s"));
        }
        Ok(())
    }

    fn nobody_is_a_machine() -> Rules {
        Rules {
            version: 0,
            voice: VoiceRules {
                over_floor_db: 8.0,
                over_floor_least_db: 5.0,
                under_peak_db: 22.0,
                under_peak_least_db: 10.0,
                least_range_db: 9.0,
                least_dbov: -54.0,
                bridge_ms: 60,
                least_word_ms: 60,
            },
            time: TimeRules {
                deadline_ms: 1_250,
                no_speech_ms: 2_400,
                listen_ms: 10_000,
                bridged_ms: bridged_ms(),
                quiet_ms: quiet_ms(),
            },
            machine_at: 1.0,
            person_at: -1.0,
            rule: Vec::new(),
            later: Vec::new(),
            late: Vec::new(),
            late_at: never(),
            screening: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_set_is_read() {
        let rules = Rules::standard();
        assert!(rules.version > 0 && rules.rule.len() > 3 && !rules.screening.is_empty());
        let names: std::collections::BTreeSet<&str> = rules.rule.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names.len(), rules.rule.len(), "two rules have one name");
    }

    #[test]
    fn what_is_refused() {
        let change = |from: &str, to: &str| {
            assert!(STANDARD.contains(from), "{from}");
            Rules::parse(&STANDARD.replacen(from, to, 1))
        };
        assert!(matches!(Rules::parse("version = 1"), Err(RulesError::Malformed(_))));
        assert!(matches!(change("points = ", "point = "), Err(RulesError::Malformed(_))));
        assert!(matches!(change("\"speech_ms\"", "\"speach_ms\""), Err(RulesError::Malformed(_))));
        assert!(matches!(change("deadline_ms = ", "deadline_ms = 9"), Err(RulesError::Impossible(_))));
        assert!(matches!(change("person_at = -", "person_at = 9"), Err(RulesError::Impossible(_))));
    }
}
