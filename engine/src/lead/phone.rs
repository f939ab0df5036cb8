//! Phone numbers as people write them, into E.164.
//!
//! Strict about length and shape, lenient about ranges: carriers open new ones, and the fictional 555-01xx numbers of
//! demos must pass. Short, emergency and premium numbers are refused.

use std::sync::LazyLock;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, Type, country};

/// Why a number is not taken; the text says what would be right.
pub(crate) type Refusal = &'static str;

/// The country of numbers that are written without a country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    id: Option<country::Id>,
    nanp: bool,
    /// The calling code, where numbers at home are written just as abroad (no trunk prefix such as 0).
    plain: Option<u16>,
}

impl Home {
    /// From an ISO 3166 code; an unknown one means that every number must carry its country code.
    pub(crate) fn new(iso: &str) -> Home {
        let id = iso.trim().to_ascii_uppercase().parse::<country::Id>().ok();
        let meta = id.and_then(|id| DATABASE.by_id(id.as_ref()));
        let plain =
            meta.filter(|meta| meta.national_prefix_for_parsing().is_none()).map(|meta| meta.country_code());
        Home { id, nanp: meta.is_some_and(|meta| meta.country_code() == 1), plain }
    }
}

/// The number in E.164, with the plus sign.
pub(crate) fn e164(raw: &str, home: Home) -> Result<String, Refusal> {
    let raw = raw.trim();
    if raw.is_empty() {
        return Err("is empty; give a phone number");
    }
    if let Some(written) = Written::read(raw) {
        match (written.international, written.digits()) {
            (true, [b'1', national @ ..]) => return nanp(national),
            (false, [b'1', national @ ..]) if home.nanp && national.len() == 10 => return nanp(national),
            (false, national) if home.nanp && national.len() == 10 => return nanp(national),
            (false, short) if short.len() < 6 => {
                return Err("is too short; emergency and short numbers are not dialed");
            }
            (international, digits) => {
                if let Some(result) = simple(international, digits, home) {
                    return result;
                }
            }
        }
    } else if is_rounded(raw) {
        return Err("was rounded by a spreadsheet (1.23E+11); format the column as text and export again");
    }
    parse(raw, home)
}

/// A number that needs no rewriting: the code and a national number of a length that its plan has. None when the plan
/// must be asked. Ten times as fast as the full parse, which is felt in lists of millions.
fn simple(international: bool, digits: &[u8], home: Home) -> Option<Result<String, Refusal>> {
    let digits = std::str::from_utf8(digits).ok()?;
    let (code, national) = match international {
        // Calling codes are prefix-free.
        true => (1..=3).find_map(|len| {
            let code = digits.get(..len)?.parse().ok()?;
            (possible_lengths(code) != 0).then_some((code, digits.get(len..)?))
        })?,
        false => (home.plain?, digits),
    };
    // Shorter ones may be short codes.
    if national.len() < 6 || code == 1 || !is_possible(code, national.len()) {
        return None;
    }
    let plans = DATABASE.by_code(&code)?;
    let premium = |meta: &&phonenumber::Metadata| {
        meta.descriptors().premium_rate().is_some_and(|premium| premium.is_match(national))
    };
    Some(if plans.iter().any(premium) { Err(PREMIUM) } else { Ok(format!("+{code}{national}")) })
}

/// The country of a number in E.164, as an ISO 3166 code; of several with one code, the first that fits.
pub(crate) fn country_of(e164: &str) -> Option<String> {
    let number = phonenumber::parse(None, e164).ok()?;
    let id = number.country().id()?;
    Some(id.as_ref().to_owned())
}

/// Any country, by the metadata of its numbering plan.
fn parse(raw: &str, home: Home) -> Result<String, Refusal> {
    const UNREADABLE: Refusal = "is not a phone number; write it as +CountryCode and digits";
    if home.id.is_none() && !raw.starts_with('+') {
        return Err(
            "has no country code; write it as +CountryCode and digits, or set the campaign's country",
        );
    }
    let number = phonenumber::parse(home.id, raw).map_err(|_| UNREADABLE)?;
    if number.extension().is_some() {
        return Err("has an extension, which cannot be dialed; give the number alone");
    }
    let formatted = number.format().mode(Mode::E164).to_string();
    let code = number.code().value();
    if code == 1 {
        return formatted.get(2..).map_or(Err(UNREADABLE), |national| nanp(national.as_bytes()));
    }
    let national_len = formatted.len().saturating_sub(1 + decimal_len(code));
    if !is_possible(code, national_len) || formatted.len() > 16 {
        return Err("has the wrong number of digits for its country");
    }
    match number.number_type(&DATABASE) {
        Type::PremiumRate => Err(PREMIUM),
        Type::Emergency | Type::ShortCode => Err("is an emergency or short number; these are not dialed"),
        _ => Ok(formatted),
    }
}

const PREMIUM: Refusal = "is a premium-rate number; these are not dialed";

