//! The document and the router say the same.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::fixture::Fixture;
use crate::openapi;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

#[tokio::test]
async fn every_described_operation_is_routed_and_nothing_else_on_its_path() {
    let fixture = Fixture::start().await;
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{}", paths.len());
    for (path, item) in paths {
        let filled = path.replace("{id}", "1");
        for method in METHODS {
            let answer = fixture
                .call("", method.to_uppercase().parse::<Method>().unwrap(), &filled, Value::Null)
                .await;
            let Some(operation) = item.get(method) else {
                answer.problem(405);
                continue;
            };
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_ne!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            // What is not said to be open needs a token.
            let open = operation
                .get("security")
                .is_some_and(|s| s == &serde_json::json!([{}]) || s == &serde_json::json!([]));
            assert_eq!(
                answer.status == StatusCode::UNAUTHORIZED,
                !open || path.contains("refresh"),
                "{method} {path}"
            );
        }
    }
}
