//! Trunk groups and pools of caller ids by API: their life, and every refusal.

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::fixture::Fixture;

async fn trunk(fixture: &Fixture, name: &str) {
    let profile = json!({"name": name, "address": "127.0.0.1:5999", "options_keepalive": false,
        "allowed_prefixes": ["+1"]});
    fixture.post("root", "/api/trunks", profile).await.ok(201);
}

#[tokio::test]
async fn a_trunk_group_from_its_making_to_its_end() {
    let fixture = Fixture::start().await;
    let group = json!({"name": "all", "least_cost": true, "members": [{"trunk": "one", "priority": 1},
        {"trunk": "two", "priority": 2, "weight": 3, "prefixes": ["+1212"]}]});
    let problem = fixture.post("root", "/api/trunk-groups", group.clone()).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("no trunk \"one\""), "{problem}");
    trunk(&fixture, "one").await;
    trunk(&fixture, "two").await;
    let made = fixture.post("root", "/api/trunk-groups", group.clone()).await.ok(201);
    assert_eq!(made.headers[header::LOCATION], "/api/trunk-groups/1000");
    assert_eq!(made.json()["group"]["members"][0]["weight"], 1);
    let problem = fixture.post("root", "/api/trunk-groups", group.clone()).await.problem(422);
    assert_eq!(problem["field"], "name");
    // Trunks and groups share their names.
    let twin = json!({"name": "ALL", "address": "h"});
    assert_eq!(fixture.post("root", "/api/trunks", twin).await.problem(422)["field"], "name");
    let mut changed = group.clone();
    changed["least_cost"] = json!(false);
    fixture.call("root", Method::PUT, "/api/trunk-groups/1000", changed.clone()).await.ok(200);
    let listed = fixture.get("ana", "/api/trunk-groups").await.ok(200).json();
    assert_eq!((&listed[0]["group"]["least_cost"], &listed[0]["configured"]), (&json!(false), &json!(false)));
    changed["name"] = json!("other");
    fixture.call("root", Method::PUT, "/api/trunk-groups/1000", changed).await.problem(422);

    let campaign = fixture.post("mia", "/api/campaigns", json!({"name": "Spring", "trunk": "all"})).await;
    let campaign = format!("/api/campaigns/{}", campaign.ok(201).json()["id"]);
    for (path, who) in
        [("/api/trunk-groups/1000", "campaign Spring"), ("/api/trunks/1000", "trunk group all")]
    {
        let problem = fixture.call("root", Method::DELETE, path, Value::Null).await.problem(409);
        assert!(problem["detail"].as_str().unwrap().contains(who), "{problem}");
    }
    fixture.call("mia", Method::DELETE, &campaign, Value::Null).await.ok(204);
    fixture.call("root", Method::DELETE, "/api/trunk-groups/1000", Value::Null).await.ok(204);
    fixture.call("root", Method::DELETE, "/api/trunk-groups/1000", Value::Null).await.problem(404);
    fixture.call("root", Method::DELETE, "/api/trunks/1000", Value::Null).await.ok(204);
}

#[tokio::test]
async fn a_pool_from_its_making_to_its_end() {
    let fixture = Fixture::start().await;
    let pool = json!({"name": "East", "numbers": ["+12025550100", "+12125550100"], "rotation": "local"});
    let made = fixture.post("mia", "/api/caller-id-pools", pool.clone()).await.ok(201);
    assert_eq!(made.headers[header::LOCATION], "/api/caller-id-pools/1");
    let made = made.json();
    assert_eq!((&made["good"], &made["ids"][1]["state"]), (&json!(2), &json!("good")));
    assert_eq!(made["ids"][0]["quarantine"], Value::Null);
    let wrong = [
        ("numbers", json!([])),
        ("numbers", json!(["+12025550100", "+12025550100"])),
        ("numbers", json!(["0123"])),
        ("rest_weekdays", json!([8])),
        ("rest_after_days", json!(99)),
        ("rest_days", json!(0)),
        ("quarantine_h", json!(9_000)),
        ("least_answer_rate", json!(1.0)),
        ("name", json!("West")),
    ];
    for (field, value) in wrong {
        let mut changed = pool.clone();
        changed[field] = value;
        let answer = fixture.call("mia", Method::PUT, "/api/caller-id-pools/1", changed).await;
        assert_eq!(answer.problem(422)["field"], field);
    }
    assert_eq!(fixture.post("mia", "/api/caller-id-pools", pool.clone()).await.problem(422)["field"], "name");
    let settings = json!({"name": "Spring", "caller_id_pool": "West"});
    let problem = fixture.post("mia", "/api/campaigns", settings).await.problem(422);
    assert_eq!(problem["field"], "caller_id_pool");

    let lift = |number: &str| fixture.post("mia", "/api/caller-ids/lift", json!({"number": number}));
    lift("+12025550100").await.ok(204);
    assert_eq!(lift("+13025550100").await.problem(422)["field"], "number");
    assert_eq!(fixture.get("ana", "/api/caller-ids/days?days=7").await.ok(200).json(), json!([]));
    assert_eq!(fixture.get("ana", "/api/caller-ids/days?days=0").await.problem(422)["field"], "days");
    fixture.call("mia", Method::DELETE, "/api/caller-id-pools/1", Value::Null).await.ok(204);
    assert_eq!(fixture.get("ana", "/api/caller-id-pools").await.ok(200).json(), json!([]));
}
