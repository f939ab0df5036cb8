//! Teams, levels and priorities, reasons for a pause: who works with whom, and how.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::{AgentId, Command, PauseReason, Reply, Skill, Team, TeamId, TeamSettings};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Manager, Require, Role, Scope, Supervisor, User};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, delete))
        .routes(routes!(people))
        .routes(routes!(skills, set_skills))
        .routes(routes!(pause_reasons, set_pause_reasons))
}

/// Every team
///
/// Supervisors of teams see theirs and those below.
#[utoipa::path(get, path = "/api/teams", tag = "teams", responses((status = 200, body = [Team])))]
async fn list(State(api): State<Api>, user: Require<Supervisor>) -> Json<Vec<Team>> {
    let people = api.engine().people();
    let scope = Scope::of(&people, &user);
    Json(people.teams.values().filter(|team| scope.has_team(team.id)).cloned().collect())
}

/// One team
#[utoipa::path(get, path = "/api/teams/{id}", tag = "teams", params(("id" = i64, Path, description = "Team")),
    responses((status = 200, body = Team)))]
async fn read(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Path(id): Path<TeamId>,
) -> Result<Json<Team>, Problem> {
    let people = api.engine().people();
    let scope = Scope::of(&people, &user);
    let team = people.teams.get(&id).filter(|team| scope.has_team(team.id));
    team.cloned().map(Json).ok_or_else(|| missing(id))
}

/// Make a team
///
/// Fields that are left out take their defaults.
#[utoipa::path(post, path = "/api/teams", tag = "teams", request_body = TeamSettings,
    responses((status = 201, body = Team)))]
async fn create(
    State(api): State<Api>,
    user: Require<Manager>,
    Json(settings): Json<TeamSettings>,
) -> Result<Response, Problem> {
    let team = put(&api, &user, None, settings).await?;
    let location = format!("/api/teams/{}", team.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(team)).into_response())
}

/// Change a team, or move it
///
/// All of it: fields that are left out take their defaults. With another `parent` it moves, with all below it; not below
/// itself, and not deeper than eight levels.
#[utoipa::path(put, path = "/api/teams/{id}", tag = "teams", request_body = TeamSettings,
    params(("id" = i64, Path, description = "Team")), responses((status = 200, body = Team)))]
async fn update(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<TeamId>,
    Json(settings): Json<TeamSettings>,
) -> Result<Json<Team>, Problem> {
    put(&api, &user, Some(id), settings).await.map(Json)
}

/// Delete a team
///
/// Only one without members and without teams below it, that no campaign names.
#[utoipa::path(delete, path = "/api/teams/{id}", tag = "teams", params(("id" = i64, Path, description = "Team")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<TeamId>,
) -> Result<StatusCode, Problem> {
    api.engine().command(Command::DeleteTeam(id)).await?;
    tracing::info!(team = id.0, by = user.id, "a team was deleted");
    Ok(StatusCode::NO_CONTENT)
}

async fn put(api: &Api, user: &User, id: Option<TeamId>, settings: TeamSettings) -> Result<Team, Problem> {
    known(api, "members", &settings.members, Role::Agent).await?;
    known(api, "supervisors", &settings.supervisors, Role::Supervisor).await?;
    let reply = api.engine().command(Command::PutTeam { id, settings: Box::new(settings) }).await?;
    let Reply::Team(id) = reply else { return Err(Problem::internal("The team's id is not known.")) };
    tracing::info!(team = id.0, by = user.id, "a team was made or changed");
    api.engine().people().teams.get(&id).cloned().ok_or_else(|| missing(id))
}

/// Whether all of them are users of that role.
async fn known(api: &Api, field: &str, ids: &[AgentId], role: Role) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    let users = api.engine().store().users().await?;
    let is = |id: &&AgentId| !users.iter().any(|user| user.id == **id && user.role == role.as_str());
    match ids.iter().find(is) {
        Some(id) => {
            let role = role.as_str();
            Err(Problem::invalid(
                field,
                format!("{id} is not a user with the role {role}; GET /api/agents lists them"),
            ))
        }
        None => Ok(()),
    }
}

