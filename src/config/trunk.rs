//! A trunk's keys: what they may be, and what a type alone cannot say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::read::{
    at_least_one, one_or_many, optional_percent, seconds_60_86400, session_timer, zero_to_five,
};
use super::{ListenAt, Network, check_files, check_pair, host_and_port};

/// A carrier's trunk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trunk {
    pub(crate) name: String,
    /// `host`, `host:port` or `[v6]:port`. Without a port a name is looked up as RFC 3263 says.
    pub(crate) address: String,
    /// Where its requests go instead, in order.
    #[serde(default)]
    pub(crate) proxies: Vec<String>,
    /// How it is reached; none: as its name says, else by UDP.
    #[serde(default)]
    pub(crate) transport: Option<TransportKey>,
    /// Which of `[sip] listen` it is spoken to by.
    #[serde(default)]
    pub(crate) listen: Option<ListenAt>,
    #[serde(default)]
    pub(crate) from_host: String,
    #[serde(default)]
    pub(crate) register: bool,
    #[serde(default = "default_register_s", deserialize_with = "seconds_60_86400")]
    pub(crate) register_s: u32,
    #[serde(default)]
    pub(crate) identity: IdentityKey,
    #[serde(default)]
    pub(crate) private: bool,
    #[serde(default)]
    pub(crate) reliable: ReliableKey,
    /// Seconds; 0: none.
    #[serde(default = "default_session_timer_s", deserialize_with = "session_timer")]
    pub(crate) session_timer_s: u32,
    #[serde(default, deserialize_with = "zero_to_five")]
    pub(crate) redirects: u32,
    #[serde(default)]
    pub(crate) large_by_tcp: bool,
    #[serde(default = "default_codecs")]
    pub(crate) codecs: Vec<CodecKey>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub(crate) accept_from: Vec<Network>,
    #[serde(default)]
    pub(crate) tls_ca: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(crate) tls_cert: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(crate) tls_key: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(crate) stir_key: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(crate) stir_certificate_url: String,
    #[serde(default)]
    pub(crate) stir_attestation: AttestationKey,
    /// Caller ids with another attestation.
    #[serde(default)]
    pub(crate) stir_numbers: BTreeMap<String, AttestationKey>,
    #[serde(default, deserialize_with = "optional_percent")]
    pub(crate) hep_percent: Option<u32>,
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) caller_id: String,
    #[serde(default = "default_cps", deserialize_with = "at_least_one")]
    pub(crate) max_cps: u32,
    #[serde(default = "default_channels", deserialize_with = "at_least_one")]
    pub(crate) max_channels: u32,
    #[serde(default = "yes")]
    pub(crate) options_keepalive: bool,
    /// Failed calls in a row before the trunk rests; 0: never.
    #[serde(default = "default_breaker_failures")]
    pub(crate) breaker_failures: u32,
    #[serde(default = "default_breaker_pause_s", deserialize_with = "at_least_one")]
    pub(crate) breaker_pause_s: u32,
    /// Whether RTP may come from another address than the SDP names.
    #[serde(default)]
    pub(crate) rtp_from_anywhere: bool,
    /// Which of `[media] listen` its audio uses.
    #[serde(default)]
    pub(crate) media_listen: Option<IpAddr>,
    #[serde(default)]
    pub(crate) number_format: NumberFormatKey,
    /// The caller id's, when it differs.
    #[serde(default)]
    pub(crate) caller_id_format: Option<NumberFormatKey>,
    #[serde(default)]
    pub(crate) number_prefix: String,
    #[serde(default)]
    pub(crate) country: String,
    /// Names of trunks that a call goes on by when this one cannot take it, in order.
    #[serde(default)]
    pub(crate) fail_over: Vec<String>,
    #[serde(default = "default_fail_over_on")]
    pub(crate) fail_over_on: Vec<u16>,
}

/// How a trunk is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TransportKey {
    Udp,
    Tcp,
    Tls,
}

/// Where a trunk reads who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityKey {
    #[default]
    None,
    Asserted,
    Preferred,
    RemoteParty,
}

/// Provisional answers that are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReliableKey {
    No,
    #[default]
    Supported,
    Required,
}

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CodecKey {
    Pcmu,
    Pcma,
}

/// How sure we are of a caller id (RFC 8588 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum AttestationKey {
    #[default]
    A,
    B,
    C,
}

/// How numbers are written on a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NumberFormatKey {
    #[default]
    E164,
    Digits,
    International,
    National,
}

