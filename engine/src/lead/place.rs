//! Where a lead lives: by its address, by its number, by both where they differ.

use std::sync::LazyLock;

use phonenumber::metadata::DATABASE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::area::{area, state_zones, us_state};
use super::import::RowError;
use super::zone;
use crate::Lead;

/// What a person agreed to, from nothing to the most.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ConsentKind {
    /// Nothing is known.
    #[default]
    None,
    /// A customer of the caller; no more was said.
    ExistingCustomer,
    /// Said yes to calls.
    Express,
    /// Said yes in writing, to automated and recorded calls too.
    Written,
}

impl ConsentKind {
    /// Every kind, from nothing to the most.
    pub const ALL: [ConsentKind; 4] =
        [ConsentKind::None, ConsentKind::ExistingCustomer, ConsentKind::Express, ConsentKind::Written];

    /// The name used in the API, the store and lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConsentKind::None => "none",
            ConsentKind::ExistingCustomer => "existing_customer",
            ConsentKind::Express => "express",
            ConsentKind::Written => "written",
        }
    }

    /// The kind of that name; an empty one is none.
    pub fn parse(name: &str) -> Option<ConsentKind> {
        let name = name.trim();
        if name.is_empty() {
            return Some(ConsentKind::None);
        }
        ConsentKind::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }
}

/// What a person agreed to, when, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Consent {
    /// How far it goes.
    pub kind: ConsentKind,
    /// When it was given, in ms since 1970; none: not known.
    pub at_unix_ms: Option<i64>,
    /// How it is known: a form, a contract, the words that were agreed to.
    pub source: String,
}

/// A country (ISO 3166) and a part of it; the part is empty where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) country: &'a str,
    pub(crate) state: &'a str,
}

/// Where a lead may live: nowhere that is known, one place, or two that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places<'a> {
    pub(crate) first: Option<Place<'a>>,
    pub(crate) second: Option<Place<'a>>,
}

impl<'a> Places<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = Place<'a>> {
        self.first.into_iter().chain(self.second)
    }
}

/// The place that a number, E.164, tells.
pub(crate) fn of_number(e164: &str) -> Option<Place<'static>> {
    let digits = e164.strip_prefix('+').unwrap_or(e164);
    if let Some(national) = digits.strip_prefix('1') {
        let (country, state) = area(national.get(..3)?)?;
        return Some(Place { country, state });
    }
    // Calling codes are prefix-free.
    (1..=3).find_map(|len| {
        let code: usize = digits.get(..len)?.parse().ok()?;
        let country = BY_CALLING_CODE.get(code).copied().flatten()?;
        Some(Place { country, state: "" })
    })
}

/// Where a lead lives: the address and the number, where they do not say the same.
pub(crate) fn of_lead(lead: &Lead) -> Places<'_> {
    places(&lead.country, &lead.state, &lead.phone.0)
}

pub(crate) fn places<'a>(country: &'a str, state: &'a str, phone: &str) -> Places<'a> {
    let number = of_number(phone);
    if country.is_empty() {
        return Places { first: number, second: None };
    }
    let address = Place { country, state };
    let Some(number) = number else { return Places { first: Some(address), second: None } };
    if number.country != country {
        return Places { first: Some(address), second: Some(number) };
    }
    match (state, number.state) {
        ("", _) => Places { first: Some(number), second: None },
        (_, "") => Places { first: Some(address), second: None },
        (a, b) if a == b => Places { first: Some(address), second: None },
        _ => Places { first: Some(address), second: Some(number) },
    }
}

/// The zones in which a lead may live beside its own: where address and number differ.
pub(crate) fn zones_beside(lead: &Lead) -> impl Iterator<Item = &'static str> + use<> {
    let places = of_lead(lead);
    let (address, number): (&'static [&'static str], &'static [&'static str]) = match places {
        Places { first: Some(address), second: Some(_) } => {
            let there = if address.country == "US" { state_zones(address.state) } else { &[] };
            (there, zone::zones(&lead.phone.0))
        }
        _ => (&[], &[]),
    };
    address.iter().chain(number).copied()
}

/// An address as a list gives it, in its canonical form: the country's two letters, the state.
pub(crate) fn check(country: &str, state: &str, phone: &str) -> Result<(String, String), RowError> {
    let (country, state) = (country.trim(), state.trim());
    let country = if country.is_empty() { String::new() } else { read_country(country)? };
    if state.is_empty() {
        return Ok((country, String::new()));
    }
    if state.len() > STATE_MOST || state.chars().any(char::is_control) {
        return Err(("state", format!("must have at most {STATE_MOST} bytes")));
    }
    let here = if country.is_empty() { of_number(phone).map_or("", |place| place.country) } else { &country };
    if here == "US" {
        let message = "is not a US state; write its two letters, e.g. FL, or give the country too";
        let state = us_state(state).ok_or(("state", message.to_owned()))?;
        return Ok(("US".into(), state.into()));
    }
    // A part of an unknown country says nothing by itself; it is kept for people.
    let here = if country.is_empty() { here.to_owned() } else { country };
    Ok((here, state.to_uppercase()))
}

