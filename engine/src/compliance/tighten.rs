//! A campaign's settings beside its profile: they may be stricter, never looser.

use super::law::{Governed, Law, Ready};
use super::profile::NO_PROFILE;
use crate::lead::hours::Hours;
use crate::{CampaignSettings, CommandError, MachineDetection, Mode, Outcome};

/// Whether settings keep to their profile; names the first field that does not, and the rule.
pub(crate) fn tightens(law: &Law, settings: &CampaignSettings) -> Result<(), CommandError> {
    let ready = match law.of(settings) {
        Governed::None => return Ok(()),
        Governed::Missing => return invalid("compliance", missing(law, settings)),
        Governed::By(ready) => ready,
    };
    let (name, rules) = (&ready.profile.name, &ready.profile.rules);
    if let Some(rule) = &rules.abandonment {
        if let Some(cap) = rule.cap.filter(|cap| settings.abandonment_cap > *cap) {
            let text = format!("must be at most {cap} (rule abandonment of profile {name}: {})", rule.source);
            return invalid("abandonment_cap", text);
        }
        if settings.grace_ms > rule.grace_ms {
            let most = rule.grace_ms;
            let text =
                format!("must be at most {most} ms (rule abandonment of profile {name}: {})", rule.source);
            return invalid("grace_ms", text);
        }
    }
    if let Some(rule) = rules.ring.as_ref().filter(|rule| settings.ring_timeout_s < rule.least_s) {
        let least = rule.least_s;
        let text = format!("must be at least {least} seconds (rule ring of profile {name}: {})", rule.source);
        return invalid("ring_timeout_s", text);
    }
    if let Some(rule) = &rules.hours {
        let (own, law) = (Hours::new(&settings.calling_hours), Hours::new(&rule.windows));
        if !own.is_within(&law) {
            let text =
                format!("must lie within {} (rule hours of profile {name}: {})", law.in_words(), rule.source);
            return invalid("calling_hours", text);
        }
    }
    if let Some(rule) = &rules.redial
        && let Some(own) = settings.retry.get(&Outcome::Abandoned)
        && own.delay_s < rule.after_abandoned_h.saturating_mul(3_600)
    {
        let hours = rule.after_abandoned_h;
        let text = format!(
            "abandoned must wait at least {hours} hours (rule redial of profile {name}: {})",
            rule.source
        );
        return invalid("retry", text);
    }
    if let Some(rule) = &rules.machine_detection
        && !rule.allowed
        && settings.machine_detection != MachineDetection::Off
    {
        let text = format!("must be off (rule machine_detection of profile {name}: {})", rule.source);
        return invalid("machine_detection", text);
    }
    if !settings.caller_id.is_empty()
        && let Err(text) = caller_id(ready, &settings.caller_id)
    {
        return invalid("caller_id", text);
    }
    Ok(())
}

/// Whether a number may be shown.
pub(crate) fn caller_id(ready: &Ready, number: &str) -> Result<(), String> {
    let Some(rule) = &ready.profile.rules.caller_id else { return Ok(()) };
    match rule.not_prefixes.iter().find(|prefix| number.starts_with(prefix.as_str())) {
        None => Ok(()),
        Some(prefix) => Err(format!(
            "{number} begins with {prefix}, which must not be shown (rule caller_id of profile {}: {}); choose another \
             number",
            ready.profile.name, rule.source
        )),
    }
}

/// Why a campaign must not dial as it is set up: the field, and what to do.
pub(crate) fn unfit(law: &Law, settings: &CampaignSettings) -> Option<(&'static str, String)> {
    let ready = match law.of(settings) {
        Governed::None => return None,
        Governed::Missing => return Some(("compliance", missing(law, settings))),
        Governed::By(ready) => ready,
    };
    let rule = ready.profile.rules.message.as_ref()?;
    let (name, source) = (&ready.profile.name, &rule.source);
    let says = rule.says.join(", ");
    let asks = settings.mode == Mode::Agentless && !settings.queue_key.is_empty();
    if (settings.mode.is_paced() || asks) && settings.abandon_message.is_empty() {
        let text = format!(
            "must be set: whom nobody can take must hear a message, and a tone is not enough (rule message of profile \
             {name}: {source}). Give a sound file, or say:VOICE:TEXT, that says: {says}"
        );
        return Some(("abandon_message", text));
    }
    if settings.mode == Mode::Agentless && settings.prompt.is_empty() {
        let text = format!(
            "must be set: a tone is not enough (rule message of profile {name}: {source}). Give a sound file, or \
             say:VOICE:TEXT, that says: {says}"
        );
        return Some(("prompt", text));
    }
    let hears = settings.mode.is_paced() || settings.mode == Mode::Agentless;
    if hears && rule.opt_out_key && settings.opt_out_key.is_empty() {
        let text = format!("must be a key that opts out (rule message of profile {name}: {source})");
        return Some(("opt_out_key", text));
    }
    None
}

