//! The agent's audio session: SDP over HTTP, in the manner of WHIP (RFC 9725), or a SIP phone that is called.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::runtime::SessionError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Agent, Require};
use crate::error::Problem;
use crate::extract::{Json, Path, is_type, read_json, text};
use crate::limits;
use crate::state::Api;

pub(super) const SDP: &str = "application/sdp";
const TRICKLE: &str = "application/trickle-ice-sdpfrag";

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(patch, close))
}

/// What an agent listens and speaks with, when it is not a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Device {
    /// The SIP phone that is registered with the agent's user name.
    Phone,
}

/// An audio session without an offer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceRequest {
    /// What is to be called.
    device: Device,
}

/// An audio session that begins.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceSession {
    /// Names it.
    id: String,
    /// What is being called.
    device: Device,
}

/// Open the audio session
///
/// The browser's offer is answered. With `{"device": "phone"}` the agent's SIP phone is called instead, and is the audio
/// once it is picked up; `phone` events tell how it goes, and 409 says why it cannot be called. The session lives at
/// `Location`. An earlier one of the same agent is replaced.
#[utoipa::path(post, path = "/api/agent/session", tag = "agent",
    request_body(content((String = "application/sdp"), (DeviceRequest = "application/json"))),
    responses((status = 201, content((String = "application/sdp"), (DeviceSession = "application/json")),
        headers(("Location" = String, description = "Where the session lives")))))]
async fn open(State(api): State<Api>, user: Require<Agent>, request: Request) -> Result<Response, Problem> {
    if is_type(&request, "application/json") {
        let DeviceRequest { device } = read_json(request).await?;
        let id = api.engine().open_phone(user.agent()).await?;
        api.legs().insert(user.agent(), id.clone());
        let location = [(header::LOCATION, format!("/api/agent/session/{id}"))];
        return Ok((StatusCode::CREATED, location, Json(DeviceSession { id, device })).into_response());
    }
    let offer = text(request, &[SDP], limits::SDP_BODY_BYTES).await?;
    let session = api.engine().open_session(user.agent(), offer).await?;
    let location = format!("/api/agent/session/{}", session.id);
    api.legs().insert(user.agent(), session.id);
    let headers = [(header::LOCATION, location), (header::CONTENT_TYPE, SDP.to_owned())];
    Ok((StatusCode::CREATED, headers, session.answer).into_response())
}

/// Restart ICE, or add candidates
///
/// Answers with a body for a restart, and with 204 for candidates alone.
#[utoipa::path(patch, path = "/api/agent/session/{id}", tag = "agent",
    params(("id" = String, Path, description = "Session")),
    request_body(content((String = "application/sdp"), (String = "application/trickle-ice-sdpfrag"))),
    responses((status = 200, body = String, content_type = "application/sdp"), (status = 204)))]
async fn patch(
    State(api): State<Api>,
    user: Require<Agent>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (of, body) = ice(request).await?;
    Ok(answer(of, api.engine().patch_session(user.agent(), &id, body).await?))
}

/// The body of a restart or of candidates, and its type.
pub(super) async fn ice(request: Request) -> Result<(&'static str, String), Problem> {
    let of = if is_type(&request, TRICKLE) { TRICKLE } else { SDP };
    Ok((of, text(request, &[SDP, TRICKLE], limits::SDP_BODY_BYTES).await?))
}

/// What is answered to it, in the same type.
pub(super) fn answer(of: &'static str, answer: Option<String>) -> Response {
    match answer {
        Some(answer) => ([(header::CONTENT_TYPE, of)], answer).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// End the audio session
#[utoipa::path(delete, path = "/api/agent/session/{id}", tag = "agent",
    params(("id" = String, Path, description = "Session")), responses((status = 204)))]
async fn close(
    State(api): State<Api>,
    user: Require<Agent>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let closed = api.engine().close_session(user.agent(), &id).await;
    let mut legs = api.legs();
    let known = legs.get(&user.agent()) == Some(&id);
    if known {
        legs.remove(&user.agent());
    }
    match closed {
        // The browser's goodbye over DTLS may have been there before this request.
        Err(SessionError::NotFound) if known => {}
        other => other?,
    }
    Ok(StatusCode::NO_CONTENT)
}
