//! Signing in, staying signed in, signing out.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use super::fixture::{Answer, Fixture, PASSWORD, offer};
use crate::peer::Connection;
use crate::server::ApiConfig;

async fn refresh(fixture: &Fixture, cookie: &str) -> Answer {
    let request = Request::post("/api/auth/refresh").header(header::COOKIE, format!("a=b; {cookie}"));
    fixture.send(request.body(Body::empty()).unwrap()).await
}

async fn login(fixture: &Fixture, username: &str, password: &str) -> Answer {
    fixture.post("", "/api/auth/login", json!({"username": username, "password": password})).await
}

#[tokio::test]
async fn signing_in_gives_a_token_that_works_and_a_cookie_that_scripts_cannot_read() {
    let fixture = Fixture::start().await;
    let answer = fixture.sign_in("Mia").await.ok(200);
    let json = answer.json();
    assert_eq!(json["user"], json!({"id": 2, "username": "mia", "name": "MIA", "role": "manager"}));
    assert_eq!(json["expires_in_s"], 900);
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/api/auth", "; Max-Age=50"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");

    let token = json["access_token"].as_str().unwrap();
    let me = Request::get("/api/auth/me").header(header::AUTHORIZATION, format!("Bearer {token}"));
    let me = fixture.send(me.body(Body::empty()).unwrap()).await.ok(200);
    assert_eq!(me.json(), json["user"]);
}

#[tokio::test]
async fn over_https_the_cookie_is_secure() {
    let config = ApiConfig { trusted_proxies: vec!["192.0.2.7/32".parse().unwrap()], ..ApiConfig::default() };
    let fixture = Fixture::with(config).await;
    let body = json!({"username": "mia", "password": PASSWORD}).to_string();
    let sign_in = |peer: &str, tls, proto: &str| {
        let mut request = Request::post("/api/auth/login")
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-forwarded-proto", proto)
            .body(Body::from(body.clone()))
            .unwrap();
        request.extensions_mut().insert(Connection { peer: peer.parse().unwrap(), tls });
        fixture.send(request)
    };
    let secure = |answer: Answer| answer.headers[header::SET_COOKIE].to_str().unwrap().ends_with("; Secure");
    assert!(secure(sign_in("192.0.2.1:1", true, "http").await));
    assert!(secure(sign_in("192.0.2.7:1", false, "https").await));
    assert!(!secure(sign_in("192.0.2.1:1", false, "https").await), "not a trusted proxy");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let fixture = Fixture::start().await;
    let wrong = login(&fixture, "mia", "wrong horse").await;
    let unknown = login(&fixture, "nobody", PASSWORD).await;
    wrong.problem(401);
    assert_eq!(wrong.text, unknown.text);
    assert!(!wrong.headers.contains_key(header::SET_COOKIE));
    for name in ["", " ", &"x".repeat(1000), "mia\u{0}"] {
        login(&fixture, name, PASSWORD).await.problem(401);
    }
}

#[tokio::test]
async fn too_many_wrong_passwords_lock_known_and_unknown_users_alike() {
    let fixture = Fixture::start().await;
    for name in ["mia", "nobody"] {
        for _ in 0..5 {
            login(&fixture, name, "wrong horse").await.problem(401);
        }
        let locked = login(&fixture, name, PASSWORD).await;
        locked.problem(429);
        let wait: u64 = locked.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait));
    }
    fixture.sign_in("sam").await.ok(200);
}

#[tokio::test]
async fn a_session_is_renewed() {
    let fixture = Fixture::start().await;
    let first = fixture.sign_in("ada").await.ok(200).cookie();
    let second = refresh(&fixture, &first).await.ok(200);
    assert_eq!(second.json()["user"]["username"], "ada");
    let second = second.cookie();
    assert_ne!(first, second);
    // The answer was lost, and the browser asks again at once.
    refresh(&fixture, &first).await.ok(200);
    refresh(&fixture, &second).await.ok(200);
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_renew() {
    let fixture = Fixture::start().await;
    for cookie in ["", "kraliki_refresh=", "kraliki_refresh=AAAA", "other=1"] {
        refresh(&fixture, cookie).await.problem(401);
    }
    let made_up = format!("kraliki_refresh={}", "A".repeat(54));
    refresh(&fixture, &made_up).await.problem(401);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_takes_the_agent_offline() {
    let fixture = Fixture::start().await;
    let cookie = fixture.sign_in("ada").await.ok(200).cookie();
    let opened = fixture
        .upload("ada", Method::POST, "/api/agent/session", "application/sdp", offer("aaaa").into())
        .await;
    let session = opened.ok(201).headers[header::LOCATION].to_str().unwrap().to_owned();
    fixture.post("ada", "/api/agent/state", json!({"state": "paused"})).await.ok(200);

    let request = Request::post("/api/auth/logout").header(header::COOKIE, &cookie);
    let answer = fixture.send(request.body(Body::empty()).unwrap()).await.ok(204);
    assert!(answer.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    refresh(&fixture, &cookie).await.problem(401);
    fixture.call("ada", Method::DELETE, &session, Value::Null).await.problem(404);
    // Signing out twice is no fault.
    fixture.post("", "/api/auth/logout", Value::Null).await.ok(204);
}

#[tokio::test]
async fn pages_of_other_hosts_cannot_use_the_cookie() {
    let fixture = Fixture::start().await;
    let cookie = fixture.sign_in("ada").await.ok(200).cookie();
    for path in ["/api/auth/refresh", "/api/auth/logout"] {
        let request = Request::post(path)
            .header(header::COOKIE, &cookie)
            .header(header::HOST, "dialer.example")
            .header(header::ORIGIN, "https://evil.example");
        fixture.send(request.body(Body::empty()).unwrap()).await.problem(403);
    }
    refresh(&fixture, &cookie).await.ok(200);
}

#[tokio::test]
async fn a_token_must_come_as_bearer() {
    let fixture = Fixture::start().await;
    let token = fixture.token("mia");
    let expected = [
        (format!("Bearer {token}"), 200),
        (format!("bearer  {token}"), 200),
        (format!("Basic {token}"), 401),
        (token.clone(), 401),
        ("Bearer".to_owned(), 401),
        (format!("Bearer {token}x"), 401),
    ];
    for (value, status) in expected {
        let request = Request::get("/api/trunks").header(header::AUTHORIZATION, &value);
        let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{value}");
        assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), status == 401);
    }
    // Never in the URL.
    fixture.get("", &format!("/api/trunks?token={token}")).await.problem(401);
}
