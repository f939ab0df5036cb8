//! Dialing by hand: a lead or a number of a manual campaign, and the lead on the agent's screen.

use axum::extract::State;
use axum::http::StatusCode;
use kraliki_engine::{AgentId, Campaign, CampaignId, CampaignStatus, Command, Lead, LeadId, Mode, Pii};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Agent, Require};
use crate::error::Problem;
use crate::extract::{Json, Query};
use crate::limits::DUE_LEADS;
use crate::state::Api;

/// The list of numbers that agents type in.
const BY_HAND: &str = "by hand";

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(due))
        .routes(routes!(dial))
        .routes(routes!(dial_preview))
        .routes(routes!(skip_preview))
}

/// Of which campaign.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DueQuery {
    /// A manual campaign that the agent serves.
    campaign: i64,
}

/// A lead to choose.
#[derive(Serialize, ToSchema)]
struct DueLead {
    /// Its id.
    id: LeadId,
    /// E.164.
    #[schema(value_type = String)]
    phone: Pii<String>,
    /// First name.
    #[schema(value_type = String)]
    first_name: Pii<String>,
    /// Last name.
    #[schema(value_type = String)]
    last_name: Pii<String>,
    /// IANA name.
    time_zone: String,
    /// Attempts so far.
    attempts: u32,
}

impl From<Lead> for DueLead {
    fn from(lead: Lead) -> Self {
        let Lead { id, phone, first_name, last_name, time_zone, attempts, .. } = lead;
        DueLead { id, phone, first_name, last_name, time_zone, attempts }
    }
}

/// The next leads of a manual campaign, for the agent to choose from
///
/// In the order of their priority and time, at most 50.
#[utoipa::path(get, path = "/api/agent/leads", tag = "agent", params(DueQuery),
    responses((status = 200, body = Vec<DueLead>)))]
async fn due(
    State(api): State<Api>,
    user: Require<Agent>,
    Query(query): Query<DueQuery>,
) -> Result<Json<Vec<DueLead>>, Problem> {
    let campaign = manual(&api, user.agent(), CampaignId(query.campaign)).await?;
    let now = api.engine().wall_unix_ms();
    let leads = api.engine().store().due_leads(campaign.id, DUE_LEADS, now).await?;
    Ok(Json(leads.into_iter().map(DueLead::from).collect()))
}

/// Whom to dial: a lead or a number.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DialRequest {
    /// A manual campaign that the agent serves.
    campaign: i64,
    /// A lead of that campaign.
    #[serde(default)]
    lead: Option<i64>,
    /// Or a number, as people write it; it becomes a lead of the campaign unless it is one.
    #[serde(default)]
    phone: Option<String>,
}

/// Dial by hand
///
/// Needs audio that is up, and an agent who is ready or paused. What forbids the call is answered at once. From then on
/// the agent is bound to that call; how it goes on is told on the live socket. Sent again while that lead is being
/// dialed, it dials nothing and is answered alike.
#[utoipa::path(post, path = "/api/agent/dial", tag = "agent", request_body = DialRequest,
    responses((status = 204, description = "The call is on its way")))]
async fn dial(
    State(api): State<Api>,
    user: Require<Agent>,
    Json(request): Json<DialRequest>,
) -> Result<StatusCode, Problem> {
    let agent = user.agent();
    let campaign = manual(&api, agent, CampaignId(request.campaign)).await?;
    let lead = match (request.lead, request.phone) {
        (Some(lead), None) => LeadId(lead),
        (None, Some(phone)) => number(&api, &campaign, &phone).await?,
        _ => return Err(Problem::invalid("lead", "Give either lead or phone.")),
    };
    api.engine().command(Command::DialLead { agent, campaign: campaign.id, lead }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The lead of a number.
async fn number(api: &Api, campaign: &Campaign, phone: &str) -> Result<LeadId, Problem> {
    let country = &campaign.settings.country;
    let lead = api.engine().store().lead_of_number(campaign.id, BY_HAND, country, phone).await?;
    // One that had no lead left has one again.
    if campaign.status == CampaignStatus::Completed {
        api.engine().command(Command::LeadsChanged(campaign.id)).await?;
    }
    Ok(lead.id)
}

/// The campaign, if the agent may dial by hand in it: nobody adds leads to one that dials by itself.
async fn manual(api: &Api, agent: AgentId, id: CampaignId) -> Result<Campaign, Problem> {
    let campaign = api.engine().store().campaign(id).await?;
    let people = api.engine().people();
    let serves = |c: &Campaign| people.crew(&c.settings).is_none_or(|crew| crew.contains(&agent));
    let campaign =
        campaign.filter(serves).ok_or_else(|| Problem::not_found(format!("There is no campaign {id}.")))?;
    if campaign.settings.mode != Mode::Manual {
        return Err(Problem::conflict(
            "This campaign dials by itself; its manager can set its mode to manual to have it dialed by hand.",
        ));
    }
    Ok(campaign)
}

/// Which lead.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewRequest {
    /// The lead on the screen: another one is not dialed by mistake.
    lead: i64,
}

/// Dial the lead on the screen
///
/// Sent again while that lead is being dialed, it dials nothing and is answered alike.
#[utoipa::path(post, path = "/api/agent/preview/dial", tag = "agent", request_body = PreviewRequest,
    responses((status = 204, description = "The call is on its way")))]
async fn dial_preview(
    State(api): State<Api>,
    user: Require<Agent>,
    Json(request): Json<PreviewRequest>,
) -> Result<StatusCode, Problem> {
    let (agent, lead) = (user.agent(), LeadId(request.lead));
    api.engine().command(Command::DialPreview { agent, lead }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which lead, for how long, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SkipRequest {
    /// The lead on the screen.
    lead: i64,
    /// Not dialed before this long from now, in seconds: 60 to 604800, an hour when left out.
    #[serde(default = "hour")]
    delay_s: u32,
    /// The agent's words, kept with their time.
    #[serde(default)]
    reason: String,
}

const fn hour() -> u32 {
    3_600
}

/// Pass the lead on the screen over
///
/// It is dialed later; the next one comes up.
#[utoipa::path(post, path = "/api/agent/preview/skip", tag = "agent", request_body = SkipRequest,
    responses((status = 204)))]
async fn skip_preview(
    State(api): State<Api>,
    user: Require<Agent>,
    Json(request): Json<SkipRequest>,
) -> Result<StatusCode, Problem> {
    let SkipRequest { lead, delay_s, reason } = request;
    let command = Command::SkipPreview { agent: user.agent(), lead: LeadId(lead), delay_s, reason };
    api.engine().command(command).await?;
    Ok(StatusCode::NO_CONTENT)
}
