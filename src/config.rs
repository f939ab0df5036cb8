//! The configuration file: `configs/kraliki.toml` explains each key. Environment variables override it:
//! `KRALIKI_HTTP_LISTEN` is `[http] listen`, `KRALIKI_TRUNK_<NAME>_PASSWORD` a trunk's password.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use kraliki_control_api::IpNet;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) http: Http,
    pub(crate) sip: Sip,
    pub(crate) media: Media,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) log: Log,
    pub(crate) trunk: Vec<Spanned<Trunk>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) tls_cert: Option<Spanned<PathBuf>>,
    pub(crate) tls_key: Option<Spanned<PathBuf>>,
    pub(crate) metrics_listen: Option<SocketAddr>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) allowed_origins: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sip {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) listen: Vec<SocketAddr>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) advertise: Vec<IpAddr>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) listen: Vec<IpAddr>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) advertise: Vec<IpAddr>,
    #[serde(deserialize_with = "ports")]
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) browser_port: u16,
    #[serde(deserialize_with = "shards")]
    pub(crate) shards: usize,
    #[serde(deserialize_with = "seconds_5_3600")]
    pub(crate) rtp_timeout_s: u32,
    pub(crate) plain_agents: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    pub(crate) path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    pub(crate) journal: Option<PathBuf>,
    #[serde(deserialize_with = "megabytes")]
    pub(crate) journal_segment_mb: u32,
    #[serde(deserialize_with = "megabytes")]
    pub(crate) journal_keep_mb: u32,
    pub(crate) drain_s: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: String,
}

/// A carrier's trunk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trunk {
    pub(crate) name: String,
    /// `host`, `host:port` or `[v6]:port`; the port is 5060 when not given.
    pub(crate) address: String,
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
    /// `e164` (+15550100), `digits` (15550100) or `national` is for the carrier's taste.
    #[serde(default)]
    pub(crate) number_format: NumberFormat,
}

/// How numbers are written on a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NumberFormat {
    /// `+15550100`
    #[default]
    E164,
    /// `15550100`
    Digits,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            tls_cert: None,
            tls_key: None,
            metrics_listen: None,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}

impl Default for Sip {
    fn default() -> Self {
        Sip { listen: vec![SocketAddr::from(([0, 0, 0, 0], 5060))], advertise: Vec::new() }
    }
}

impl Default for Media {
    fn default() -> Self {
        Media {
            listen: vec![IpAddr::from([0, 0, 0, 0])],
            advertise: Vec::new(),
            ports: 16_000..=19_999,
            browser_port: 15_000,
            shards: 1,
            rtp_timeout_s: 20,
            plain_agents: false,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Store { path: PathBuf::from("kraliki.db") }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Engine { journal: None, journal_segment_mb: 256, journal_keep_mb: 4096, drain_s: None }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, level: "info".into() }
    }
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
fn yes() -> bool {
    true
}

/// A configuration that cannot be used: where, what, and what to do. Exit code 78 (EX_CONFIG).
#[derive(Debug)]
pub(crate) struct ConfigError {
    file: String,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks the file, with the environment on top.
    pub(crate) fn load(
        path: &Path,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError {
            file: file.clone(),
            line: None,
            message: match e.kind() {
                std::io::ErrorKind::NotFound => {
                    "there is no such file; copy configs/kraliki.toml and pass it with --config".into()
                }
                std::io::ErrorKind::InvalidData => "is not UTF-8 text; save it as UTF-8".into(),
                _ => format!("cannot be read: {e}"),
            },
        })?;
        Config::parse(&file, &text, env)
    }

    /// As `load`, from text.
    pub(crate) fn parse(
        file: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let at = |line, message| ConfigError { file: file.to_owned(), line, message };
        let describe = |e: &toml::de::Error| e.message().lines().collect::<Vec<_>>().join("; ");
        let mut config: Config =
            toml::from_str(text).map_err(|e| at(e.span().map(|s| line_of(text, s.start)), describe(&e)))?;
        config.check().map_err(|(offset, message)| at(offset.map(|o| line_of(text, o)), message))?;

        let mut variables: Vec<_> =
            env.into_iter().filter(|(name, _)| name.starts_with("KRALIKI_")).collect();
        variables.sort();
        let mut table: toml::Table =
            toml::from_str(text).map_err(|e| at(e.span().map(|s| line_of(text, s.start)), describe(&e)))?;
        for (name, value) in variables {
            let wrong =
                |message| ConfigError { file: format!("environment variable {name}"), line: None, message };
            if !set_variable(&mut table, &name, &value).map_err(wrong)? {
                continue;
            }
            // By way of text, since values that know their place in a file are only read from one.
            let merged = toml::to_string(&table).map_err(|e| wrong(e.to_string()))?;
            config = toml::from_str(&merged).map_err(|e| wrong(describe(&e)))?;
            config.check().map_err(|(_, message)| wrong(message))?;
        }
        Ok(config)
    }

