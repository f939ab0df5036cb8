//! Values of the configuration, each with an error that says what to write.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer};

pub(super) fn one_or_many<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let given = match OneOrMany::deserialize(d) {
        Ok(OneOrMany::One(one)) => vec![one],
        Ok(OneOrMany::Many(many)) => many,
        Err(_) => return Err(serde::de::Error::custom("give an address or a list of addresses, as text")),
    };
    given
        .into_iter()
        .map(|s| s.parse().map_err(|e| serde::de::Error::custom(format!("{s:?} is not an address: {e}"))))
        .collect()
}

pub(super) fn ports<'de, D: Deserializer<'de>>(d: D) -> Result<RangeInclusive<u16>, D::Error> {
    let text = String::deserialize(d)?;
    let range =
        text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    match range {
        Some((first, last)) if first >= 1024 && last > first => Ok(first..=last),
        _ => Err(serde::de::Error::custom(format!(
            "{text:?} is not a range of ports from 1024 to 65535, e.g. \"16000-19999\""
        ))),
    }
}

pub(super) fn in_range<'de, D: Deserializer<'de>>(d: D, range: RangeInclusive<u32>) -> Result<u32, D::Error> {
    let n = i64::deserialize(d)?;
    u32::try_from(n).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        serde::de::Error::custom(format!("{n} is out of range; give {} to {}", range.start(), range.end()))
    })
}

pub(super) fn shards<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    Ok(in_range(d, 1..=64)? as usize)
}

pub(super) fn seconds_5_3600<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 5..=3600)
}

pub(super) fn seconds_60_86400<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 60..=86_400)
}

pub(super) fn percent<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 0..=100)
}

pub(super) fn optional_percent<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
    percent(d).map(Some)
}

pub(super) fn zero_to_five<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 0..=5)
}

pub(super) fn session_timer<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    match in_range(d, 0..=86_400)? {
        short @ 1..90 => {
            Err(serde::de::Error::custom(format!("{short} is out of range; give 0 or 90 to 86400")))
        }
        seconds => Ok(seconds),
    }
}

pub(super) fn megabytes<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=1_000_000)
}

pub(super) fn at_least_one<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=100_000)
}
