//! Each resource, from its creation to its end.

use axum::body::Body;
use axum::http::{Method, header};
use futures::stream;
use serde_json::{Value, json};

use super::fixture::{Fixture, offer, user};

#[tokio::test]
async fn a_campaign_from_draft_to_deletion() {
    let fixture = Fixture::start().await;
    let created = fixture
        .post("mia", "/api/campaigns", json!({"name": "Spring", "mode": "power", "compliance": "none"}))
        .await
        .ok(201);
    let path = created.headers[header::LOCATION].to_str().unwrap().to_owned();
    let campaign = created.json();
    assert_eq!(campaign["status"], "draft");
    assert_eq!(campaign["settings"]["ring_timeout_s"], 25, "a default");

    let mut settings = campaign["settings"].clone();
    settings["name"] = "Summer".into();
    let changed = fixture.call("mia", Method::PUT, &path, settings).await.ok(200).json();
    assert_eq!(changed["settings"]["name"], "Summer");
    assert_eq!(changed["settings"]["mode"], "power");

    // A campaign without leads would be done as soon as it has looked.
    let leads = format!("{path}/leads");
    fixture.upload("mia", Method::POST, &leads, "text/csv", "phone\n+12025550100\n".into()).await.ok(200);
    assert_eq!(
        fixture.post("mia", &format!("{path}/start"), Value::Null).await.ok(200).json()["status"],
        "running"
    );
    fixture.call("mia", Method::DELETE, &path, Value::Null).await.problem(409);
    assert_eq!(
        fixture.post("mia", &format!("{path}/pause"), Value::Null).await.ok(200).json()["status"],
        "paused"
    );
    assert_eq!(fixture.get("ana", &path).await.ok(200).json()["settings"]["name"], "Summer");
    fixture.call("mia", Method::DELETE, &path, Value::Null).await.ok(204);
    fixture.get("mia", &path).await.problem(404);
    fixture.call("mia", Method::DELETE, &path, Value::Null).await.problem(404);
}

#[tokio::test]
async fn a_list_is_imported_as_it_streams_in() {
    let fixture = Fixture::start().await;
    let id =
        fixture.post("mia", "/api/campaigns", json!({"name": "Spring"})).await.ok(201).json()["id"].clone();
    let path = format!("/api/campaigns/{id}/leads");
    let pieces = ["pho", "ne\n+12025550100\n+1202555", "0101\nnonsense\n+12025550102"];
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>)));
    let report =
        fixture.upload("mia", Method::POST, &format!("{path}?list=a"), "text/csv; charset=utf-8", body).await;
    let report = report.ok(200).json();
    assert_eq!(
        (&report["rows"], &report["imported"], &report["rejected"]),
        (&json!(4), &json!(3), &json!(1))
    );
    assert_eq!(report["errors"][0]["line"], 4);
    assert_eq!(report["errors_truncated"], false);

    let page = fixture.get("ana", &format!("{path}?limit=2&status=new")).await.ok(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let page = fixture.get("ana", &format!("{path}?limit=2&after={}", page["next"])).await.ok(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["next"], Value::Null);

    let lead = json!({"phone": "+12025550110", "first_name": "Ada", "custom": {"plan": "b"}});
    let lead = fixture.post("mia", &path, lead).await.ok(201).json();
    assert_eq!((&lead["phone"], &lead["custom"]["plan"]), (&json!("+12025550110"), &json!("b")));
}

#[tokio::test]
async fn an_upload_that_breaks_off_says_what_is_kept() {
    let fixture = Fixture::start().await;
    let id =
        fixture.post("mia", "/api/campaigns", json!({"name": "Spring"})).await.ok(201).json()["id"].clone();
    let path = format!("/api/campaigns/{id}/leads");
    let pieces = [Ok("phone\n+12025550100\n+12025550101\n"), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(stream::iter(pieces));
    let problem = fixture.upload("mia", Method::POST, &path, "text/csv", body).await.problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("leads were imported"), "{problem}");
    let no_phone =
        fixture.upload("mia", Method::POST, &path, "text/csv", "name\nAda\n".into()).await.problem(422);
    assert!(no_phone["detail"].as_str().unwrap().contains("phone"), "{no_phone}");
    fixture
        .upload("mia", Method::POST, "/api/campaigns/99/leads", "text/csv", "phone\n".into())
        .await
        .problem(404);
    fixture.get("mia", "/api/campaigns/99/leads").await.problem(404);
}

