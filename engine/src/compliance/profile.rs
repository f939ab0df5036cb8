//! A compliance profile: the rules of a country and its states, as a TOML file. docs/compliance.md explains each key.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::holiday::{Holiday, Rule};
use crate::lead::hours::minute;
use crate::{CallingWindow, ConsentKind, MachineDetection};

/// A file that cannot be used: which, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct ProfileFault {
    /// The file.
    pub file: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The rules of a country, or of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ComplianceProfile)]
pub struct Profile {
    /// What campaigns call it: a-z, 0-9 and hyphens.
    pub name: String,
    /// For people.
    pub title: String,
    /// Where it holds: ISO 3166. Leads elsewhere are not called.
    pub countries: Vec<String>,
    /// When it was last compared with the law, `YYYY-MM-DD`.
    pub reviewed: String,
    /// Whether a lead whose state is not known is not called.
    #[serde(default)]
    pub states_needed: bool,
    /// What holds everywhere in it.
    #[serde(default)]
    pub rules: Rules,
    /// What holds in a state or region beside that, by its letters.
    #[serde(default)]
    pub states: BTreeMap<String, Rules>,
    /// Days on which hours may close.
    #[serde(default)]
    pub holidays: Vec<Holiday>,
}

/// Rules of one place. What is left out is not ruled there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ComplianceRules)]
pub struct Rules {
    /// When people may be called.
    pub hours: Option<HoursRule>,
    /// How often a number may be called.
    pub attempts: Option<AttemptsRule>,
    /// How many calls may be abandoned, and what counts as abandoned.
    pub abandonment: Option<AbandonmentRule>,
    /// How long a call rings at least.
    pub ring: Option<RingRule>,
    /// What a person hears whom nobody can take.
    pub message: Option<MessageRule>,
    /// When a number may be called again that was abandoned.
    pub redial: Option<RedialRule>,
    /// What a person must have agreed to.
    pub consent: Option<ConsentRule>,
    /// The national do-not-call list.
    pub national: Option<NationalRule>,
    /// The number that is shown.
    pub caller_id: Option<CallerIdRule>,
    /// Whether machines may be told from people.
    pub machine_detection: Option<DetectionRule>,
    /// Who must know of a recording.
    pub recording: Option<RecordingRule>,
}

/// When people may be called, in their own time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoursRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// Windows by weekday.
    pub windows: Vec<CallingWindow>,
    /// Whether nobody is called on holidays.
    #[serde(default)]
    pub closed_on_holidays: bool,
}

/// How often a number may be called, by all campaigns together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptsRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// So many times at most.
    pub most: u32,
    /// In any so many hours (1 to 72).
    pub hours: u32,
}

/// Abandoned calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonmentRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// The most, as a share of the calls that a person answered; left out: the campaign's own.
    #[serde(default)]
    pub cap: Option<f64>,
    /// Over any so many hours (1 to 720).
    #[serde(default = "thirty_days")]
    pub period_h: u32,
    /// A person who answered waits no longer than this for an agent, in ms.
    pub grace_ms: u32,
}

fn thirty_days() -> u32 {
    720
}

/// How long a call rings before it is given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RingRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// In seconds (0 to 60).
    pub least_s: u32,
}

/// The message for a person whom nobody can take. A campaign that may abandon somebody must have one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// What it must say, for who records it.
    pub says: Vec<String>,
    /// Whether a key must opt out.
    pub opt_out_key: bool,
}

/// When a number may be called again that was abandoned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedialRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// After so many hours (1 to 72).
    pub after_abandoned_h: u32,
    /// Whether an agent may who is there when it is dialed: by hand or from a preview.
    #[serde(default)]
    pub unless_agent: bool,
}

/// What a person must have agreed to, by who or what calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// Manual, preview and progressive campaigns: an agent is there for each call.
    pub by_agents: ConsentKind,
    /// Power and predictive ones.
    pub dialed_ahead: ConsentKind,
    /// Agentless ones: a recorded message.
    pub agentless: ConsentKind,
}

/// The national do-not-call list that calls are held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NationalRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// Its name.
    pub list: String,
    /// A copy of it is good for so many days (1 to 366).
    pub most_age_days: u32,
    /// Leads with this much consent may be called whatever it says, and without it; `none`: nobody.
    pub exempt: ConsentKind,
}

/// The number that is shown to the called person. It must be one that can be called back, everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerIdRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// It does not begin like this, e.g. with `+346`.
    pub not_prefixes: Vec<String>,
}

/// Whether machines may be told from people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectionRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// What a new campaign is offered.
    pub default: MachineDetection,
    /// Whether it may be switched on.
    pub allowed: bool,
}

/// Who must know of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingRule {
    /// Where it stands.
    pub source: String,
    /// Since when.
    pub date: String,
    /// Who.
    pub consent: RecordingConsent,
}

/// Who must know of a recording, or agree to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingConsent {
    /// One side: the caller.
    #[default]
    OneParty,
    /// The called person is told. Recorded only with a beep.
    Announced,
    /// Everybody agrees. Recorded only with a beep.
    AllParties,
}

/// The name of no profile: nothing is ruled.
pub const NO_PROFILE: &str = "none";
/// The most hours a number's attempts are looked back on.
pub(crate) const LOOK_BACK_H: u32 = 72;

