//! The agent's own state.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use kraliki_engine::{AgentId, AgentState, AgentView, CallView, Command, CommandError, Event};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Agent, Require, User};
use crate::error::Problem;
use crate::extract::Json;
use crate::state::Api;

/// How long the change of a command that was done may take to show. Snapshots are half a second apart, events come at
/// once; a command that changes nothing has none.
const EVENT: Duration = Duration::from_millis(200);

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(read, change))
}

/// The agent, and the call they are in.
#[derive(Serialize, ToSchema)]
struct Desk {
    #[serde(flatten)]
    agent: AgentView,
    /// The call they are in or wrap up, while it is in progress.
    current_call: Option<CallView>,
}

/// What an agent wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    /// Takes calls; needs an audio session that is up.
    Ready,
    /// Takes none. In a call it takes effect after the wrap-up.
    Paused,
    /// Leaves. In a call it takes effect after the wrap-up.
    Offline,
}

/// A change of state.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StateRequest {
    /// What to be.
    state: Wanted,
    /// Why; for a pause.
    #[serde(default)]
    reason: String,
}

/// The agent's state
#[utoipa::path(get, path = "/api/agent/state", tag = "agent", responses((status = 200, body = Desk)))]
async fn read(State(api): State<Api>, user: Require<Agent>) -> Json<Desk> {
    Json(desk(&api, known(&api, &user)))
}

/// Change the agent's state
///
/// The first `paused` or `ready` signs the agent in for calls.
#[utoipa::path(post, path = "/api/agent/state", tag = "agent", request_body = StateRequest,
    responses((status = 200, body = Desk)))]
async fn change(
    State(api): State<Api>,
    user: Require<Agent>,
    Json(request): Json<StateRequest>,
) -> Result<Json<Desk>, Problem> {
    let StateRequest { state, reason } = request;
    let agent = user.agent();
    let command = match state {
        Wanted::Ready => Command::Ready(agent),
        Wanted::Paused => Command::Pause { agent, reason },
        Wanted::Offline => Command::SignOut(agent),
    };
    let mut events = api.engine().subscribe();
    match api.engine().command(command.clone()).await {
        Err(CommandError::NotFound { .. }) if state == Wanted::Offline => {}
        Err(CommandError::NotFound { .. }) => {
            let name = user.name.clone();
            api.engine().command(Command::SignIn { agent, name }).await?;
            api.engine().command(command).await?;
        }
        done => {
            done?;
        }
    }
    let view = match changed(&mut events, agent, state).await {
        Some(view) => view,
        None => known(&api, &user),
    };
    Ok(Json(desk(&api, view)))
}

/// The state that was asked for, once it shows; else the last one that events tell of in the time it may take.
async fn changed(events: &mut Receiver<Arc<Event>>, agent: AgentId, wanted: Wanted) -> Option<AgentView> {
    let until = Instant::now() + EVENT;
    let mut last = None;
    while let Ok(Ok(event)) = timeout_at(until, events.recv()).await {
        let Event::Agent(view) = &*event else { continue };
        if view.id != agent {
            continue;
        }
        last = Some(view.clone());
        let shows = match wanted {
            Wanted::Ready => view.state == AgentState::Ready,
            Wanted::Paused => view.state == AgentState::Paused || view.next == Some(AgentState::Paused),
            Wanted::Offline => view.state == AgentState::Offline || view.next == Some(AgentState::Offline),
        };
        if shows {
            break;
        }
    }
    last
}

/// The agent as of the last snapshot; not there: offline.
fn known(api: &Api, user: &User) -> AgentView {
    let snapshot = api.engine().snapshot();
    snapshot.agents.iter().find(|view| view.id == user.agent()).cloned().unwrap_or_else(|| AgentView {
        id: user.agent(),
        name: user.name.clone(),
        state: AgentState::Offline,
        since_unix_ms: snapshot.at_unix_ms,
        reason: String::new(),
        call: None,
        audio: false,
        next: None,
        pause_ends_unix_ms: None,
        wrap_up_ends_unix_ms: None,
        wrap_up_extension_s: 0,
        shift_ends_unix_ms: None,
        last_call: false,
        forced: None,
        calls: 0,
        preview: None,
    })
}

fn desk(api: &Api, agent: AgentView) -> Desk {
    let snapshot = api.engine().snapshot();
    let current_call = agent.call.and_then(|id| snapshot.calls.iter().find(|call| call.id == id).cloned());
    Desk { agent, current_call }
}
