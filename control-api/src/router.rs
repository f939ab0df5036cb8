//! Every route, and what every request passes through.

use std::any::Any;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api;
use crate::auth;
use crate::console;
use crate::error::Problem;
use crate::limits;
use crate::live;
use crate::openapi;
use crate::peer::{Client, Connection};
use crate::state::Api;

/// The routes whose requests last as long as their body does.
const IMPORTS: [(Method, &str); 4] = [
    (Method::POST, "/api/campaigns/{id}/leads"),
    (Method::POST, "/api/campaigns/{id}/imports"),
    (Method::POST, "/api/suppressions"),
    (Method::POST, "/api/suppressions/national"),
];

/// Only what comes from here may run or be loaded, and no other page may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; media-src 'self' blob: data:; worker-src 'self'; manifest-src 'self'; \
    base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

/// Sent with every answer.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "microphone=(self), speaker-selection=(self), autoplay=(self), camera=(), geolocation=(), payment=(), usb=()",
    ),
];

/// The routes that the OpenAPI document describes.
pub(crate) fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::start())
        .merge(auth::routes())
        .merge(api::routes())
        .merge(live::routes())
        .routes(routes!(api::operation::metrics))
}

/// The API and the console.
pub(crate) fn router(api: Api, with_metrics: bool) -> Router {
    let mut routes = described();
    if !with_metrics {
        routes = OpenApiRouter::new().merge(auth::routes()).merge(api::routes()).merge(live::routes());
    }
    let routes =
        Router::from(routes).fallback(console::serve).method_not_allowed_fallback(method_not_allowed);
    wrap(routes, api)
}

/// `/metrics` alone, for a listener of its own.
pub(crate) fn metrics_router(api: Api) -> Router {
    let routes = OpenApiRouter::new().routes(routes!(api::operation::metrics));
    wrap(Router::from(routes).fallback(async || Problem::not_found("Only /metrics is here.")), api)
}

fn wrap(routes: Router<Api>, api: Api) -> Router {
    routes
        .layer(RequestBodyTimeoutLayer::new(limits::BODY_IDLE))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api.clone(), observe))
        .with_state(api)
}

async fn method_not_allowed(method: Method, path: Option<MatchedPath>) -> Problem {
    let path = path.as_ref().map_or("this path", MatchedPath::as_str);
    Problem::method_not_allowed(format!("{path} has no {method}; see /openapi.json for what it has."))
}

/// The request is lost, the server is not.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal("The request hit a fault in the server; it was logged.").into_response()
}

/// Finds out who asks, bounds the time, counts, and adds the headers that every answer has. Logs say which route, never
/// which id, query or body.
async fn observe(
    State(api): State<Api>,
    path: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let route = path.as_ref().map_or("console", MatchedPath::as_str);
    let method = request.method().clone();
    // Requests that come without a connection (tests) come from nowhere.
    let nowhere = Connection { peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), tls: false };
    let connection = request.extensions().get::<Connection>().copied().unwrap_or(nowhere);
    let client = Client::of(connection, request.headers(), api.trusted_proxies());
    request.extensions_mut().insert(client);

    let answer = next.run(request);
    let mut response = if IMPORTS.contains(&(method.clone(), route)) {
        answer.await
    } else {
        tokio::time::timeout(limits::REQUEST, answer)
            .await
            .unwrap_or_else(|_| Problem::unavailable("This took too long; try again.").into_response())
    };

    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if route.starts_with("/api/") {
        // Answers hold personal data and depend on who asks.
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    }
    let status = response.status();
    let elapsed = start.elapsed();
    let labels = [route, method_label(&method), status.as_str()];
    api.metrics().requests.with_label_values(&labels).inc();
    api.metrics().request_seconds.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let status = status.as_u16();
    if status >= 500 {
        tracing::warn!(%method, route, status, elapsed_ms, "request");
    } else {
        tracing::debug!(%method, route, status, elapsed_ms, "request");
    }
    response
}

/// A method as a label: whatever a client makes up is `other`.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