#[tokio::test]
async fn an_agent_signs_in_goes_ready_and_leaves() {
    let fixture = Fixture::start().await;
    let state = async |body: Value| fixture.post("ada", "/api/agent/state", body).await;
    let offline = fixture.get("ada", "/api/agent/state").await.ok(200).json();
    assert_eq!((&offline["state"], &offline["current_call"]), (&json!("offline"), &Value::Null));
    assert_eq!(offline["id"], user("ada").id);
    assert_eq!(state(json!({"state": "offline"})).await.ok(200).json()["state"], "offline");
    state(json!({"state": "ready"})).await.problem(409);

    let sdp = "application/sdp";
    let no_audio =
        fixture.upload("ada", Method::POST, "/api/agent/session", sdp, "v=0".into()).await.problem(422);
    assert!(no_audio["detail"].as_str().unwrap().contains("audio"));
    let opened =
        fixture.upload("ada", Method::POST, "/api/agent/session", sdp, offer("aaaa").into()).await.ok(201);
    assert_eq!(opened.headers[header::CONTENT_TYPE], sdp);
    let location = opened.headers[header::LOCATION].to_str().unwrap().to_owned();
    // Nobody talks to that session yet: there is no audio.
    state(json!({"state": "ready"})).await.problem(409);
    let paused = state(json!({"state": "paused", "reason": "lunch"})).await.ok(200).json();
    assert_eq!((&paused["state"], &paused["reason"]), (&json!("paused"), &json!("lunch")));

    let restart = fixture.upload("ada", Method::PATCH, &location, sdp, offer("bbbb").into()).await.ok(200);
    assert_eq!(restart.headers[header::CONTENT_TYPE], sdp);
    let trickle = "application/trickle-ice-sdpfrag";
    let candidates = "a=ice-ufrag:bbbb\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
    fixture.upload("ada", Method::PATCH, &location, trickle, candidates.into()).await.ok(204);
    assert_eq!(state(json!({"state": "offline"})).await.ok(200).json()["state"], "offline");
    fixture.call("ada", Method::DELETE, &location, Value::Null).await.ok(204);
}

#[tokio::test]
async fn a_disposition_is_taken_after_the_call() {
    let fixture = Fixture::with_calls(&[user("ada").id]).await;
    let in_an_hour = fixture.engine.wall_unix_ms() + 3_600_000;
    let body = json!({"code": "call_back", "note": "in an hour", "callback_unix_ms": in_an_hour});
    fixture.post("ada", "/api/calls/1/disposition", body.clone()).await.ok(204);
    fixture.post("sam", "/api/calls/1/disposition", body).await.ok(204);
    fixture.get("mia", "/api/calls/1/sip").await.problem(404);
    let call = fixture.get("ada", "/api/calls/1").await.ok(200).json();
    assert!(call["tries"].is_array() && call["dispositions"].is_array(), "{call}");
}

#[tokio::test]
async fn a_suppressed_number_is_written_as_people_do_and_stored_as_e164() {
    let fixture = Fixture::start().await;
    let body = json!({"phone": "+1 (202) 555-0100", "reason": "asked us"});
    let added = fixture.post("mia", "/api/suppressions", body).await.ok(201).json();
    assert_eq!(added["phone"], "+12025550100");
    let listed = fixture.get("mia", "/api/suppressions").await.ok(200).json();
    assert_eq!(listed["items"][0]["phone"], "+12025550100");
    let bad = fixture.post("mia", "/api/suppressions", json!({"phone": "5550100"})).await.problem(422);
    assert_eq!(bad["field"], "phone");
}

