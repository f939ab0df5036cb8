//! The writes of calls, many rows to a statement.
//!
//! A statement by itself costs several times what SQLite has to do for it: two threads hand it to each other. So what a
//! transaction has to write of calls and agents goes to the database in one text, each of its statements with the rows
//! of all writes of its kind, as JSON (sqlite.org/json1.html).

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::{Row, SqliteConnection};

use super::StoreError;
use super::apply::Applied;
use super::row::{count, lead_status};
use crate::{LeadChange, LegRecord, Mark, Outcome, PhoneStatus, Write};

/// A life goes through the kinds of writes in this order, and so do the statements of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Try,
    Answered,
    Connected,
    TryEnded,
    AttemptEnded,
    Disposed,
    Marked,
    Lead,
}

/// Whose writes must keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Attempt(i64),
    Lead(i64),
}

// Rows, as arrays in JSON; what is where stands beside the statements.

#[derive(Serialize)]
struct TryRow<'a>(i64, u32, i64, i64, i64, &'a str, &'a str, i64, i64, i64, &'a str);

#[derive(Serialize)]
struct TryEndedRow(i64, u32, i64, Option<u16>, Option<u16>);

#[derive(Serialize)]
struct AttemptEndedRow<'a>(i64, &'static str, i64, i64, i64, LeadRow<'a>);

#[derive(Serialize)]
struct DisposedRow<'a>(i64, &'a str, &'a str, i64, Option<i64>, Option<LeadRow<'a>>);

/// `[status, next_unix_ms, attempts, last_outcome, repeats, callback, its agent, phone tried, counted, its status, next phone]`
#[derive(Serialize)]
struct LeadRow<'a>(
    &'static str,
    i64,
    u32,
    Option<&'static str>,
    u32,
    u8,
    Option<i64>,
    Option<&'a str>,
    u8,
    Option<&'static str>,
    Option<&'a str>,
);

/// Agent, state, reason, from, lasted, who forced it.
type AgentTimeRow<'a> = (i64, &'static str, &'a str, i64, i64, Option<i64>);

