//! Between rows and types.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{CallRecord, LeadRecord, MachineCheck, StoreError};
use crate::compliance::Past;
use crate::{
    AgentId, AttemptId, Callback, Campaign, CampaignId, CampaignStatus, Consent, ConsentKind, Lead, LeadId,
    LeadPhone, LeadStatus, ListId, Outcome, PhoneStatus, Pii,
};

pub(super) const fn lead_status(status: LeadStatus) -> &'static str {
    match status {
        LeadStatus::New => "new",
        LeadStatus::Dialing => "dialing",
        LeadStatus::Retry => "retry",
        LeadStatus::Done => "done",
        LeadStatus::Suppressed => "suppressed",
    }
}

pub(super) fn read_lead_status(text: &str) -> Result<LeadStatus, StoreError> {
    LeadStatus::ALL
        .into_iter()
        .find(|&status| lead_status(status) == text)
        .ok_or(StoreError::Corrupt { what: "lead status" })
}

pub(super) const fn campaign_status(status: CampaignStatus) -> &'static str {
    match status {
        CampaignStatus::Draft => "draft",
        CampaignStatus::Running => "running",
        CampaignStatus::Paused => "paused",
        CampaignStatus::Completed => "completed",
    }
}

fn read_campaign_status(text: &str) -> Result<CampaignStatus, StoreError> {
    [CampaignStatus::Draft, CampaignStatus::Running, CampaignStatus::Paused, CampaignStatus::Completed]
        .into_iter()
        .find(|&status| campaign_status(status) == text)
        .ok_or(StoreError::Corrupt { what: "campaign status" })
}

/// An unsigned count as a column; nothing that is counted gets near the limit.
pub(super) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn small(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

fn outcome(text: Option<&str>) -> Result<Option<Outcome>, StoreError> {
    text.map(|t| Outcome::parse(t).ok_or(StoreError::Corrupt { what: "outcome" })).transpose()
}

fn machine_check(text: &str) -> Result<MachineCheck, StoreError> {
    match text {
        "asked" => Ok(MachineCheck::Asked),
        "machine" => Ok(MachineCheck::Machine),
        "person" => Ok(MachineCheck::Person),
        _ => Err(StoreError::Corrupt { what: "machine check" }),
    }
}

/// Further columns; an empty text stands for none.
pub(super) fn custom_text(custom: &BTreeMap<String, String>) -> String {
    if custom.is_empty() { String::new() } else { serde_json::to_string(custom).unwrap_or_default() }
}

fn custom(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { what: "custom field" })
}

/// The columns of `lead` and `lead_record`, in their order.
macro_rules! lead_columns {
    () => {
        "id, campaign, list, phone, time_zone, priority, attempts, last_outcome, repeats, first_name, last_name, \
         custom, status, next_unix_ms, country, state, consent, consent_unix_ms, consent_source, dial, callback, \
         callback_agent, left_out, \
         (SELECT json_group_array(json_array(p.number, p.phone, p.kind, p.attempts, p.state)) \
         FROM lead_phones p WHERE p.lead = leads.id), last_agent, last_caller_id"
    };
}
pub(super) use lead_columns;

pub(super) fn lead_record(row: &SqliteRow) -> Result<LeadRecord, StoreError> {
    Ok(LeadRecord {
        id: LeadId(row.try_get(0)?),
        campaign: CampaignId(row.try_get(1)?),
        list: ListId(row.try_get(2)?),
        phone: Pii(row.try_get(3)?),
        time_zone: row.try_get(4)?,
        priority: i32::try_from(row.try_get::<i64, _>(5)?).unwrap_or_default(),
        attempts: small(row.try_get(6)?),
        last_outcome: outcome(row.try_get(7)?)?,
        repeats: small(row.try_get(8)?),
        first_name: Pii(row.try_get(9)?),
        last_name: Pii(row.try_get(10)?),
        custom: Pii(custom(row.try_get(11)?)?),
        status: read_lead_status(row.try_get(12)?)?,
        next_unix_ms: row.try_get(13)?,
        country: row.try_get(14)?,
        state: row.try_get(15)?,
        consent: Consent {
            kind: ConsentKind::parse(row.try_get(16)?).ok_or(StoreError::Corrupt { what: "consent" })?,
            at_unix_ms: row.try_get(17)?,
            source: row.try_get(18)?,
        },
        dial: row.try_get::<Option<String>, _>(19)?.map(Pii),
        callback: match row.try_get::<i64, _>(20)? {
            0 => None,
            _ => Some(Callback {
                agent: row.try_get::<Option<i64>, _>(21)?.map(AgentId),
                due_unix_ms: row.try_get(13)?,
            }),
        },
        left_out: row.try_get::<i64, _>(22)? != 0,
        phones: phones(row.try_get(23)?)?,
    })
}

/// The phones of a lead that has several, as the statement gathers them.
fn phones(text: &str) -> Result<Vec<LeadPhone>, StoreError> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    let corrupt = || StoreError::Corrupt { what: "lead's phones" };
    let mut rows: Vec<(i64, String, String, i64, String)> =
        serde_json::from_str(text).map_err(|_| corrupt())?;
    rows.sort();
    rows.into_iter()
        .map(|(_, phone, kind, attempts, state)| {
            let status = PhoneStatus::parse(&state).ok_or_else(corrupt)?;
            Ok(LeadPhone { phone: Pii(phone), kind, attempts: small(attempts), status })
        })
        .collect()
}

