//! Compliance profiles, as they hold.

use axum::extract::State;
use kraliki_engine::compliance::Profile;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Analyst, Require};
use crate::error::Problem;
use crate::extract::Json;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(profiles))
}

/// Every compliance profile
///
/// Those that come with the dialer and the operator's, by name, each rule with its source.
#[utoipa::path(get, path = "/api/compliance/profiles", tag = "compliance",
    responses((status = 200, body = [Profile])))]
async fn profiles(State(api): State<Api>, _: Require<Analyst>) -> Result<Json<Vec<Profile>>, Problem> {
    Ok(Json(api.engine().profiles().to_vec()))
}
