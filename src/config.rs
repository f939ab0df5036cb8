//! The configuration file: `configs/kraliki.toml` explains each key. Environment variables override it:
//! `KRALIKI_HTTP_LISTEN` is `[http] listen`, `KRALIKI_TRUNK_<NAME>_PASSWORD` a trunk's password.

mod read;
mod recording;
pub(crate) mod trunk;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use kraliki_control_api::IceAccess;
use kraliki_engine::TrunkGroup;
use kraliki_engine::runtime::keys::{ListenAt, Network, one_or_many};
use kraliki_engine::runtime::{CodecKey, TrunkProfile};
use kraliki_sip::Transport;
use serde::Deserialize;
use toml::Spanned;

pub(crate) use self::recording::Recording;

use self::read::{
    at_least_one_codec, days_1_365, megabytes, percent, ports, seconds_1_30, seconds_5_3600, shards,
};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) http: Http,
    pub(crate) sip: Sip,
    pub(crate) callback: Callback,
    pub(crate) stir: Stir,
    pub(crate) media: Media,
    pub(crate) store: Store,
    pub(crate) recording: Recording,
    pub(crate) compliance: Compliance,
    pub(crate) engine: Engine,
    pub(crate) log: Log,
    pub(crate) trunk: Vec<Spanned<TrunkProfile>>,
    pub(crate) trunk_group: Vec<Spanned<TrunkGroup>>,
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
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) allowed_origins: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sip {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) listen: Vec<ListenAt>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) advertise: Vec<IpAddr>,
    pub(crate) tls_cert: Option<Spanned<PathBuf>>,
    pub(crate) tls_key: Option<Spanned<PathBuf>>,
    pub(crate) tls_client_ca: Option<Spanned<PathBuf>>,
    pub(crate) fixed_source_port: bool,
    #[serde(deserialize_with = "shards")]
    pub(crate) shards: usize,
    pub(crate) shared_port: bool,
    pub(crate) ws_origins: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) name_servers: Vec<SocketAddr>,
    pub(crate) phones: Option<String>,
    pub(crate) phones_sha256: bool,
    pub(crate) hep: Option<SocketAddr>,
    #[serde(deserialize_with = "percent")]
    pub(crate) hep_percent: u32,
    pub(crate) hep_hide_numbers: bool,
}

/// What callers to our numbers hear.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Callback {
    pub(crate) prompt: Option<Spanned<PathBuf>>,
    pub(crate) confirm: Option<Spanned<PathBuf>>,
    pub(crate) opt_out_key: Option<String>,
    #[serde(deserialize_with = "days_1_365")]
    pub(crate) look_back_days: u32,
}

impl Default for Callback {
    fn default() -> Self {
        Callback { prompt: None, confirm: None, opt_out_key: None, look_back_days: 90 }
    }
}

/// By what callers are verified.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stir {
    pub(crate) trusted_roots: Option<Spanned<PathBuf>>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) hosts: Vec<String>,
    pub(crate) https_ca: Option<Spanned<PathBuf>>,
    pub(crate) allow_private: bool,
    #[serde(deserialize_with = "seconds_1_30")]
    pub(crate) timeout_s: u32,
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
    #[serde(deserialize_with = "at_least_one_codec")]
    pub(crate) browser_codecs: Vec<CodecKey>,
    pub(crate) browser_tcp: bool,
    pub(crate) ice_servers: Vec<IceServer>,
    pub(crate) ice_transport_policy: IcePolicy,
    #[serde(deserialize_with = "shards")]
    pub(crate) shards: usize,
    #[serde(deserialize_with = "seconds_5_3600")]
    pub(crate) rtp_timeout_s: u32,
    pub(crate) plain_agents: bool,
    pub(crate) detection_rules: Option<Spanned<PathBuf>>,
    pub(crate) speech_command: Vec<String>,
    pub(crate) speech_cache: Option<PathBuf>,
    pub(crate) hold_music: Option<Spanned<PathBuf>>,
}

/// A STUN or TURN server for browsers.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IceServer {
    pub(crate) urls: Vec<String>,
    pub(crate) username: Option<String>,
    pub(crate) credential: Option<String>,
    pub(crate) secret: Option<String>,
}