/// Writes that can be applied together: of each attempt and lead at most one of a kind, in the order of a life.
#[derive(Default)]
pub(super) struct Round<'a> {
    /// The last kind for each.
    last: HashMap<Subject, Kind>,
    tries: Vec<TryRow<'a>>,
    answered: Vec<(i64, u32, i64, String)>,
    connected: Vec<(i64, i64, i64, u32, u8)>,
    tries_ended: Vec<TryEndedRow>,
    attempts_ended: Vec<AttemptEndedRow<'a>>,
    disposed: Vec<DisposedRow<'a>>,
    marks: Vec<(i64, Option<u8>, Option<&'static str>)>,
    leads: Vec<(i64, LeadRow<'a>)>,
    agent_times: Vec<AgentTimeRow<'a>>,
    legs: Vec<(i64, &'a LegRecord)>,
}

impl<'a> Round<'a> {
    /// Takes a write. False: it is not of those that are gathered, or must come after what is in the round.
    pub(super) fn add(&mut self, write: &'a Write) -> bool {
        let Some((kind, subjects)) = place(write) else {
            return self.add_alone(write);
        };
        let subjects = subjects.into_iter().flatten();
        if subjects.clone().any(|subject| self.last.get(&subject).is_some_and(|&last| last >= kind)) {
            return false;
        }
        self.last.extend(subjects.map(|subject| (subject, kind)));
        match write {
            Write::Try(new) => self.tries.push(TryRow(
                new.id.attempt.0,
                new.id.number,
                new.campaign.0,
                new.lead.0,
                new.trunk.0,
                &new.phone,
                &new.caller_id,
                new.at_unix_ms,
                new.crash_retry_unix_ms,
                count(new.price),
                &new.evidence,
            )),
            Write::Answered { id, dialog, at_unix_ms } => {
                let dialog = dialog.iter().map(|byte| format!("{byte:02x}")).collect();
                self.answered.push((id.attempt.0, id.number, *at_unix_ms, dialog));
            }
            Write::Connected { attempt, agent, at_unix_ms, wait_ms, late } => {
                self.connected.push((attempt.0, agent.0, *at_unix_ms, *wait_ms, u8::from(*late)));
            }
            Write::TryEnded { id, status, q850, at_unix_ms } => {
                self.tries_ended.push(TryEndedRow(id.attempt.0, id.number, *at_unix_ms, *status, *q850));
            }
            Write::AttemptEnded { attempt, outcome, at_unix_ms, talk_ms, lead } => {
                let (outcome, talk_ms) = (outcome.as_str(), count(*talk_ms));
                self.attempts_ended.push(AttemptEndedRow(
                    attempt.0,
                    outcome,
                    *at_unix_ms,
                    talk_ms,
                    lead.lead.0,
                    lead_row(lead),
                ));
            }
            Write::Disposed { attempt, code, note, at_unix_ms, lead } => {
                let id = lead.as_ref().map(|change| change.lead.0);
                self.disposed.push(DisposedRow(
                    attempt.0,
                    code,
                    note,
                    *at_unix_ms,
                    id,
                    lead.as_ref().map(lead_row),
                ));
            }
            Write::Marked { attempt, mark } => {
                let (left, check) = mark_columns(*mark);
                self.marks.push((attempt.0, left, check));
            }
            Write::Lead(change) => self.leads.push((change.lead.0, lead_row(change))),
            _ => return false,
        }
        true
    }

    /// What nothing else depends on.
    fn add_alone(&mut self, write: &'a Write) -> bool {
        match write {
            Write::AgentTime { agent, state, reason, forced_by, from_unix_ms, lasted_ms } => {
                let (state, lasted_ms) = (state.as_str(), count(*lasted_ms));
                let by = forced_by.map(|by| by.0);
                self.agent_times.push((agent.0, state, reason, *from_unix_ms, lasted_ms, by));
            }
            Write::Leg { attempt, leg } => self.legs.push((attempt.0, leg)),
            _ => return false,
        }
        true
    }

    /// Applies all of it within the caller's transaction.
    pub(super) async fn apply(&self, conn: &mut SqliteConnection) -> Result<Settled, StoreError> {
        let rows = sqlx::query(STATEMENTS)
            .bind(json(&self.tries)?)
            .bind(json(&self.answered)?)
            .bind(json(&self.connected)?)
            .bind(json(&self.tries_ended)?)
            .bind(json(&self.attempts_ended)?)
            .bind(json(&self.disposed)?)
            .bind(json(&self.leads)?)
            .bind(json(&self.agent_times)?)
            .bind(json(&self.legs)?)
            .bind(json(&self.marks)?)
            .fetch_all(conn)
            .await?;
        let key = |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let found: Result<_, sqlx::Error> = rows.iter().map(key).collect();
        Ok(Settled(found?))
    }
}

/// What was found and written, by the number of its kind, attempt, and try (0 where it is the whole attempt's).
pub(super) struct Settled(HashSet<(i64, i64, i64)>);

impl Settled {
    /// What came of a write of the round.
    pub(super) fn of(&self, write: &Write) -> Applied {
        let (key, otherwise) = match write {
            Write::Try(new) => ((1, new.id.attempt.0, new.id.number.into()), Applied::Refused),
            Write::Answered { id, .. } => ((2, id.attempt.0, id.number.into()), Applied::Refused),
            Write::Connected { attempt, .. } => ((3, attempt.0, 0), Applied::Refused),
            Write::TryEnded { id, .. } => ((4, id.attempt.0, id.number.into()), Applied::Refused),
            // Exactly once: the first outcome stands, and with it what it did to the lead.
            Write::AttemptEnded { attempt, .. } => ((5, attempt.0, 0), Applied::SecondOutcome),
            Write::Disposed { attempt, .. } => ((6, attempt.0, 0), Applied::Refused),
            Write::Marked { attempt, .. } => ((10, attempt.0, 0), Applied::Refused),
            _ => return Applied::Done,
        };
        if self.0.contains(&key) { Applied::Done } else { otherwise }
    }
}

/// Where a write stands in the life of which attempt and lead; none for what is not of a call.
fn place(write: &Write) -> Option<(Kind, [Option<Subject>; 2])> {
    let attempt = |id: crate::AttemptId| Some(Subject::Attempt(id.0));
    let lead = |id: crate::LeadId| Some(Subject::Lead(id.0));
    Some(match write {
        Write::Try(new) => (Kind::Try, [attempt(new.id.attempt), lead(new.lead)]),
        Write::Answered { id, .. } => (Kind::Answered, [attempt(id.attempt), None]),
        Write::Connected { attempt: id, .. } => (Kind::Connected, [attempt(*id), None]),
        Write::TryEnded { id, .. } => (Kind::TryEnded, [attempt(id.attempt), None]),
        Write::AttemptEnded { attempt: id, lead: change, .. } => {
            (Kind::AttemptEnded, [attempt(*id), lead(change.lead)])
        }
        Write::Disposed { attempt: id, lead: change, .. } => {
            (Kind::Disposed, [attempt(*id), change.as_ref().and_then(|change| lead(change.lead))])
        }
        Write::Marked { attempt: id, .. } => (Kind::Marked, [attempt(*id), None]),
        Write::Lead(change) => (Kind::Lead, [None, lead(change.lead)]),
        _ => return None,
    })
}

/// What a mark puts into the columns `message_left` and `machine_check`; none leaves one as it is.
fn mark_columns(mark: Mark) -> (Option<u8>, Option<&'static str>) {
    match mark {
        Mark::MessageLeft => (Some(1), None),
        Mark::Sampled => (None, Some("asked")),
        Mark::Checked { machine } => (None, Some(if machine { "machine" } else { "person" })),
    }
}

fn lead_row(change: &LeadChange) -> LeadRow<'_> {
    let last_outcome = change.last_outcome.map(Outcome::as_str);
    let (callback, phone) = (change.callback, change.phone.as_ref());
    LeadRow(
        lead_status(change.status),
        change.next_unix_ms,
        change.attempts,
        last_outcome,
        change.repeats,
        u8::from(callback.is_some()),
        callback.and_then(|callback| callback.agent).map(|agent| agent.0),
        phone.map(|phone| phone.tried.as_str()),
        phone.map_or(0, |phone| u8::from(phone.counted)),
        phone.and_then(|phone| phone.status).map(PhoneStatus::as_str),
        phone.map(|phone| phone.next.as_str()),
    )
}

fn json<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|e| StoreError::Invalid { field: "write", message: e.to_string() })
}