    /// What a type alone cannot say. The offset is into the file's text.
    fn check(&self) -> Result<(), (Option<usize>, String)> {
        let none = |message: &str| Err((None, message.to_owned()));
        if self.http.listen.is_empty() {
            return none("[http] listen is empty; give at least one address, e.g. \"127.0.0.1:8080\"");
        }
        if self.sip.listen.is_empty() {
            return none("[sip] listen is empty; give at least one address, e.g. \"0.0.0.0:5060\"");
        }
        if self.media.listen.is_empty() {
            return none("[media] listen is empty; give at least one address, e.g. \"0.0.0.0\"");
        }
        if !self.sip.advertise.is_empty() && self.sip.advertise.len() != self.sip.listen.len() {
            return none("[sip] advertise must name one address for each of [sip] listen, in the same order");
        }
        if !self.media.advertise.is_empty() && self.media.advertise.len() != self.media.listen.len() {
            return none(
                "[media] advertise must name one address for each of [media] listen, in the same order",
            );
        }
        match (&self.http.tls_cert, &self.http.tls_key) {
            (Some(cert), None) => {
                return Err((Some(cert.span().start), "tls_cert needs tls_key beside it".into()));
            }
            (None, Some(key)) => {
                return Err((Some(key.span().start), "tls_key needs tls_cert beside it".into()));
            }
            _ => {}
        }
        for path in [&self.http.tls_cert, &self.http.tls_key].into_iter().flatten() {
            if !path.get_ref().is_file() {
                let message =
                    format!("{} does not exist; give the path of a PEM file", path.get_ref().display());
                return Err((Some(path.span().start), message));
            }
        }
        if self.engine.journal_keep_mb / 2 < self.engine.journal_segment_mb {
            return none("[engine] journal_keep_mb must be at least twice journal_segment_mb");
        }
        let mut names = BTreeSet::new();
        for trunk in &self.trunk {
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
            if host_and_port(&trunk.address).is_none() {
                return Err((
                    at,
                    format!(
                        "trunk {:?}: address {:?} is not host, host:port or [v6]:port",
                        trunk.name, trunk.address
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Splits `host`, `host:port` or `[v6]:port`; the port is 5060 when not given.
pub(crate) fn host_and_port(address: &str) -> Option<(String, u16)> {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Some((socket.ip().to_string(), socket.port()));
    }
    if let Ok(ip) = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Some((ip.to_string(), 5060));
    }
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|p| *p != 0)?),
        None => (address, 5060),
    };
    let fits = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    fits.then(|| (host.to_owned(), port))
}

fn is_e164(number: &str) -> bool {
    number
        .strip_prefix('+')
        .is_some_and(|d| (7..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1
}

/// Puts one environment variable into the table; false when it is not about the configuration.
fn set_variable(table: &mut toml::Table, name: &str, value: &str) -> Result<bool, String> {
    let rest = name.trim_start_matches("KRALIKI_").to_ascii_lowercase();
    // Switches of the tests, not keys of the file.
    if matches!(rest.as_str(), "config" | "soak" | "seed") {
        return Ok(false);
    }
    let (section, key) = rest
        .split_once('_')
        .ok_or_else(|| "names no key; write KRALIKI_<SECTION>_<KEY>, e.g. KRALIKI_HTTP_LISTEN".to_owned())?;
    // A list or a number is written as in TOML; anything else is text.
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    if section == "trunk" {
        let trunks = table.get_mut("trunk").and_then(toml::Value::as_array_mut);
        for trunk in trunks.into_iter().flatten().filter_map(toml::Value::as_table_mut) {
            let own =
                trunk.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_ascii_lowercase();
            if let Some(key) = key.strip_prefix(&format!("{}_", own.replace('-', "_"))) {
                // A password of digits is still text.
                let text = matches!(key, "password" | "username" | "caller_id");
                let new = if text { toml::Value::String(value.to_owned()) } else { parsed };
                trunk.insert(key.to_owned(), new);
                return Ok(true);
            }
        }
        return Err("no trunk of that name stands in the file".into());
    }
    let entry = table.entry(section.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    let section = entry.as_table_mut().ok_or_else(|| format!("[{section}] is not a section"))?;
    section.insert(key.to_owned(), parsed);
    Ok(true)
}

fn one_or_many<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
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

fn ports<'de, D: Deserializer<'de>>(d: D) -> Result<RangeInclusive<u16>, D::Error> {
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

fn in_range<'de, D: Deserializer<'de>>(d: D, range: RangeInclusive<u32>) -> Result<u32, D::Error> {
    let n = i64::deserialize(d)?;
    u32::try_from(n).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        serde::de::Error::custom(format!("{n} is out of range; give {} to {}", range.start(), range.end()))
    })
}

fn shards<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    Ok(in_range(d, 1..=64)? as usize)
}

fn seconds_5_3600<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 5..=3600)
}

fn megabytes<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=1_000_000)
}