impl IceServer {
    /// What it asks for; the error says what to write.
    pub(crate) fn access(&self) -> Result<IceAccess, String> {
        let schemes = ["stun:", "stuns:", "turn:", "turns:"];
        let is_server = |url: &&String| {
            schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        };
        if let Some(url) = self.urls.iter().find(|url| !is_server(url)) {
            return Err(format!(
                "{url:?} is no server; write it as stun:host, turn:host:3478?transport=udp or turns:host"
            ));
        }
        let turn = self.urls.iter().find(|url| url.starts_with("turn"));
        match (&self.username, &self.credential, &self.secret, turn) {
            _ if self.urls.is_empty() => Err("name at least one of urls".to_owned()),
            (Some(username), Some(credential), None, _) => {
                Ok(IceAccess::Fixed { username: username.clone(), credential: credential.clone() })
            }
            (None, None, Some(secret), _) if !secret.is_empty() => Ok(IceAccess::Secret(secret.clone())),
            (None, None, None, None) => Ok(IceAccess::Open),
            (.., Some(url)) => Err(format!("{url} needs username and credential, or secret")),
            _ => Err("give username and credential, or secret, or none of them".to_owned()),
        }
    }
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IcePolicy {
    All,
    Relay,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    pub(crate) path: PathBuf,
}

/// What the law says of calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Compliance {
    pub(crate) directory: Option<Spanned<PathBuf>>,
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
        let address = SocketAddr::from(([0, 0, 0, 0], 5060));
        Sip {
            listen: vec![ListenAt { transport: Transport::Udp, address }],
            advertise: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            fixed_source_port: false,
            shards: 1,
            shared_port: false,
            ws_origins: Vec::new(),
            name_servers: Vec::new(),
            phones: None,
            phones_sha256: false,
            hep: None,
            hep_percent: 100,
            hep_hide_numbers: false,
        }
    }
}

impl Default for Stir {
    fn default() -> Self {
        Stir { trusted_roots: None, hosts: Vec::new(), https_ca: None, allow_private: false, timeout_s: 3 }
    }
}

