//! Teams: their life, whom a supervisor of one sees, and what is set for agents.

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::fixture::{Fixture, user};

async fn team(fixture: &Fixture, settings: Value) -> i64 {
    fixture.post("mia", "/api/teams", settings).await.ok(201).json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_team_from_its_making_to_its_end() {
    let fixture = Fixture::start().await;
    let (ada, sam) = (user("ada").id, user("sam").id);
    let made = fixture
        .post("mia", "/api/teams", json!({"name": "Prague", "time_zone": "Europe/Prague"}))
        .await
        .ok(201);
    let path = made.headers[header::LOCATION].to_str().unwrap().to_owned();
    let top = made.json()["id"].as_i64().unwrap();
    let below =
        team(&fixture, json!({"name": "Morning", "parent": top, "members": [ada], "supervisors": [sam]}))
            .await;
    assert_eq!(fixture.get("mia", "/api/teams").await.ok(200).json().as_array().unwrap().len(), 2);

    let cases = [
        (json!({"name": "Prague", "parent": below}), "parent", "below itself"),
        (json!({"name": "Morning"}), "name", "already"),
        (json!({"name": "Prague", "members": [sam]}), "members", "role agent"),
        (json!({"name": "Prague", "supervisors": [ada]}), "supervisors", "role supervisor"),
        (json!({"name": "Prague", "time_zone": "Atlantis"}), "time_zone", "time zone"),
        (
            json!({"name": "Prague", "shifts": [{"days": [1], "from": "22:00", "to": "06:00"}]}),
            "shifts",
            "midnight",
        ),
        (json!({"name": "Prague", "nmae": 1}), "nmae", "unknown field"),
    ];
    for (settings, field, text) in cases {
        let problem = fixture.call("mia", Method::PUT, &path, settings.clone()).await.problem(422);
        assert_eq!(problem["field"], field, "{settings}");
        assert!(problem["detail"].as_str().unwrap().contains(text), "{settings}: {problem}");
    }

    // A campaign may name teams that are there, and holds them.
    let problem =
        fixture.post("mia", "/api/campaigns", json!({"name": "x", "teams": [77]})).await.problem(422);
    assert_eq!(problem["field"], "teams");
    let campaign =
        fixture.post("mia", "/api/campaigns", json!({"name": "Spring", "teams": [top]})).await.ok(201).json();
    let campaign = format!("/api/campaigns/{}", campaign["id"]);
    // Ada is in a team below; bob is not.
    fixture.get("ada", &campaign).await.ok(200);
    fixture.get("bob", &campaign).await.problem(404);
    let below = format!("/api/teams/{below}");
    let refused =
        |problem: Value, text: &str| assert!(problem["detail"].as_str().unwrap().contains(text), "{problem}");
    refused(fixture.call("mia", Method::DELETE, &below, Value::Null).await.problem(409), "members");
    refused(fixture.call("mia", Method::DELETE, &path, Value::Null).await.problem(409), "below");
    let settings = json!({"name": "Morning", "parent": null, "supervisors": [sam]});
    fixture.call("mia", Method::PUT, &below, settings).await.ok(200);
    refused(fixture.call("mia", Method::DELETE, &path, Value::Null).await.problem(409), "campaign Spring");
    fixture.call("mia", Method::DELETE, &below, Value::Null).await.ok(204);
    fixture.call("mia", Method::DELETE, &below, Value::Null).await.problem(404);
    fixture.call("mia", Method::DELETE, &campaign, Value::Null).await.ok(204);
    fixture.call("mia", Method::DELETE, &path, Value::Null).await.ok(204);
    assert_eq!(team(&fixture, json!({"name": "Prague"})).await, top + 2, "an id is never used again");
}

#[tokio::test]
async fn a_supervisor_of_a_team_sees_and_steers_its_people_only() {
    let (ada, bob, sam) = (user("ada").id, user("bob").id, user("sam").id);
    let fixture = Fixture::with_calls(&[ada, bob]).await;
    let calls = |answer: Value| answer["items"].as_array().unwrap().len();
    assert_eq!(calls(fixture.get("sam", "/api/calls").await.ok(200).json()), 2, "no team names sam yet");
    let own = team(&fixture, json!({"name": "own", "members": [ada], "supervisors": [sam]})).await;
    let other = team(&fixture, json!({"name": "other", "members": [bob]})).await;

    assert_eq!(fixture.get("sam", "/api/teams").await.ok(200).json().as_array().unwrap().len(), 1);
    fixture.get("sam", &format!("/api/teams/{own}")).await.ok(200);
    fixture.get("sam", &format!("/api/teams/{other}")).await.problem(404);
    let people = fixture.get("sam", "/api/agents").await.ok(200).json();
    let names: Vec<&str> =
        people.as_array().unwrap().iter().map(|p| p["username"].as_str().unwrap()).collect();
    assert_eq!(names, ["sam", "ada"]);
    assert_eq!(calls(fixture.get("sam", "/api/calls").await.ok(200).json()), 1);
    fixture.get("sam", "/api/calls/1").await.ok(200);
    let (state, shift) = (format!("/api/agents/{bob}/state"), format!("/api/agents/{bob}/shift"));
    for (method, path, body) in [
        ("GET", "/api/calls/2", Value::Null),
        ("GET", "/api/calls/2/sip", Value::Null),
        ("POST", "/api/calls/2/hangup", Value::Null),
        ("POST", "/api/calls/2/disposition", json!({"code": "sale"})),
        ("POST", state.as_str(), json!({"state": "paused"})),
        ("PUT", shift.as_str(), json!({"ends_unix_ms": null})),
        ("PUT", "/api/supervision/x", json!({"agent": bob, "mode": "listen"})),
        ("PUT", "/api/skills", json!([{"agent": bob, "campaign": 1, "level": 9}])),
    ] {
        fixture.call("sam", method.parse().unwrap(), path, body).await.problem(404);
    }
    fixture
        .call("sam", Method::PUT, "/api/skills", json!([{"agent": ada, "campaign": 1, "level": 9}]))
        .await
        .ok(204);
    // A manager sees everybody.
    fixture
        .call("mia", Method::PUT, "/api/skills", json!([{"agent": bob, "campaign": 1, "level": 2}]))
        .await
        .ok(204);
    assert_eq!(fixture.get("sam", "/api/skills").await.ok(200).json().as_array().unwrap().len(), 1);
    assert_eq!(calls(fixture.get("mia", "/api/calls").await.ok(200).json()), 2);
}

#[tokio::test]
async fn a_supervisor_sets_a_state_and_the_agent_sees_who_it_was() {
    let fixture = Fixture::start().await;
    let ada = user("ada").id;
    let path = format!("/api/agents/{ada}/state");
    let paused = json!({"state": "paused", "reason": "meeting"});
    fixture.post("sam", &path, paused.clone()).await.problem(404);
    fixture.post("ada", "/api/agent/state", json!({"state": "paused"})).await.ok(200);
    fixture.post("sam", &path, paused).await.ok(204);
    let me = loop {
        let me = fixture.get("ada", "/api/agent/state").await.ok(200).json();
        if me["reason"] == "meeting" {
            break me;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&me["forced"]["by_name"], &me["forced"]["state"]), (&json!("SAM"), &json!("paused")));
    let problem = fixture.post("sam", &path, json!({"state": "ready"})).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("no audio"), "{problem}");
    let shift = format!("/api/agents/{ada}/shift");
    let problem = fixture.call("sam", Method::PUT, &shift, json!({"ends_unix_ms": 5})).await.problem(422);
    assert_eq!(problem["field"], "ends_unix_ms");
    let ends = fixture.engine.wall_unix_ms() + 3_600_000;
    fixture.call("sam", Method::PUT, &shift, json!({"ends_unix_ms": ends})).await.ok(204);
    fixture.post("ada", "/api/agent/wrap-up/extend", Value::Null).await.problem(409);
    fixture.post("ada", "/api/agent/leaving", json!({})).await.ok(204);
}

