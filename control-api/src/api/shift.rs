//! An agent's shift and state, set by others or ended by the agent.

use axum::extract::State;
use axum::http::StatusCode;
use kraliki_engine::{AgentId, Command, Force};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Agent, Require, Scope, Supervisor};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(force))
        .routes(routes!(shift))
        .routes(routes!(leaving))
        .routes(routes!(extend))
}

/// A state that a supervisor may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ForcedState {
    /// Takes calls; the agent must have audio.
    Ready,
    /// Takes none.
    Paused,
    /// Signed out.
    Offline,
}

/// A state, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForceRequest {
    /// What the agent is to be.
    state: ForcedState,
    /// The supervisor's words, at most 200 characters; of a pause, its reason. The agent reads them.
    #[serde(default)]
    reason: String,
}

/// Set an agent's state
///
/// In a call and its wrap-up it takes effect afterwards. The agent sees who did it and why, and it is kept with the
/// agent's times.
#[utoipa::path(post, path = "/api/agents/{id}/state", tag = "supervision", request_body = ForceRequest,
    params(("id" = i64, Path, description = "Agent")), responses((status = 204)))]
async fn force(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(agent): Path<AgentId>,
    Json(ForceRequest { state, reason }): Json<ForceRequest>,
) -> Result<StatusCode, Problem> {
    Scope::of(&api.engine().people(), &user).check(agent)?;
    let state = match state {
        ForcedState::Ready => Force::Ready,
        ForcedState::Paused => Force::Paused,
        ForcedState::Offline => Force::Offline,
    };
    let (by, by_name) = (user.agent(), user.name.clone());
    api.engine().command(Command::Force { agent, state, by, by_name, reason }).await?;
    tracing::info!(%agent, by = user.id, ?state, "a supervisor set an agent's state");
    Ok(StatusCode::NO_CONTENT)
}

/// When a shift ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShiftRequest {
    /// In ms since 1970, at most a day ahead; null: as the windows of the agent's teams say.
    ends_unix_ms: Option<i64>,
}

/// Set when an agent's shift ends
///
/// Nothing is dialed that would need the agent later; then the agent goes offline, after the call that runs.
#[utoipa::path(put, path = "/api/agents/{id}/shift", tag = "supervision", request_body = ShiftRequest,
    params(("id" = i64, Path, description = "Agent")), responses((status = 204)))]
async fn shift(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(agent): Path<AgentId>,
    Json(ShiftRequest { ends_unix_ms }): Json<ShiftRequest>,
) -> Result<StatusCode, Problem> {
    Scope::of(&api.engine().people(), &user).check(agent)?;
    api.engine().command(Command::SetShift { agent, ends_unix_ms }).await?;
    tracing::info!(%agent, by = user.id, "an agent's shift was set");
    Ok(StatusCode::NO_CONTENT)
}

/// How the agent leaves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LeavingRequest {
    /// When, in ms since 1970, at most a day ahead; null or left out: after the next call, or after this one.
    #[serde(default)]
    at_unix_ms: Option<i64>,
}

/// Say that you leave
///
/// At a time, so that nothing is dialed for you beyond it; or after one more call. Going ready takes the latter back.
#[utoipa::path(post, path = "/api/agent/leaving", tag = "agent", request_body = LeavingRequest,
    responses((status = 204)))]
async fn leaving(
    State(api): State<Api>,
    user: Require<Agent>,
    Json(LeavingRequest { at_unix_ms }): Json<LeavingRequest>,
) -> Result<StatusCode, Problem> {
    let agent = user.agent();
    let command = match at_unix_ms {
        Some(_) => Command::SetShift { agent, ends_unix_ms: at_unix_ms },
        None => Command::LastCall(agent),
    };
    api.engine().command(command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make the wrap-up longer
///
/// Once, by the campaign's `wrap_up_extension_s`.
#[utoipa::path(post, path = "/api/agent/wrap-up/extend", tag = "agent", responses((status = 204)))]
async fn extend(State(api): State<Api>, user: Require<Agent>) -> Result<StatusCode, Problem> {
    api.engine().command(Command::ExtendWrapUp(user.agent())).await?;
    Ok(StatusCode::NO_CONTENT)
}