fn default_cps() -> u32 {
    1
}
fn default_channels() -> u32 {
    10
}
fn default_breaker_failures() -> u32 {
    kraliki_engine::Trunk::BREAKER_FAILURES
}
fn default_breaker_pause_s() -> u32 {
    kraliki_engine::Trunk::BREAKER_PAUSE_S
}
fn default_register_s() -> u32 {
    3_600
}
fn default_session_timer_s() -> u32 {
    1_800
}
fn default_codecs() -> Vec<CodecKey> {
    vec![CodecKey::Pcmu, CodecKey::Pcma]
}
fn default_fail_over_on() -> Vec<u16> {
    kraliki_engine::Trunk::FAIL_OVER_ON.to_vec()
}
fn yes() -> bool {
    true
}

/// Statuses after which another trunk may be tried: none of them says that a person or the number was reached.
const FAIL_OVER_STATUSES: [u16; 11] = [401, 403, 407, 408, 420, 480, 488, 500, 502, 503, 504];

/// What a type alone cannot say. The offset is into the file's text.
pub(super) fn check(trunks: &[Spanned<Trunk>], sockets: &[ListenAt]) -> Result<(), (Option<usize>, String)> {
    let mut names = BTreeSet::new();
    for trunk in trunks {
        let at = Some(trunk.span().start);
        let trunk = trunk.get_ref();
        if trunk.name.is_empty()
            || !trunk.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return Err((at, format!("trunk name {:?}: use letters, digits, - and _", trunk.name)));
        }
        if !names.insert(trunk.name.to_ascii_lowercase()) {
            return Err((at, format!("trunk {:?} is there twice; give each its own name", trunk.name)));
        }
        if trunk.username.is_some() != trunk.password.is_some() {
            return Err((at, format!("trunk {:?}: username and password go together", trunk.name)));
        }
        if !trunk.caller_id.is_empty() && !is_e164(&trunk.caller_id) {
            return Err((
                at,
                format!(
                    "trunk {:?}: caller_id {:?} is not E.164, e.g. \"+15550100\"",
                    trunk.name, trunk.caller_id
                ),
            ));
        }
        let name = &trunk.name;
        for address in std::iter::once(&trunk.address).chain(&trunk.proxies) {
            if host_and_port(address).is_none() {
                let message =
                    format!("trunk {name:?}: address {address:?} is not host, host:port or [v6]:port");
                return Err((at, message));
            }
        }
        if let Some(listen) = &trunk.listen
            && !sockets.contains(listen)
        {
            return Err((at, format!("trunk {name:?}: listen is none of [sip] listen; give one of these")));
        }
        if trunk.register && trunk.username.is_none() {
            return Err((at, format!("trunk {name:?}: register needs username and password")));
        }
        if trunk.codecs.is_empty() {
            return Err((at, format!("trunk {name:?}: codecs is empty; give \"pcmu\", \"pcma\" or both")));
        }
        if !trunk.number_prefix.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b)) {
            return Err((at, format!("trunk {name:?}: number_prefix may hold digits, * and #")));
        }
        let national = [Some(trunk.number_format), trunk.caller_id_format];
        if national.contains(&Some(NumberFormatKey::National)) && trunk.country.is_empty() {
            return Err((at, format!("trunk {name:?}: national numbers need country, e.g. \"ES\"")));
        }
        check_pair(&trunk.tls_cert, &trunk.tls_key)?;
        check_files([&trunk.tls_ca, &trunk.stir_key], "a PEM file")?;
        if trunk.stir_key.is_some() != trunk.stir_certificate_url.starts_with("https://") {
            return Err((
                at,
                format!("trunk {name:?}: stir_key and stir_certificate_url (https://…) go together"),
            ));
        }
        if let Some(number) = trunk.stir_numbers.keys().find(|number| !is_e164(number)) {
            return Err((
                at,
                format!("trunk {name:?}: stir_numbers: {number:?} is not E.164, e.g. \"+15550100\""),
            ));
        }
        let other =
            |other: &&String| **other == trunk.name || !trunks.iter().any(|t| t.get_ref().name == **other);
        if let Some(other) = trunk.fail_over.iter().find(other) {
            return Err((at, format!("trunk {name:?}: fail_over: there is no other trunk {other:?}")));
        }
        if let Some(status) = trunk.fail_over_on.iter().find(|s| !FAIL_OVER_STATUSES.contains(s)) {
            let message = format!(
                "trunk {name:?}: fail_over_on: {status} says that a person was reached or the number is wrong; \
                 give some of {FAIL_OVER_STATUSES:?}"
            );
            return Err((at, message));
        }
    }
    Ok(())
}

fn is_e164(number: &str) -> bool {
    number
        .strip_prefix('+')
        .is_some_and(|d| (7..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
}
