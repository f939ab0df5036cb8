//! Each country's tones of a call in progress, as data (ITU-T E.180 supplement 2, "Various tones used in national networks").
//! A further country is a further row.

/// What a tone of the network says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineTone {
    /// It rings at the far end.
    Ringback,
    /// The far end is engaged.
    Busy,
    /// The network could not do it (also called reorder, fast busy).
    Congestion,
}

/// One tone: one or two frequencies, and for how long it sounds and rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What it says.
    pub tone: LineTone,
    /// The frequencies; a single one stands twice.
    pub hz: (u16, u16),
    /// On, off, on, off … in ms.
    pub cadence_ms: &'static [u16],
}

/// A country's tones.
#[derive(Debug, PartialEq, Eq)]
pub struct CountryTones {
    /// ISO 3166 code, lower case.
    pub code: &'static str,
    /// Its tones.
    pub signals: [Signal; 3],
}

/// The country whose tones are listened for: that of the called number.
pub type Country = &'static CountryTones;

const fn row(
    code: &'static str,
    ringback: (u16, u16, &'static [u16]),
    busy: (u16, u16, &'static [u16]),
    congestion: (u16, u16, &'static [u16]),
) -> CountryTones {
    CountryTones {
        code,
        signals: [
            Signal { tone: LineTone::Ringback, hz: (ringback.0, ringback.1), cadence_ms: ringback.2 },
            Signal { tone: LineTone::Busy, hz: (busy.0, busy.1), cadence_ms: busy.2 },
            Signal { tone: LineTone::Congestion, hz: (congestion.0, congestion.1), cadence_ms: congestion.2 },
        ],
    }
}

/// All countries that are known.
#[rustfmt::skip]
pub static COUNTRIES: [CountryTones; 14] = [
    row("us", (440, 480, &[2000, 4000]), (480, 620, &[500, 500]), (480, 620, &[250, 250])),
    row("ca", (440, 480, &[2000, 4000]), (480, 620, &[500, 500]), (480, 620, &[250, 250])),
    row("gb", (400, 450, &[400, 200, 400, 2000]), (400, 400, &[375, 375]), (400, 400, &[400, 350, 225, 525])),
    row("es", (425, 425, &[1500, 3000]), (425, 425, &[200, 200]), (425, 425, &[200, 200, 200, 200, 200, 600])),
    row("cz", (425, 425, &[1000, 4000]), (425, 425, &[330, 330]), (425, 425, &[165, 165])),
    row("sk", (425, 425, &[1000, 4000]), (425, 425, &[330, 330]), (425, 425, &[165, 165])),
    row("de", (425, 425, &[1000, 4000]), (425, 425, &[480, 480]), (425, 425, &[240, 240])),
    row("at", (420, 420, &[1000, 5000]), (420, 420, &[400, 400]), (420, 420, &[200, 200])),
    row("ch", (425, 425, &[1000, 4000]), (425, 425, &[500, 500]), (425, 425, &[200, 200])),
    row("fr", (440, 440, &[1500, 3500]), (440, 440, &[500, 500]), (440, 440, &[250, 250])),
    row("it", (425, 425, &[1000, 4000]), (425, 425, &[500, 500]), (425, 425, &[200, 200])),
    row("nl", (425, 425, &[1000, 4000]), (425, 425, &[500, 500]), (425, 425, &[250, 250])),
    row("pt", (425, 425, &[1000, 5000]), (425, 425, &[500, 500]), (425, 425, &[200, 200])),
    row("pl", (425, 425, &[1000, 4000]), (425, 425, &[500, 500]), (425, 425, &[250, 250])),
];

/// The tones of a country by its ISO 3166 code, in either case.
pub fn country(code: &str) -> Option<Country> {
    COUNTRIES.iter().find(|c| c.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_told_apart() {
        for country in &COUNTRIES {
            assert_eq!(super::country(country.code), Some(country));
            for (n, a) in country.signals.iter().enumerate() {
                assert!(a.cadence_ms.len().is_multiple_of(2) && a.hz.0 <= a.hz.1 && a.hz.0 >= 350);
                for b in &country.signals[n + 1..] {
                    assert!(a.hz != b.hz || a.cadence_ms != b.cadence_ms, "{}: {a:?} {b:?}", country.code);
                }
            }
        }
        assert!(super::country("US").is_some() && super::country("zz").is_none());
    }
}
