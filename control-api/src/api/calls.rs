//! Calls: past ones from the store, and what can be done to those in progress.

use axum::extract::State;
use axum::http::StatusCode;
use kraliki_engine::store::{CallDetail, CallFilter, CallRecord};
use kraliki_engine::{AgentId, AttemptId, CampaignId, Command, Outcome};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Listing, page_limit};
use crate::auth::{Require, Role, Scope, Supervisor, User};
use crate::error::Problem;
use crate::extract::{Json, Path, Query};
use crate::limits;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(hangup))
        .routes(routes!(dispose))
        .routes(routes!(hold))
        .routes(routes!(dtmf))
        .routes(routes!(machine))
        .routes(routes!(sip))
}

/// Which calls.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallQuery {
    /// Only of this campaign.
    campaign: Option<i64>,
    /// Only of this agent. Agents get their own whatever stands here.
    agent: Option<i64>,
    /// Only with this outcome.
    outcome: Option<Outcome>,
    /// Rows of a page, 1 to 1000; 100 when left out.
    limit: Option<u32>,
    /// The `next` of the page before.
    before: Option<i64>,
}

/// Calls, newest first
#[utoipa::path(get, path = "/api/calls", tag = "calls", params(CallQuery),
    responses((status = 200, body = Listing<CallRecord>)))]
async fn list(
    State(api): State<Api>,
    user: User,
    Query(query): Query<CallQuery>,
) -> Result<Json<Listing<CallRecord>>, Problem> {
    let filter = CallFilter {
        campaign: query.campaign.map(CampaignId),
        agent: if user.is_agent() { Some(user.agent()) } else { query.agent.map(AgentId) },
        outcome: query.outcome,
        before: query.before.map(AttemptId),
        limit: page_limit(query.limit)?,
    };
    let scope = Scope::of(&api.engine().people(), &user);
    let among = scope.agents().map(|agents| agents.iter().copied().collect::<Vec<_>>());
    Ok(Json(api.engine().store().calls_of(filter, among.as_deref()).await?.into()))
}

/// One call, with its tries and dispositions
#[utoipa::path(get, path = "/api/calls/{id}", tag = "calls", params(("id" = i64, Path, description = "Call")),
    responses((status = 200, body = CallDetail)))]
async fn read(
    State(api): State<Api>,
    user: User,
    Path(id): Path<AttemptId>,
) -> Result<Json<CallDetail>, Problem> {
    let detail = api.engine().store().call(id).await?;
    let scope = Scope::of(&api.engine().people(), &user);
    let visible = detail.filter(|detail| match user.is_agent() {
        true => detail.call.agent == Some(user.agent()),
        false => scope.sees_call_of(detail.call.agent),
    });
    visible.map(Json).ok_or_else(|| missing(id))
}

/// End a call
#[utoipa::path(post, path = "/api/calls/{id}/hangup", tag = "calls", params(("id" = i64, Path, description = "Call")),
    responses((status = 204)))]
async fn hangup(
    State(api): State<Api>,
    user: User,
    Path(id): Path<AttemptId>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, id).await?;
    act(&api, Command::Hangup(id)).await
}

/// What came of a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DispositionRequest {
    /// A code of the campaign.
    code: String,
    /// The agent's words.
    #[serde(default)]
    note: String,
    /// When to call again, in ms since 1970; for a disposition that says so.
    #[serde(default)]
    callback_unix_ms: Option<i64>,
    /// Whether this agent keeps the promise: the call waits for them for as long as the campaign says.
    #[serde(default)]
    personal: bool,
}

/// Say what came of a call
///
/// During it or after it; a later one replaces it. Answered when it is on disk.
#[utoipa::path(post, path = "/api/calls/{id}/disposition", tag = "calls", request_body = DispositionRequest,
    params(("id" = i64, Path, description = "Call")), responses((status = 204)))]
async fn dispose(
    State(api): State<Api>,
    user: User,
    Path(call): Path<AttemptId>,
    Json(request): Json<DispositionRequest>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, call).await?;
    let DispositionRequest { code, note, callback_unix_ms, personal } = request;
    if note.len() > limits::NOTE_BYTES {
        return Err(Problem::invalid("note", format!("a note has at most {} bytes", limits::NOTE_BYTES)));
    }
    act(&api, Command::Dispose { call, code, note, callback_unix_ms, personal }).await
}