/// What becomes of leads: `$rows` with the lead's id and a [`LeadRow`] at these places; first of their phones, then of
/// themselves. Suppressed is final: no outcome, disposition or schedule brings a lead back, nor a phone.
macro_rules! change_leads {
    ($rows:literal, $id:literal, $change:literal, $only_if:literal) => {
        concat!(
            "UPDATE lead_phones SET attempts = attempts + (w.value->>'$[",
            $change,
            "][8]'), state = CASE state WHEN 'ok' THEN coalesce(w.value->>'$[",
            $change,
            "][9]', state) ELSE state END FROM json_each(",
            $rows,
            ") AS w WHERE lead_phones.lead = w.value->>",
            $id,
            " AND lead_phones.phone = w.value->>'$[",
            $change,
            "][7]'",
            $only_if,
            "; UPDATE leads SET status = w.value->>'$[",
            $change,
            "][0]', next_unix_ms = w.value->>'$[",
            $change,
            "][1]', attempts = w.value->>'$[",
            $change,
            "][2]', last_outcome = w.value->>'$[",
            $change,
            "][3]', repeats = w.value->>'$[",
            $change,
            "][4]', callback = w.value->>'$[",
            $change,
            "][5]', callback_agent = w.value->>'$[",
            $change,
            "][6]', dial = CASE WHEN (w.value->>'$[",
            $change,
            "][10]') IS NULL THEN dial ELSE coalesce((SELECT p.phone FROM lead_phones p WHERE p.lead = leads.id \
             AND p.state = 'ok' AND p.phone = w.value->>'$[",
            $change,
            "][10]'), dial) END FROM json_each(",
            $rows,
            ") AS w WHERE leads.id = w.value->>",
            $id,
            " AND leads.status <> 'suppressed'",
            $only_if,
            ";"
        )
    };
}

