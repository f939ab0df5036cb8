//! An API over a dialer with an empty store and one user of each role.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use kraliki_engine::runtime::{self, EngineHandle, RuntimeConfig};
use kraliki_engine::store::{Job, NewLead, NewUser, Store};
use kraliki_engine::{
    AgentId, AttemptId, Campaign, CampaignId, CampaignSettings, CampaignStatus, LeadChange, LeadStatus,
    NewTry, Outcome, Pii, TrunkId, TryId, Write,
};
use kraliki_media::sdp::AudioCodec;
use kraliki_media::{BrowserPorts, Interface, MediaConfig};
use kraliki_sip::net::{Listen, NetConfig};
use kraliki_time::Clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::auth::{Role, User, hash_password};
use crate::peer::Connection;
use crate::router;
use crate::server::ApiConfig;
use crate::state::Api;

/// Everybody's password.
pub(super) const PASSWORD: &str = "correct horse";
static HASH: LazyLock<String> = LazyLock::new(|| hash_password(PASSWORD).unwrap());

/// User names; their ids count from 1 in this order.
pub(super) const USERS: [(&str, Role); 6] = [
    ("root", Role::Admin),
    ("mia", Role::Manager),
    ("sam", Role::Supervisor),
    ("ana", Role::Analyst),
    ("ada", Role::Agent),
    ("bob", Role::Agent),
];

pub(super) struct Fixture {
    pub(super) engine: EngineHandle,
    pub(super) api: Api,
    router: Router,
    /// While it lives the server runs.
    _stop: watch::Sender<bool>,
    _dialer: Dialer,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The problem of that status.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for part in ["type", "title", "detail"] {
            assert!(!problem[part].as_str().unwrap().is_empty(), "{part}: {problem}");
        }
        problem
    }

    #[track_caller]
    pub(super) fn ok(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// The refresh cookie that was set, without its attributes.
    pub(super) fn cookie(&self) -> String {
        let cookie = self.headers[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

impl Fixture {
    pub(super) async fn start() -> Fixture {
        Fixture::build(ApiConfig::default(), dialer(&[]).await).await
    }

    /// Agents may use SIP phones.
    pub(super) async fn with_phones() -> Fixture {
        Fixture::build(ApiConfig::default(), dialer_with(&[], Some("test")).await).await
    }

    pub(super) async fn with(config: ApiConfig) -> Fixture {
        Fixture::build(config, dialer(&[]).await).await
    }

    /// With past calls of campaign 1, which count from 1, by the agents who took them.
    pub(super) async fn with_calls(agents: &[i64]) -> Fixture {
        Fixture::build(ApiConfig::default(), dialer(agents).await).await
    }

    async fn build(config: ApiConfig, dialer: Dialer) -> Fixture {
        let engine = dialer.engine.clone();
        let (stop, stopped) = watch::channel(false);
        let api = Api::new(engine.clone(), &config, stopped).await.unwrap();
        let router = router::router(api.clone(), true);
        Fixture { engine, api, router, _stop: stop, _dialer: dialer }
    }

    pub(super) async fn send(&self, mut request: Request<Body>) -> Answer {
        if request.extensions().get::<Connection>().is_none() {
            let peer = SocketAddr::from(([192, 0, 2, 1], 40_000));
            request.extensions_mut().insert(Connection { peer, tls: false });
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// A request with JSON, or without a body when it is null.
    pub(super) async fn call(&self, who: &str, method: Method, path: &str, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !who.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(who)));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, who: &str, path: &str) -> Answer {
        self.call(who, Method::GET, path, Value::Null).await
    }

    pub(super) async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.call(who, Method::POST, path, body).await
    }

    /// A body of another type than JSON.
    pub(super) async fn upload(&self, who: &str, method: Method, path: &str, of: &str, body: Body) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(who)))
            .header(header::CONTENT_TYPE, of);
        self.send(request.body(body).unwrap()).await
    }

    /// A token of that user, without the wait for a password.
    pub(super) fn token(&self, who: &str) -> String {
        let now = self.engine.wall_unix_ms();
        self.api.keys().issue(&user(who), now).unwrap()
    }

    /// Signs in with the password.
    pub(super) async fn sign_in(&self, who: &str) -> Answer {
        self.post("", "/api/auth/login", serde_json::json!({"username": who, "password": PASSWORD})).await
    }
}

pub(super) fn user(who: &str) -> User {
    let place = USERS.iter().position(|(name, _)| *name == who).unwrap();
    User { id: place as i64 + 1, name: who.to_uppercase(), role: USERS[place].1 }
}

