//! Bodies, paths and queries, whose rejections say what to do.

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Problem;
use crate::limits;

/// A JSON body, read strictly: 415 for another content type, 400 when it is not JSON, 422 with the field when a value
/// is wrong, unknown or missing.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_json(request).await.map(Json)
    }
}

/// The same, for a handler that has the whole request.
pub(crate) async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    if !is_type(&request, "application/json") {
        return Err(Problem::unsupported_media_type("Send JSON with Content-Type: application/json."));
    }
    let body = read_body(request.into_body(), limits::JSON_BODY_BYTES).await?;
    from_json(&body)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Reads `T` from JSON.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // A key that is an enum has no name in the path.
        let path = error.path().to_string().replace(".?", "");
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                Problem::invalid(field(&path, &inner.to_string()), inner.to_string())
            }
            _ => Problem::malformed(format!("The body is not valid JSON: {inner}.")),
        }
    })?;
    reader.end().map_err(|e| Problem::malformed(format!("The body is not valid JSON: {e}.")))?;
    Ok(value)
}

/// The full name of the field at fault: for an unknown or missing field the path ends at its parent, or at itself.
fn field(path: &str, message: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["unknown field `", "missing field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    match named {
        None => parent.to_owned(),
        Some(name) if parent.is_empty() || parent == name => name.to_owned(),
        Some(name) if parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
    }
}

/// The parameters of a path. What cannot be one (a word where an id stands) names nothing that exists: 404.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Path(value))
            .map_err(|_| {
                Problem::not_found(format!("{} does not exist; ids are whole numbers.", parts.uri.path()))
            })
    }
}

/// The parameters of a query; unknown ones are refused where `T` denies them.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Query(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let text =
                    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
                let name = text.split_once(": ").map_or("", |(name, _)| name).to_owned();
                Problem::invalid(field(&name, text.rsplit_once(": ").map_or(&*text, |(_, m)| m)), text)
            })
    }
}

/// A text body of one of some types.
pub(crate) async fn text(request: Request, types: &[&str], most: usize) -> Result<String, Problem> {
    if !types.iter().any(|t| is_type(&request, t)) {
        return Err(Problem::unsupported_media_type(format!("Send Content-Type: {}.", types.join(" or "))));
    }
    let body = read_body(request.into_body(), most).await?;
    String::from_utf8(body.to_vec()).map_err(|_| Problem::malformed("The body is not UTF-8."))
}

/// A body of any type.
pub(crate) async fn bytes(request: Request, most: usize) -> Result<Bytes, Problem> {
    read_body(request.into_body(), most).await
}

/// Whether the body is said to be of that type, parameters aside.
pub(crate) fn is_type(request: &Request, expected: &str) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}

async fn read_body(body: Body, most: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large(format!("At most {} kB are taken here.", most / 1024));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::malformed("The body broke off.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[allow(dead_code)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        count: u32,
    }

    fn problem(json: &str) -> (u16, Option<String>) {
        let problem = from_json::<Outer>(json.as_bytes()).unwrap_err();
        (problem.status, problem.field)
    }

    #[test]
    fn the_field_at_fault_is_named_in_full() {
        assert_eq!(problem(r#"{"inner":[],"more":1}"#), (422, Some("more".into())));
        assert_eq!(problem(r#"{"inner":[{"count":1,"size":2}]}"#), (422, Some("inner[0].size".into())));
        assert_eq!(problem(r#"{"inner":[{}]}"#), (422, Some("inner[0].count".into())));
        assert_eq!(problem(r#"{"inner":[{"count":-1}]}"#), (422, Some("inner[0].count".into())));
        assert_eq!(problem("{}"), (422, Some("inner".into())));
        assert_eq!(problem("[]").0, 422);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in ["", "{", "{\"inner\":[]} x", "\u{feff}{}"] {
            assert_eq!(problem(text), (400, None), "{text}");
        }
    }
}
