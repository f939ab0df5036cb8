//! Phone numbers as a trunk writes them. Inside they are E.164, always.

use phonenumber::country::Id;
use phonenumber::{Mode, metadata::DATABASE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a trunk writes a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumberFormat {
    /// `+15550100`
    #[default]
    E164,
    /// `15550100`
    Digits,
    /// `0015550100`
    International,
    /// As it is dialed inside its country, `02071234567`; numbers of other countries as `International`.
    National,
}

/// How numbers are written on a trunk, and read from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The number that is called.
    pub called: NumberFormat,
    /// The caller id.
    pub calling: NumberFormat,
    /// What stands before the called number: a technical prefix of the carrier.
    pub prefix: String,
    /// The trunk's country, for national numbers.
    pub country: Option<Id>,
}

/// No such country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no country; give its ISO 3166 code, e.g. \"ES\"")]
pub struct UnknownCountry(String);

impl Numbers {
    /// `country` as its ISO 3166 code; empty for none.
    pub fn new(
        called: NumberFormat,
        calling: NumberFormat,
        prefix: &str,
        country: &str,
    ) -> Result<Numbers, UnknownCountry> {
        let id = country.trim().to_ascii_uppercase().parse().ok();
        if id.is_none() && !country.trim().is_empty() {
            return Err(UnknownCountry(country.to_owned()));
        }
        Ok(Numbers { called, calling, prefix: prefix.to_owned(), country: id })
    }

    /// The called number.
    pub(super) fn called(&self, number: &str) -> String {
        format!("{}{}", self.prefix, self.write(self.called, number))
    }

    /// The caller id.
    pub(super) fn calling(&self, number: &str) -> String {
        self.write(self.calling, number)
    }

    fn write(&self, format: NumberFormat, number: &str) -> String {
        let digits = number.trim_start_matches('+');
        match format {
            NumberFormat::E164 => number.to_owned(),
            NumberFormat::Digits => digits.to_owned(),
            NumberFormat::International => format!("00{digits}"),
            NumberFormat::National => self.national(number).unwrap_or_else(|| format!("00{digits}")),
        }
    }

    fn national(&self, number: &str) -> Option<String> {
        let country = DATABASE.by_id(self.country?.as_ref())?;
        let number = phonenumber::parse(None, number).ok()?;
        if number.code().value() != country.country_code() {
            return None;
        }
        let national = number.format().mode(Mode::National).to_string();
        Some(national.chars().filter(char::is_ascii_digit).collect())
    }

    /// A number that the trunk wrote, as E.164. None: it is no number (anonymous, an extension).
    pub(in crate::runtime) fn read(&self, written: &str) -> Option<String> {
        let plain: String = written.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        // `00` is how most of the world dials abroad, `011` North America.
        let international =
            plain.strip_prefix("00").or_else(|| plain.strip_prefix("011").filter(|_| self.is_nanp()));
        let candidates = [
            international.map(|digits| format!("+{digits}")),
            Some(plain.clone()).filter(|plain| plain.starts_with('+')),
        ];
        let parse = |country: Option<Id>, text: &str| {
            let number = phonenumber::parse(country, text).ok().filter(phonenumber::PhoneNumber::is_valid)?;
            Some(number.format().mode(Mode::E164).to_string())
        };
        let with_code = candidates.into_iter().flatten().find_map(|text| parse(None, &text));
        with_code
            .or_else(|| parse(Some(self.country?), &plain))
            .or_else(|| parse(None, &format!("+{plain}")).filter(|_| !plain.starts_with('+')))
    }

    fn is_nanp(&self) -> bool {
        self.country.and_then(|id| DATABASE.by_id(id.as_ref())).is_some_and(|meta| meta.country_code() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(called: NumberFormat, prefix: &str, country: &str) -> Numbers {
        Numbers { called, calling: called, prefix: prefix.into(), country: country.parse().ok() }
    }

    /// interop row 21: the number's format per trunk.
    #[test]
    fn row_21_written_as_the_trunk_wants_it() {
        let cases = [
            (NumberFormat::E164, "", "US", "+12015550123", "+12015550123"),
            (NumberFormat::Digits, "", "US", "+12015550123", "12015550123"),
            (NumberFormat::Digits, "9988#", "US", "+12015550123", "9988#12015550123"),
            (NumberFormat::International, "", "ES", "+420234567890", "00420234567890"),
            (NumberFormat::National, "", "US", "+12015550123", "2015550123"),
            (NumberFormat::National, "", "GB", "+442071234567", "02071234567"),
            (NumberFormat::National, "", "GB", "+12015550123", "0012015550123"),
            (NumberFormat::National, "", "", "+12015550123", "0012015550123"),
        ];
        for (format, prefix, country, number, written) in cases {
            assert_eq!(numbers(format, prefix, country).called(number), written, "{format:?} {country}");
        }
        // The prefix is for the called number alone.
        assert_eq!(numbers(NumberFormat::E164, "77", "US").calling("+12015550123"), "+12015550123");
    }

    #[test]
    fn row_21_read_as_the_trunk_writes_it() {
        let cases = [
            ("US", "+12015550123", Some("+12015550123")),
            ("US", "12015550123", Some("+12015550123")),
            ("US", "2015550123", Some("+12015550123")),
            ("US", "011442071234567", Some("+442071234567")),
            ("GB", "02071234567", Some("+442071234567")),
            ("GB", "0012015550123", Some("+12015550123")),
            ("", "420234567890", Some("+420234567890")),
            ("US", "anonymous", None),
            ("US", "100", None),
            ("", "", None),
        ];
        for (country, written, number) in cases {
            let read = numbers(NumberFormat::E164, "", country).read(written);
            assert_eq!(read.as_deref(), number, "{country} {written}");
        }
    }
}
