//! The profiles that there are, ready to be applied, and what of them holds for a whole campaign.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::holiday::Rule;
use super::profile::{ConsentRule, NO_PROFILE, NationalRule, Profile, RecordingConsent, Rules};
use crate::lead::hours::Hours;
use crate::limits::RING_LEAST;
use crate::{CampaignSettings, ConsentKind, Mode};

const HOUR_MS: i64 = 3_600_000;

/// The shipped files.
const FILES: [(&str, &str); 4] = [
    ("cz.toml", include_str!("../../../configs/compliance/cz.toml")),
    ("es.toml", include_str!("../../../configs/compliance/es.toml")),
    ("uk.toml", include_str!("../../../configs/compliance/uk.toml")),
    ("us.toml", include_str!("../../../configs/compliance/us.toml")),
];

/// They are read by a test; what does not read is not there, and nobody is called by it.
pub(super) static BUILT_IN: LazyLock<Law> = LazyLock::new(|| {
    let mut law = Law { profiles: BTreeMap::new() };
    for (file, text) in FILES {
        if let Ok(profile) = Profile::parse(file, text) {
            law.put(profile);
        }
    }
    law
});

/// Every profile, by its name. Written down are only those that do not come with the dialer: a state of the engine is small,
/// and the shipped ones are as much the program's as its code.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<Profile>", into = "Vec<Profile>")]
pub(crate) struct Law {
    profiles: BTreeMap<String, Ready>,
}

impl Default for Law {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl From<Vec<Profile>> for Law {
    fn from(own: Vec<Profile>) -> Law {
        let mut law = Law::default();
        for profile in own {
            law.put(profile);
        }
        law
    }
}

impl From<Law> for Vec<Profile> {
    fn from(law: Law) -> Vec<Profile> {
        let shipped = |profile: &Profile| {
            BUILT_IN.profiles.get(&profile.name).is_some_and(|ready| ready.profile == *profile)
        };
        law.profiles.into_values().map(|ready| ready.profile).filter(|profile| !shipped(profile)).collect()
    }
}

/// A profile, ready to be applied.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) profile: Profile,
    base: There,
    states: BTreeMap<String, There>,
    holidays: Vec<Rule>,
}

/// What holds in one place: the profile's rules and the state's.
#[derive(Clone, Debug, Default)]
pub(crate) struct There {
    /// All of them must be open.
    pub(super) hours: Vec<Hours>,
    pub(super) closed_on_holidays: bool,
    /// So many attempts in so many ms.
    pub(super) attempts: Option<(u32, i64)>,
    /// After an abandoned call, in ms, and whether an agent who dials by hand may all the same.
    pub(super) lock_out: Option<(i64, bool)>,
    pub(super) consent: Option<ConsentRule>,
    pub(super) national: Option<NationalRule>,
    pub(super) recording: RecordingConsent,
}

impl There {
    fn of(rules: &Rules) -> There {
        There {
            hours: rules.hours.iter().map(|rule| Hours::new(&rule.windows)).collect(),
            closed_on_holidays: rules.hours.as_ref().is_some_and(|rule| rule.closed_on_holidays),
            attempts: rules.attempts.as_ref().map(|rule| (rule.most, i64::from(rule.hours) * HOUR_MS)),
            lock_out: rules
                .redial
                .as_ref()
                .map(|rule| (i64::from(rule.after_abandoned_h) * HOUR_MS, rule.unless_agent)),
            consent: rules.consent.clone(),
            national: rules.national.clone(),
            recording: rules.recording.as_ref().map_or(RecordingConsent::OneParty, |rule| rule.consent),
        }
    }

    /// This one with a state's rules beside it: hours of both, else the state's where it has one.
    fn and(&self, state: There) -> There {
        There {
            hours: self.hours.iter().cloned().chain(state.hours).collect(),
            closed_on_holidays: self.closed_on_holidays || state.closed_on_holidays,
            attempts: state.attempts.or(self.attempts),
            lock_out: state.lock_out.or(self.lock_out),
            consent: state.consent.or_else(|| self.consent.clone()),
            national: state.national.or_else(|| self.national.clone()),
            recording: state.recording.max(self.recording),
        }
    }

    /// What a person must have agreed to.
    pub(super) fn consent(&self, mode: Mode) -> ConsentKind {
        self.consent.as_ref().map_or(ConsentKind::None, |rule| match mode {
            Mode::Manual | Mode::Preview | Mode::Progressive => rule.by_agents,
            Mode::Power | Mode::Predictive => rule.dialed_ahead,
            Mode::Agentless => rule.agentless,
        })
    }
}

impl Ready {
    fn new(profile: Profile) -> Ready {
        let base = There::of(&profile.rules);
        let states = profile.states.iter().map(|(state, rules)| (state.clone(), base.and(There::of(rules))));
        Ready {
            states: states.collect(),
            // Those that do not read were refused with the file.
            holidays: profile
                .holidays
                .iter()
                .map(|holiday| Rule::parse(&holiday.on).unwrap_or(Rule::Easter { days: 0 }))
                .collect(),
            base,
            profile,
        }
    }

    pub(super) fn covers(&self, country: &str) -> bool {
        self.profile.countries.iter().any(|covered| covered == country)
    }

    /// What holds in a state; what holds everywhere for one that has no rules of its own.
    pub(super) fn there(&self, state: &str) -> &There {
        self.states.get(state).unwrap_or(&self.base)
    }

