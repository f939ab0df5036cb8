//! A trunk's profile, as the configuration file and the API give it: what each key may be, and what a type alone cannot
//! say of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kraliki_media::{Interface, Learn, TrunkOptions};
use kraliki_sip::net::ClientFiles;
use kraliki_sip::resolve::Target;
use kraliki_sip::stir::{Attestation, Signer};
use kraliki_sip::{Credentials, IdentityHeader, Reliable, SessionTimer, SocketId, Transport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choice::{AttestationKey, CodecKey, IdentityKey, InboundStir, ReliableKey, SrtpKey, TransportKey};
use super::values::{
    at_least_one, default_breaker_failures, default_breaker_pause_s, default_channels, default_codecs,
    default_cps, default_day_zone, default_fail_over_on, default_longest_call_s, default_register_s,
    default_session_timer_s, first_response, longest_call, never_shown, optional_percent, seconds_60_86400,
    session_timer, yes, zero_to_five,
};
use super::{NumberFormat, Numbers, Signing, TrunkConfig};
use crate::runtime::keys::{ListenAt, Network, host_and_port, one_or_many};
use crate::trunk::{is_prefix, longest};
use crate::{OverCap, Pii, Trunk, TrunkId};

/// How long a trunk that has others to go on by may say nothing at all, in seconds, when its profile does not say.
const FIRST_RESPONSE_S: u32 = 4;

/// A carrier's trunk. `configs/kraliki.toml` and docs/trunks.md explain each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkProfile {
    /// Its name: letters, digits, `-` and `_`. It never changes.
    pub name: String,
    /// `host`, `host:port` or `[v6]:port`. Without a port a name is looked up as RFC 3263 says.
    pub address: String,
    /// Where its requests go instead, in order.
    #[serde(default)]
    pub proxies: Vec<String>,
    /// How it is reached; null: as its name says, else by UDP.
    #[serde(default)]
    pub transport: Option<TransportKey>,
    /// Which of `[sip] listen` it is spoken to by; null: the first that fits.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub listen: Option<ListenAt>,
    /// The host in From; empty: our own address.
    #[serde(default)]
    pub from_host: String,
    /// Whether it wants our registration.
    #[serde(default)]
    pub register: bool,
    /// The expiry to ask for, in seconds (60 to 86400).
    #[serde(default = "default_register_s", deserialize_with = "seconds_60_86400")]
    pub register_s: u32,
    /// Where it reads who calls, beside From.
    #[serde(default)]
    pub identity: IdentityKey,
    /// Whether the people called are not shown the caller id.
    #[serde(default)]
    pub private: bool,
    /// Provisional answers that are acknowledged (RFC 3262).
    #[serde(default)]
    pub reliable: ReliableKey,
    /// The session timer in seconds (90 to 86400); 0: none.
    #[serde(default = "default_session_timer_s", deserialize_with = "session_timer")]
    pub session_timer_s: u32,
    /// How many redirects of a call are followed (0 to 5).
    #[serde(default, deserialize_with = "zero_to_five")]
    pub redirects: u32,
    /// Whether requests too large for UDP go by TCP.
    #[serde(default)]
    pub large_by_tcp: bool,
    /// What is offered, in order.
    #[serde(default = "default_codecs")]
    pub codecs: Vec<CodecKey>,
    /// Whether audio is encrypted (SRTP with keys in the SDP, RFC 4568). Wants `transport` tls.
    #[serde(default)]
    pub srtp: SrtpKey,
    /// Where its calls to us come from, beside its own addresses: addresses and networks.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schema(value_type = Vec<String>)]
    pub accept_from: Vec<Network>,
    /// A PEM file on the dialer's machine: the authority of its certificate, when it is none of the system's.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub tls_ca: Option<PathBuf>,
    /// A PEM file: the certificate that we show it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub tls_cert: Option<PathBuf>,
    /// A PEM file: its key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub tls_key: Option<PathBuf>,
    /// A PEM file: the EC P-256 key that signs who calls (RFC 8224).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub stir_key: Option<PathBuf>,
    /// Where its certificate is found.
    #[serde(default)]
    pub stir_certificate_url: String,
    /// How sure we are of a caller id.
    #[serde(default)]
    pub stir_attestation: AttestationKey,
    /// Caller ids (E.164) with another attestation.
    #[serde(default)]
    pub stir_numbers: BTreeMap<String, AttestationKey>,
    /// Whether who calls us is verified.
    #[serde(default)]
    pub inbound_stir: InboundStir,
    /// Of so many of its calls, in per cent, the collector gets the messages; null: as `[sip] hep_percent`.
    #[serde(default, deserialize_with = "optional_percent")]
    pub hep_percent: Option<u32>,
    /// The user name of its digest.
    #[serde(default)]
    pub username: Option<String>,
    /// The password of its digest. Only written: it is in no answer, and left out of a change it stays as it is.
    #[serde(default, skip_serializing_if = "never_shown")] // not `skip_serializing`: the API describes it
    #[schema(value_type = Option<String>, write_only)]
    pub password: Option<Pii<String>>,
    /// The number shown when the campaign names none, E.164.
    #[serde(default)]
    pub caller_id: String,
    /// INVITEs in any one second, never exceeded.
    #[serde(default = "default_cps", deserialize_with = "at_least_one")]
    pub max_cps: u32,
    /// Calls at once, never exceeded.
    #[serde(default = "default_channels", deserialize_with = "at_least_one")]
    pub max_channels: u32,
    /// Whether it is watched by OPTIONS.
    #[serde(default = "yes")]
    pub options_keepalive: bool,
    /// Failed calls in a row before the trunk rests; 0: never.
    #[serde(default = "default_breaker_failures")]
    pub breaker_failures: u32,
    /// How long it rests before one call tries it, in seconds.
    #[serde(default = "default_breaker_pause_s", deserialize_with = "at_least_one")]
    pub breaker_pause_s: u32,
    /// Whether RTP may come from another address than the SDP names.
    #[serde(default)]
    pub rtp_from_anywhere: bool,
    /// Which of `[media] listen` its audio uses; null: the first of its family.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub media_listen: Option<IpAddr>,
    /// How the called number is written.
    #[serde(default)]
    pub number_format: NumberFormat,
    /// How the caller id is written; null: like the called number.
    #[serde(default)]
    pub caller_id_format: Option<NumberFormat>,
    /// What stands before the called number: digits, `*` and `#`.
    #[serde(default)]
    pub number_prefix: String,
    /// ISO 3166 code, for national numbers and to read the numbers of callers.
    #[serde(default)]
    pub country: String,
    /// Names of trunks that a call goes on by when this one cannot take it, in order.
    #[serde(default)]
    pub fail_over: Vec<String>,
    /// After these final statuses; 408 stands for silence too.
    #[serde(default = "default_fail_over_on")]
    pub fail_over_on: Vec<u16>,
    /// Prefixes of the numbers that it may call, e.g. `+34`; `+` for every number; empty: none.
    #[serde(default)]
    pub allowed_prefixes: Vec<String>,
    /// Prefixes of numbers that it may not call all the same. The longest prefix of both lists decides.
    #[serde(default)]
    pub refused_prefixes: Vec<String>,
    /// The price of a minute by prefix, in the carrier's currency; the longest prefix decides.
    #[serde(default)]
    pub costs: BTreeMap<String, f64>,
    /// Calls in a day; 0: no limit.
    #[serde(default)]
    pub calls_per_day: u32,
    /// What its calls of a day may cost by `costs`; 0: no limit.
    #[serde(default)]
    pub spend_per_day: f64,
    /// What becomes of the calls that run when `spend_per_day` is used up.
    #[serde(default)]
    pub over_cap: OverCap,
    /// In which time zone its days begin, as an IANA name.
    #[serde(default = "default_day_zone")]
    pub day_zone: String,
    /// A call is ended when it is this long, in seconds (30 to 86400); 0: never.
    #[serde(default = "default_longest_call_s", deserialize_with = "longest_call")]
    pub longest_call_s: u32,
    /// The caller ids that it may show, E.164; empty: any.
    #[serde(default)]
    pub caller_ids: Vec<String>,
    /// How long it may say nothing at all to an INVITE, in seconds (1 to 32), before the call is given up as with 408; 0: as
    /// long as SIP waits (32 s). Null: 4 with a `fail_over`, else 0.
    #[serde(default, deserialize_with = "first_response")]
    pub first_response_timeout_s: Option<u32>,
}

