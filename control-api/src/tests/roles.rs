//! Who may do what, and what agents get to know of others.

use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::{Fixture, USERS, offer, user};
use crate::auth::Role;

/// Each route with the role that it needs; none: everybody who is signed in.
const NEEDED: [(&str, &str, Option<Role>); 79] = [
    ("GET", "/api/campaigns", None),
    ("POST", "/api/campaigns", Some(Role::Manager)),
    ("PUT", "/api/campaigns/1", Some(Role::Manager)),
    ("DELETE", "/api/campaigns/1", Some(Role::Manager)),
    ("POST", "/api/campaigns/1/start", Some(Role::Manager)),
    ("POST", "/api/campaigns/1/pause", Some(Role::Manager)),
    ("GET", "/api/campaigns/1/leads", Some(Role::Analyst)),
    ("POST", "/api/campaigns/1/leads", Some(Role::Manager)),
    ("GET", "/api/campaigns/1/leads.csv", Some(Role::Manager)),
    ("GET", "/api/campaigns/1/lists", Some(Role::Analyst)),
    ("POST", "/api/campaigns/1/lists", Some(Role::Manager)),
    ("PUT", "/api/lists/1", Some(Role::Manager)),
    ("DELETE", "/api/lists/1", Some(Role::Manager)),
    ("POST", "/api/lists/1/reset", Some(Role::Manager)),
    ("GET", "/api/campaigns/1/imports", Some(Role::Manager)),
    ("POST", "/api/campaigns/1/imports", Some(Role::Manager)),
    ("GET", "/api/imports/1", Some(Role::Manager)),
    ("DELETE", "/api/imports/1", Some(Role::Manager)),
    ("GET", "/api/imports/1/errors", Some(Role::Manager)),
    ("GET", "/api/campaigns/1/callbacks", Some(Role::Analyst)),
    ("GET", "/api/agent/callbacks", Some(Role::Agent)),
    ("GET", "/api/leads/1/why", Some(Role::Analyst)),
    ("GET", "/api/trunks", Some(Role::Analyst)),
    ("GET", "/api/trunks/1", Some(Role::Analyst)),
    ("POST", "/api/trunks", Some(Role::Admin)),
    ("PUT", "/api/trunks/1000", Some(Role::Admin)),
    ("DELETE", "/api/trunks/1000", Some(Role::Admin)),
    ("GET", "/api/trunk-groups", Some(Role::Analyst)),
    ("POST", "/api/trunk-groups", Some(Role::Admin)),
    ("PUT", "/api/trunk-groups/1000", Some(Role::Admin)),
    ("DELETE", "/api/trunk-groups/1000", Some(Role::Admin)),
    ("GET", "/api/caller-id-pools", Some(Role::Analyst)),
    ("POST", "/api/caller-id-pools", Some(Role::Manager)),
    ("PUT", "/api/caller-id-pools/1", Some(Role::Manager)),
    ("DELETE", "/api/caller-id-pools/1", Some(Role::Manager)),
    ("GET", "/api/caller-ids/days", Some(Role::Analyst)),
    ("POST", "/api/caller-ids/lift", Some(Role::Manager)),
    ("GET", "/api/agent/state", Some(Role::Agent)),
    ("GET", "/api/ice", None),
    ("GET", "/api/agent/phone", Some(Role::Agent)),
    ("DELETE", "/api/agent/phone", Some(Role::Agent)),
    ("DELETE", "/api/agents/77/phone", Some(Role::Manager)),
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
    ("GET", "/api/recordings", Some(Role::Manager)),
    ("GET", "/api/recordings/1/audio", Some(Role::Manager)),
    ("DELETE", "/api/recordings/1", Some(Role::Manager)),
    ("GET", "/api/prompts", Some(Role::Manager)),
    ("POST", "/api/prompts?name=x", Some(Role::Manager)),
    ("DELETE", "/api/prompts/1", Some(Role::Manager)),
    ("GET", "/api/suppressions", Some(Role::Manager)),
    ("POST", "/api/suppressions", Some(Role::Manager)),
    ("GET", "/api/suppressions/national", Some(Role::Manager)),
    ("POST", "/api/suppressions/national?country=US&as_of_unix_ms=0", Some(Role::Admin)),
    ("GET", "/api/compliance/profiles", Some(Role::Analyst)),
    ("POST", "/api/erase", Some(Role::Admin)),
    ("GET", "/api/teams", Some(Role::Supervisor)),
    ("GET", "/api/teams/1", Some(Role::Supervisor)),
    ("POST", "/api/teams", Some(Role::Manager)),
    ("PUT", "/api/teams/1", Some(Role::Manager)),
    ("DELETE", "/api/teams/1", Some(Role::Manager)),
    ("GET", "/api/agents", Some(Role::Supervisor)),
    ("GET", "/api/skills", Some(Role::Supervisor)),
    ("PUT", "/api/skills", Some(Role::Supervisor)),
    ("GET", "/api/pause-reasons", None),
    ("PUT", "/api/pause-reasons", Some(Role::Manager)),
    ("POST", "/api/agents/77/state", Some(Role::Supervisor)),
    ("PUT", "/api/agents/77/shift", Some(Role::Supervisor)),
    ("POST", "/api/agent/leaving", Some(Role::Agent)),
    ("POST", "/api/agent/wrap-up/extend", Some(Role::Agent)),
    ("PUT", "/api/supervision/x", Some(Role::Supervisor)),
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
        ("recording/pause", Value::Null),
        ("recording/resume", Value::Null),
        ("machine", json!({"machine": true})),
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

#[tokio::test]
async fn phones_are_their_agents_and_managers_take_them_away() {
    let fixture = Fixture::with_phones().await;
    let made = fixture.post("ada", "/api/agent/phone", json!({})).await.ok(201).json();
    assert_eq!((&made["username"], &made["realm"]), (&json!("ada"), &json!("test")));
    assert_eq!(made["servers"][0]["transport"], "udp");
    let password = made["password"].as_str().unwrap();
    assert!(password.len() == 20 && password.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    assert_ne!(fixture.post("ada", "/api/agent/phone", json!({})).await.json()["password"], made["password"]);

    let own = json!({"password": "correct horse battery"});
    let set = fixture.post("bob", "/api/agent/phone", own).await.ok(201).json();
    assert!(set.get("password").is_none(), "only what was made here is answered: {set}");
    for wrong in ["short", "a password with ž in it"] {
        let problem = fixture.post("bob", "/api/agent/phone", json!({"password": wrong})).await.problem(422);
        assert_eq!(problem["field"], "password");
    }
    for path in ["/api/agent/phone", "/api/agents/5/phone"] {
        fixture.call("sam", Method::DELETE, path, Value::Null).await.problem(403);
    }
    fixture.post("mia", "/api/agent/phone", json!({})).await.problem(403);
    fixture.call("bob", Method::DELETE, "/api/agents/5/phone", Value::Null).await.problem(403);

    // The dialer hears of it: a phone without a password, and one that is not registered.
    let call = json!({"device": "phone"});
    let problem = fixture.post("ada", "/api/agent/session", call.clone()).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("not registered"), "{problem}");
    for (who, path) in [("mia", "/api/agents/5/phone"), ("bob", "/api/agent/phone")] {
        fixture.call(who, Method::DELETE, path, Value::Null).await.ok(204);
    }
    for who in ["ada", "bob"] {
        let problem = fixture.post(who, "/api/agent/session", call.clone()).await.problem(409);
        assert!(problem["detail"].as_str().unwrap().contains("no password"), "{problem}");
    }
    fixture.post("ada", "/api/agent/session", json!({"device": "fax"})).await.problem(422);
}

#[tokio::test]
async fn without_a_realm_there_are_no_phones() {
    let fixture = Fixture::start().await;
    let phone = fixture.get("ada", "/api/agent/phone").await.ok(200).json();
    assert_eq!((&phone["enabled"], &phone["phone"]), (&json!(false), &Value::Null));
    fixture.post("ada", "/api/agent/phone", json!({})).await.problem(409);
    let problem = fixture.post("ada", "/api/agent/session", json!({"device": "phone"})).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("[sip] phones"), "{problem}");
}
