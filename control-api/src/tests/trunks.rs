//! Trunks that are made by API: their life, and every refusal.

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::fixture::Fixture;

async fn refused(fixture: &Fixture, profile: Value, status: u16) -> (Value, String) {
    let problem = fixture.post("root", "/api/trunks", profile).await.problem(status);
    (problem["field"].clone(), problem["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_trunk_from_its_making_to_its_end() {
    let fixture = Fixture::start().await;
    let profile = json!({"name": "made", "address": "127.0.0.1:5999", "username": "u", "password": "hush-hush",
        "max_cps": 7, "options_keepalive": false, "fail_over_on": [503]});
    let made = fixture.post("root", "/api/trunks", profile).await.ok(201);
    let path = made.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(path, "/api/trunks/1000");
    assert!(!made.text.contains("hush-hush"));
    let detail = made.json();
    assert_eq!((&detail["configured"], &detail["problem"]), (&json!(false), &Value::Null));
    assert_eq!((&detail["profile"]["max_cps"], &detail["profile"]["max_channels"]), (&json!(7), &json!(10)));
    assert_eq!(detail["profile"].get("password"), None);

    // What was read may be sent back: the password stays.
    let mut profile = fixture.get("ana", &path).await.ok(200).json()["profile"].clone();
    profile["max_cps"] = json!(3);
    let changed = fixture.call("root", Method::PUT, &path, profile.clone()).await.ok(200);
    assert!(!changed.text.contains("hush-hush"));
    assert_eq!(changed.json()["profile"]["max_cps"], 3);
    // The list says so at once.
    assert_eq!(fixture.get("ana", "/api/trunks").await.ok(200).json()[0]["max_cps"], 3);

    // Another user has another password.
    profile["username"] = json!("v");
    let problem = fixture.call("root", Method::PUT, &path, profile.clone()).await.problem(422);
    assert_eq!(problem["field"], "password");
    profile["name"] = json!("other");
    profile["password"] = json!("x");
    let problem = fixture.call("root", Method::PUT, &path, profile).await.problem(422);
    assert_eq!(problem["field"], "name");

    let campaign = fixture.post("mia", "/api/campaigns", json!({"name": "Spring", "trunk": "made"})).await;
    let campaign = format!("/api/campaigns/{}", campaign.ok(201).json()["id"]);
    let problem = fixture.call("root", Method::DELETE, &path, Value::Null).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("campaign Spring uses trunk made"), "{problem}");
    fixture.call("mia", Method::DELETE, &campaign, Value::Null).await.ok(204);
    fixture.call("root", Method::DELETE, &path, Value::Null).await.ok(204);
    fixture.get("root", &path).await.problem(404);
    fixture.call("root", Method::DELETE, &path, Value::Null).await.problem(404);
    let again = fixture.post("root", "/api/trunks", json!({"name": "made", "address": "127.0.0.1"})).await;
    assert_eq!(again.ok(201).json()["id"], 1001, "an id is never used again");
}

#[tokio::test]
async fn each_wrong_key_is_named() {
    let fixture = Fixture::start().await;
    let with = |more: Value| {
        let mut profile = json!({"name": "t", "address": "127.0.0.1"});
        profile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        profile
    };
    let dir = tempfile::tempdir().unwrap();
    let nonsense = dir.path().join("nonsense.pem");
    std::fs::write(&nonsense, "no key").unwrap();
    let cases = [
        (json!({"name": "a b"}), "name", "letters, digits"),
        (json!({"address": "h:x"}), "address", "is not host"),
        (json!({"proxies": [""]}), "proxies", "is not host"),
        (json!({"username": "u"}), "password", "go together"),
        (json!({"register": true}), "register", "needs username"),
        (json!({"caller_id": "12"}), "caller_id", "E.164"),
        (json!({"listen": "tcp:127.0.0.1:9"}), "listen", "none of [sip] listen"),
        (json!({"transport": "tcp"}), "transport", "no tcp: address"),
        (json!({"from_host": "a b"}), "from_host", "host"),
        (json!({"codecs": []}), "codecs", "pcmu"),
        (json!({"codecs": ["g729"]}), "codecs[0]", "unknown variant"),
        (json!({"number_prefix": "x"}), "number_prefix", "digits"),
        (json!({"number_format": "national"}), "country", "ES"),
        (json!({"country": "Atlantis"}), "country", "no country"),
        (json!({"tls_cert": nonsense}), "tls_key", "beside it"),
        (json!({"tls_ca": "/none.pem"}), "tls_ca", "does not exist"),
        (json!({"tls_ca": nonsense}), "tls_ca", "[sip] has no tls_cert"),
        (json!({"stir_key": nonsense}), "stir_certificate_url", "go together"),
        (json!({"stir_key": nonsense, "stir_certificate_url": "https://c/x"}), "stir_key", "nonsense.pem"),
        (json!({"stir_numbers": {"7": "A"}}), "stir_numbers", "E.164"),
        (json!({"inbound_stir": "record"}), "inbound_stir", "[stir] trusted_roots"),
        (json!({"fail_over": ["t"]}), "fail_over", "no other trunk"),
        (json!({"fail_over_on": [486]}), "fail_over_on", "a person was reached"),
        (json!({"first_response_timeout_s": 40}), "first_response_timeout_s", "give 0 to 32"),
        (json!({"session_timer_s": 60}), "session_timer_s", "give 0 or 90"),
        (json!({"max_cps": 0}), "max_cps", "give 1 to"),
        (json!({"media_listen": "10.9.9.9"}), "media_listen", "[media] listen"),
        (json!({"accept_from": "x"}), "accept_from", "not an address"),
        (json!({"pasword": "x"}), "pasword", "unknown field"),
    ];
    for (more, field, text) in cases {
        let (named, detail) = refused(&fixture, with(more.clone()), 422).await;
        assert_eq!(named, field, "{more}: {detail}");
        assert!(detail.contains(text), "{more}: {detail}");
    }
    fixture.post("root", "/api/trunks", with(json!({}))).await.ok(201);
    let (named, detail) = refused(&fixture, with(json!({"name": "T"})), 422).await;
    assert!(named == "name" && detail.contains("a trunk named T already"), "{detail}");
    fixture.call("root", Method::PUT, "/api/trunks/7", with(json!({}))).await.problem(404);
    fixture.call("root", Method::DELETE, "/api/trunks/7", Value::Null).await.problem(404);
}
