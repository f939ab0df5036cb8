//! Servers by which a browser's audio gets out of its network (STUN, TURN), with credentials for it.

use std::fmt;

use aws_lc_rs::hmac;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::User;
use crate::error::Problem;
use crate::extract::Json;
use crate::limits;
use crate::state::Api;

/// The servers that browsers are given.
#[derive(Clone, Debug, Default)]
pub struct IceConfig {
    /// In the order of preference.
    pub servers: Vec<IceServer>,
    /// Browsers send by TURN only, never straight to us.
    pub relay_only: bool,
}

/// One server, under one or more addresses.
#[derive(Clone, Debug)]
pub struct IceServer {
    /// URIs of RFC 7064 and 7065, e.g. `turn:turn.example.com:3478?transport=udp`.
    pub urls: Vec<String>,
    /// What it asks for.
    pub access: IceAccess,
}

/// What a server asks for.
#[derive(Clone)]
pub enum IceAccess {
    /// Nothing: STUN.
    Open,
    /// The same of everybody.
    Fixed {
        /// The user.
        username: String,
        /// The password.
        credential: String,
    },
    /// A user whose name says until when, and a password made of that by a secret that only the server and we know: the
    /// REST API for TURN, `static-auth-secret` of coturn.
    Secret(String),
}

impl fmt::Debug for IceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IceAccess::Open => "Open",
            IceAccess::Fixed { .. } => "Fixed",
            IceAccess::Secret(_) => "Secret",
        })
    }
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(ice))
}

/// What a browser's `RTCPeerConnection` is made with.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct IceSettings {
    /// Its `iceServers`.
    ice_servers: Vec<IceServerSettings>,
    /// Its `iceTransportPolicy`: `all`, or `relay` where audio may only go by TURN.
    ice_transport_policy: &'static str,
}

/// One server.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct IceServerSettings {
    /// Where it is.
    urls: Vec<String>,
    /// The user, where one is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The password. It may be good for a time only: ask again before each connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// The servers for your audio
///
/// STUN and TURN servers that the browser is to use, with credentials that are good for as long as a sign-in lasts.
#[utoipa::path(get, path = "/api/ice", tag = "agent", responses((status = 200, body = IceSettings)))]
async fn ice(State(api): State<Api>, user: User) -> Result<Json<IceSettings>, Problem> {
    let now_s = api.engine().wall_unix_ms().div_euclid(1000);
    Ok(Json(settings(api.ice(), now_s, user.agent().0)))
}

fn settings(config: &IceConfig, now_unix_s: i64, agent: i64) -> IceSettings {
    let servers = config.servers.iter().map(|server| {
        let (username, credential) = match &server.access {
            IceAccess::Open => (None, None),
            IceAccess::Fixed { username, credential } => (Some(username.clone()), Some(credential.clone())),
            IceAccess::Secret(secret) => {
                let (username, credential) = timed(secret, now_unix_s, agent);
                (Some(username), Some(credential))
            }
        };
        IceServerSettings { urls: server.urls.clone(), username, credential }
    });
    IceSettings {
        ice_servers: servers.collect(),
        ice_transport_policy: if config.relay_only { "relay" } else { "all" },
    }
}

/// User and password for a time: `until:name` and HMAC-SHA1 over it (draft-uberti-behave-turn-rest §2.2). The name is the
/// agent's number, so that the server's log says whose traffic it was, and nothing more.
fn timed(secret: &str, now_unix_s: i64, agent: i64) -> (String, String) {
    let until = now_unix_s.saturating_add_unsigned(limits::SESSION.as_secs());
    let username = format!("{until}:{agent}");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
    (username, credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_made_for_the_time_of_a_sign_in() {
        let config = IceConfig {
            servers: vec![
                IceServer { urls: vec!["stun:s".into()], access: IceAccess::Open },
                IceServer {
                    urls: vec!["turn:t".into(), "turns:t".into()],
                    access: IceAccess::Secret("north".into()),
                },
                IceServer {
                    urls: vec!["turn:f".into()],
                    access: IceAccess::Fixed { username: "u".into(), credential: "p".into() },
                },
            ],
            relay_only: true,
        };
        let got = serde_json::to_value(settings(&config, 1_700_000_000, 7)).unwrap();
        let wanted = serde_json::json!({
            "ice_servers": [
                {"urls": ["stun:s"]},
                // printf 1700050400:7 | openssl dgst -sha1 -hmac north -binary | base64
                {"urls": ["turn:t", "turns:t"], "username": "1700050400:7", "credential": "oyRxRD2bhQGbb0ePD2nFo5QLn7Q="},
                {"urls": ["turn:f"], "username": "u", "credential": "p"},
            ],
            "ice_transport_policy": "relay",
        });
        assert_eq!(got, wanted);
        assert!(!format!("{config:?}").contains("north"), "no secret in a log");
        let none = serde_json::to_value(settings(&IceConfig::default(), 0, 1)).unwrap();
        assert_eq!(none, serde_json::json!({"ice_servers": [], "ice_transport_policy": "all"}));
    }
}
