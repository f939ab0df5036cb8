//! Who may do what, and what agents get to know of others.

use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::{Fixture, USERS, offer, user};
use crate::auth::Role;

/// Each route with the role that it needs; none: everybody who is signed in.
const NEEDED: [(&str, &str, Option<Role>); 23] = [
    ("GET", "/api/campaigns", None),
    ("POST", "/api/campaigns", Some(Role::Manager)),
    ("PUT", "/api/campaigns/1", Some(Role::Manager)),
    ("DELETE", "/api/campaigns/1", Some(Role::Manager)),
    ("POST", "/api/campaigns/1/start", Some(Role::Manager)),
    ("POST", "/api/campaigns/1/pause", Some(Role::Manager)),
    ("GET", "/api/campaigns/1/leads", Some(Role::Analyst)),
    ("POST", "/api/campaigns/1/leads", Some(Role::Manager)),
    ("GET", "/api/trunks", Some(Role::Analyst)),
    ("GET", "/api/trunks/1", Some(Role::Analyst)),
    ("GET", "/api/agent/state", Some(Role::Agent)),
    ("POST", "/api/agent/state", Some(Role::Agent)),
    ("GET", "/api/agent/leads?campaign=1", Some(Role::Agent)),
    ("POST", "/api/agent/dial", Some(Role::Agent)),
    ("POST", "/api/agent/preview/dial", Some(Role::Agent)),
    ("POST", "/api/agent/preview/skip", Some(Role::Agent)),
    ("POST", "/api/agent/session", Some(Role::Agent)),
    ("PATCH", "/api/agent/session/x", Some(Role::Agent)),
    ("DELETE", "/api/agent/session/x", Some(Role::Agent)),
    ("GET", "/api/calls", None),
    ("GET", "/api/calls/1/sip", Some(Role::Supervisor)),
    ("GET", "/api/suppressions", Some(Role::Manager)),
    ("POST", "/api/suppressions", Some(Role::Manager)),
];

#[tokio::test]
async fn each_route_refuses_the_roles_below_the_one_it_needs() {
    let fixture = Fixture::start().await;
    for (method, path, needed) in NEEDED {
        let method: Method = method.parse().unwrap();
        for (who, role) in USERS {
            // No body: whoever is let in is told so, and nothing happens.
            let answer = fixture.call(who, method.clone(), path, Value::Null).await;
            let allowed = needed.is_none_or(|needed| role.includes(needed));
            if allowed {
                assert_ne!(answer.status, 403, "{who} {method} {path}");
                assert_ne!(answer.status, 401, "{who} {method} {path}");
            } else {
                answer.problem(403);
            }
        }
    }
}

#[tokio::test]
async fn agents_see_and_touch_their_own_calls_only() {
    let (ada, bob) = (user("ada").id, user("bob").id);
    let fixture = Fixture::with_calls(&[ada, bob]).await;

    let ids = |answer: super::fixture::Answer| -> Vec<i64> {
        let items = answer.json()["items"].as_array().unwrap().clone();
        let mut ids: Vec<i64> = items.iter().map(|call| call["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(fixture.get("ada", "/api/calls").await.ok(200)), [1]);
    assert_eq!(ids(fixture.get("ada", &format!("/api/calls?agent={bob}")).await.ok(200)), [1]);
    assert_eq!(ids(fixture.get("ana", "/api/calls").await.ok(200)), [1, 2]);
    assert_eq!(ids(fixture.get("ana", &format!("/api/calls?agent={bob}")).await.ok(200)), [2]);

    fixture.get("ada", "/api/calls/1").await.ok(200);
    let other = fixture.get("ada", "/api/calls/2").await;
    let missing = fixture.get("ada", "/api/calls/3").await;
    assert_eq!(
        other.problem(404)["detail"].as_str().unwrap().replace('2', "3"),
        missing.problem(404)["detail"]
    );

    let acts = [
        ("hangup", Value::Null),
        ("hold", json!({"on": true})),
        ("dtmf", json!({"digits": "1"})),
        ("disposition", json!({"code": "sale"})),
    ];
    for (act, body) in acts {
        fixture.post("ada", &format!("/api/calls/2/{act}"), body.clone()).await.problem(404);
        fixture.post("ana", &format!("/api/calls/2/{act}"), body).await.problem(403);
    }
}

#[tokio::test]
async fn agents_see_the_campaigns_that_they_serve_without_numbers() {
    let fixture = Fixture::start().await;
    let (ada, bob) = (user("ada").id, user("bob").id);
    let settings = |name: &str, agents: &[i64]| json!({"name": name, "agents": agents});
    fixture.post("mia", "/api/campaigns", settings("all", &[])).await.ok(201);
    fixture.post("mia", "/api/campaigns", settings("both", &[ada, bob])).await.ok(201);
    let theirs = fixture.post("mia", "/api/campaigns", settings("bob's", &[bob])).await.ok(201).json();

    let seen = fixture.get("ada", "/api/campaigns").await.ok(200).json();
    let names: Vec<&Value> = seen.as_array().unwrap().iter().map(|c| &c["settings"]["name"]).collect();
    assert_eq!(names, ["all", "both"]);
    assert_eq!(seen[1]["settings"]["agents"], json!([ada]));
    assert_eq!(seen[1]["live"], Value::Null);
    assert!(!seen[0]["settings"]["dispositions"].as_array().unwrap().is_empty());
    let path = format!("/api/campaigns/{}", theirs["id"]);
    fixture.get("ada", &path).await.problem(404);
    fixture.get("bob", &path).await.ok(200);
}

#[tokio::test]
async fn an_audio_session_belongs_to_its_agent() {
    let fixture = Fixture::start().await;
    let sdp = "application/sdp";
    let opened =
        fixture.upload("ada", Method::POST, "/api/agent/session", sdp, offer("aaaa").into()).await.ok(201);
    let location = opened.headers["location"].to_str().unwrap();
    fixture.upload("bob", Method::PATCH, location, sdp, offer("bbbb").into()).await.problem(404);
    fixture.call("bob", Method::DELETE, location, Value::Null).await.problem(404);
    fixture.call("ada", Method::DELETE, location, Value::Null).await.ok(204);
}
