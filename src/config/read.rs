//! Values of the configuration, each with an error that says what to write.

use std::ops::RangeInclusive;

use kraliki_engine::runtime::CodecKey;
use kraliki_engine::runtime::keys::in_range;
use serde::{Deserialize, Deserializer};

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

pub(super) fn shards<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    Ok(in_range(d, 1..=64)? as usize)
}

pub(super) fn seconds_1_30<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=30)
}

pub(super) fn days_1_365<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=365)
}

pub(super) fn seconds_5_3600<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 5..=3600)
}

pub(super) fn kbps_12_64<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 12..=64)
}

pub(super) fn days<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 0..=36_500)
}

pub(super) fn threads<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    Ok(in_range(d, 1..=16)? as usize)
}

pub(super) fn percent<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 0..=100)
}

pub(super) fn megabytes<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=1_000_000)
}

pub(super) fn at_least_one_codec<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<CodecKey>, D::Error> {
    let codecs = Vec::deserialize(d)?;
    if codecs.is_empty() {
        return Err(serde::de::Error::custom("no codec is named; name at least one, e.g. [\"pcmu\"]"));
    }
    Ok(codecs)
}
