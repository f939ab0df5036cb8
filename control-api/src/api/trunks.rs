//! Carriers' trunks: as they are now, and those that are made here. Those of the configuration file are read-only.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::runtime::{TrunkDetail, TrunkProfile};
use kraliki_engine::{TrunkId, TrunkView};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Admin, Analyst, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(detail, update, delete))
}

/// Every trunk
#[utoipa::path(get, path = "/api/trunks", tag = "trunks", responses((status = 200, body = [TrunkView])))]
async fn list(State(api): State<Api>, _: Require<Analyst>) -> Json<Vec<TrunkView>> {
    Json(api.engine().snapshot().trunks.clone())
}

/// A trunk's profile and how it does
///
/// Its profile without the password, where it was found, whether it has our registration, and its calls since the start.
#[utoipa::path(get, path = "/api/trunks/{id}", tag = "trunks", params(("id" = i64, Path, description = "Trunk")),
    responses((status = 200, body = TrunkDetail)))]
async fn detail(
    State(api): State<Api>,
    _: Require<Analyst>,
    Path(id): Path<TrunkId>,
) -> Result<Json<TrunkDetail>, Problem> {
    found(&api, id).map(Json)
}

/// Add a trunk
///
/// Fields that are left out take their defaults. Files are paths on the dialer's machine, and are read at once. Calls may go
/// by it as soon as it is up.
#[utoipa::path(post, path = "/api/trunks", tag = "trunks", request_body = TrunkProfile,
    responses((status = 201, body = TrunkDetail)))]
async fn create(
    State(api): State<Api>,
    user: Require<Admin>,
    Json(profile): Json<TrunkProfile>,
) -> Result<Response, Problem> {
    let id = api.engine().put_trunk(None, profile).await?;
    let trunk = found(&api, id)?;
    tracing::info!(trunk = trunk.name, id = id.0, by = user.id, "a trunk was added");
    let location = format!("/api/trunks/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(trunk)).into_response())
}

/// Change a trunk's profile
///
/// All of it: fields that are left out take their defaults, but for the password, which stays for the same user name. New
/// calls go by it at once; calls in progress go on with what they began with. Not for a trunk of the configuration file.
#[utoipa::path(put, path = "/api/trunks/{id}", tag = "trunks", request_body = TrunkProfile,
    params(("id" = i64, Path, description = "Trunk")), responses((status = 200, body = TrunkDetail)))]
async fn update(
    State(api): State<Api>,
    user: Require<Admin>,
    Path(id): Path<TrunkId>,
    Json(profile): Json<TrunkProfile>,
) -> Result<Json<TrunkDetail>, Problem> {
    api.engine().put_trunk(Some(id), profile).await?;
    let trunk = found(&api, id)?;
    tracing::info!(trunk = trunk.name, id = id.0, by = user.id, "a trunk was changed");
    Ok(Json(trunk))
}

/// Delete a trunk
///
/// It takes no new calls, and is gone when its last one has ended. Not while a campaign or another trunk names it, and not
/// a trunk of the configuration file.
#[utoipa::path(delete, path = "/api/trunks/{id}", tag = "trunks", params(("id" = i64, Path, description = "Trunk")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Admin>,
    Path(id): Path<TrunkId>,
) -> Result<StatusCode, Problem> {
    api.engine().delete_trunk(id).await?;
    tracing::info!(id = id.0, by = user.id, "a trunk was deleted");
    Ok(StatusCode::NO_CONTENT)
}

fn found(api: &Api, id: TrunkId) -> Result<TrunkDetail, Problem> {
    let missing = || Problem::not_found(format!("There is no trunk {id}; GET /api/trunks lists them."));
    api.engine().trunk(id).ok_or_else(missing)
}