/// A price or a sum in millionths.
fn millionths(price: f64) -> u64 {
    // Between 0 and MONEY_MOST by `check`.
    (price * 1e6).round() as u64
}

/// The dearest minute, and the largest sum of a day: beyond, somebody has mistyped.
const MONEY_MOST: f64 = 10_000_000.0;

/// Statuses after which another trunk may be tried: none of them says that a person or the number was reached.
const FAIL_OVER_STATUSES: [u16; 11] = [401, 403, 407, 408, 420, 480, 488, 500, 502, 503, 504];

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProfileError {
    /// Which key.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, ProfileError> {
    Err(ProfileError { field, message: message.into() })
}

/// What trunks are built upon: our own addresses, and what holds for every trunk.
#[derive(Clone, Debug)]
pub struct TrunkBasis {
    /// The SIP sockets, in order.
    pub listen: Vec<ListenAt>,
    /// Where audio comes in, in order.
    pub interfaces: Vec<Interface>,
    /// A call without audio ends after this.
    pub rtp_timeout: Duration,
    /// The share of calls that the collector gets, when a trunk does not say, in per cent.
    pub hep_percent: u32,
    /// Whether callers can be verified.
    pub stir: bool,
}

impl TrunkProfile {
    /// A trunk at an address, all else as it is by default.
    pub fn new(name: &str, address: &str) -> TrunkProfile {
        TrunkProfile {
            name: name.to_owned(),
            address: address.to_owned(),
            proxies: Vec::new(),
            transport: None,
            listen: None,
            from_host: String::new(),
            register: false,
            register_s: default_register_s(),
            identity: IdentityKey::default(),
            private: false,
            reliable: ReliableKey::default(),
            session_timer_s: default_session_timer_s(),
            redirects: 0,
            large_by_tcp: false,
            codecs: default_codecs(),
            srtp: SrtpKey::default(),
            accept_from: Vec::new(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            stir_key: None,
            stir_certificate_url: String::new(),
            stir_attestation: AttestationKey::default(),
            stir_numbers: BTreeMap::new(),
            inbound_stir: InboundStir::Off,
            hep_percent: None,
            username: None,
            password: None,
            caller_id: String::new(),
            max_cps: default_cps(),
            max_channels: default_channels(),
            options_keepalive: true,
            breaker_failures: default_breaker_failures(),
            breaker_pause_s: default_breaker_pause_s(),
            rtp_from_anywhere: false,
            media_listen: None,
            number_format: NumberFormat::default(),
            caller_id_format: None,
            number_prefix: String::new(),
            country: String::new(),
            fail_over: Vec::new(),
            fail_over_on: default_fail_over_on(),
            first_response_timeout_s: None,
            allowed_prefixes: Vec::new(),
            refused_prefixes: Vec::new(),
            costs: BTreeMap::new(),
            calls_per_day: 0,
            spend_per_day: 0.0,
            over_cap: OverCap::Finish,
            day_zone: default_day_zone(),
            longest_call_s: default_longest_call_s(),
            caller_ids: Vec::new(),
        }
    }

    /// What it may be used for, and what that costs.
    fn check_limits(&self) -> Result<(), ProfileError> {
        let lists =
            [("allowed_prefixes", &self.allowed_prefixes), ("refused_prefixes", &self.refused_prefixes)];
        for (field, prefixes) in lists {
            if let Some(text) = prefixes.iter().find(|prefix| !is_prefix(prefix)) {
                return wrong(
                    field,
                    format!("{field}: {text:?} is no prefix; write \"+34\", or \"+\" for every number"),
                );
            }
        }
        for (prefix, cost) in &self.costs {
            if !is_prefix(prefix) || !(0.0..=MONEY_MOST).contains(cost) {
                return wrong(
                    "costs",
                    format!("costs: {prefix:?} = {cost} is no prefix with a price; write \"+34\" = 0.012"),
                );
            }
        }
        if !(0.0..=MONEY_MOST).contains(&self.spend_per_day) {
            return wrong("spend_per_day", format!("spend_per_day must be from 0 to {MONEY_MOST}"));
        }
        let priced = |prefix: &&String| longest(self.costs.keys(), prefix).is_none();
        if let Some(prefix) = self.allowed_prefixes.iter().find(priced).filter(|_| self.spend_per_day > 0.0) {
            return wrong(
                "costs",
                format!(
                    "costs: with spend_per_day each of allowed_prefixes needs a price; {prefix:?} has none"
                ),
            );
        }
        if jiff::tz::TimeZone::get(&self.day_zone).is_err() {
            let text = format!("day_zone: {:?} is no time zone; write e.g. \"Europe/Madrid\"", self.day_zone);
            return wrong("day_zone", text);
        }
        if let Some(number) = self.caller_ids.iter().find(|number| !is_e164(number)) {
            return wrong("caller_ids", format!("caller_ids: {number:?} is not E.164, e.g. \"+15550100\""));
        }
        if !self.caller_id.is_empty()
            && !self.caller_ids.is_empty()
            && !self.caller_ids.contains(&self.caller_id)
        {
            return wrong(
                "caller_ids",
                format!("caller_ids: caller_id {} is not among them", self.caller_id),
            );
        }
        Ok(())
    }

    /// What a type alone cannot say. `listen`: our SIP sockets; `others`: the names of the other trunks.
    pub fn check(&self, listen: &[ListenAt], others: &[&str]) -> Result<(), ProfileError> {
        let name_fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(name_fits) {
            return wrong("name", "name: use letters, digits, - and _, at most 64");
        }
        if self.username.is_some() != self.password.is_some() {
            return wrong("password", "username and password go together");
        }
        if !self.caller_id.is_empty() && !is_e164(&self.caller_id) {
            let text = format!("caller_id {:?} is not E.164, e.g. \"+15550100\"", self.caller_id);
            return wrong("caller_id", text);
        }
        let address = std::iter::once(("address", &self.address));
        for (field, address) in address.chain(self.proxies.iter().map(|proxy| ("proxies", proxy))) {
            if host_and_port(address).is_none() {
                return wrong(field, format!("address {address:?} is not host, host:port or [v6]:port"));
            }
        }
        if self.listen.is_some_and(|at| !listen.contains(&at)) {
            return wrong("listen", "listen is none of [sip] listen; give one of these");
        }
        if let Some(transport) = self.transport.map(Transport::from)
            && !listen.iter().any(|at| at.transport == transport)
        {
            let name = transport.param();
            return wrong(
                "transport",
                format!("transport {name:?}: [sip] listen has no {name}: address; add one to it"),
            );
        }
        if !self.from_host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c)) {
            return wrong("from_host", "from_host is the name or address of a host, or empty");
        }
        if self.register && self.username.is_none() {
            return wrong("register", "register needs username and password");
        }
        if self.codecs.is_empty() {
            return wrong("codecs", "codecs is empty; name at least one of pcmu, pcma, g722, opus and l16");
        }
        if self.srtp != SrtpKey::Off && self.transport != Some(TransportKey::Tls) {
            return wrong(
                "srtp",
                "srtp needs transport = \"tls\": its keys stand in the SDP, and would go in clear for all to read",
            );
        }
        if !self.number_prefix.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b)) {
            return wrong("number_prefix", "number_prefix may hold digits, * and #");
        }
        let national = [Some(self.number_format), self.caller_id_format];
        if national.contains(&Some(NumberFormat::National)) && self.country.is_empty() {
            return wrong("country", "national numbers need country, e.g. \"ES\"");
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return wrong("tls_key", "tls_cert needs tls_key beside it"),
            (None, Some(_)) => return wrong("tls_cert", "tls_key needs tls_cert beside it"),
            _ => {}
        }
        self.check_limits()?;
        for (field, path) in self.files() {
            if !path.is_file() {
                let text = format!("{field}: {} does not exist; give the path of a PEM file", path.display());
                return wrong(field, text);
            }
        }
        if self.stir_key.is_some() != self.stir_certificate_url.starts_with("https://") {
            return wrong(
                "stir_certificate_url",
                "stir_key and stir_certificate_url (https://…) go together",
            );
        }
        if let Some(number) = self.stir_numbers.keys().find(|number| !is_e164(number)) {
            return wrong(
                "stir_numbers",
                format!("stir_numbers: {number:?} is not E.164, e.g. \"+15550100\""),
            );
        }
        let unknown = |other: &&String| **other == self.name || !others.contains(&other.as_str());
        if let Some(other) = self.fail_over.iter().find(unknown) {
            return wrong("fail_over", format!("fail_over: there is no other trunk {other:?}"));
        }
        if let Some(status) = self.fail_over_on.iter().find(|s| !FAIL_OVER_STATUSES.contains(s)) {
            return wrong(
                "fail_over_on",
                format!(
                    "fail_over_on: {status} says that a person was reached or the number is wrong; give some of \
                     {FAIL_OVER_STATUSES:?}"
                ),
            );
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [
            ("tls_ca", &self.tls_ca),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("stir_key", &self.stir_key),
        ];
        files.into_iter().filter_map(|(field, path)| Some((field, path.as_deref()?)))
    }

    /// All that the driver needs, files read. `id_of` finds the trunks of `fail_over`. It blocks: files are read and, to find
    /// the family of its audio, a name may be looked up.
    pub fn build(
        &self,
        id: TrunkId,
        basis: &TrunkBasis,
        id_of: impl Fn(&str) -> Option<TrunkId>,
    ) -> Result<TrunkConfig, ProfileError> {
        let targets: Vec<Target> = match self.proxies.as_slice() {
            [] => vec![self.target("address", &self.address)?],
            proxies => proxies.iter().map(|proxy| self.target("proxies", proxy)).collect::<Result<_, _>>()?,
        };
        let Some((host, port)) = host_and_port(&self.address) else {
            return wrong(
                "address",
                format!("address {:?} is not host, host:port or [v6]:port", self.address),
            );
        };
        if self.inbound_stir != InboundStir::Off && !basis.stir {
            let text =
                "inbound_stir needs [stir] trusted_roots in the configuration file: whose signatures count";
            return wrong("inbound_stir", text);
        }
        let in_uri = if host.contains(':') { format!("[{host}]") } else { host };
        let numeric = targets.iter().all(Target::is_numeric);
        let credentials = self.username.clone().zip(self.password.clone());
        let numbers = Numbers::new(
            self.number_format,
            self.caller_id_format.unwrap_or(self.number_format),
            &self.number_prefix,
            &self.country,
        );
        let first_response_s = match self.first_response_timeout_s {
            None if self.fail_over.is_empty() => 0,
            None => FIRST_RESPONSE_S,
            Some(seconds) => seconds,
        };
        Ok(TrunkConfig {
            trunk: Trunk {
                id,
                name: self.name.clone(),
                caller_id: self.caller_id.clone(),
                max_cps: self.max_cps,
                max_channels: self.max_channels,
                options_keepalive: self.options_keepalive,
                watched: self.options_keepalive || self.register || !numeric,
                breaker_failures: self.breaker_failures,
                breaker_pause_s: self.breaker_pause_s,
                fail_over: self.fail_over.iter().filter_map(|name| id_of(name)).collect(),
                fail_over_on: self.fail_over_on.clone(),
                allowed_prefixes: self.allowed_prefixes.clone(),
                refused_prefixes: self.refused_prefixes.clone(),
                prices: self.costs.iter().map(|(prefix, cost)| (prefix.clone(), millionths(*cost))).collect(),
                calls_per_day: self.calls_per_day,
                spend_per_day: millionths(self.spend_per_day),
                over_cap: self.over_cap,
                day_zone: self.day_zone.clone(),
                longest_call_s: self.longest_call_s,
                caller_ids: self.caller_ids.clone(),
            },
            targets,
            socket: self.listen.and_then(|listen| {
                let at = basis.listen.iter().position(|at| *at == listen)?;
                u16::try_from(at).ok().map(SocketId)
            }),
            host: match port {
                None | Some(5060) => in_uri,
                Some(port) => format!("{in_uri}:{port}"),
            },
            from_host: self.from_host.clone(),
            credentials: credentials
                .map(|(username, password)| Arc::new(Credentials { username, password: password.0 })),
            register_s: self.register.then_some(self.register_s),
            numbers: numbers.or_else(|error| wrong("country", format!("country: {error}")))?,
            identity: match self.identity {
                IdentityKey::None => IdentityHeader::None,
                IdentityKey::Asserted => IdentityHeader::Asserted,
                IdentityKey::Preferred => IdentityHeader::Preferred,
                IdentityKey::RemoteParty => IdentityHeader::RemoteParty,
            },
            private: self.private,
            reliable: match self.reliable {
                ReliableKey::No => Reliable::No,
                ReliableKey::Supported => Reliable::Supported,
                ReliableKey::Required => Reliable::Required,
            },
            session_timer: (self.session_timer_s > 0)
                .then_some(SessionTimer { expires_s: self.session_timer_s, ..SessionTimer::default() }),
            max_redirects: u8::try_from(self.redirects).unwrap_or(0),
            large_by_tcp: self.large_by_tcp,
            first_response_within: (first_response_s > 0)
                .then(|| Duration::from_secs(first_response_s.into())),
            first_response_in_group: self
                .first_response_timeout_s
                .is_none()
                .then(|| Duration::from_secs(FIRST_RESPONSE_S.into())),
            codecs: self.codecs.iter().map(|codec| (*codec).into()).collect(),
            srtp: self.srtp.into(),
            accept_from: self.accept_from.iter().map(|network| network.0).collect(),
            signing: self.signing()?,
            inbound_stir: self.inbound_stir,
            tls: self.tls(),
            hep_percent: self.hep_percent.unwrap_or(basis.hep_percent),
            media: TrunkOptions {
                interface: self.interface(&basis.interfaces)?,
                learn: if self.rtp_from_anywhere { Learn::Anywhere } else { Learn::SameHost },
                rtp_timeout: basis.rtp_timeout,
            },
            simulated: false,
            profile: TrunkProfile { password: None, ..self.clone() },
        })
    }

    /// Where it is, when that needs no look-up, or one look-up of today tells.
    pub fn first_address(&self) -> Option<SocketAddr> {
        let (host, port) = host_and_port(self.proxies.first().unwrap_or(&self.address))?;
        (host.as_str(), port.unwrap_or(5060)).to_socket_addrs().ok()?.next()
    }

    /// A host that is looked up, or an address.
    fn target(&self, field: &'static str, address: &str) -> Result<Target, ProfileError> {
        let Some((host, port)) = host_and_port(address) else {
            return wrong(field, format!("address {address:?} is not host, host:port or [v6]:port"));
        };
        let transport = self.transport.map(Transport::from);
        Ok(Target { port, transport, ..Target::host(&host) })
    }

    /// Where its audio comes in: the address it names, else the first of its family.
    fn interface(&self, interfaces: &[Interface]) -> Result<usize, ProfileError> {
        let found = match self.media_listen {
            Some(ip) => interfaces.iter().position(|i| i.listen == ip),
            None => {
                let ipv4 = self.first_address().is_none_or(|address| address.is_ipv4());
                interfaces.iter().position(|i| i.listen.is_ipv4() == ipv4)
            }
        };
        let text = "[media] listen has no address for it; add one of its family, or the one it names";
        found.map_or_else(|| wrong("media_listen", text), Ok)
    }

    fn signing(&self) -> Result<Option<Signing>, ProfileError> {
        let Some(path) = &self.stir_key else { return Ok(None) };
        let bad = |error: String| ProfileError {
            field: "stir_key",
            message: format!("stir_key {}: {error}", path.display()),
        };
        let pem = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let signer = Signer::new(&pem, &self.stir_certificate_url).map_err(|error| bad(error.to_string()))?;
        let attestation = |key: AttestationKey| match key {
            AttestationKey::A => Attestation::A,
            AttestationKey::B => Attestation::B,
            AttestationKey::C => Attestation::C,
        };
        Ok(Some(Signing {
            signer: Arc::new(signer),
            attestation: attestation(self.stir_attestation),
            by_number: self.stir_numbers.iter().map(|(n, key)| (n.clone(), attestation(*key))).collect(),
        }))
    }

    /// What its servers want of TLS beyond a name and one of the system's roots.
    pub(super) fn tls(&self) -> Vec<ClientFiles> {
        let own = self.tls_cert.clone().zip(self.tls_key.clone());
        if self.tls_ca.is_none() && own.is_none() {
            return Vec::new();
        }
        let servers = std::iter::once(&self.address).chain(&self.proxies).filter_map(|a| host_and_port(a));
        servers
            .map(|(server, _)| ClientFiles { server, ca: self.tls_ca.clone(), certificate: own.clone() })
            .collect()
    }
}