#[tokio::test]
async fn lists_of_numbers_come_as_files_and_reach_leads() {
    let fixture = Fixture::start().await;
    let id =
        fixture.post("mia", "/api/campaigns", json!({"name": "Spring"})).await.ok(201).json()["id"].clone();
    let leads = format!("/api/campaigns/{id}/leads");
    let list = "phone,state,consent\n+12025550100,FL,written\n+12025550101,,\n+12025550102,,\n";
    fixture.upload("mia", Method::POST, &leads, "text/csv", list.into()).await.ok(200);
    let path = format!("/api/suppressions?campaign={id}");
    let file = "number\n+1 202 555 0100\nnonsense 5\n";
    let report = fixture.upload("mia", Method::POST, &path, "text/csv", file.into()).await.ok(200).json();
    assert_eq!((&report["numbers"], &report["rejected"]), (&json!(1), &json!(1)), "{report}");
    let own = fixture.get("mia", &path).await.ok(200).json();
    assert_eq!(own["items"][0]["phone"], "+12025550100");
    assert_eq!(fixture.get("mia", "/api/suppressions").await.ok(200).json()["items"], json!([]));
    let body = json!({"phone": "+12025550101", "campaign": id});
    fixture.post("mia", "/api/suppressions", body).await.ok(201);
    let listed = fixture.get("mia", &leads).await.ok(200).json();
    let stands: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|lead| lead["status"].clone()).collect();
    assert_eq!(stands, ["suppressed", "suppressed", "new"]);
    let first = &listed["items"][0];
    assert_eq!((&first["country"], &first["state"]), (&json!("US"), &json!("FL")));
    assert_eq!(first["consent"]["kind"], "written");

    let now = fixture.engine.wall_unix_ms();
    let national =
        |as_of: i64| format!("/api/suppressions/national?country=US&name=DNC&as_of_unix_ms={as_of}");
    let numbers = || axum::body::Body::from("202,5550102\n202,5550103\n");
    fixture
        .upload("root", Method::POST, &national(now + 9 * 86_400_000), "text/csv", numbers())
        .await
        .problem(422);
    let answer =
        fixture.upload("root", Method::POST, &national(now), "text/csv", numbers()).await.ok(200).json();
    assert_eq!(answer["list"]["numbers"], 2);
    let again = axum::body::Body::from("202,5550103\n");
    let answer = fixture.upload("root", Method::POST, &national(now), "text/csv", again).await.ok(200).json();
    assert_eq!(answer["list"]["numbers"], 1, "the copy before is gone");
    let copies = fixture.get("mia", "/api/suppressions/national").await.ok(200).json();
    assert_eq!((&copies[0]["country"], &copies[0]["numbers"]), (&json!("US"), &json!(1)));
    // A campaign that may abandon people says what is missing before it starts.
    let problem = fixture.post("mia", &format!("/api/campaigns/{id}/start"), json!({})).await.problem(422);
    assert_eq!(problem["field"], "abandon_message");
    let profiles = fixture.get("ana", "/api/compliance/profiles").await.ok(200).json();
    assert_eq!(profiles.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_number_dialed_by_hand_is_a_lead_of_its_campaign() {
    let fixture = Fixture::start().await;
    let made = async |settings: Value| fixture.post("mia", "/api/campaigns", settings).await.ok(201).json();
    let manual = made(json!({"name": "By hand", "mode": "manual"})).await["id"].clone();
    let paced = made(json!({"name": "Paced"})).await["id"].clone();
    let others = json!({"name": "Bob's", "mode": "manual", "agents": [user("bob").id]});
    let others = made(others).await["id"].clone();
    let leads = async |campaign: &Value| {
        let page = fixture.get("ana", &format!("/api/campaigns/{campaign}/leads")).await.ok(200).json();
        page["items"].as_array().unwrap().len()
    };
    let dial = async |body: Value| fixture.post("ada", "/api/agent/dial", body).await;

    // Who is not signed in for calls dials nothing; the number is kept, once.
    let number = json!({"campaign": manual, "phone": "(202) 555-0100"});
    dial(number.clone()).await.problem(404);
    fixture.post("ada", "/api/agent/state", json!({"state": "paused"})).await.ok(200);
    let problem = dial(number).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("headset"), "{problem}");
    assert_eq!(leads(&manual).await, 1);
    let due = fixture.get("ada", &format!("/api/agent/leads?campaign={manual}")).await.ok(200).json();
    assert_eq!((&due[0]["phone"], due.as_array().unwrap().len()), (&json!("+12025550100"), 1));
    let again = dial(json!({"campaign": manual, "lead": due[0]["id"]})).await.problem(409);
    assert!(again["detail"].as_str().unwrap().contains("headset"), "{again}");

    // Nobody puts leads into a campaign that dials by itself, or that is not theirs.
    let problem = dial(json!({"campaign": paced, "phone": "+12025550100"})).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("manual"), "{problem}");
    dial(json!({"campaign": others, "phone": "+12025550100"})).await.problem(404);
    dial(json!({"campaign": 99, "phone": "+12025550100"})).await.problem(404);
    assert_eq!((leads(&paced).await, leads(&others).await), (0, 0));
    fixture.get("ada", &format!("/api/agent/leads?campaign={others}")).await.problem(404);

    for body in [json!({"campaign": manual}), json!({"campaign": manual, "lead": 1, "phone": "+12025550100"})]
    {
        assert_eq!(dial(body).await.problem(422)["field"], "lead");
    }
    assert_eq!(dial(json!({"campaign": manual, "phone": "nobody"})).await.problem(422)["field"], "phone");
}

#[tokio::test]
async fn a_lead_that_is_not_on_the_screen_is_not_dialed() {
    let fixture = Fixture::start().await;
    let (dial, skip) = ("/api/agent/preview/dial", "/api/agent/preview/skip");
    fixture.post("ada", dial, json!({"lead": 1})).await.problem(404);
    let paused = fixture.post("ada", "/api/agent/state", json!({"state": "paused"})).await.ok(200).json();
    assert_eq!(paused["preview"], Value::Null);
    let problem = fixture.post("ada", dial, json!({"lead": 1})).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("screen"), "{problem}");
    fixture.post("ada", skip, json!({"lead": 1})).await.problem(409);
    let early = fixture.post("ada", skip, json!({"lead": 1, "delay_s": 5})).await.problem(422);
    assert_eq!(early["field"], "delay_s");
}
