//! What is wrong is said in a way that helps, and nothing happens.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use super::fixture::{Fixture, user};
use crate::limits;

#[tokio::test]
async fn fields_at_fault_are_named() {
    let fixture = Fixture::with_calls(&[user("ada").id]).await;
    let rows = [
        ("mia", "/api/campaigns", json!({"name": "x", "colour": "red"}), "colour"),
        ("mia", "/api/campaigns", json!({"name": 5}), "name"),
        ("mia", "/api/campaigns", json!({"name": ""}), "name"),
        ("mia", "/api/campaigns", json!({"name": "x", "mode": "fast"}), "mode"),
        ("mia", "/api/campaigns", json!({"retry": {"busy": {"delay_s": -1, "most": 1}}}), "retry.delay_s"),
        (
            "mia",
            "/api/campaigns",
            json!({"calling_hours": [{"days": [1], "from": "9"}]}),
            "calling_hours[0].to",
        ),
        ("ada", "/api/agent/state", json!({"state": "asleep"}), "state"),
        ("ada", "/api/agent/state", json!({}), "state"),
        ("ada", "/api/agent/state", json!({"state": "paused", "reason": "x".repeat(201)}), "reason"),
        ("ada", "/api/calls/1/dtmf", json!({"digits": ""}), "digits"),
        ("ada", "/api/calls/1/dtmf", json!({"digits": "1".repeat(33)}), "digits"),
        ("ada", "/api/calls/1/dtmf", json!({"digits": "1x"}), "digits"),
        ("ada", "/api/calls/1/hold", json!({"on": "yes"}), "on"),
        ("ada", "/api/calls/1/disposition", json!({"code": "sale", "role": "admin"}), "role"),
        ("ada", "/api/calls/1/disposition", json!({"code": "sale", "note": "x".repeat(10_001)}), "note"),
        ("", "/api/auth/login", json!({"username": "a", "password": "b", "role": "admin"}), "role"),
        ("", "/api/auth/login", json!({"username": "a"}), "password"),
    ];
    for (who, path, body, field) in rows {
        let problem = fixture.post(who, path, body.clone()).await.problem(422);
        assert_eq!(problem["field"], field, "{path} {body}: {problem}");
    }
    let queries = [
        ("/api/calls?limit=0", "limit"),
        ("/api/calls?limit=1001", "limit"),
        ("/api/calls?limit=x", "limit"),
        ("/api/calls?outcome=won", "outcome"),
        ("/api/calls?token=x", "token"),
    ];
    for (path, field) in queries {
        let problem = fixture.get("mia", path).await.problem(422);
        assert_eq!(problem["field"], field, "{path}: {problem}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let fixture = Fixture::with_calls(&[user("ada").id]).await;
    let send =
        async |of: &str, body: Body| fixture.upload("mia", Method::POST, "/api/campaigns", of, body).await;
    send("application/json", "{".into()).await.problem(400);
    send("application/json", "".into()).await.problem(400);
    send("application/json", vec![0xff, 0xfe].into()).await.problem(400);
    send("application/json", "[".repeat(100_000).into()).await.problem(422);
    send("text/plain", "{}".into()).await.problem(415);
    send("application/json", " ".repeat(limits::JSON_BODY_BYTES + 1).into()).await.problem(413);
    let sdp = vec![b'x'; limits::SDP_BODY_BYTES + 1];
    fixture
        .upload("ada", Method::POST, "/api/agent/session", "application/sdp", sdp.into())
        .await
        .problem(413);
    fixture
        .upload("ada", Method::POST, "/api/agent/session", "text/plain", "m=audio".into())
        .await
        .problem(415);
    fixture
        .upload("mia", Method::POST, "/api/campaigns/1/leads", "text/plain", "x".into())
        .await
        .problem(415);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let fixture = Fixture::start().await;
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/campaigns/x",
        "/api/campaigns/1",
        "/api/calls/1e3",
        "/api/calls/1",
    ] {
        fixture.get("mia", path).await.problem(404);
    }
    fixture.get("mia", "/api/calls/99999999999999999999").await.problem(404);
    fixture.call("mia", Method::PATCH, "/api/campaigns", Value::Null).await.problem(405);
    fixture.call("mia", "BREW".parse().unwrap(), "/api/campaigns", Value::Null).await.problem(405);
}

#[tokio::test]
async fn the_console_is_served_strictly() {
    let fixture = Fixture::start().await;
    for path in ["/", "/campaigns/5", "/index.html"] {
        let page = fixture.get("", path).await.ok(200);
        assert!(page.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{path}");
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-cache");
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");

        let again = Request::get(path).header(header::IF_NONE_MATCH, &page.headers[header::ETAG]);
        assert_eq!(fixture.send(again.body(Body::empty()).unwrap()).await.ok(304).text, "");
    }
    for path in ["/missing.js", "/_app/immutable/x.js", "/../Cargo.toml", "/%2e%2e/Cargo.toml"] {
        fixture.get("", path).await.problem(404);
    }
    fixture.post("", "/", json!({})).await.problem(405);
}

#[tokio::test]
async fn operators_get_health_readiness_and_metrics() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.get("", "/healthz").await.ok(200).text, "ok\n");
    assert_eq!(fixture.get("", "/readyz").await.ok(200).text, "ready\n");
    fixture.get("mia", "/api/calls/77").await.problem(404);
    let metrics = fixture.get("", "/metrics").await.ok(200);
    let line = "kraliki_http_requests_total{method=\"GET\",route=\"/api/calls/{id}\",status=\"404\"} 1";
    assert!(metrics.text.contains(line), "{}", metrics.text);
    assert!(!metrics.text.contains("/77"), "no ids in labels");
}