async fn add_users(store: &Store) {
    for (name, role) in USERS {
        let user = NewUser {
            username: name.into(),
            name: name.to_uppercase(),
            role: role.as_str().into(),
            password_hash: HASH.clone().into(),
        };
        let id = store.create_user(user).await.unwrap().id.0;
        assert_eq!(id, self::user(name).id);
    }
}

/// Calls of the past, a minute ago, by the agents who took them.
async fn add_calls(store: &Store, agents: &[i64]) {
    let id = CampaignId(1);
    let settings = CampaignSettings { name: "Past".into(), ..CampaignSettings::default() };
    let campaign = Campaign { id, status: CampaignStatus::Paused, settings };
    write(store, vec![Write::Campaign(Box::new(campaign))]).await;
    let at_unix_ms = Clock::start().unix_ms() - 60_000;
    for (agent, number) in agents.iter().zip(1..) {
        let phone = Pii(format!("+1202555010{number}"));
        let lead = NewLead { phone: phone.clone(), ..NewLead::default() };
        let lead = store.add_lead(id, "past", "US", lead).await.unwrap().id;
        let attempt = AttemptId(number);
        let new = NewTry {
            id: TryId { attempt, number: 1 },
            campaign: id,
            lead,
            trunk: TrunkId(1),
            phone,
            caller_id: String::new(),
            at_unix_ms,
            price: 0,
            crash_retry_unix_ms: 0,
            evidence: String::new(),
        };
        let change = LeadChange {
            lead,
            status: LeadStatus::Done,
            next_unix_ms: 0,
            attempts: 1,
            last_outcome: Some(Outcome::Connected),
            repeats: 1,
            callback: None,
            phone: None,
        };
        let (agent, outcome) = (AgentId(*agent), Outcome::Connected);
        let writes = vec![
            Write::Try(new),
            Write::Connected { attempt, agent, at_unix_ms, wait_ms: 0, late: false },
            Write::AttemptEnded { attempt, outcome, at_unix_ms, talk_ms: 5000, lead: change },
        ];
        write(store, writes).await;
    }
}

async fn write(store: &Store, writes: Vec<Write>) {
    let (writer, task) = store.writer(writes.len(), |_| {});
    for write in writes {
        writer.try_send(Job::Write { token: None, write }).unwrap();
    }
    drop(writer);
    task.run().await;
}

/// A dialer without trunks. Stops when it is dropped.
pub(super) struct Dialer {
    pub(super) engine: EngineHandle,
    _dir: TempDir,
}

impl Drop for Dialer {
    fn drop(&mut self) {
        // There is room in the queue, so that nothing has to be waited for.
        let _ = self.engine.stop().now_or_never();
    }
}

/// A dialer with one user of each role and calls of the past.
pub(super) async fn dialer(calls: &[i64]) -> Dialer {
    dialer_with(calls, None).await
}

async fn dialer_with(calls: &[i64], phones: Option<&str>) -> Dialer {
    // Each has a loopback address of its own, and on it the ports that it likes.
    static ADDRESSES: AtomicU8 = AtomicU8::new(1);
    let ip = Ipv4Addr::new(127, 77, 0, ADDRESSES.fetch_add(1, Ordering::Relaxed)).into();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("test.db")).await.unwrap();
    add_users(&store).await;
    if !calls.is_empty() {
        add_calls(&store, calls).await;
    }
    let clock = Clock::start();
    let listen = vec![Listen::udp(SocketAddr::new(ip, 0))];
    let sip = NetConfig { listen, ..NetConfig::default() };
    let media = MediaConfig {
        interfaces: vec![Interface { listen: ip, advertise: ip }],
        browsers: Some(BrowserPorts {
            listen: ip,
            port: 0,
            candidates: vec![ip],
            codecs: AudioCodec::BROWSER.to_vec(),
            tcp: false,
        }),
        ..MediaConfig::local(clock, 40_000..=40_003, [7; 32])
    };
    let phones = phones.map(str::to_owned);
    let config = RuntimeConfig { seed: Some(7), phones, ..RuntimeConfig::new(sip, media) };
    let engine = runtime::start(config, store, clock).await.unwrap().handle;
    Dialer { engine, _dir: dir }
}

/// What a browser offers, with this name for its end of ICE.
pub(super) fn offer(ufrag: &str) -> String {
    let fingerprint = vec!["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    )
}