fn at_least_one<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    in_range(d, 1..=100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("k.toml", text, []).map_err(|e| e.to_string())
    }

    #[test]
    fn the_shipped_file_is_the_default() {
        let text = include_str!("../configs/kraliki.toml");
        let shipped = Config::parse("configs/kraliki.toml", text, []).unwrap();
        assert_eq!(format!("{shipped:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn each_kind_of_error_names_its_line() {
        let cases = [
            ("[http]\nlisten = \"127.0.0.1:99999\"", "k.toml:2: \"127.0.0.1:99999\" is not an address"),
            ("[http]\nlisten = 8080", "k.toml:2: give an address"),
            ("[http]\n\nlissten = \"x\"", "k.toml:3: unknown field `lissten`"),
            ("[htp]\n", "k.toml:1: unknown field `htp`"),
            ("[media]\nports = \"70-80\"", "k.toml:2: \"70-80\" is not a range of ports"),
            ("[media]\nrtp_timeout_s = 0", "k.toml:2: 0 is out of range; give 5 to 3600"),
            ("[engine]\njournal_segment_mb = 0", "k.toml:2: 0 is out of range; give 1 to 1000000"),
            ("[engine]\njournal_keep_mb = 300", "must be at least twice journal_segment_mb"),
            ("[log]\nformat = \"xml\"", "k.toml:2: unknown variant `xml`"),
            ("[http]\ntls_cert = \"/none.pem\"", "k.toml:2: tls_cert needs tls_key"),
            ("[[trunk]]\nname = \"a\"", "missing field `address`"),
            ("[[trunk]]\nname = \"a b\"\naddress = \"h\"", "k.toml:1: trunk name \"a b\""),
            ("[[trunk]]\nname = \"a\"\naddress = \"h:x\"", "address \"h:x\" is not host"),
            ("[[trunk]]\nname = \"a\"\naddress = \"h\"\ncaller_id = \"12\"", "is not E.164"),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\n[[trunk]]\nname = \"A\"\naddress = \"h\"",
                "is there twice",
            ),
            ("[http\n", "k.toml:1:"),
        ];
        for (text, want) in cases {
            let got = parse(text).unwrap_err();
            assert!(got.contains(want), "{text:?}: {got:?} lacks {want:?}");
            assert_eq!(got.lines().count(), 1, "{got}");
        }
    }

    #[test]
    fn the_environment_overrides() {
        let text =
            "[[trunk]]\nname = \"main-1\"\naddress = \"127.0.0.1\"\nusername = \"u\"\npassword = \"p\"";
        let env = |k: &str, v: &str| [(k.to_owned(), v.to_owned())];
        let config = Config::parse("k", text, env("KRALIKI_TRUNK_MAIN_1_PASSWORD", "123")).unwrap();
        assert_eq!(config.trunk[0].get_ref().password.as_deref(), Some("123"));
        let config = Config::parse("k", text, env("KRALIKI_HTTP_LISTEN", "127.0.0.1:9000")).unwrap();
        assert_eq!(config.http.listen[0].port(), 9000);
        let config = Config::parse("k", text, env("KRALIKI_MEDIA_RTP_TIMEOUT_S", "30")).unwrap();
        assert_eq!(config.media.rtp_timeout_s, 30);
        let error = Config::parse("k", text, env("KRALIKI_HTTP_LISTN", "x")).unwrap_err().to_string();
        assert!(error.starts_with("environment variable KRALIKI_HTTP_LISTN: unknown field"), "{error}");
    }
}
