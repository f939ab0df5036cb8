//! Whether a campaign's settings make sense, with a message that says what would.

use std::collections::BTreeSet;

use super::message::{spoken, uploaded};
use crate::lead::hours::minute;
use crate::lead::retry::may_override;
use crate::limits::{AGENTS_MOST, EXTENSION_MOST_S, NAME_MOST, TEAMS_MOST};
use crate::{CampaignSettings, CommandError, MachineDetection};

/// Longest text that is said, in octets: about two minutes.
const SAID_MOST: usize = 2_000;
/// Longest retry delay: beyond a quarter of a year nobody expects the call.
const DELAY_MOST_S: u32 = 90 * 24 * 3_600;

impl CampaignSettings {
    /// Whether every value is in range; names the first field that is not. What depends on other things (a unique
    /// name, a trunk that exists) the engine checks beside this.
    pub fn validate(&self) -> Result<(), CommandError> {
        self.texts()?;
        let in_range = |field, ok: bool, message: &str| if ok { Ok(()) } else { invalid(field, message) };
        let lines = (1.0..=10.0).contains(&self.lines_per_agent);
        in_range("lines_per_agent", lines, "must be from 1 to 10")?;
        let most = (1.0..=50.0).contains(&self.max_lines_per_agent);
        in_range("max_lines_per_agent", most, "must be from 1 to 50")?;
        in_range("max_cps", self.max_cps <= 10_000, "must be from 0 (the trunk's limit alone) to 10000")?;
        let cap = (0.0..=0.1).contains(&self.abandonment_cap);
        in_range("abandonment_cap", cap, "must be from 0 to 0.1 (a share: 0.03 is 3 %)")?;
        in_range(
            "ring_timeout_s",
            (15..=120).contains(&self.ring_timeout_s),
            "must be from 15 to 120 seconds",
        )?;
        in_range("grace_ms", self.grace_ms <= 10_000, "must be from 0 to 10000 ms")?;
        in_range("wrap_up_s", self.wrap_up_s <= 3_600, "must be from 0 to 3600 seconds")?;
        let beep = self.recording_beep_s == 0 || (5..=300).contains(&self.recording_beep_s);
        in_range("recording_beep_s", beep, "must be 0 (no beep) or from 5 to 300 seconds")?;
        in_range("max_attempts", (1..=100).contains(&self.max_attempts), "must be from 1 to 100")?;
        in_range("max_attempts_day", self.max_attempts_day <= 100, "must be from 0 (no limit) to 100")?;
        in_range("max_attempts_24h", self.max_attempts_24h <= 100, "must be from 0 (no limit) to 100")?;
        let waits = self.callback_wait_min <= 10_080;
        in_range("callback_wait_min", waits, "must be from 0 (anybody at once) to 10080 minutes")?;
        in_range("priority", (-1_000..=1_000).contains(&self.priority), "must be from -1000 to 1000")?;
        in_range("preview_s", self.preview_s <= 3_600, "must be from 0 (no limit) to 3600 seconds")?;
        in_range("max_lines", (1..=1_000).contains(&self.max_lines), "must be from 1 to 1000")?;
        in_range("queue_wait_s", self.queue_wait_s <= 600, "must be from 0 to 600 seconds")?;
        let sample = (0.0..=0.1).contains(&self.machine_sample);
        in_range("machine_sample", sample, "must be from 0 to 0.1 (a share: 0.02 is 2 %)")?;
        let says =
            self.machine_detection != MachineDetection::Voicemail || !self.voicemail_message.is_empty();
        in_range(
            "voicemail_message",
            says,
            "must say what machines are left: a file, or a text as say:VOICE:TEXT",
        )?;
        self.keys()?;
        let agents: BTreeSet<_> = self.agents.iter().collect();
        let listed = agents.len() == self.agents.len() && agents.len() <= AGENTS_MOST;
        in_range("agents", listed, "must name each agent once, at most 10000")?;
        let teams: BTreeSet<_> = self.teams.iter().collect();
        let listed = teams.len() == self.teams.len() && teams.len() <= TEAMS_MOST;
        in_range("teams", listed, "must name each team once, at most 1000")?;
        let longer = self.wrap_up_extension_s <= EXTENSION_MOST_S;
        in_range("wrap_up_extension_s", longer, "must be from 0 (none) to 600 seconds")?;
        self.windows()?;
        self.rules()?;
        self.results()
    }