/// The zone of an address and a number, of those that the number may lie in; what remains when it is one.
pub(crate) fn zone_of(country: &str, state: &str, phone: &str) -> Vec<&'static str> {
    let number = zone::zones(phone);
    let address = if country == "US" { state_zones(state) } else { &[] };
    if address.is_empty() {
        return number.to_vec();
    }
    let both: Vec<_> = address.iter().copied().filter(|zone| number.contains(zone)).collect();
    if both.is_empty() { address.to_vec() } else { both }
}

const STATE_MOST: usize = 60;

fn read_country(text: &str) -> Result<String, RowError> {
    let upper = text.to_uppercase();
    if let Some((code, _)) = NAMES.iter().find(|(_, names)| names.contains(&upper.as_str())) {
        return Ok((*code).to_owned());
    }
    let known = upper.parse::<phonenumber::country::Id>().is_ok();
    if known && upper.len() == 2 {
        return Ok(upper);
    }
    Err(("country", "is not a country; write its two letters (ISO 3166), e.g. US, GB or CZ".into()))
}

/// Names that lists use for the countries there are profiles for.
const NAMES: [(&str, &[&str]); 4] = [
    ("US", &["USA", "U.S.", "U.S.A.", "UNITED STATES", "UNITED STATES OF AMERICA"]),
    ("GB", &["UK", "U.K.", "UNITED KINGDOM", "GREAT BRITAIN", "ENGLAND", "SCOTLAND", "WALES"]),
    ("ES", &["SPAIN", "ESPAÑA", "ESPANA"]),
    ("CZ", &["CZECHIA", "CZECH REPUBLIC", "ČESKO", "CESKO", "ČESKÁ REPUBLIKA"]),
];

/// A code that several territories share is the main one's.
static BY_CALLING_CODE: LazyLock<Vec<Option<&'static str>>> = LazyLock::new(|| {
    let mut codes: Vec<Option<&'static str>> = vec![None; 1000];
    for meta in DATABASE.iter() {
        let (code, id) = (usize::from(meta.country_code()), meta.id());
        // "001" stands for codes of no country.
        if let Some(slot) = codes.get_mut(code)
            && id.bytes().all(|b| b.is_ascii_uppercase())
            && (slot.is_none() || meta.is_main_country_for_code())
        {
            *slot = Some(id);
        }
    }
    codes
});

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(country: &'a str, state: &'a str, phone: &str) -> Vec<(&'a str, &'a str)> {
        let found = places(country, state, phone);
        found.first.into_iter().chain(found.second).map(|place| (place.country, place.state)).collect()
    }

    #[test]
    fn address_and_number_where_they_differ() {
        assert_eq!(found("", "", "+13055550100"), [("US", "FL")]);
        assert_eq!(found("US", "", "+13055550100"), [("US", "FL")]);
        assert_eq!(found("US", "FL", "+13055550100"), [("US", "FL")]);
        assert_eq!(found("US", "GA", "+13055550100"), [("US", "GA"), ("US", "FL")]);
        assert_eq!(found("US", "GA", "+18005550100"), [("US", "GA")]);
        assert_eq!(found("US", "GA", "+14165550100"), [("US", "GA"), ("CA", "")]);
        assert_eq!(found("", "", "+18005550100"), []);
        assert_eq!(found("", "", "+442079460123"), [("GB", "")]);
        assert_eq!(found("", "", "+420777123456"), [("CZ", "")]);
        assert_eq!(found("", "", "+34600123456"), [("ES", "")]);
        assert_eq!(found("", "", "+883123456789"), []);
        assert_eq!(found("ES", "MD", "+34600123456"), [("ES", "MD")]);
    }

    #[test]
    fn addresses_as_lists_write_them() {
        let read = |country, state, phone| check(country, state, phone).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(read("usa", "florida", "+13055550100"), pair("US", "FL"));
        assert_eq!(read("", "ga", "+13055550100"), pair("US", "GA"));
        assert_eq!(read("uk", "Kent", "+442079460123"), pair("GB", "KENT"));
        assert_eq!(read("", "", "+442079460123"), pair("", ""));
        assert_eq!(check("Atlantis", "", "+13055550100").unwrap_err().0, "country");
        assert_eq!(check("", "Kent", "+13055550100").unwrap_err().0, "state");
    }

    #[test]
    fn consent_by_name() {
        for kind in ConsentKind::ALL {
            assert_eq!(ConsentKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ConsentKind::parse(""), Some(ConsentKind::None));
        assert_eq!(ConsentKind::parse("maybe"), None);
        assert!(ConsentKind::Written > ConsentKind::Express && ConsentKind::Express > ConsentKind::None);
    }
}