fn times(text: &str) -> Result<Vec<i64>, StoreError> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { what: "lead's attempts" })
}

pub(super) fn lead(row: &SqliteRow) -> Result<Lead, StoreError> {
    let last_agent = row.try_get::<Option<i64>, _>("last_agent")?.map(AgentId);
    let last_caller_id = row.try_get("last_caller_id")?;
    Ok(Lead {
        last_agent,
        last_caller_id,
        own: times(row.try_get("own_times")?)?,
        on_national_list: row.try_get::<i64, _>("national")? != 0,
        recent: recent(row.try_get("recent")?)?,
        ..lead_record(row)?.into()
    })
}

impl From<LeadRecord> for Lead {
    fn from(record: LeadRecord) -> Lead {
        Lead {
            id: record.id,
            campaign: record.campaign,
            list: record.list,
            phone: record.dial.unwrap_or(record.phone),
            phones: record.phones,
            time_zone: record.time_zone,
            country: record.country,
            state: record.state,
            consent: record.consent,
            priority: record.priority,
            attempts: record.attempts,
            last_outcome: record.last_outcome,
            repeats: record.repeats,
            callback: record.callback,
            own: Vec::new(),
            on_national_list: false,
            recent: Vec::new(),
            turn: 0,
            last_agent: None,
            last_caller_id: String::new(),
            first_name: record.first_name,
            last_name: record.last_name,
            custom: record.custom,
        }
    }
}

/// What the gate wants to know beside the lead itself, with the parameter that says how far to look back. An attempt that
/// was not sent never was; a call that a crash ended before an agent had it counts as abandoned.
macro_rules! gate_columns {
    ($since:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM national_numbers n \
             WHERE n.number = CAST(substr(coalesce(leads.dial, leads.phone), 2) AS INTEGER)) AS national, \
             (SELECT json_group_array(a.started_unix_ms) FROM attempts a WHERE a.lead = leads.id \
             AND a.outcome IS NOT 'not_sent' AND a.outcome IS NOT 'congestion' AND a.outcome IS NOT 'blocked' \
             AND a.outcome IS NOT 'trunk_fault') AS own_times, \
             (SELECT json_group_array(json_array(a.id, a.started_unix_ms, CASE WHEN a.outcome = 'abandoned' \
             OR (a.outcome = 'unknown_crash' AND a.answered_unix_ms IS NOT NULL AND a.connected_unix_ms IS NULL) \
             THEN coalesce(a.ended_unix_ms, a.started_unix_ms) END)) FROM attempts a \
             WHERE a.phone = coalesce(leads.dial, leads.phone) AND a.started_unix_ms > ",
            $since,
            " AND a.outcome IS NOT 'not_sent') AS recent"
        )
    };
}
pub(super) use gate_columns;

/// Attempts as `[[id, begun, abandoned or null]]`.
fn recent(text: &str) -> Result<Vec<Past>, StoreError> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, i64, Option<i64>)> =
        serde_json::from_str(text).map_err(|_| StoreError::Corrupt { what: "attempts of a number" })?;
    let past =
        |(id, at_unix_ms, abandoned_unix_ms)| Past { attempt: AttemptId(id), at_unix_ms, abandoned_unix_ms };
    Ok(rows.into_iter().map(past).collect())
}

/// The columns of `call`, in its order.
macro_rules! call_columns {
    () => {
        "id, campaign, lead, phone, caller_id, agent, started_unix_ms, answered_unix_ms, connected_unix_ms, \
         ended_unix_ms, wait_ms, talk_ms, late, outcome, disposition, note, \
         message_left, machine_check, \
         EXISTS (SELECT 1 FROM recordings WHERE call = attempts.id AND state <> 'erased' \
         AND (bytes > 0 OR state = 'recording'))"
    };
}
pub(super) use call_columns;

pub(super) fn call(row: &SqliteRow) -> Result<CallRecord, StoreError> {
    Ok(CallRecord {
        id: AttemptId(row.try_get(0)?),
        campaign: CampaignId(row.try_get(1)?),
        lead: LeadId(row.try_get(2)?),
        phone: Pii(row.try_get(3)?),
        caller_id: row.try_get(4)?,
        agent: row.try_get::<Option<i64>, _>(5)?.map(AgentId),
        started_unix_ms: row.try_get(6)?,
        answered_unix_ms: row.try_get(7)?,
        connected_unix_ms: row.try_get(8)?,
        ended_unix_ms: row.try_get(9)?,
        wait_ms: row.try_get::<Option<i64>, _>(10)?.map(small),
        talk_ms: u64::try_from(row.try_get::<i64, _>(11)?).unwrap_or_default(),
        late: row.try_get::<i64, _>(12)? != 0,
        outcome: outcome(row.try_get(13)?)?,
        disposition: row.try_get(14)?,
        note: Pii(row.try_get(15)?),
        message_left: row.try_get::<i64, _>(16)? != 0,
        machine_check: row.try_get::<Option<&str>, _>(17)?.map(machine_check).transpose()?,
        recorded: row.try_get::<i64, _>(18)? != 0,
    })
}

pub(super) fn campaign(row: &SqliteRow) -> Result<Campaign, StoreError> {
    Ok(Campaign {
        id: CampaignId(row.try_get(0)?),
        status: read_campaign_status(row.try_get(1)?)?,
        settings: serde_json::from_str(row.try_get(2)?)
            .map_err(|_| StoreError::Corrupt { what: "campaign's settings" })?,
    })
}