fn is_e164(number: &str) -> bool {
    number
        .strip_prefix('+')
        .is_some_and(|d| (7..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use kraliki_media::sdp::SrtpPolicy;

    use super::*;

    fn basis() -> TrunkBasis {
        let here = IpAddr::from([127, 0, 0, 1]);
        TrunkBasis {
            listen: vec!["127.0.0.1:5060".parse().unwrap()],
            interfaces: vec![Interface { listen: here, advertise: here }],
            rtp_timeout: Duration::from_secs(9),
            hep_percent: 50,
            stir: false,
        }
    }

    #[test]
    fn a_profile_without_its_password_reads_back() {
        let text = r#"{"name":"a","address":"127.0.0.1","username":"u","password":"secret","accept_from":"10.0.0.0/8",
            "listen":"127.0.0.1:5060","stir_numbers":{"+15550100":"B"},"hep_percent":null}"#;
        let profile: TrunkProfile = serde_json::from_str(text).unwrap();
        assert_eq!(profile.password.as_deref().map(String::as_str), Some("secret"));
        assert!(!format!("{profile:?}").contains("secret"));
        let written = serde_json::to_string(&profile).unwrap();
        assert!(!written.contains("secret") && written.contains("udp:127.0.0.1:5060"), "{written}");
        let again: TrunkProfile = serde_json::from_str(&written).unwrap();
        assert_eq!(again, TrunkProfile { password: None, ..profile });
        let plain: TrunkProfile = serde_json::from_str(r#"{"name":"a","address":"h"}"#).unwrap();
        assert_eq!(plain, TrunkProfile::new("a", "h"));
    }

    #[test]
    fn silence_is_waited_for_less_where_a_call_can_go_on() {
        let within = |fail_over: &[&str], seconds| {
            let profile = TrunkProfile {
                fail_over: fail_over.iter().map(|name| (*name).to_owned()).collect(),
                first_response_timeout_s: seconds,
                ..TrunkProfile::new("a", "127.0.0.1")
            };
            let built = profile.build(TrunkId(1), &basis(), |_| Some(TrunkId(2))).unwrap();
            built.first_response_within.map(|within| within.as_secs())
        };
        assert_eq!((within(&[], None), within(&["b"], None)), (None, Some(4)));
        assert_eq!((within(&["b"], Some(0)), within(&[], Some(9))), (None, Some(9)));
        let long = r#"{"name":"a","address":"h","first_response_timeout_s":33}"#;
        let error = serde_json::from_str::<TrunkProfile>(long).unwrap_err().to_string();
        assert!(error.contains("33 is out of range; give 0 to 32"), "{error}");
    }

    #[test]
    fn srtp_keys_do_not_go_in_clear() {
        let listen: [ListenAt; 2] =
            ["127.0.0.1:5060".parse().unwrap(), "tls:127.0.0.1:5061".parse().unwrap()];
        let of = |srtp: &str, transport: &str| {
            let text = format!(r#"{{"name":"a","address":"h","srtp":"{srtp}","transport":{transport}}}"#);
            serde_json::from_str::<TrunkProfile>(&text).unwrap().check(&listen, &[]).map_err(|e| e.field)
        };
        for srtp in ["optional", "required"] {
            assert_eq!(of(srtp, r#""tls""#), Ok(()));
            assert_eq!((of(srtp, "null"), of(srtp, r#""udp""#)), (Err("srtp"), Err("srtp")));
        }
        assert_eq!(of("off", r#""udp""#), Ok(()));
        let profile = TrunkProfile { srtp: SrtpKey::Required, ..TrunkProfile::new("a", "127.0.0.1") };
        let built = profile.build(TrunkId(1), &basis(), |_| None).unwrap();
        assert_eq!(built.srtp, SrtpPolicy::Required);
    }

    #[test]
    fn what_is_built_upon_our_own_addresses_is_refused_where_there_are_none() {
        let six = TrunkProfile::new("a", "[::1]:5060");
        let error = six.build(TrunkId(1), &basis(), |_| None).unwrap_err();
        assert_eq!(error.field, "media_listen");
        let elsewhere =
            TrunkProfile { listen: Some("127.0.0.1:5070".parse().unwrap()), ..TrunkProfile::new("a", "h") };
        assert_eq!(elsewhere.check(&basis().listen, &[]).unwrap_err().field, "listen");
        let tls = TrunkProfile { transport: Some(TransportKey::Tls), ..TrunkProfile::new("a", "h") };
        assert_eq!(tls.check(&basis().listen, &[]).unwrap_err().field, "transport");
        let no_country = TrunkProfile { country: "Atlantis".into(), ..TrunkProfile::new("a", "127.0.0.1") };
        assert_eq!(no_country.build(TrunkId(1), &basis(), |_| None).unwrap_err().field, "country");
        let stir = TrunkProfile { inbound_stir: InboundStir::Record, ..TrunkProfile::new("a", "127.0.0.1") };
        assert_eq!(stir.build(TrunkId(1), &basis(), |_| None).unwrap_err().field, "inbound_stir");
        let with_roots = TrunkBasis { stir: true, ..basis() };
        let built = stir.build(TrunkId(1), &with_roots, |_| None).unwrap();
        assert_eq!(built.inbound_stir, InboundStir::Record);
    }
}
