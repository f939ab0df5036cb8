//! Callbacks: what was promised to people.

use axum::extract::State;
use kraliki_engine::store::LeadRecord;
use kraliki_engine::{AgentId, CampaignId, LeadId, Pii};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::leads::find;
use crate::auth::{Agent, Analyst, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::limits::{CALLBACKS, DUE_LEADS};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(own)).routes(routes!(of_campaign))
}

/// A promise to call a person again.
#[derive(Serialize, ToSchema)]
struct CallbackView {
    /// Whom.
    lead: LeadId,
    /// Of which campaign.
    campaign: CampaignId,
    /// E.164.
    #[schema(value_type = String)]
    phone: Pii<String>,
    /// First name.
    #[schema(value_type = String)]
    first_name: Pii<String>,
    /// Last name.
    #[schema(value_type = String)]
    last_name: Pii<String>,
    /// The person's time zone, an IANA name.
    time_zone: String,
    /// When, in ms since 1970.
    due_unix_ms: i64,
    /// The agent who promised it; null: anybody keeps it.
    agent: Option<AgentId>,
}

impl CallbackView {
    fn of(record: LeadRecord) -> Option<CallbackView> {
        let callback = record.callback?;
        Some(CallbackView {
            lead: record.id,
            campaign: record.campaign,
            phone: record.dial.unwrap_or(record.phone),
            first_name: record.first_name,
            last_name: record.last_name,
            time_zone: record.time_zone,
            due_unix_ms: callback.due_unix_ms,
            agent: callback.agent,
        })
    }
}

/// The callbacks that the agent promised
///
/// Of all campaigns, the first due in front, at most 50. A due one comes to the agent's screen by itself while its
/// campaign runs.
#[utoipa::path(get, path = "/api/agent/callbacks", tag = "agent",
    responses((status = 200, body = Vec<CallbackView>)))]
async fn own(State(api): State<Api>, user: Require<Agent>) -> Result<Json<Vec<CallbackView>>, Problem> {
    let leads = api.engine().store().callbacks_of(user.agent(), DUE_LEADS).await?;
    Ok(Json(leads.into_iter().filter_map(CallbackView::of).collect()))
}

/// The next callbacks of a campaign
///
/// The first due in front, at most 100.
#[utoipa::path(get, path = "/api/campaigns/{id}/callbacks", tag = "leads",
    params(("id" = i64, Path, description = "Campaign")),
    responses((status = 200, body = Vec<CallbackView>)))]
async fn of_campaign(
    State(api): State<Api>,
    _: Require<Analyst>,
    Path(id): Path<CampaignId>,
) -> Result<Json<Vec<CallbackView>>, Problem> {
    find(&api, id).await?;
    let leads = api.engine().store().callbacks(id, None, CALLBACKS).await?;
    Ok(Json(leads.into_iter().filter_map(CallbackView::of).collect()))
}
