//! Carriers' trunks, as they are now.

use axum::extract::State;
use kraliki_engine::TrunkView;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Analyst, Require};
use crate::extract::Json;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Every trunk
#[utoipa::path(get, path = "/api/trunks", tag = "trunks", responses((status = 200, body = [TrunkView])))]
async fn list(State(api): State<Api>, _: Require<Analyst>) -> Json<Vec<TrunkView>> {
    Json(api.engine().snapshot().trunks.clone())
}
