//! Erasure of a person's data on their request.

use axum::extract::State;
use kraliki_engine::Command;
use kraliki_engine::runtime::RecordingError;
use kraliki_engine::store::Erased;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::suppressions::e164;
use crate::auth::{Admin, Require};
use crate::error::Problem;
use crate::extract::Json;
use crate::state::Api;

/// What the record of the suppression says.
const REASON: &str = "erased on request";

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(erase))
}

/// Whose data.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EraseRequest {
    /// With the country code: +420 777 123 456.
    phone: String,
}

/// What was erased.
#[derive(Serialize, ToSchema)]
struct ErasedView {
    #[serde(flatten)]
    erased: Erased,
    /// Recordings whose keys are gone.
    recordings: u64,
}

/// Erase what is known of a number
///
/// Its leads with all that their lists said, the number and the notes of past calls, their recordings. That there were calls,
/// when and how they ended, stays for the reports. The number is not called any more: a keyed hash of it stays on the
/// suppression list. Not while it is on a line.
#[utoipa::path(post, path = "/api/erase", tag = "leads", request_body = EraseRequest,
    responses((status = 200, body = ErasedView)))]
async fn erase(
    State(api): State<Api>,
    user: Require<Admin>,
    Json(request): Json<EraseRequest>,
) -> Result<Json<ErasedView>, Problem> {
    let phone = e164(&request.phone).ok_or_else(|| {
        Problem::invalid("phone", "write the number with its country code, e.g. +420 777 123 456")
    })?;
    let (engine, store) = (api.engine(), api.engine().store());
    // Out of the hoppers first, so that nobody dials it meanwhile.
    let suppress = Command::Suppress { phone: phone.clone().into(), reason: REASON.into(), campaign: None };
    engine.command(suppress).await?;
    let mut recordings = 0;
    for call in store.calls_to(&phone).await? {
        match engine.delete_recording(call).await {
            Ok(()) => recordings += 1,
            Err(RecordingError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let erased = store.erase(&phone).await?;
    store.suppress_hashed(&phone, REASON, engine.wall_unix_ms()).await?;
    // The record of the erasure says who did it, never whose data it was.
    tracing::warn!(
        user = user.id,
        leads = erased.leads,
        phones = erased.phones,
        calls = erased.calls,
        recordings,
        "a person's data was erased on request"
    );
    Ok(Json(ErasedView { erased, recordings }))
}