/// In the order of [`Kind`]. What a write needs to find is returned when it is there, as [`Settled`] has it.
pub(super) const STATEMENTS: &str = concat!(
    // $1: attempt, number, campaign, lead, trunk, phone, caller id, at, not again after a crash before, price, evidence.
    // The last check that nobody is dialed twice: a lead that is on a line, done or suppressed is not dialed.
    "INSERT INTO attempts (id, campaign, lead, phone, caller_id, started_unix_ms, crash_retry_unix_ms, late, talk_ms, \
     note, evidence) SELECT w.value->>0, w.value->>2, w.value->>3, w.value->>5, w.value->>6, w.value->>7, w.value->>8, \
     0, 0, '', w.value->>10 \
     FROM json_each($1) AS w CROSS JOIN leads \
     WHERE w.value->>1 = 1 AND leads.id = w.value->>3 AND leads.status IN ('new', 'retry');",
    "UPDATE leads SET status = 'dialing', last_caller_id = w.value->>6 FROM json_each($1) AS w \
     WHERE w.value->>1 = 1 AND leads.id = w.value->>3 AND leads.status IN ('new', 'retry');",
    // A crash counts from the last try; and a number that was suppressed meanwhile is not dialed again.
    "UPDATE attempts SET caller_id = w.value->>6, crash_retry_unix_ms = w.value->>8 FROM json_each($1) AS w \
     WHERE w.value->>1 > 1 AND attempts.id = w.value->>0 AND attempts.outcome IS NULL \
     AND EXISTS (SELECT 1 FROM leads WHERE leads.id = attempts.lead AND leads.status = 'dialing');",
    "INSERT INTO tries (attempt, number, trunk, caller_id, started_unix_ms, price) \
     SELECT w.value->>0, w.value->>1, w.value->>4, w.value->>6, w.value->>7, w.value->>9 \
     FROM json_each($1) AS w CROSS JOIN attempts AS a CROSS JOIN leads \
     WHERE a.id = w.value->>0 AND a.outcome IS NULL AND leads.id = a.lead AND leads.status = 'dialing' \
     RETURNING 1, attempt, number;",
    // $2: attempt, number, at, dialog in hex.
    "UPDATE tries SET answered_unix_ms = w.value->>2, dialog = unhex(w.value->>3) FROM json_each($2) AS w \
     WHERE tries.attempt = w.value->>0 AND tries.number = w.value->>1 RETURNING 2, attempt, number;",
    "UPDATE attempts SET answered_unix_ms = w.value->>2 FROM json_each($2) AS w \
     WHERE attempts.id = w.value->>0 AND attempts.answered_unix_ms IS NULL;",
    // $3: attempt, agent, at, wait, late.
    "UPDATE attempts SET agent = w.value->>1, connected_unix_ms = w.value->>2, wait_ms = w.value->>3, \
     late = w.value->>4 FROM json_each($3) AS w WHERE attempts.id = w.value->>0 RETURNING 3, id, 0;",
    "UPDATE leads SET last_agent = w.value->>1 FROM json_each($3) AS w \
     WHERE leads.id = (SELECT a.lead FROM attempts AS a WHERE a.id = w.value->>0);",
    // $4: attempt, number, at, status, cause.
    "UPDATE tries SET ended_unix_ms = w.value->>2, status = w.value->>3, q850 = w.value->>4, dialog = NULL \
     FROM json_each($4) AS w WHERE tries.attempt = w.value->>0 AND tries.number = w.value->>1 \
     RETURNING 4, attempt, number;",
    // $5: attempt, outcome, at, talk, lead, its row. The lead first: afterwards it cannot be told whose outcome stood.
    change_leads!(
        "$5",
        4,
        5,
        " AND EXISTS (SELECT 1 FROM attempts AS a WHERE a.id = w.value->>0 AND a.outcome IS NULL)"
    ),
    "UPDATE attempts SET outcome = w.value->>1, ended_unix_ms = w.value->>2, talk_ms = w.value->>3 \
     FROM json_each($5) AS w WHERE attempts.id = w.value->>0 AND attempts.outcome IS NULL RETURNING 5, id, 0;",
    // $6: attempt, code, note, at, lead or null, its row or null.
    "UPDATE attempts SET disposition = w.value->>1, note = w.value->>2 FROM json_each($6) AS w \
     WHERE attempts.id = w.value->>0 RETURNING 6, id, 0;",
    "INSERT INTO dispositions (attempt, code, note, at_unix_ms) \
     SELECT a.id, w.value->>1, w.value->>2, w.value->>3 FROM json_each($6) AS w CROSS JOIN attempts AS a \
     WHERE a.id = w.value->>0 ORDER BY w.key;",
    change_leads!("$6", 4, 5, " AND EXISTS (SELECT 1 FROM attempts AS a WHERE a.id = w.value->>0)"),
    // $7: lead, its row.
    change_leads!("$7", 0, 1, ""),
    // $8: agent, state, reason, from, lasted, forced by.
    "INSERT INTO agent_times (agent, state, reason, from_unix_ms, lasted_ms, forced_by) \
     SELECT w.value->>0, w.value->>1, w.value->>2, w.value->>3, w.value->>4, w.value->>5 \
     FROM json_each($8) AS w ORDER BY w.key;",
    // $9: attempt, its LegRecord.
    "INSERT INTO call_legs (attempt, number, side, trunk, agent, ended_unix_ms, codec, lasted_ms, packets_received, \
     packets_sent, packets_lost, loss, longest_loss, burst_density, reordered, repeated, jitter_ms, jitter_most_ms, \
     round_trip_ms, far_loss, far_jitter_ms, mos, far_mos, clipped, silent, unheard, unheard_ms) \
     SELECT w.value->>0, w.value->>'$[1].number', w.value->>'$[1].side', w.value->>'$[1].trunk', \
     w.value->>'$[1].agent', w.value->>'$[1].ended_unix_ms', w.value->>'$[1].figures.codec', \
     w.value->>'$[1].figures.lasted_ms', w.value->>'$[1].figures.packets_received', \
     w.value->>'$[1].figures.packets_sent', w.value->>'$[1].figures.packets_lost', \
     w.value->>'$[1].figures.loss', w.value->>'$[1].figures.longest_loss', \
     w.value->>'$[1].figures.burst_density', w.value->>'$[1].figures.reordered', \
     w.value->>'$[1].figures.repeated', w.value->>'$[1].figures.jitter_ms', \
     w.value->>'$[1].figures.jitter_most_ms', w.value->>'$[1].figures.round_trip_ms', \
     w.value->>'$[1].figures.far_loss', w.value->>'$[1].figures.far_jitter_ms', \
     w.value->>'$[1].figures.mos', w.value->>'$[1].figures.far_mos', w.value->>'$[1].figures.clipped', \
     w.value->>'$[1].figures.silent', w.value->>'$[1].figures.unheard', \
     w.value->>'$[1].figures.unheard_ms' \
     FROM json_each($9) AS w ORDER BY w.key;",
    // $10: attempt, whether a message was left, what was said of a verdict.
    "UPDATE attempts SET message_left = coalesce(w.value->>1, message_left), \
     machine_check = coalesce(w.value->>2, machine_check) FROM json_each($10) AS w \
     WHERE attempts.id = w.value->>0 RETURNING 10, id, 0;",
);