impl Default for Media {
    fn default() -> Self {
        Media {
            listen: vec![IpAddr::from([0, 0, 0, 0])],
            advertise: Vec::new(),
            ports: 16_000..=19_999,
            browser_port: 15_000,
            browser_codecs: vec![CodecKey::Pcmu, CodecKey::Pcma, CodecKey::Opus],
            browser_tcp: true,
            ice_servers: Vec::new(),
            ice_transport_policy: IcePolicy::All,
            shards: 1,
            rtp_timeout_s: 20,
            plain_agents: false,
            detection_rules: None,
            speech_command: ["espeak-ng", "-v", "{voice}", "--stdout", "--", "{text}"]
                .map(String::from)
                .to_vec(),
            speech_cache: None,
            hold_music: None,
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
        for server in &self.media.ice_servers {
            server.access().map_err(|message| (None, format!("[media] ice_servers: {message}")))?;
        }
        let relays = |server: &IceServer| server.urls.iter().any(|url| url.starts_with("turn"));
        if self.media.ice_transport_policy == IcePolicy::Relay && !self.media.ice_servers.iter().any(relays) {
            return none("[media] ice_transport_policy = \"relay\" needs a turn: server in ice_servers");
        }
        check_pair(&self.http.tls_cert, &self.http.tls_key)?;
        check_pair(&self.sip.tls_cert, &self.sip.tls_key)?;
        check_files([&self.sip.tls_client_ca], "a PEM file")?;
        check_files([&self.media.detection_rules], "a rule set (docs/detection.md)")?;
        check_files([&self.callback.prompt, &self.callback.confirm, &self.media.hold_music], "a WAV file")?;
        check_files([&self.stir.trusted_roots, &self.stir.https_ca], "a PEM file")?;
        let host = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        if let Some(wrong) = self.stir.hosts.iter().find(|h| h.is_empty() || !h.chars().all(host)) {
            return none(&format!(
                "[stir] hosts: {wrong:?} is no host; give names such as \"certs.example.com\", or \".example.com\" \
                 for all below it"
            ));
        }
        if self.sip.listen.iter().any(|at| at.transport.is_secure()) && self.sip.tls_cert.is_none() {
            return none("[sip] listen has tls: or wss:; give [sip] tls_cert and tls_key");
        }
        if let Some(realm) = &self.sip.phones
            && (realm.trim().is_empty() || realm.len() > 200 || realm.chars().any(char::is_control))
        {
            return none("[sip] phones is the realm of the phones' passwords; give a name, e.g. \"kraliki\"");
        }
        if let Some(key) = &self.callback.opt_out_key
            && !matches!(key.as_bytes(), [b'0'..=b'9' | b'*' | b'#'])
        {
            return none("[callback] opt_out_key must be one of 0 to 9, * and #, e.g. \"9\"");
        }
        if self.engine.journal_keep_mb / 2 < self.engine.journal_segment_mb {
            return none("[engine] journal_keep_mb must be at least twice journal_segment_mb");
        }
        self.recording.check()?;
        trunk::check(&self.trunk, &self.sip.listen)?;
        trunk::check_groups(&self.trunk_group, &self.trunk)?;
        Ok(())
    }
}

fn check_pair(
    cert: &Option<Spanned<PathBuf>>,
    key: &Option<Spanned<PathBuf>>,
) -> Result<(), (Option<usize>, String)> {
    match (cert, key) {
        (Some(cert), None) => Err((Some(cert.span().start), "tls_cert needs tls_key beside it".into())),
        (None, Some(key)) => Err((Some(key.span().start), "tls_key needs tls_cert beside it".into())),
        _ => check_files([cert, key], "a PEM file"),
    }
}

fn check_files<const N: usize>(
    paths: [&Option<Spanned<PathBuf>>; N],
    what: &str,
) -> Result<(), (Option<usize>, String)> {
    for path in paths.into_iter().flatten() {
        if !path.get_ref().is_file() {
            let message = format!("{} does not exist; give the path of {what}", path.get_ref().display());
            return Err((Some(path.span().start), message));
        }
    }
    Ok(())
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
            (
                "[sip]\nlisten = \"tcp:5060\"",
                "k.toml:2: \"tcp:5060\" is not an address: write it as 0.0.0.0:5060",
            ),
            ("[sip]\nlisten = \"tls:0.0.0.0:5061\"", "give [sip] tls_cert and tls_key"),
            ("[callback]\nopt_out_key = \"99\"", "opt_out_key must be one of"),
            ("[callback]\nlook_back_days = 0", "k.toml:2: 0 is out of range; give 1 to 365"),
            (
                "[stir]\ntrusted_roots = \"/nope\"",
                "k.toml:2: /nope does not exist; give the path of a PEM file",
            ),
            ("[stir]\nhosts = [\"https://a/\"]", "\"https://a/\" is no host"),
            ("[stir]\ntimeout_s = 0", "0 is out of range; give 1 to 30"),
            ("[sip]\nphones = \" \"", "phones is the realm of the phones' passwords"),
            ("[[trunk]]\nname = \"a\"\naddress = \"h\"\nregister = true", "register needs username"),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\nlisten = \"tcp:0.0.0.0:5060\"",
                "none of [sip] listen",
            ),
            ("[[trunk]]\nname = \"a\"\naddress = \"h\"\nsession_timer_s = 60", "give 0 or 90 to 86400"),
            ("[[trunk]]\nname = \"a\"\naddress = \"h\"\nfail_over = [\"b\"]", "no other trunk \"b\""),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\nfail_over_on = [486]",
                "486 says that a person was reached",
            ),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\nnumber_format = \"national\"",
                "national numbers need country",
            ),
            ("[http]\nlisten = \"127.0.0.1:99999\"", "k.toml:2: \"127.0.0.1:99999\" is not an address"),
            ("[http]\nlisten = 8080", "k.toml:2: give an address"),
            ("[http]\n\nlissten = \"x\"", "k.toml:3: unknown field `lissten`"),
            ("[htp]\n", "k.toml:1: unknown field `htp`"),
            ("[media]\nports = \"70-80\"", "k.toml:2: \"70-80\" is not a range of ports"),
            ("[media]\nrtp_timeout_s = 0", "k.toml:2: 0 is out of range; give 5 to 3600"),
            (
                "[media]\nice_servers = [{ urls = [\"http://x\"] }]",
                "\"http://x\" is no server; write it as stun:",
            ),
            ("[media]\nice_servers = [{ urls = [] }]", "name at least one of urls"),
            (
                "[media]\nice_servers = [{ urls = [\"turn:x\"] }]",
                "turn:x needs username and credential, or secret",
            ),
            (
                "[media]\nice_servers = [{ urls = [\"turn:x\"], username = \"u\", secret = \"s\" }]",
                "turn:x needs username and credential, or secret",
            ),
            ("[media]\nice_transport_policy = \"relay\"", "needs a turn: server in ice_servers"),
            ("[engine]\njournal_segment_mb = 0", "k.toml:2: 0 is out of range; give 1 to 1000000"),
            ("[engine]\njournal_keep_mb = 300", "must be at least twice journal_segment_mb"),
            ("[recording]\nformat = \"mp3\"", "k.toml:2: unknown variant `mp3`"),
            ("[recording]\nbitrate_kbps = 128", "k.toml:2: 128 is out of range; give 12 to 64"),
            ("[recording]\ndirectory = \"\"", "[recording] directory is empty"),
            ("[recording]\ns3_endpoint = \"http://127.0.0.1:9000\"", "s3_endpoint needs s3_bucket"),
            (
                "[recording]\ns3_bucket = \"b\"\ns3_endpoint = \"127.0.0.1:9000\"",
                "write it with http:// or https://",
            ),
            ("[recording]\ns3_bucket = \"b\"\ns3_access_key_id = \"x\"", "need each other"),
            ("[log]\nformat = \"xml\"", "k.toml:2: unknown variant `xml`"),
            ("[http]\ntls_cert = \"/none.pem\"", "k.toml:2: tls_cert needs tls_key"),
            ("[[trunk]]\nname = \"a\"", "missing field `address`"),
            ("[[trunk]]\nname = \"a b\"\naddress = \"h\"", "k.toml:1: trunk \"a b\": name: use letters"),
            ("[[trunk]]\nname = \"a\"\naddress = \"h:x\"", "address \"h:x\" is not host"),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\nallowed_prefixes = [\"34\"]",
                "\"34\" is no prefix; write",
            ),
            ("[[trunk]]\nname = \"a\"\naddress = \"h\"\nlongest_call_s = 5", "give 0 or 30 to 86400"),
            ("[[trunk]]\nname = \"a\"\naddress = \"h\"\nday_zone = \"Mars\"", "\"Mars\" is no time zone"),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\nallowed_prefixes = [\"+1\"]\nspend_per_day = 5\ncosts = { \"+34\" = 1 }",
                "\"+1\" has none",
            ),
            (
                "[[trunk]]\nname = \"a\"\naddress = \"h\"\n[[trunk_group]]\nname = \"g\"\nmembers = [{ trunk = \"b\" }]",
                "k.toml:4: trunk_group \"g\": members: there is no trunk \"b\"",
            ),
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
        assert_eq!(config.trunk[0].get_ref().password.as_ref().map(|p| p.0.as_str()), Some("123"));
        let config = Config::parse("k", text, env("KRALIKI_HTTP_LISTEN", "127.0.0.1:9000")).unwrap();
        assert_eq!(config.http.listen[0].port(), 9000);
        let config = Config::parse("k", text, env("KRALIKI_MEDIA_RTP_TIMEOUT_S", "30")).unwrap();
        assert_eq!(config.media.rtp_timeout_s, 30);
        let error = Config::parse("k", text, env("KRALIKI_HTTP_LISTN", "x")).unwrap_err().to_string();
        assert!(error.starts_with("environment variable KRALIKI_HTTP_LISTN: unknown field"), "{error}");
    }
}
