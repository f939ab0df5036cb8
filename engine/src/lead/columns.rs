//! The header of a list: which column holds what.

use std::collections::BTreeMap;

use super::import::{Field, Row, RowError};
use crate::{Consent, ConsentKind, Pii};

/// Columns of a list; more than an agent can look at.
const COLUMNS_MOST: usize = 200;
/// A further column's value.
const CUSTOM_MOST: usize = 4_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Phone,
    FirstName,
    LastName,
    TimeZone,
    Country,
    State,
    Consent,
    ConsentAt,
    ConsentSource,
    Priority,
    Custom,
}

/// The columns of a file, in its order.
#[derive(Debug)]
pub(super) struct Columns(Vec<(Role, String)>);

impl Columns {
    /// Reads the header.
    pub(super) fn of(buf: &[u8], fields: &[Field]) -> Result<Columns, String> {
        if fields.len() > COLUMNS_MOST {
            return Err(format!(
                "the header names {} columns; at most {COLUMNS_MOST} are taken",
                fields.len()
            ));
        }
        let mut columns: Vec<(Role, String)> = Vec::with_capacity(fields.len());
        for (n, field) in (1..).zip(fields) {
            let Some(name) = field.text(buf).filter(|name| !name.contains('\0')) else {
                return Err(NOT_UTF8.into());
            };
            let name = if name.is_empty() { format!("column_{n}") } else { name.into_owned() };
            if columns.iter().any(|(_, other)| *other == name) {
                return Err(format!("two columns are named \"{name}\"; rename one"));
            }
            columns.push((role(&name).0, name));
        }
        // Of several columns for one thing (phone and mobile) the best name wins; the others are kept as they come.
        for (role_wanted, _) in NAMES {
            let rivals = columns.iter().filter(|(role, _)| *role == role_wanted);
            let best = rivals.map(|(_, name)| role(name).1).min();
            let mut taken = false;
            for (as_role, name) in columns.iter_mut().filter(|(role, _)| *role == role_wanted) {
                let wins = !taken && Some(role(name).1) == best;
                taken |= wins;
                if !wins {
                    *as_role = Role::Custom;
                }
            }
        }
        if !columns.iter().any(|(role, _)| *role == Role::Phone) {
            let names: Vec<&str> = columns.iter().map(|(_, name)| name.as_str()).take(20).collect();
            return Err(format!("no column is named \"phone\"; the first line names: {}", names.join(", ")));
        }
        Ok(Columns(columns))
    }

    /// A record's row. An error without a field is about the whole line.
    pub(super) fn read(&self, buf: &[u8], fields: &[Field]) -> Result<Row, RowError> {
        if fields.len() != self.0.len() {
            let (is, should) = (fields.len(), self.0.len());
            return Err((
                "",
                format!(
                    "the line has {is} columns and the header {should}; quote fields that hold the separator"
                ),
            ));
        }
        let mut row = Row {
            phone: Pii::default(),
            first_name: Pii::default(),
            last_name: Pii::default(),
            time_zone: String::new(),
            country: String::new(),
            state: String::new(),
            consent: Consent::default(),
            priority: 0,
            custom: Pii(BTreeMap::new()),
        };
        for ((role, name), field) in self.0.iter().zip(fields) {
            let text = field.text(buf).ok_or_else(|| ("", NOT_UTF8.to_owned()))?;
            if text.contains('\0') {
                return Err(("", "the line holds a NUL character; save the file as \"CSV UTF-8\"".into()));
            }
            match role {
                Role::Phone => row.phone.0 = text.into_owned(),
                Role::FirstName => row.first_name.0 = text.into_owned(),
                Role::LastName => row.last_name.0 = text.into_owned(),
                Role::TimeZone => row.time_zone = text.into_owned(),
                Role::Country => row.country = text.into_owned(),
                Role::State => row.state = text.into_owned(),
                Role::Consent => row.consent.kind = consent(&text)?,
                Role::ConsentAt => row.consent.at_unix_ms = consent_at(&text)?,
                Role::ConsentSource => row.consent.source = text.into_owned(),
                Role::Priority => row.priority = priority(&text)?,
                Role::Custom if text.is_empty() => {}
                Role::Custom if text.len() > CUSTOM_MOST => {
                    return Err(("", format!("\"{name}\" is longer than {CUSTOM_MOST} bytes")));
                }
                Role::Custom => {
                    row.custom.0.insert(name.clone(), text.into_owned());
                }
            }
        }
        Ok(row)
    }

    /// What the file calls a field; its own name when the file has no such column.
    pub(super) fn name(&self, field: &str) -> String {
        let (wanted, _) = role(field);
        let named = self.0.iter().find(|(role, _)| *role == wanted);
        named.map_or_else(|| field.to_owned(), |(_, name)| name.clone())
    }
}

const NOT_UTF8: &str = "the line is not UTF-8; save the file as \"CSV UTF-8\" and import it again";

fn priority(text: &str) -> Result<i32, RowError> {
    if text.is_empty() {
        return Ok(0);
    }
    // A number that is too large fails the range check with the same words.
    text.parse().or_else(|_| match text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        true => Ok(i32::MAX),
        false => Err(("priority", "must be a whole number".into())),
    })
}

fn consent(text: &str) -> Result<ConsentKind, RowError> {
    ConsentKind::parse(text)
        .ok_or_else(|| ("consent", "must be none, existing_customer, express or written".to_owned()))
}

/// A day, or a time with its offset.
fn consent_at(text: &str) -> Result<Option<i64>, RowError> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| day().map(|day| day.timestamp()));
    match at {
        Some(at) => Ok(Some(at.as_millisecond())),
        None => {
            Err(("consent_at", "must be a day, e.g. 2026-03-31, or a time, e.g. 2026-03-31T14:00:00Z".into()))
        }
    }
}

/// Names by role, the best first. Case, blanks, hyphens, dots and underscores do not matter.
const NAMES: [(Role, &[&str]); 10] = [
    (
        Role::Phone,
        &[
            "phone",
            "phonenumber",
            "phoneno",
            "telephone",
            "telephonenumber",
            "tel",
            "mobile",
            "mobilephone",
            "mobilenumber",
            "cell",
            "cellphone",
            "msisdn",
            "number",
        ],
    ),
    (Role::FirstName, &["firstname", "givenname", "forename", "first"]),
    (Role::LastName, &["lastname", "surname", "familyname", "last"]),
    (Role::TimeZone, &["timezone", "tz"]),
    (Role::Country, &["country", "countrycode", "countryiso"]),
    (Role::State, &["state", "statecode", "province", "region"]),
    (Role::Consent, &["consent", "consentkind", "consenttype"]),
    (Role::ConsentAt, &["consentat", "consentdate", "consenttime"]),
    (Role::ConsentSource, &["consentsource", "consenttext"]),
    (Role::Priority, &["priority", "prio"]),
];

/// The role of a column by its name, and the name's rank among those of that role.
fn role(name: &str) -> (Role, usize) {
    let plain: String =
        name.chars().filter(|c| !matches!(c, ' ' | '-' | '_' | '.')).flat_map(char::to_lowercase).collect();
    NAMES
        .iter()
        .find_map(|(role, names)| names.iter().position(|n| *n == plain).map(|rank| (*role, rank)))
        .unwrap_or((Role::Custom, 0))
}
