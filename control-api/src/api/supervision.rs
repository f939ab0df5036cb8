//! A supervisor's audio session, and whom it follows.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::AgentId;
use kraliki_engine::runtime::Supervision;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{SDP, answer, ice};
use crate::auth::{Require, Scope, Supervisor};
use crate::error::Problem;
use crate::extract::{Json, Path, text};
use crate::limits;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(follow, patch, close))
}

/// By whom a supervisor is heard. Both sides of the call are heard in each mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// By nobody.
    Listen,
    /// By the agent alone.
    Whisper,
    /// By both sides: a call of three.
    Barge,
}

/// Who is followed, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Follow {
    /// The agent.
    agent: i64,
    mode: Mode,
}

/// Open a supervisor's audio session
///
/// The browser's offer is answered. The session lives at `Location` and follows nobody yet; an earlier one of the same
/// supervisor is replaced.
#[utoipa::path(post, path = "/api/supervision", tag = "supervision",
    request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, body = String, content_type = "application/sdp",
        headers(("Location" = String, description = "Where the session lives")))))]
async fn open(
    State(api): State<Api>,
    user: Require<Supervisor>,
    request: Request,
) -> Result<Response, Problem> {
    let offer = text(request, &[SDP], limits::SDP_BODY_BYTES).await?;
    let session = api.engine().open_supervision(user.agent(), offer).await?;
    let location = format!("/api/supervision/{}", session.id);
    let headers = [(header::LOCATION, location), (header::CONTENT_TYPE, SDP.to_owned())];
    Ok((StatusCode::CREATED, headers, session.answer).into_response())
}

/// Follow an agent
///
/// From call to call, until another agent is named or the session ends; said again with another mode, it changes the mode.
/// The caller and the agent notice nothing but what is said to them. 409 while the agent has no audio.
#[utoipa::path(put, path = "/api/supervision/{id}", tag = "supervision",
    params(("id" = String, Path, description = "Session")), request_body = Follow,
    responses((status = 204)))]
async fn follow(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(id): Path<String>,
    Json(Follow { agent, mode }): Json<Follow>,
) -> Result<StatusCode, Problem> {
    Scope::of(&api.engine().people(), &user).check(AgentId(agent))?;
    let how = match mode {
        Mode::Listen => Supervision::Listen,
        Mode::Whisper => Supervision::Whisper,
        Mode::Barge => Supervision::Barge,
    };
    api.engine().supervise(user.agent(), &id, AgentId(agent), how).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restart ICE, or add candidates
///
/// Answers with a body for a restart, and with 204 for candidates alone.
#[utoipa::path(patch, path = "/api/supervision/{id}", tag = "supervision",
    params(("id" = String, Path, description = "Session")),
    request_body(content((String = "application/sdp"), (String = "application/trickle-ice-sdpfrag"))),
    responses((status = 200, body = String, content_type = "application/sdp"), (status = 204)))]
async fn patch(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (of, body) = ice(request).await?;
    Ok(answer(of, api.engine().patch_supervision(user.agent(), &id, body).await?))
}

/// End the session
#[utoipa::path(delete, path = "/api/supervision/{id}", tag = "supervision",
    params(("id" = String, Path, description = "Session")), responses((status = 204)))]
async fn close(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.engine().close_supervision(user.agent(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
