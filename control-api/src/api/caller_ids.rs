//! Pools of caller ids: made, changed and deleted; how each caller id does; quarantines lifted.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::{CallerIdDay, CallerIdPool, CallerIdPoolId, CallerIdPoolView, Command, Reply};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Analyst, Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Path, Query};
use crate::state::Api;

/// Days that can be looked back.
const DAYS_MOST: u32 = 400;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(update, delete))
        .routes(routes!(days))
        .routes(routes!(lift))
}

/// Every pool of caller ids
///
/// With each caller id's state, what it did today and in 30 days, and its quarantine.
#[utoipa::path(get, path = "/api/caller-id-pools", tag = "caller ids",
    responses((status = 200, body = [CallerIdPoolView])))]
async fn list(State(api): State<Api>, _: Require<Analyst>) -> Json<Vec<CallerIdPoolView>> {
    Json(api.engine().caller_id_pools())
}

/// Add a pool
///
/// Fields that are left out take their defaults.
#[utoipa::path(post, path = "/api/caller-id-pools", tag = "caller ids", request_body = CallerIdPool,
    responses((status = 201, body = CallerIdPoolView)))]
async fn create(
    State(api): State<Api>,
    user: Require<Manager>,
    Json(pool): Json<CallerIdPool>,
) -> Result<Response, Problem> {
    let view = put(&api, None, pool).await?;
    tracing::info!(pool = view.pool.name, id = view.id.0, by = user.id, "a pool of caller ids was added");
    let location = format!("/api/caller-id-pools/{}", view.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Change a pool
///
/// All of it: fields that are left out take their defaults. Calls that are begun from now on show its caller ids.
#[utoipa::path(put, path = "/api/caller-id-pools/{id}", tag = "caller ids", request_body = CallerIdPool,
    params(("id" = i64, Path, description = "Pool")), responses((status = 200, body = CallerIdPoolView)))]
async fn update(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<CallerIdPoolId>,
    Json(pool): Json<CallerIdPool>,
) -> Result<Json<CallerIdPoolView>, Problem> {
    let view = put(&api, Some(id), pool).await?;
    tracing::info!(pool = view.pool.name, id = id.0, by = user.id, "a pool of caller ids was changed");
    Ok(Json(view))
}

/// Delete a pool
///
/// Not while a campaign names it. What its caller ids did stays.
#[utoipa::path(delete, path = "/api/caller-id-pools/{id}", tag = "caller ids",
    params(("id" = i64, Path, description = "Pool")), responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<CallerIdPoolId>,
) -> Result<StatusCode, Problem> {
    api.engine().command(Command::DeletePool(id)).await?;
    tracing::info!(id = id.0, by = user.id, "a pool of caller ids was deleted");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct DaysQuery {
    /// How many days back, today included (1 to 400); 30 when it is left out.
    days: Option<u32>,
}

/// What caller ids did, day by day
///
/// By number and day (UTC, counted from 1970); days on which one was not shown are left out. Today's counts are at most half
/// a second old.
#[utoipa::path(get, path = "/api/caller-ids/days", tag = "caller ids", params(DaysQuery),
    responses((status = 200, body = [CallerIdDay])))]
async fn days(
    State(api): State<Api>,
    _: Require<Analyst>,
    Query(query): Query<DaysQuery>,
) -> Result<Json<Vec<CallerIdDay>>, Problem> {
    let days = query.days.unwrap_or(30);
    if !(1..=DAYS_MOST).contains(&days) {
        return Err(Problem::invalid("days", format!("days must be 1 to {DAYS_MOST}")));
    }
    let today = api.engine().wall_unix_ms().div_euclid(86_400_000);
    Ok(Json(api.engine().store().caller_id_days(today - i64::from(days) + 1).await?))
}

/// Which caller id.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LiftRequest {
    /// E.164.
    number: String,
}

/// Lift a quarantine
///
/// The caller id is shown again from now on. Done twice it is done once.
#[utoipa::path(post, path = "/api/caller-ids/lift", tag = "caller ids", request_body = LiftRequest,
    responses((status = 204)))]
async fn lift(
    State(api): State<Api>,
    user: Require<Manager>,
    Json(LiftRequest { number }): Json<LiftRequest>,
) -> Result<StatusCode, Problem> {
    api.engine().command(Command::LiftCallerId { number: number.clone() }).await?;
    tracing::info!(number, by = user.id, "a caller id was taken out of quarantine");
    Ok(StatusCode::NO_CONTENT)
}

async fn put(api: &Api, id: Option<CallerIdPoolId>, pool: CallerIdPool) -> Result<CallerIdPoolView, Problem> {
    match api.engine().command(Command::PutPool { id, pool: Box::new(pool) }).await? {
        Reply::Pool(id) => {
            let pools = api.engine().caller_id_pools();
            pools
                .into_iter()
                .find(|view| view.id == id)
                .ok_or_else(|| Problem::internal("It was made, and is not listed yet."))
        }
        _ => Err(Problem::internal("It was made, but its id is not known.")),
    }
}
