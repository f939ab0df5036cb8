//! Carriers' trunks, as they are now.

use axum::extract::State;
use kraliki_engine::runtime::TrunkDetail;
use kraliki_engine::{TrunkId, TrunkView};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Analyst, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(detail))
}

/// Every trunk
#[utoipa::path(get, path = "/api/trunks", tag = "trunks", responses((status = 200, body = [TrunkView])))]
async fn list(State(api): State<Api>, _: Require<Analyst>) -> Json<Vec<TrunkView>> {
    Json(api.engine().snapshot().trunks.clone())
}

/// A trunk's profile and how it does
///
/// Its configuration without secrets, where it was found, whether it has our registration, and its calls since the start.
#[utoipa::path(get, path = "/api/trunks/{id}", tag = "trunks", params(("id" = i64, Path, description = "Trunk")),
    responses((status = 200, body = TrunkDetail)))]
async fn detail(
    State(api): State<Api>,
    _: Require<Analyst>,
    Path(id): Path<TrunkId>,
) -> Result<Json<TrunkDetail>, Problem> {
    let found = api.engine().trunk(id);
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found(format!("There is no trunk {id}; GET /api/trunks lists them.")))
}
