//! For those who operate it.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Problem;
use crate::openapi::openapi;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(document))
}

/// Whether the process runs
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether calls can be made
///
/// 503 while the dialer starts, stops, or cannot write to its store.
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    api.engine().ready().map(|()| "ready\n").map_err(Problem::unavailable)
}

/// Metrics in the Prometheus text format
///
/// On a listener of their own when the configuration says so.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let text = api.metrics().render(api.engine().metrics());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "operation", security(()),
    responses((status = 200, body = serde_json::Value)))]
async fn document() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi().to_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}
