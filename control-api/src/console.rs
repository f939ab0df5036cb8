//! The console's files, carried in the binary (a debug build reads them from `web/build` as they are asked for).

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rust_embed::RustEmbed;

use crate::error::Problem;

#[derive(RustEmbed)]
#[folder = "../web/build"]
#[allow_missing = true]
struct Files;

/// What is shown when the console was not built.
const PLACEHOLDER: &str = include_str!("placeholder.html");

/// Answers with a file, or with the start page, which shows the page of that path.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found(format!(
            "There is nothing at /{path}; see /openapi.json for what there is."
        ))
        .into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return Problem::method_not_allowed("Pages are read with GET.").into_response();
    }
    if let Some(file) = Files::get(path).filter(|_| path != "index.html") {
        return answer(path, file.data, &headers);
    }
    // A file that is not there is an error; anything else is a page of the console.
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) && path != "index.html" {
        return Problem::not_found(format!("There is no file /{path}.")).into_response();
    }
    let page = Files::get("index.html").map_or(Cow::Borrowed(PLACEHOLDER.as_bytes()), |file| file.data);
    answer("index.html", page, &headers)
}

fn answer(path: &str, data: Cow<'static, [u8]>, headers: &HeaderMap) -> Response {
    // SvelteKit puts a hash of the content into these names.
    let cache =
        if path.starts_with("_app/immutable/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let hash = digest(&SHA256, &data);
    let etag = format!("\"{}\"", BASE64_STANDARD.encode(hash.as_ref().get(..12).unwrap_or_default()));
    let etag = HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\""));
    let fresh = headers.get(header::IF_NONE_MATCH) == Some(&etag);
    let common = [
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(path))),
        (header::ETAG, etag),
    ];
    if fresh {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let body = match data {
        Cow::Borrowed(data) => Body::from(data),
        Cow::Owned(data) => Body::from(data),
    };
    (common, body).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
