//! Campaigns.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::{
    Campaign, CampaignId, CampaignSettings, CampaignStatus, CampaignView, Command, CommandError, Reply,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::prompts;
use crate::auth::{Manager, Require, User};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, delete))
        .routes(routes!(start))
        .routes(routes!(pause))
}

/// A campaign, with its numbers.
#[derive(Serialize, ToSchema)]
struct CampaignAnswer {
    /// Its id.
    #[schema(value_type = i64)]
    id: CampaignId,
    /// Where it stands.
    status: CampaignStatus,
    /// What a manager set.
    settings: CampaignSettings,
    /// Its numbers now; null for agents, and for a moment after it was made.
    live: Option<CampaignView>,
}

impl CampaignAnswer {
    /// As this user may see it; none when they may not.
    fn of(api: &Api, user: &User, campaign: Campaign) -> Option<CampaignAnswer> {
        let Campaign { id, status, mut settings } = campaign;
        if user.is_agent() {
            // Whose colleagues are who is not for agents to know.
            if let Some(crew) = api.engine().people().crew(&settings) {
                if !crew.contains(&user.agent()) {
                    return None;
                }
                (settings.agents, settings.teams) = (vec![user.agent()], Vec::new());
            }
            return Some(CampaignAnswer { id, status, settings, live: None });
        }
        let live = api.engine().snapshot().campaigns.iter().find(|view| view.id == id).cloned();
        Some(CampaignAnswer { id, status, settings, live })
    }
}

/// Every campaign
///
/// Agents see those that they serve, without numbers.
#[utoipa::path(get, path = "/api/campaigns", tag = "campaigns", responses((status = 200, body = [CampaignAnswer])))]
async fn list(State(api): State<Api>, user: User) -> Result<Json<Vec<CampaignAnswer>>, Problem> {
    let campaigns = api.engine().store().campaigns().await?;
    Ok(Json(campaigns.into_iter().filter_map(|campaign| CampaignAnswer::of(&api, &user, campaign)).collect()))
}

/// Create a campaign
///
/// It starts as a draft. Fields that are left out take their defaults.
#[utoipa::path(post, path = "/api/campaigns", tag = "campaigns", request_body = CampaignSettings,
    responses((status = 201, body = CampaignAnswer)))]
async fn create(
    State(api): State<Api>,
    user: Require<Manager>,
    Json(settings): Json<CampaignSettings>,
) -> Result<Response, Problem> {
    prompts::known(&api, &settings).await?;
    let campaign = change(&api, &user, None, Command::CreateCampaign(Box::new(settings))).await?;
    let location = format!("/api/campaigns/{}", campaign.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(campaign)).into_response())
}

/// One campaign
#[utoipa::path(get, path = "/api/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path, description = "Campaign")),
    responses((status = 200, body = CampaignAnswer)))]
async fn read(
    State(api): State<Api>,
    user: User,
    Path(id): Path<CampaignId>,
) -> Result<Json<CampaignAnswer>, Problem> {
    stored(&api, &user, id).await.map(Json)
}

/// Change a campaign's settings
///
/// All of them: fields that are left out take their defaults. Takes effect from the next decision on.
#[utoipa::path(put, path = "/api/campaigns/{id}", tag = "campaigns", request_body = CampaignSettings,
    params(("id" = i64, Path, description = "Campaign")), responses((status = 200, body = CampaignAnswer)))]
async fn update(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<CampaignId>,
    Json(settings): Json<CampaignSettings>,
) -> Result<Json<CampaignAnswer>, Problem> {
    prompts::known(&api, &settings).await?;
    let settings = Box::new(settings);
    change(&api, &user, Some(id), Command::UpdateCampaign { id, settings }).await.map(Json)
}

/// Delete a campaign
///
/// With its leads; the records of its calls stay. Not while it runs or has calls.
#[utoipa::path(delete, path = "/api/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path, description = "Campaign")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<CampaignId>,
) -> Result<StatusCode, Problem> {
    api.engine().command(Command::DeleteCampaign(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Start dialing
#[utoipa::path(post, path = "/api/campaigns/{id}/start", tag = "campaigns", params(("id" = i64, Path, description = "Campaign")),
    responses((status = 200, body = CampaignAnswer)))]
async fn start(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<CampaignId>,
) -> Result<Json<CampaignAnswer>, Problem> {
    change(&api, &user, Some(id), Command::StartCampaign(id)).await.map(Json)
}

/// Stop dialing
///
/// Calls in progress go on.
#[utoipa::path(post, path = "/api/campaigns/{id}/pause", tag = "campaigns", params(("id" = i64, Path, description = "Campaign")),
    responses((status = 200, body = CampaignAnswer)))]
async fn pause(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<CampaignId>,
) -> Result<Json<CampaignAnswer>, Problem> {
    change(&api, &user, Some(id), Command::PauseCampaign(id)).await.map(Json)
}

/// Does it, and answers with the campaign as it is then.
async fn change(
    api: &Api,
    user: &User,
    id: Option<CampaignId>,
    command: Command,
) -> Result<CampaignAnswer, Problem> {
    match (api.engine().command(command).await?, id) {
        (Reply::Campaign(campaign), _) => CampaignAnswer::of(api, user, *campaign)
            .ok_or_else(|| Problem::internal("The campaign is not to be seen.")),
        (Reply::Done, Some(id)) => stored(api, user, id).await,
        (
            Reply::Done | Reply::Trunk(_) | Reply::Team(_) | Reply::Why(_) | Reply::Group(_) | Reply::Pool(_),
            _,
        ) => Err(Problem::internal("The campaign was made, but its id is not known.")),
    }
}

async fn stored(api: &Api, user: &User, id: CampaignId) -> Result<CampaignAnswer, Problem> {
    let campaign = api.engine().store().campaign(id).await?;
    let missing = CommandError::NotFound { what: "campaign".into(), id: id.0 };
    campaign.and_then(|campaign| CampaignAnswer::of(api, user, campaign)).ok_or_else(|| missing.into())
}
