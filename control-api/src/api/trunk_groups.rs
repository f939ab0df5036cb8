//! Groups of trunks that stand in for each other. Those of the configuration file are read-only.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::{Command, Reply, TrunkGroup, TrunkGroupId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Admin, Analyst, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(update, delete))
}

/// A trunk group.
#[derive(Serialize, ToSchema)]
struct TrunkGroupView {
    /// Which.
    id: TrunkGroupId,
    /// Whether it stands in the configuration file, and cannot be changed by API.
    configured: bool,
    /// As it was set up.
    group: TrunkGroup,
}

/// Every trunk group
///
/// A campaign names a group as it names a trunk.
#[utoipa::path(get, path = "/api/trunk-groups", tag = "trunk groups", responses((status = 200, body = [TrunkGroupView])))]
async fn list(State(api): State<Api>, _: Require<Analyst>) -> Json<Vec<TrunkGroupView>> {
    Json(api.engine().trunk_groups().into_iter().map(view).collect())
}

/// Add a trunk group
#[utoipa::path(post, path = "/api/trunk-groups", tag = "trunk groups", request_body = TrunkGroup,
    responses((status = 201, body = TrunkGroupView)))]
async fn create(
    State(api): State<Api>,
    user: Require<Admin>,
    Json(group): Json<TrunkGroup>,
) -> Result<Response, Problem> {
    let view = put(&api, None, group).await?;
    tracing::info!(group = view.group.name, id = view.id.0, by = user.id, "a trunk group was added");
    let location = format!("/api/trunk-groups/{}", view.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Change a trunk group
///
/// All of it: fields that are left out take their defaults. Calls that are begun from now on go by it. Not for a group of
/// the configuration file.
#[utoipa::path(put, path = "/api/trunk-groups/{id}", tag = "trunk groups", request_body = TrunkGroup,
    params(("id" = i64, Path, description = "Trunk group")), responses((status = 200, body = TrunkGroupView)))]
async fn update(
    State(api): State<Api>,
    user: Require<Admin>,
    Path(id): Path<TrunkGroupId>,
    Json(group): Json<TrunkGroup>,
) -> Result<Json<TrunkGroupView>, Problem> {
    let view = put(&api, Some(id), group).await?;
    tracing::info!(group = view.group.name, id = id.0, by = user.id, "a trunk group was changed");
    Ok(Json(view))
}

/// Delete a trunk group
///
/// Not while a campaign names it, and not a group of the configuration file.
#[utoipa::path(delete, path = "/api/trunk-groups/{id}", tag = "trunk groups",
    params(("id" = i64, Path, description = "Trunk group")), responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Admin>,
    Path(id): Path<TrunkGroupId>,
) -> Result<StatusCode, Problem> {
    api.engine().command(Command::DeleteGroup(id)).await?;
    tracing::info!(id = id.0, by = user.id, "a trunk group was deleted");
    Ok(StatusCode::NO_CONTENT)
}

async fn put(api: &Api, id: Option<TrunkGroupId>, group: TrunkGroup) -> Result<TrunkGroupView, Problem> {
    let command = Command::PutGroup { id, group: Box::new(group.clone()) };
    match api.engine().command(command).await? {
        Reply::Group(id) => Ok(view((id, group))),
        _ => Err(Problem::internal("It was made, but its id is not known.")),
    }
}

fn view((id, group): (TrunkGroupId, TrunkGroup)) -> TrunkGroupView {
    TrunkGroupView { id, configured: id < TrunkGroupId::FIRST_STORED, group }
}