fn missing(id: TeamId) -> Problem {
    Problem::not_found(format!("There is no team {id}."))
}

/// Somebody who may be in a team, or supervise one.
#[derive(Serialize, ToSchema)]
struct Person {
    /// The same number as the user's.
    #[schema(value_type = i64)]
    id: AgentId,
    /// What is typed at sign-in.
    username: String,
    /// For screens.
    name: String,
    /// `agent` or `supervisor`.
    role: Role,
}

/// Agents and supervisors
///
/// Whether signed in or not. Supervisors of teams see the agents of theirs and of those below, and themselves.
#[utoipa::path(get, path = "/api/agents", tag = "teams", responses((status = 200, body = [Person])))]
async fn people(State(api): State<Api>, user: Require<Supervisor>) -> Result<Json<Vec<Person>>, Problem> {
    let scope = Scope::of(&api.engine().people(), &user);
    let users = api.engine().store().users().await?;
    let person = |user: kraliki_engine::store::User| {
        let role = user.role.parse().ok().filter(|role| matches!(role, Role::Agent | Role::Supervisor))?;
        Some(Person { id: user.id, username: user.username, name: user.name, role })
    };
    let own = user.agent();
    let seen = users.into_iter().filter(|user| user.id == own || scope.sees(user.id));
    Ok(Json(seen.filter_map(person).collect()))
}

/// Levels and priorities
///
/// Those that differ from the default (level 5, priority 0). Supervisors of teams see those of their agents.
#[utoipa::path(get, path = "/api/skills", tag = "teams", responses((status = 200, body = [Skill])))]
async fn skills(State(api): State<Api>, user: Require<Supervisor>) -> Json<Vec<Skill>> {
    let people = api.engine().people();
    let scope = Scope::of(&people, &user);
    Json(people.skills.values().filter(|skill| scope.sees(skill.agent)).copied().collect())
}

/// Set levels and priorities
///
/// Those that are named; others stay. Level 5 with priority 0 is the default.
#[utoipa::path(put, path = "/api/skills", tag = "teams", request_body = [Skill], responses((status = 204)))]
async fn set_skills(
    State(api): State<Api>,
    user: Require<Supervisor>,
    Json(skills): Json<Vec<Skill>>,
) -> Result<StatusCode, Problem> {
    let scope = Scope::of(&api.engine().people(), &user);
    skills.iter().try_for_each(|skill| scope.check(skill.agent))?;
    let agents: Vec<AgentId> = skills.iter().map(|skill| skill.agent).collect();
    known(&api, "agent", &agents, Role::Agent).await?;
    let set = skills.len();
    api.engine().command(Command::SetSkills(skills)).await?;
    tracing::info!(set, by = user.id, "levels of agents were set");
    Ok(StatusCode::NO_CONTENT)
}

/// Reasons for a pause
///
/// What agents choose from; none: they pause in their own words, without limits.
#[utoipa::path(get, path = "/api/pause-reasons", tag = "teams", responses((status = 200, body = [PauseReason])))]
async fn pause_reasons(State(api): State<Api>, _: User) -> Json<Vec<PauseReason>> {
    Json(api.engine().people().pause_reasons.clone())
}

/// Set the reasons for a pause
///
/// The whole list, in the order in which agents see it. Pauses that run keep the limits that they began with.
#[utoipa::path(put, path = "/api/pause-reasons", tag = "teams", request_body = [PauseReason],
    responses((status = 200, body = [PauseReason])))]
async fn set_pause_reasons(
    State(api): State<Api>,
    user: Require<Manager>,
    Json(reasons): Json<Vec<PauseReason>>,
) -> Result<Json<Vec<PauseReason>>, Problem> {
    api.engine().command(Command::SetPauseReasons(reasons)).await?;
    tracing::info!(by = user.id, "the reasons for a pause were set");
    Ok(Json(api.engine().people().pause_reasons.clone()))
}
