//! The header of a list: which column holds what.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::import::{Field, Row, RowError};
use crate::limits::PHONES_MOST;
use crate::{Consent, ConsentKind, Pii};

/// Columns of a list; more than an agent can look at.
const COLUMNS_MOST: usize = 200;
/// A further column's value.
const CUSTOM_MOST: usize = 4_000;

/// Characters of a phone's kind.
const KIND_MOST: usize = 30;

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
    /// Another phone.
    Further,
    Custom,
    /// Not taken.
    Nothing,
}

/// The columns of a file, in its order.
#[derive(Debug)]
pub(super) struct Columns(Vec<(Role, String)>);

impl Columns {
    /// Reads the header. `map` says of columns what they hold, instead of their names.
    pub(super) fn of(
        buf: &[u8],
        fields: &[Field],
        map: &BTreeMap<String, String>,
    ) -> Result<Columns, String> {
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
        for (name, field) in map {
            let Some(column) = columns.iter_mut().find(|(_, known)| known == name) else {
                let names: Vec<&str> = columns.iter().map(|(_, name)| name.as_str()).take(20).collect();
                return Err(format!(
                    "no column is named \"{name}\"; the first line names: {}",
                    names.join(", ")
                ));
            };
            column.0 = named(field)
                .ok_or_else(|| format!("\"{field}\" is none of the fields {}", FIELDS.join(", ")))?;
        }
        // Who says what one column holds means it, whatever others are named.
        for (wanted, field) in SINGLE {
            let told: Vec<&String> =
                map.iter().filter(|(_, said)| named(said) == Some(wanted)).map(|(name, _)| name).collect();
            if told.len() > 1 {
                return Err(format!("two columns are to be \"{field}\"; choose one"));
            }
            if let [told] = told.as_slice() {
                for (role, name) in columns.iter_mut().filter(|(role, name)| *role == wanted && name != *told)
                {
                    *role = without(*role, name);
                }
            }
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
                    *as_role = without(*as_role, name);
                }
            }
        }
        if columns.iter().filter(|(role, _)| *role == Role::Further).count() >= PHONES_MOST {
            return Err(format!("more than {PHONES_MOST} columns are phones; name the others otherwise"));
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
            phones: Vec::new(),
            custom: Pii(BTreeMap::new()),
        };
        for ((role, name), field) in self.0.iter().zip(fields) {
            let text = field.text(buf).ok_or_else(|| ("", NOT_UTF8.to_owned()))?;
            if text.contains('\0') {
                return Err(("", "the line holds a NUL character; save the file as \"CSV UTF-8\"".into()));
            }
            let text = without_apostrophe(text);
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
                Role::Further if text.is_empty() => {}
                Role::Further => row.phones.push((kind(name), Pii(text.into_owned()))),
                Role::Nothing => {}
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
        let wanted = named(field).unwrap_or(Role::Nothing);
        let named = self.0.iter().find(|(role, _)| *role == wanted);
        named.map_or_else(|| field.to_owned(), |(_, name)| name.clone())
    }
}

/// What our export puts in front of a value that a spreadsheet would run.
fn without_apostrophe(text: Cow<'_, str>) -> Cow<'_, str> {
    let kept = text.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@', '\t', '\r']));
    match kept {
        Some(rest) => Cow::Owned(rest.to_owned()),
        None => text,
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

/// What a caller may say that a column holds.
const FIELDS: [&str; 13] = [
    "phone",
    "first_name",
    "last_name",
    "time_zone",
    "country",
    "state",
    "consent",
    "consent_at",
    "consent_source",
    "priority",
    "other_phone",
    "custom",
    "ignore",
];

/// Fields that one column holds at most.
const SINGLE: [(Role, &str); 10] = [
    (Role::Phone, "phone"),
    (Role::FirstName, "first_name"),
    (Role::LastName, "last_name"),
    (Role::TimeZone, "time_zone"),
    (Role::Country, "country"),
    (Role::State, "state"),
    (Role::Consent, "consent"),
    (Role::ConsentAt, "consent_at"),
    (Role::ConsentSource, "consent_source"),
    (Role::Priority, "priority"),
];

/// The role of a field by its own name.
fn named(field: &str) -> Option<Role> {
    let single = SINGLE.into_iter().find(|(_, name)| *name == field).map(|(role, _)| role);
    single.or(match field {
        "other_phone" => Some(Role::Further),
        "custom" => Some(Role::Custom),
        "ignore" => Some(Role::Nothing),
        _ => None,
    })
}

/// What a column is when another one has its role: a second number is another phone, the rest is kept as it comes.
fn without(taken: Role, name: &str) -> Role {
    let bare = plain(name);
    let phone = taken == Role::Phone && bare != "number" && bare != "msisdn";
    if phone { Role::Further } else { Role::Custom }
}

/// What kind of phone a column holds, by its name.
fn kind(name: &str) -> String {
    let bare = plain(name);
    for (word, kind) in
        [("mob", "mobile"), ("cell", "mobile"), ("work", "work"), ("office", "work"), ("home", "home")]
    {
        if bare.contains(word) {
            return kind.to_owned();
        }
    }
    let kind = name.trim().to_lowercase();
    kind.chars().take(KIND_MOST).collect()
}

/// A column's name without what does not matter.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '-' | '_' | '.')).flat_map(char::to_lowercase).collect()
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

/// Whether a column holds another phone, by its name: `phone2`, `alt phone`, `home_phone`.
fn is_further(plain: &str) -> bool {
    const PHONES: [&str; 5] = ["phone", "tel", "telephone", "phonenumber", "number"];
    let bare = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = bare != plain && PHONES.contains(&bare);
    let told = [
        "alt",
        "alternate",
        "alternative",
        "other",
        "second",
        "secondary",
        "home",
        "work",
        "office",
        "business",
    ]
    .iter()
    .any(|first| bare.strip_prefix(first).is_some_and(|rest| PHONES.contains(&rest)));
    numbered || told
}

/// The role of a column by its name, and the name's rank among those of that role.
fn role(name: &str) -> (Role, usize) {
    let plain = plain(name);
    let known = NAMES
        .iter()
        .find_map(|(role, names)| names.iter().position(|n| *n == plain).map(|rank| (*role, rank)));
    known.unwrap_or(if is_further(&plain) { (Role::Further, 0) } else { (Role::Custom, 0) })
}