    /// Whether a day is a holiday there. Where the state is not known, every state's holidays are.
    pub(super) fn is_holiday(&self, date: Date, state: &str) -> bool {
        self.profile.holidays.iter().zip(&self.holidays).any(|(holiday, rule)| {
            let here = holiday.states.is_empty()
                || state.is_empty()
                || holiday.states.iter().any(|there| there == state);
            here && rule.holds(date, holiday.observed)
        })
    }
}

/// By what a campaign goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Governed<'a> {
    /// By nothing: its manager chose `none`.
    None,
    /// By this profile.
    By(&'a Ready),
    /// By a profile that is not there: it does not dial.
    Missing,
}

impl Law {
    /// Adds a profile, or replaces the one of that name.
    pub(crate) fn put(&mut self, profile: Profile) {
        self.profiles.insert(profile.name.clone(), Ready::new(profile));
    }

    pub(crate) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values().map(|ready| &ready.profile)
    }

    /// By what a campaign goes: the profile that it names, else the first one, by name, of its country.
    pub(crate) fn of(&self, settings: &CampaignSettings) -> Governed<'_> {
        let found = match settings.compliance.as_str() {
            NO_PROFILE => return Governed::None,
            "" => self.profiles.values().find(|ready| ready.covers(&settings.country)),
            name => self.profiles.get(name),
        };
        found.map_or(Governed::Missing, Governed::By)
    }

    /// A profile by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Ready> {
        self.profiles.get(name)
    }
}

/// What holds for a whole campaign: its settings, and the law where it is stricter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// The profile's name; none: nothing is ruled, or the profile is missing.
    pub(crate) profile: Option<String>,
    pub(crate) missing: bool,
    pub(crate) cap: f64,
    pub(crate) grace: Duration,
    pub(crate) ring_least: Duration,
    /// Of the ledger, in minutes.
    pub(crate) period_min: i64,
}

impl Terms {
    /// The regulator's period where none is named: 30 days.
    pub(crate) const PERIOD_MIN: i64 = 30 * 24 * 60;

    pub(crate) fn of(law: &Law, settings: &CampaignSettings) -> Terms {
        let mut terms = Terms {
            profile: None,
            missing: false,
            cap: settings.abandonment_cap,
            grace: Duration::from_millis(u64::from(settings.grace_ms)),
            ring_least: RING_LEAST,
            period_min: Terms::PERIOD_MIN,
        };
        let ready = match law.of(settings) {
            Governed::None => return terms,
            Governed::Missing => {
                terms.missing = true;
                return terms;
            }
            Governed::By(ready) => ready,
        };
        terms.profile = Some(ready.profile.name.clone());
        let rules = &ready.profile.rules;
        if let Some(rule) = &rules.abandonment {
            terms.cap = terms.cap.min(rule.cap.unwrap_or(terms.cap));
            terms.grace = terms.grace.min(Duration::from_millis(u64::from(rule.grace_ms)));
            terms.period_min = i64::from(rule.period_h) * 60;
        }
        if let Some(rule) = &rules.ring {
            terms.ring_least = terms.ring_least.max(Duration::from_secs(u64::from(rule.least_s)));
        }
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_reads() {
        for (file, text) in FILES {
            Profile::parse(file, text).unwrap_or_else(|e| panic!("{e}"));
        }
        let law = Law::default();
        assert_eq!(law.profiles().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["cz", "es", "uk", "us"]);
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/compliance");
        assert_eq!(directory.read_dir().unwrap().count(), FILES.len(), "a shipped file is not built in");
    }

    #[test]
    fn a_campaign_goes_by_its_profile_or_its_country_s() {
        let law = Law::default();
        let settings = |compliance: &str, country: &str| CampaignSettings {
            compliance: compliance.into(),
            country: country.into(),
            ..CampaignSettings::default()
        };
        let name = |settings: CampaignSettings| match law.of(&settings) {
            Governed::By(ready) => ready.profile.name.clone(),
            Governed::None => "-".into(),
            Governed::Missing => "?".into(),
        };
        assert_eq!(name(settings("", "US")), "us");
        assert_eq!(name(settings("", "GB")), "uk");
        assert_eq!(name(settings("es", "GB")), "es");
        assert_eq!(name(settings("none", "US")), "-");
        assert_eq!(name(settings("", "FR")), "?");
        assert_eq!(name(settings("fr", "US")), "?");
        let terms = Terms::of(&law, &CampaignSettings { abandonment_cap: 0.01, ..settings("uk", "GB") });
        assert_eq!((terms.cap, terms.period_min), (0.01, 1_440));
        let terms = Terms::of(
            &law,
            &CampaignSettings { abandonment_cap: 0.1, grace_ms: 9_000, ..settings("", "US") },
        );
        assert_eq!((terms.cap, terms.grace), (0.03, Duration::from_secs(2)));
    }

    #[test]
    fn states_tighten_what_holds_everywhere() {
        let law = Law::default();
        let us = law.named("us").unwrap();
        assert_eq!(us.there("FL").attempts, Some((3, 24 * HOUR_MS)));
        assert_eq!(us.there("GA").attempts, None);
        assert_eq!(us.there("FL").hours.len(), 2);
        assert_eq!(us.there("CA").recording, RecordingConsent::AllParties);
        assert!(us.there("LA").closed_on_holidays && !us.there("TX").closed_on_holidays);
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert!(us.is_holiday(day("2026-02-17"), "LA") && !us.is_holiday(day("2026-02-17"), "MS"));
        let es = law.named("es").unwrap();
        assert!(es.is_holiday(day("2026-09-11"), "CT") && !es.is_holiday(day("2026-09-11"), "MD"));
        assert!(es.is_holiday(day("2026-09-11"), ""), "not known: every region's");
    }
}