/// Whether to hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoldRequest {
    /// True puts the call on hold, false takes it back.
    on: bool,
}

/// Put a call on hold, or take it back
#[utoipa::path(post, path = "/api/calls/{id}/hold", tag = "calls", request_body = HoldRequest,
    params(("id" = i64, Path, description = "Call")), responses((status = 204)))]
async fn hold(
    State(api): State<Api>,
    user: User,
    Path(call): Path<AttemptId>,
    Json(request): Json<HoldRequest>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, call).await?;
    act(&api, Command::Hold { call, on: request.on }).await
}

/// Keys to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DtmfRequest {
    /// 0-9 * # A-D, at most 32.
    digits: String,
}

/// Send keys into a call
#[utoipa::path(post, path = "/api/calls/{id}/dtmf", tag = "calls", request_body = DtmfRequest,
    params(("id" = i64, Path, description = "Call")), responses((status = 204)))]
async fn dtmf(
    State(api): State<Api>,
    user: User,
    Path(call): Path<AttemptId>,
    Json(request): Json<DtmfRequest>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, call).await?;
    let digits = request.digits.to_ascii_uppercase();
    let fits = (1..=limits::DTMF_DIGITS).contains(&digits.len());
    if !fits || !digits.bytes().all(|key| b"0123456789*#ABCD".contains(&key)) {
        let most = limits::DTMF_DIGITS;
        return Err(Problem::invalid("digits", format!("use 1 to {most} of the keys 0-9 * # A-D")));
    }
    act(&api, Command::Dtmf { call, digits }).await
}

/// Who answered a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MachineRequest {
    /// True ends the call with outcome `machine`; false says that it is a person, and the call goes on.
    machine: bool,
}

/// Say who answered a call
///
/// By the agent who has it: of a call that sounds like a machine's, of one that is theirs to check, or of any other.
#[utoipa::path(post, path = "/api/calls/{id}/machine", tag = "calls", request_body = MachineRequest,
    params(("id" = i64, Path, description = "Call")), responses((status = 204)))]
async fn machine(
    State(api): State<Api>,
    user: User,
    Path(call): Path<AttemptId>,
    Json(request): Json<MachineRequest>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, call).await?;
    act(&api, Command::MachineCheck { call, machine: request.machine }).await
}

/// The SIP messages of a call
///
/// As a readable ladder, without credentials; kept for recent calls. Numbers are left out for whoever is not a manager.
#[utoipa::path(get, path = "/api/calls/{id}/sip", tag = "calls", params(("id" = i64, Path, description = "Call")),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn sip(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(id): Path<AttemptId>,
) -> Result<String, Problem> {
    may_act(&api, &user, id).await?;
    let trace = api.engine().sip_trace(id, !user.role.includes(Role::Manager)).await;
    trace.ok_or_else(|| {
        Problem::not_found(format!("No SIP messages of call {id} are kept; only recent ones are."))
    })
}

/// Agents act on their own calls, supervisors of teams on those of their agents, other supervisors and those above on all;
/// what somebody may not touch does not exist.
pub(super) async fn may_act(api: &Api, user: &User, id: AttemptId) -> Result<(), Problem> {
    let supervises = user.role.includes(Role::Supervisor);
    let scope = Scope::of(&api.engine().people(), user);
    if supervises && scope.is_all() {
        return Ok(());
    }
    if !supervises && !user.is_agent() {
        let is = user.role.as_str();
        return Err(Problem::forbidden(format!(
            "This needs the role supervisor; you are signed in as {is}."
        )));
    }
    let own = |agent: Option<AgentId>| match supervises {
        true => scope.sees_call_of(agent),
        false => agent == Some(user.agent()),
    };
    if api.engine().snapshot().calls.iter().any(|call| call.id == id && own(call.agent)) {
        return Ok(());
    }
    // A call that was bridged a moment ago, or is over, is known to the store.
    match api.engine().store().call(id).await? {
        Some(detail) if own(detail.call.agent) => Ok(()),
        _ => Err(missing(id)),
    }
}

pub(super) async fn act(api: &Api, command: Command) -> Result<StatusCode, Problem> {
    api.engine().command(command).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(id: AttemptId) -> Problem {
    Problem::not_found(format!("There is no call {id}."))
}