impl Profile {
    /// Reads and checks a file's text.
    pub fn parse(file: &str, text: &str) -> Result<Profile, ProfileFault> {
        let fault = |message: String| ProfileFault { file: file.to_owned(), message };
        let profile: Profile = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
            let message = e.message().replace('\n', "; ");
            fault(line.map_or(message.clone(), |line| format!("line {line}: {message}")))
        })?;
        profile.check().map_err(fault)?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty()
            || self.name.len() > 40
            || !self.name.bytes().all(plain)
            || self.name == NO_PROFILE
        {
            return Err("name must have 1 to 40 of a-z, 0-9 and hyphens, and not be \"none\"".into());
        }
        let country = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        if self.countries.is_empty() || !self.countries.iter().all(country) {
            return Err(
                "countries must name at least one country by its two capital letters, e.g. [\"US\"]".into()
            );
        }
        if self.reviewed.parse::<Date>().is_err() {
            return Err("reviewed must be a day, e.g. \"2026-11-01\"".into());
        }
        for holiday in &self.holidays {
            if Rule::parse(&holiday.on).is_none() {
                return Err(format!(
                    "holiday {:?}: on must be MM-DD, or like \"4th thu 11\", \"last mon 05\" or \"easter-2\"",
                    holiday.name
                ));
            }
        }
        if self.rules.caller_id.is_none() {
            return Err(
                "[rules.caller_id] must be there: a number that can be called back is shown everywhere"
                    .into(),
            );
        }
        self.rules.check("rules")?;
        for (state, rules) in &self.states {
            if state.is_empty() || state.len() > 60 {
                return Err("a state must have letters, e.g. [states.FL.hours]".into());
            }
            let at = format!("states.{state}");
            rules.check(&at)?;
            let not_here: [(&str, bool); 4] = [
                ("abandonment", rules.abandonment.is_some()),
                ("message", rules.message.is_some()),
                ("caller_id", rules.caller_id.is_some()),
                ("machine_detection", rules.machine_detection.is_some()),
            ];
            if let Some((rule, _)) = not_here.iter().find(|(_, there)| *there) {
                return Err(format!(
                    "[{at}.{rule}] is the same for a whole campaign; put it into [rules.{rule}]"
                ));
            }
        }
        Ok(())
    }
}

impl Rules {
    fn check(&self, at: &str) -> Result<(), String> {
        for (rule, source, date) in self.sources() {
            if source.trim().is_empty() {
                return Err(format!(
                    "[{at}.{rule}] source is empty; name the statute, or say that it is your own"
                ));
            }
            if date.parse::<Date>().is_err() {
                return Err(format!("[{at}.{rule}] date must be a day, e.g. \"2026-11-01\""));
            }
        }
        let range = |rule: &str, ok: bool, message: &str| {
            if ok { Ok(()) } else { Err(format!("[{at}.{rule}] {message}")) }
        };
        if let Some(hours) = &self.hours {
            let reads = |window: &CallingWindow| {
                let days = !window.days.is_empty() && window.days.iter().all(|day| (1..=7).contains(day));
                days && minute(&window.from).zip(minute(&window.to)).is_some_and(|(from, to)| from < to)
            };
            let message = "windows need days from 1 (Monday) to 7, and from before to, written HH:MM";
            range("hours", !hours.windows.is_empty() && hours.windows.iter().all(reads), message)?;
        }
        if let Some(attempts) = &self.attempts {
            range("attempts", attempts.most > 0, "most must be at least 1")?;
            let hours = (1..=LOOK_BACK_H).contains(&attempts.hours);
            range("attempts", hours, "hours must be from 1 to 72")?;
        }
        if let Some(abandonment) = &self.abandonment {
            let cap = abandonment.cap.is_none_or(|cap| (0.0..=0.1).contains(&cap));
            range("abandonment", cap, "cap must be from 0 to 0.1 (a share: 0.03 is 3 %)")?;
            let period = (1..=720).contains(&abandonment.period_h);
            range("abandonment", period, "period_h must be from 1 to 720 hours")?;
            range("abandonment", abandonment.grace_ms <= 10_000, "grace_ms must be from 0 to 10000")?;
        }
        if let Some(ring) = &self.ring {
            range("ring", ring.least_s <= 60, "least_s must be from 0 to 60 seconds")?;
        }
        if let Some(redial) = &self.redial {
            let hours = (1..=LOOK_BACK_H).contains(&redial.after_abandoned_h);
            range("redial", hours, "after_abandoned_h must be from 1 to 72")?;
        }
        if let Some(national) = &self.national {
            let age = (1..=366).contains(&national.most_age_days);
            range("national", age, "most_age_days must be from 1 to 366")?;
        }
        if let Some(caller_id) = &self.caller_id {
            let prefix = |prefix: &String| {
                prefix.len() > 1
                    && prefix
                        .strip_prefix('+')
                        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            };
            let message = "not_prefixes must be numbers' beginnings, e.g. \"+346\"";
            range("caller_id", caller_id.not_prefixes.iter().all(prefix), message)?;
        }
        Ok(())
    }

    /// Each rule that is there, with its source and date.
    fn sources(&self) -> Vec<(&'static str, &str, &str)> {
        let mut found = Vec::new();
        macro_rules! rule {
            ($($name:ident),*) => {
                $(if let Some(rule) = &self.$name {
                    found.push((stringify!($name), rule.source.as_str(), rule.date.as_str()));
                })*
            };
        }
        rule!(
            hours,
            attempts,
            abandonment,
            ring,
            message,
            redial,
            consent,
            national,
            caller_id,
            machine_detection,
            recording
        );
        found
    }
}
