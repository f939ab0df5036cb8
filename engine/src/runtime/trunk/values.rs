//! What keys of a profile hold when they are not there, and the ranges of those that are.

use serde::{Deserialize, Deserializer};

use super::choice::CodecKey;
use crate::Trunk;
use crate::runtime::keys::in_range;

pub(super) fn never_shown<T>(_: &T) -> bool {
    true
}
pub(super) fn default_cps() -> u32 {
    1
}
pub(super) fn default_channels() -> u32 {
    10
}
pub(super) fn default_breaker_failures() -> u32 {
    Trunk::BREAKER_FAILURES
}
pub(super) fn default_breaker_pause_s() -> u32 {
    Trunk::BREAKER_PAUSE_S
}
pub(super) fn default_register_s() -> u32 {
    3_600
}
pub(super) fn default_session_timer_s() -> u32 {
    1_800
}
pub(super) fn default_codecs() -> Vec<CodecKey> {
    vec![CodecKey::Pcmu, CodecKey::Pcma]
}
pub(super) fn default_fail_over_on() -> Vec<u16> {
    Trunk::FAIL_OVER_ON.to_vec()
}
pub(super) fn default_day_zone() -> String {
    "UTC".to_owned()
}
pub(super) fn default_longest_call_s() -> u32 {
    Trunk::LONGEST_CALL_S
}
pub(super) fn yes() -> bool {
    true
}

pub(super) fn seconds_60_86400<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 60..=86_400)
}

pub(super) fn optional_percent<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
    optional_in_range(d, 0..=100)
}

pub(super) fn first_response<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
    optional_in_range(d, 0..=32)
}

fn optional_in_range<'de, D: Deserializer<'de>>(
    d: D,
    range: std::ops::RangeInclusive<u32>,
) -> Result<Option<u32>, D::Error> {
    match Option::<i64>::deserialize(d)? {
        None => Ok(None),
        Some(n) => in_range(serde::de::value::I64Deserializer::new(n), range).map(Some),
    }
}

pub(super) fn zero_to_five<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 0..=5)
}

pub(super) fn at_least_one<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=100_000)
}

pub(super) fn session_timer<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    match in_range(d, 0..=86_400)? {
        short @ 1..90 => {
            Err(serde::de::Error::custom(format!("{short} is out of range; give 0 or 90 to 86400")))
        }
        seconds => Ok(seconds),
    }
}

pub(super) fn longest_call<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    match in_range(d, 0..=86_400)? {
        short @ 1..30 => {
            Err(serde::de::Error::custom(format!("{short} is out of range; give 0 or 30 to 86400")))
        }
        seconds => Ok(seconds),
    }
}