    fn texts(&self) -> Result<(), CommandError> {
        let name = self.name.trim();
        if name.is_empty() || name.len() != self.name.len() || self.name.len() > NAME_MOST {
            return invalid("name", "must have 1 to 200 characters, without spaces around them");
        }
        if self.description.len() > 10 * NAME_MOST {
            return invalid("description", "must have at most 2000 characters");
        }
        if self.compliance.len() > NAME_MOST {
            return invalid("compliance", "must have at most 200 characters");
        }
        if self.trunk.len() > NAME_MOST {
            return invalid("trunk", "must have at most 200 characters");
        }
        if self.caller_id_pool.len() > NAME_MOST {
            return invalid("caller_id_pool", "must have at most 200 characters");
        }
        let messages = [
            ("abandon_message", &self.abandon_message),
            ("prompt", &self.prompt),
            ("voicemail_message", &self.voicemail_message),
            ("callback_message", &self.callback_message),
        ];
        for (field, message) in messages {
            match message.strip_prefix("say:") {
                Some(_) if spoken(message).is_none() => {
                    return invalid(
                        field,
                        "must be a file, or a text as say:VOICE:TEXT, e.g. say:en-us:Good day.",
                    );
                }
                Some(said) if said.len() > SAID_MOST => {
                    return invalid(field, "a text that is said must have at most 2000 characters");
                }
                None if message.starts_with("prompt:") && uploaded(message).is_none() => {
                    return invalid(field, "must name an uploaded prompt as prompt:NAME");
                }
                None if message.len() > NAME_MOST => {
                    return invalid(
                        field,
                        "must have at most 200 characters, or be a text as say:VOICE:TEXT",
                    );
                }
                _ => {}
            }
        }
        if !self.caller_id.is_empty() && !is_e164(&self.caller_id) {
            return invalid("caller_id", "must be empty or a number like +12025550123");
        }
        if self.country.len() != 2 || !self.country.bytes().all(|b| b.is_ascii_uppercase()) {
            return invalid("country", "must be two capital letters, e.g. US");
        }
        Ok(())
    }

    fn keys(&self) -> Result<(), CommandError> {
        for (field, key) in [("opt_out_key", &self.opt_out_key), ("queue_key", &self.queue_key)] {
            if key.len() > 1 || !key.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#') {
                return invalid(field, "must be empty or one of 0-9, * and #");
            }
        }
        if !self.queue_key.is_empty() && self.queue_key == self.opt_out_key {
            return invalid("queue_key", "must be another key than opt_out_key");
        }
        Ok(())
    }

    fn windows(&self) -> Result<(), CommandError> {
        const FIELD: &str = "calling_hours";
        if self.calling_hours.len() > 50 {
            return invalid(FIELD, "must have at most 50 windows");
        }
        for window in &self.calling_hours {
            if window.days.is_empty() || !window.days.iter().all(|day| (1..=7).contains(day)) {
                return invalid(FIELD, "days must be from 1 (Monday) to 7 (Sunday), at least one");
            }
            let days: BTreeSet<_> = window.days.iter().collect();
            if days.len() != window.days.len() {
                return invalid(FIELD, "a window must name each day once");
            }
            let (Some(from), Some(to)) = (minute(&window.from), minute(&window.to)) else {
                return invalid(FIELD, "times must be written HH:MM, from 00:00 to 24:00");
            };
            if from >= to {
                return invalid(FIELD, "a window must open before it closes; split one that passes midnight");
            }
        }
        Ok(())
    }

    fn rules(&self) -> Result<(), CommandError> {
        for (outcome, rule) in &self.retry {
            if !may_override(*outcome) {
                return invalid(
                    "retry",
                    &format!("{} is never a matter of time; remove its rule", outcome.as_str()),
                );
            }
            if !(60..=DELAY_MOST_S).contains(&rule.delay_s) {
                return invalid("retry", "delay_s must be from 60 (a minute) to 7776000 (90 days)");
            }
            if rule.most == 0 {
                return invalid("retry", "most must be at least 1");
            }
        }
        Ok(())
    }

    fn results(&self) -> Result<(), CommandError> {
        const FIELD: &str = "dispositions";
        if self.dispositions.len() > 100 {
            return invalid(FIELD, "must be at most 100");
        }
        let mut codes = BTreeSet::new();
        for disposition in &self.dispositions {
            let code = &disposition.code;
            let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if code.is_empty() || code.len() > 40 || !plain {
                return invalid(FIELD, "a code must have 1 to 40 of a-z, 0-9 and _");
            }
            if disposition.label.trim().is_empty() || disposition.label.len() > NAME_MOST {
                return invalid(FIELD, "a label must have 1 to 200 characters");
            }
            if !codes.insert(code) {
                return invalid(FIELD, &format!("the code {code} is there twice"));
            }
        }
        if !self.wrap_up_disposition.is_empty() && !codes.contains(&self.wrap_up_disposition) {
            return invalid("wrap_up_disposition", "must be empty or the code of one of the dispositions");
        }
        Ok(())
    }
}