fn missing(law: &Law, settings: &CampaignSettings) -> String {
    let names: Vec<&str> = law.profiles().map(|profile| profile.name.as_str()).collect();
    let names = names.join(", ");
    match settings.compliance.as_str() {
        "" => format!(
            "there is no profile for {}; choose one of {names}, add one to [compliance] directory, or set \"{NO_PROFILE}\" \
             to go by your own settings alone",
            settings.country
        ),
        name => format!("there is no profile {name:?}; there are {names} and \"{NO_PROFILE}\""),
    }
}

fn invalid<T>(field: &str, message: String) -> Result<T, CommandError> {
    Err(CommandError::Invalid { field: field.into(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallingWindow, RetryRule};

    fn uk(change: impl FnOnce(&mut CampaignSettings)) -> CampaignSettings {
        let mut settings = CampaignSettings { compliance: "uk".into(), ..CampaignSettings::default() };
        change(&mut settings);
        settings
    }

    fn field(settings: &CampaignSettings) -> String {
        match tightens(&Law::default(), settings) {
            Ok(()) => String::new(),
            Err(CommandError::Invalid { field, message }) => {
                assert!(message.contains("profile"), "{message}");
                field
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn looser_settings_are_refused_with_the_rule() {
        assert_eq!(field(&uk(|_| {})), "");
        assert_eq!(field(&uk(|s| s.abandonment_cap = 0.04)), "abandonment_cap");
        assert_eq!(field(&uk(|s| s.grace_ms = 2_001)), "grace_ms");
        let retry = RetryRule::after(3_600, 3);
        assert_eq!(field(&uk(|s| s.retry = [(Outcome::Abandoned, retry)].into())), "retry");
        assert_eq!(field(&uk(|s| s.compliance = "xx".into())), "compliance");
        let spain = |days: &[u8], from: &str, to: &str| {
            uk(|s| {
                s.compliance = "es".into();
                s.calling_hours =
                    vec![CallingWindow { days: days.to_vec(), from: from.into(), to: to.into() }];
            })
        };
        assert_eq!(field(&spain(&[1, 5], "09:00", "21:00")), "");
        assert_eq!(field(&spain(&[1, 6], "09:00", "21:00")), "calling_hours");
        assert_eq!(field(&spain(&[1], "08:59", "21:00")), "calling_hours");
        let mobile = uk(|s| (s.compliance, s.caller_id) = ("es".into(), "+34600123456".into()));
        assert_eq!(field(&mobile), "caller_id");
        let none = uk(|s| (s.compliance, s.abandonment_cap) = ("none".into(), 0.1));
        assert_eq!(field(&none), "");
    }

    #[test]
    fn a_message_is_needed_where_somebody_may_be_abandoned() {
        let law = Law::default();
        let of = |change: fn(&mut CampaignSettings)| unfit(&law, &uk(change)).map(|(field, _)| field);
        assert_eq!(of(|_| {}), Some("abandon_message"));
        assert_eq!(of(|s| s.mode = Mode::Manual), None);
        assert_eq!(of(|s| s.abandon_message = "sorry.wav".into()), None);
        assert_eq!(
            of(|s| (s.abandon_message, s.opt_out_key) = ("sorry.wav".into(), String::new())),
            Some("opt_out_key")
        );
        assert_eq!(of(|s| (s.mode, s.queue_key) = (Mode::Agentless, String::new())), Some("prompt"));
        assert_eq!(of(|s| s.compliance = "none".into()), None);
        assert_eq!(of(|s| (s.compliance, s.country) = (String::new(), "FR".into())), Some("compliance"));
    }
}
