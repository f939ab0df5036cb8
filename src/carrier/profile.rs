//! How the simulated carrier behaves.

use std::path::Path;

use anyhow::{Context, bail};
use kraliki_engine::simulate::{Floor, Lasting};
use kraliki_media::Digit;
use serde::Deserialize;

/// A profile file; configs/carrier.toml explains each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What becomes of dials: a built-in floor, or the path of a floor's file.
    #[serde(default = "demo_name")]
    pub(crate) floor: String,
    /// Seed of all its chance.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// Share of the calls that ring with early media.
    #[serde(default)]
    pub(crate) early_media: f64,
    /// What the called people send.
    #[serde(default)]
    pub(crate) audio: Sound,
    /// When the called person hangs up after answering; without it the caller ends the call.
    #[serde(default)]
    pub(crate) hang_up: Option<Lasting>,
    /// Keys that people press after they answered.
    #[serde(default, rename = "press")]
    pub(crate) presses: Vec<Press>,
    /// Dials that fail at once with a status of the profile's choice.
    #[serde(default, rename = "fail")]
    pub(crate) failures: Vec<Fail>,
}

/// What the called people send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sound {
    /// Speech-like sound; machines say a greeting and beep.
    #[default]
    Speech,
    /// A tone of 440 Hz.
    Tone,
    /// Nothing, and no RTP port is used: for loads of thousands of calls a second.
    None,
}

/// A key that a part of the people who answer press.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Press {
    pub(crate) key: char,
    pub(crate) share: f64,
    /// From the answer on.
    pub(crate) after_s: f64,
}

/// Dials that fail at once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fail {
    pub(crate) status: u16,
    pub(crate) share: f64,
}

fn demo_name() -> String {
    "demo".into()
}
fn one() -> u64 {
    1
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            floor: demo_name(),
            seed: one(),
            early_media: 0.0,
            audio: Sound::default(),
            hang_up: None,
            presses: Vec::new(),
            failures: Vec::new(),
        }
    }
}

impl Profile {
    pub(crate) fn load(path: &Path) -> anyhow::Result<Profile> {
        let file = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("{file}: cannot be read"))?;
        let profile: Profile =
            toml::from_str(&text).with_context(|| format!("{file}: not a carrier profile"))?;
        for (key, share) in std::iter::once(("early_media", profile.early_media))
            .chain(profile.failures.iter().map(|f| ("fail.share", f.share)))
            .chain(profile.presses.iter().map(|p| ("press.share", p.share)))
        {
            if !(0.0..=1.0).contains(&share) {
                bail!("{file}: {key} is {share}; give a share from 0 to 1");
            }
        }
        for press in &profile.presses {
            if Digit::from_char(press.key).is_none() {
                bail!("{file}: press.key is {:?}; give one of 0-9, *, #, A-D", press.key);
            }
            if !(0.0..=3_600.0).contains(&press.after_s) {
                bail!("{file}: press.after_s is {}; give seconds from 0 to 3600", press.after_s);
            }
        }
        for fail in &profile.failures {
            if !(300..=699).contains(&fail.status) {
                bail!("{file}: fail.status is {}; give a final status from 300 to 699", fail.status);
            }
        }
        Ok(profile)
    }
}

/// A built-in floor, or one from a file.
pub(crate) fn floor(name: &str) -> anyhow::Result<Floor> {
    if let Some(floor) = Floor::named(name) {
        return Ok(floor);
    }
    let names = Floor::NAMES.join(", ");
    let text = std::fs::read_to_string(name).with_context(|| {
        format!("no floor is named {name:?} (there are {names}), and no such file can be read")
    })?;
    Floor::from_toml(&text).with_context(|| format!("{name}: not a floor"))
}