/// A number as it may be dialed or shown: a plus sign and 7 to 15 digits (E.164 §6), the first not zero.
pub(crate) fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

fn invalid<T>(field: &str, message: &str) -> Result<T, CommandError> {
    Err(CommandError::Invalid { field: field.into(), message: message.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, RetryRule};

    #[test]
    fn the_defaults_with_a_name_are_valid() {
        let settings = CampaignSettings { name: "Spring".into(), ..CampaignSettings::default() };
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!(CampaignSettings { calling_hours: vec![], ..settings }.validate(), Ok(()));
    }

    #[test]
    fn each_wrong_value_is_named() {
        type Change = fn(&mut CampaignSettings);
        let rows: &[(&str, Change)] = &[
            ("name", |s| s.name.clear()),
            ("name", |s| s.name = " x".into()),
            ("lines_per_agent", |s| s.lines_per_agent = f64::NAN),
            ("lines_per_agent", |s| s.lines_per_agent = 0.5),
            ("abandonment_cap", |s| s.abandonment_cap = 3.0),
            ("ring_timeout_s", |s| s.ring_timeout_s = 14),
            ("grace_ms", |s| s.grace_ms = 10_001),
            ("wrap_up_s", |s| s.wrap_up_s = 3_601),
            ("wrap_up_extension_s", |s| s.wrap_up_extension_s = 601),
            ("wrap_up_disposition", |s| s.wrap_up_disposition = "nothing".into()),
            ("teams", |s| s.teams = vec![crate::TeamId(1), crate::TeamId(1)]),
            ("recording_beep_s", |s| s.recording_beep_s = 4),
            ("recording_beep_s", |s| s.recording_beep_s = 301),
            ("max_attempts", |s| s.max_attempts = 0),
            ("max_attempts_day", |s| s.max_attempts_day = 101),
            ("max_attempts_24h", |s| s.max_attempts_24h = 101),
            ("callback_wait_min", |s| s.callback_wait_min = 10_081),
            ("preview_s", |s| s.preview_s = 3_601),
            ("max_lines", |s| s.max_lines = 0),
            ("max_lines", |s| s.max_lines = 1_001),
            ("queue_wait_s", |s| s.queue_wait_s = 601),
            ("opt_out_key", |s| s.opt_out_key = "99".into()),
            ("opt_out_key", |s| s.opt_out_key = "A".into()),
            ("queue_key", |s| s.queue_key = "9".into()),
            ("prompt", |s| s.prompt = "x".repeat(201)),
            ("prompt", |s| s.prompt = "say:no text".into()),
            ("prompt", |s| s.prompt = "prompt:a/b".into()),
            ("abandon_message", |s| s.abandon_message = format!("say:en:{}", "x".repeat(2_001))),
            ("machine_sample", |s| s.machine_sample = 0.2),
            ("voicemail_message", |s| s.machine_detection = MachineDetection::Voicemail),
            ("voicemail_message", |s| s.voicemail_message = "say:no text".into()),
            ("callback_message", |s| s.callback_message = "prompt:".into()),
            ("caller_id", |s| s.caller_id = "0123".into()),
            ("country", |s| s.country = "us".into()),
            ("agents", |s| s.agents = vec![crate::AgentId(1), crate::AgentId(1)]),
            ("calling_hours", |s| s.calling_hours[0].days = vec![0]),
            ("calling_hours", |s| s.calling_hours[0].days.clear()),
            ("calling_hours", |s| s.calling_hours[0].from = "9:00".into()),
            ("calling_hours", |s| s.calling_hours[0].to = "09:00".into()),
            ("retry", |s| s.retry = [(Outcome::Invalid, RetryRule::after(60, 1))].into()),
            ("retry", |s| s.retry = [(Outcome::Busy, RetryRule::after(0, 1))].into()),
            ("retry", |s| s.retry = [(Outcome::Busy, RetryRule::after(60, 0))].into()),
            ("dispositions", |s| s.dispositions[0].code = "Sale".into()),
            ("dispositions", |s| s.dispositions[1].code = "sale".into()),
            ("dispositions", |s| s.dispositions[0].label.clear()),
        ];
        for (field, change) in rows {
            let mut settings = CampaignSettings { name: "x".into(), ..CampaignSettings::default() };
            change(&mut settings);
            match settings.validate() {
                Err(CommandError::Invalid { field: found, message }) => {
                    assert_eq!(found, *field);
                    assert!(message.contains("must") || message.contains("is "), "{message}");
                }
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
