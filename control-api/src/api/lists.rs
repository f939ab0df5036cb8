//! Lists: how the leads of one are dialed, and what is done with all of them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::store::ListRecord;
use kraliki_engine::{CampaignId, Command, LeadStatus, ListId, ListSettings, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::leads::find;
use crate::auth::{Analyst, Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(update, delete)).routes(routes!(reset))
}

/// A list with its leads counted.
#[derive(Serialize, ToSchema)]
struct ListView {
    #[serde(flatten)]
    list: ListRecord,
    /// Its leads by where they stand; those that are not there are none.
    counts: BTreeMap<LeadStatus, u64>,
}

/// Which leads are made new again.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetRequest {
    /// Those whose last attempt ended like one of these; empty: all.
    #[serde(default)]
    outcomes: Vec<Outcome>,
}

/// The lists of a campaign
#[utoipa::path(get, path = "/api/campaigns/{id}/lists", tag = "lists",
    params(("id" = i64, Path, description = "Campaign")), responses((status = 200, body = Vec<ListView>)))]
async fn list(
    State(api): State<Api>,
    _: Require<Analyst>,
    Path(id): Path<CampaignId>,
) -> Result<Json<Vec<ListView>>, Problem> {
    find(&api, id).await?;
    let mut views = Vec::new();
    for list in api.engine().store().lists(id).await? {
        views.push(view(&api, list).await?);
    }
    Ok(Json(views))
}

/// Make a list without leads
#[utoipa::path(post, path = "/api/campaigns/{id}/lists", tag = "lists", request_body = ListSettings,
    params(("id" = i64, Path, description = "Campaign")), responses((status = 201, body = ListView)))]
async fn create(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<CampaignId>,
    Json(settings): Json<ListSettings>,
) -> Result<Response, Problem> {
    settings.validate()?;
    find(&api, id).await?;
    let list = api.engine().store().create_list(id, &settings).await?;
    let location = HeaderValue::from_str(&format!("/api/lists/{}", list.id))
        .map_err(|_| Problem::internal("The location could not be written."))?;
    let view = view(&api, list).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Change a list
///
/// Holds for the next leads that are dialed. Another order or filter reaches leads a few at a time, behind the calls;
/// `working` says that it has not reached all.
#[utoipa::path(put, path = "/api/lists/{id}", tag = "lists", request_body = ListSettings,
    params(("id" = i64, Path, description = "List")), responses((status = 200, body = ListView)))]
async fn update(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<ListId>,
    Json(settings): Json<ListSettings>,
) -> Result<Json<ListView>, Problem> {
    settings.validate()?;
    let list = api.engine().store().update_list(id, &settings).await?;
    let campaign = list.campaign;
    let view = view(&api, list).await?;
    follow(api, campaign).await?;
    Ok(Json(view))
}

/// Delete a list with its leads
///
/// Calls that are in progress go on; what was dialed stays on record.
#[utoipa::path(delete, path = "/api/lists/{id}", tag = "lists", params(("id" = i64, Path, description = "List")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<ListId>,
) -> Result<StatusCode, Problem> {
    let store = api.engine().store();
    let list = store.list(id).await?.ok_or_else(|| Problem::not_found(format!("There is no list {id}.")))?;
    store.delete_list(id).await?;
    tracing::info!(list = id.0, campaign = list.campaign.0, user = user.id, "a list was deleted");
    follow(api, list.campaign).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make the leads of a list new again
///
/// Those that wait for another attempt or are finished, all of them or by how their last attempt ended. Attempts that were
/// made count on against the caps, suppressed numbers stay suppressed, callbacks stand, and who was abandoned is left
/// alone as long as the rule said. Answered at once; `working` says that it is not done yet.
#[utoipa::path(post, path = "/api/lists/{id}/reset", tag = "lists", request_body = ResetRequest,
    params(("id" = i64, Path, description = "List")), responses((status = 202, body = ListView)))]
async fn reset(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<ListId>,
    Json(request): Json<ResetRequest>,
) -> Result<(StatusCode, Json<ListView>), Problem> {
    let list = api.engine().store().reset_list(id, &request.outcomes).await?;
    tracing::info!(list = id.0, campaign = list.campaign.0, user = user.id, "a list was reset");
    let campaign = list.campaign;
    let view = view(&api, list).await?;
    follow(api, campaign).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

async fn view(api: &Api, list: ListRecord) -> Result<ListView, Problem> {
    let counts = api.engine().store().list_counts(list.id).await?;
    Ok(ListView { list, counts })
}

/// The dialer hears of the change at once, and again when the leads have followed.
async fn follow(api: Api, campaign: CampaignId) -> Result<(), Problem> {
    api.engine().command(Command::LeadsChanged(campaign)).await?;
    // In a task of its own: a million leads take a while.
    tokio::spawn(async move {
        if let Err(error) = api.engine().store().work_off().await {
            tracing::warn!(%error, "leads of a list follow its change after the next start");
        }
        if let Err(error) = api.engine().command(Command::LeadsChanged(campaign)).await {
            tracing::debug!(%error, "the dialer looks at a changed list with its next refill");
        }
    });
    Ok(())
}