/// The North American plan: ten digits NXX-NXX-XXXX, which needs no table.
fn nanp(national: &[u8]) -> Result<String, Refusal> {
    let &[a, b, c, d, e, f, _, _, _, _] = national else {
        return Err("has the wrong number of digits; a North American number has ten");
    };
    // Neither an area code nor an exchange begins with 0 or 1, or ends in 11 (911, 411).
    if a < b'2' || d < b'2' || (b, c) == (b'1', b'1') || (e, f) == (b'1', b'1') {
        return Err(
            "is not a North American number; area code and exchange begin with 2 to 9 and do not end in 11",
        );
    }
    if (a, b, c) == (b'9', b'0', b'0') || (d, e, f) == (b'9', b'7', b'6') {
        return Err(PREMIUM);
    }
    let mut out = String::with_capacity(12);
    out.push_str("+1");
    out.extend(national.iter().map(|&digit| char::from(digit)));
    Ok(out)
}

/// A number that holds nothing but digits and the usual separators.
struct Written {
    international: bool,
    digits: [u8; 15],
    len: usize,
}

impl Written {
    fn read(raw: &str) -> Option<Written> {
        let (international, rest) = raw.strip_prefix('+').map_or((false, raw), |rest| (true, rest));
        let mut written = Written { international, digits: [0; 15], len: 0 };
        for byte in rest.bytes() {
            match byte {
                b'0'..=b'9' => {
                    *written.digits.get_mut(written.len)? = byte;
                    written.len += 1;
                }
                b' ' | b'-' | b'.' | b'(' | b')' | b'/' => {}
                _ => return None,
            }
        }
        Some(written)
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// `4.20777E+11`.
fn is_rounded(raw: &str) -> bool {
    raw.contains(['e', 'E']) && raw.replace(',', ".").parse::<f64>().is_ok_and(f64::is_finite)
}

fn possible_lengths(code: u16) -> u32 {
    LENGTHS.get(usize::from(code)).copied().unwrap_or_default()
}

fn is_possible(code: u16, national_len: usize) -> bool {
    national_len < 32 && possible_lengths(code) & (1 << national_len) != 0
}

/// The lengths of national numbers by calling code, as bits: those of every kind of number in every country with it.
static LENGTHS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    const KINDS: [Type; 9] = [
        Type::FixedLine,
        Type::Mobile,
        Type::TollFree,
        Type::PremiumRate,
        Type::SharedCost,
        Type::PersonalNumber,
        Type::Voip,
        Type::Pager,
        Type::Uan,
    ];
    let mut lengths = vec![0; 1_000];
    for meta in DATABASE.iter() {
        if let Some(bits) = lengths.get_mut(usize::from(meta.country_code())) {
            let all = KINDS
                .iter()
                .filter_map(|&kind| meta.descriptors().get(kind))
                .flat_map(|d| d.possible_length());
            *bits |= all.filter(|&&len| len < 32).fold(0, |bits, &len| bits | 1 << len);
        }
    }
    lengths
});

fn decimal_len(code: u16) -> usize {
    match code {
        0..=9 => 1,
        10..=99 => 2,
        _ => 3,
    }
}

/// Loads the numbering plans, so that the first import does not pay for it.
pub(crate) fn warm_up() {
    LazyLock::force(&LENGTHS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_usual_shape() {
        let us = Home::new("US");
        for raw in [
            "+1 415 555 0123",
            "(415) 555-0123",
            "4155550123",
            "1-415-555-0123",
            "415.555.0123",
            " 14155550123 ",
        ] {
            assert_eq!(e164(raw, us).as_deref(), Ok("+14155550123"), "{raw}");
        }
        assert_eq!(e164("+420 777 123 456", us).as_deref(), Ok("+420777123456"));
        let cz = Home::new("cz");
        assert_eq!(e164("777 123 456", cz).as_deref(), Ok("+420777123456"));
        assert_eq!(e164("00420777123456", cz).as_deref(), Ok("+420777123456"));
        assert_eq!(e164("tel:+420777123456", cz).as_deref(), Ok("+420777123456"));
        assert_eq!(e164("020 7946 0123", Home::new("GB")).as_deref(), Ok("+442079460123"));
        assert_eq!(e164("912 345 678", Home::new("ES")).as_deref(), Ok("+34912345678"));
        // Italy keeps the leading zero.
        assert_eq!(e164("06 1234 5678", Home::new("IT")).as_deref(), Ok("+390612345678"));
        assert_eq!(e164("+1 415 555 0123", Home::new("nowhere")).as_deref(), Ok("+14155550123"));
    }

    #[test]
    fn numbers_that_are_refused() {
        let us = Home::new("US");
        for raw in [
            "",
            "911",
            "112",
            "+1911",
            "4155550",
            "415555012",
            "41555501234",
            "+14155550",
            "0415 555 0123",
            "1155550123",
            "911 555 0123",
            "415 911 0123",
            "900 555 0123",
            "415 976 0123",
            "abc",
            "+",
            "+999123456789012345",
            "4.15556E+11",
            "415 555 0123 ext. 5",
            "🦀",
        ] {
            assert!(e164(raw, us).is_err(), "{raw}: {:?}", e164(raw, us));
        }
        for raw in ["112", "158", "77712345", "+42077712345", "+4207771234567", "906 12 34 56 7 8 9"] {
            assert!(e164(raw, Home::new("CZ")).is_err(), "{raw}: {:?}", e164(raw, Home::new("CZ")));
        }
        assert!(e164("+42090612345 6", us).is_err_and(|why| why == PREMIUM));
        assert!(e164("4155550123", Home::new("")).is_err_and(|why| why.contains("country")));
    }
}
