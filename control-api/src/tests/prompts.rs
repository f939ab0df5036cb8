//! Prompts: uploaded, heard, named by a campaign, deleted.

use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};

use super::fixture::Fixture;

/// A WAV file of silence, 8 kHz.
fn wav(samples: usize) -> Vec<u8> {
    let bytes = samples as u32 * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    file.resize(file.len() + samples * 2, 0);
    file
}

async fn upload(fixture: &Fixture, name: &str, file: Vec<u8>) -> super::fixture::Answer {
    let path = format!("/api/prompts?name={name}");
    fixture.upload("mia", Method::POST, &path, "audio/wav", Body::from(file)).await
}

#[tokio::test]
async fn a_prompt_from_its_upload_to_its_end() {
    let fixture = Fixture::start().await;
    let settings =
        json!({"name": "Spring", "machine_detection": "voicemail", "voicemail_message": "prompt:jaro"});
    let problem = fixture.post("mia", "/api/campaigns", settings.clone()).await.problem(422);
    assert_eq!(problem["field"], "voicemail_message");
    assert!(problem["detail"].as_str().unwrap().contains("no prompt named jaro"), "{problem}");

    let made = upload(&fixture, "jaro", wav(8_000)).await.ok(201);
    let path = made.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!((&made.json()["name"], &made.json()["lasted_ms"]), (&json!("jaro"), &json!(1_000)));
    upload(&fixture, "jaro", wav(8_000)).await.problem(409);
    assert_eq!(fixture.get("mia", "/api/prompts").await.ok(200).json().as_array().unwrap().len(), 1);
    let heard = fixture.get("mia", &format!("{path}/audio")).await.ok(200);
    assert_eq!(heard.headers[header::CONTENT_TYPE], "audio/wav");

    let campaign = fixture.post("mia", "/api/campaigns", settings).await.ok(201).json();
    let problem = fixture.call("mia", Method::DELETE, &path, Value::Null).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("Spring"), "{problem}");
    let campaign = format!("/api/campaigns/{}", campaign["id"]);
    fixture.call("mia", Method::DELETE, &campaign, Value::Null).await.ok(204);
    fixture.call("mia", Method::DELETE, &path, Value::Null).await.ok(204);
    fixture.call("mia", Method::DELETE, &path, Value::Null).await.problem(404);
    fixture.get("mia", &format!("{path}/audio")).await.problem(404);
}

#[tokio::test]
async fn what_cannot_be_played_is_refused_with_a_word() {
    let fixture = Fixture::start().await;
    let refused = async |name: &str, file: Vec<u8>| {
        let problem = upload(&fixture, name, file).await.problem(422);
        (problem["field"].as_str().unwrap().to_owned(), problem["detail"].as_str().unwrap().to_owned())
    };
    let (field, detail) = refused("x", b"ID3\x04 an MP3".to_vec()).await;
    assert!(field == "file" && detail.contains("ffmpeg"), "{detail}");
    let (field, detail) = refused("x", wav(8_000 * 121)).await;
    assert!(field == "file" && detail.contains("two minutes"), "{detail}");
    let (field, _) = refused("a%2Fb", wav(800)).await;
    assert_eq!(field, "name");
    let large = vec![0; crate::limits::PROMPT_BODY_BYTES + 1];
    upload(&fixture, "x", large).await.problem(413);
    assert_eq!(fixture.get("mia", "/api/prompts").await.ok(200).json(), json!([]));
}