#[tokio::test]
async fn with_a_list_of_reasons_a_pause_needs_one_of_them() {
    let fixture = Fixture::start().await;
    let reasons = json!([{"code": "lunch", "label": {"en": "Lunch", "es": "", "cs": "Oběd"}, "limit_min": 30,
        "day_limit_min": 60, "paid": false}]);
    let set = fixture.call("mia", Method::PUT, "/api/pause-reasons", reasons.clone()).await.ok(200).json();
    assert_eq!(set, reasons);
    assert_eq!(fixture.get("ada", "/api/pause-reasons").await.ok(200).json(), reasons);
    let wrong = json!([{"code": "Lunch", "label": {"en": "Lunch"}}]);
    let problem = fixture.call("mia", Method::PUT, "/api/pause-reasons", wrong).await.problem(422);
    assert_eq!(problem["field"], "code");
    fixture
        .post("ada", "/api/agent/state", json!({"state": "paused", "reason": "sound_check"}))
        .await
        .ok(200);
    let problem = fixture
        .post("ada", "/api/agent/state", json!({"state": "paused", "reason": "tea"}))
        .await
        .problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("lunch"), "{problem}");
    let desk =
        fixture.post("ada", "/api/agent/state", json!({"state": "paused", "reason": "lunch"})).await.ok(200);
    let left = desk.json()["pause_ends_unix_ms"].as_i64().unwrap() - fixture.engine.wall_unix_ms();
    assert!((29 * 60_000..=30 * 60_000).contains(&left), "{left}");
}
