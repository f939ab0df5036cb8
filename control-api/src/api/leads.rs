//! Leads: lists come in as CSV, single ones as JSON.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use kraliki_engine::store::{LeadFilter, LeadRecord, NewLead};
use kraliki_engine::{
    Campaign, CampaignId, Command, Consent, ImportOptions, ImportReport, LeadId, LeadStatus, ListId,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::imports::{ReadQuery, refused};
use super::{Listing, page_limit};
use crate::auth::{Analyst, Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Path, Query, is_type, read_json};
use crate::limits;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, add))
}

/// Which leads.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LeadQuery {
    /// Only leads that stand here.
    status: Option<LeadStatus>,
    /// Only of this list.
    list: Option<i64>,
    /// Rows of a page, 1 to 1000; 100 when left out.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<i64>,
}

/// A person to be called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LeadRequest {
    /// As people write it; without a country code it is one of the campaign's country.
    phone: String,
    /// Further phones in their order, each tried when the retry rules say so.
    #[serde(default)]
    phones: Vec<PhoneRequest>,
    /// First name.
    #[serde(default)]
    first_name: String,
    /// Last name.
    #[serde(default)]
    last_name: String,
    /// IANA name; empty: taken from the number.
    #[serde(default)]
    time_zone: String,
    /// Where the person lives: ISO 3166; empty: taken from the number.
    #[serde(default)]
    country: String,
    /// Part of the country: two letters in the US; empty: in North America taken from the number.
    #[serde(default)]
    state: String,
    /// What the person agreed to.
    #[serde(default)]
    consent: Consent,
    /// Higher is dialed earlier.
    #[serde(default)]
    priority: i32,
    /// Shown to the agent.
    #[serde(default)]
    custom: BTreeMap<String, String>,
}

/// Another phone of a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PhoneRequest {
    /// As people write it.
    phone: String,
    /// What it is, e.g. `mobile`.
    #[serde(default)]
    kind: String,
}

/// The leads of a campaign
#[utoipa::path(get, path = "/api/campaigns/{id}/leads", tag = "leads",
    params(("id" = i64, Path, description = "Campaign"), LeadQuery),
    responses((status = 200, body = Listing<LeadRecord>)))]
async fn list(
    State(api): State<Api>,
    _: Require<Analyst>,
    Path(id): Path<CampaignId>,
    Query(query): Query<LeadQuery>,
) -> Result<Json<Listing<LeadRecord>>, Problem> {
    find(&api, id).await?;
    let filter = LeadFilter {
        status: query.status,
        list: query.list.map(ListId),
        after: query.after.map(LeadId),
        limit: page_limit(query.limit)?,
    };
    Ok(Json(api.engine().store().leads(id, filter).await?.into()))
}

/// Add leads
///
/// As `text/csv` a list of any length: a header row with at least `phone`; further phones (`phone2`, `mobile`, `work phone`
/// …), `first_name`, `last_name`, `time_zone`, `country`, `state`, `consent` (none, existing_customer, express, written),
/// `consent_at`, `consent_source` and `priority` are known, other columns are kept for the agent. Lines that cannot be
/// taken are named with what is wrong; the others are imported. As `application/json` one lead.
#[utoipa::path(post, path = "/api/campaigns/{id}/leads", tag = "leads",
    params(("id" = i64, Path, description = "Campaign"), ReadQuery),
    request_body(content((String = "text/csv"), (LeadRequest = "application/json"))),
    responses((status = 200, description = "The list was read", body = ImportReport),
        (status = 201, description = "The lead was added", body = LeadRecord)))]
async fn add(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<CampaignId>,
    Query(query): Query<ReadQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let campaign = find(&api, id).await?;
    if is_type(&request, "text/csv") {
        let options = query.options()?;
        let list = query.list.unwrap_or_else(|| "import".to_owned());
        // In a task of its own, so that what came in is taken to its end when the client goes away.
        let report = tokio::spawn(import(api, campaign, list, options, request.into_body()))
            .await
            .map_err(|_| Problem::internal("The import stopped; what it read before is kept."))??;
        return Ok(Json(report).into_response());
    }
    let lead: LeadRequest = read_json(request).await.map_err(|problem| match problem.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::unsupported_media_type(
            "Send a list with Content-Type: text/csv, or one lead with Content-Type: application/json.",
        ),
        _ => problem,
    })?;
    let LeadRequest {
        phone,
        phones,
        first_name,
        last_name,
        time_zone,
        country,
        state,
        consent,
        priority,
        custom,
    } = lead;
    let lead = NewLead {
        phone: phone.into(),
        phones: phones.into_iter().map(|PhoneRequest { phone, kind }| (kind, phone.into())).collect(),
        first_name: first_name.into(),
        last_name: last_name.into(),
        time_zone,
        country,
        state,
        consent,
        priority,
        custom: custom.into(),
    };
    let list = query.list.as_deref().unwrap_or("single");
    let record = api.engine().store().add_lead(id, list, &campaign.settings.country, lead).await?;
    api.engine().command(Command::LeadsChanged(id)).await?;
    Ok((StatusCode::CREATED, Json(record)).into_response())
}

/// Gives the body to the store as it comes.
async fn import(
    api: Api,
    campaign: Campaign,
    list: String,
    options: ImportOptions,
    body: Body,
) -> Result<ImportReport, Problem> {
    let (store, country) = (api.engine().store(), &campaign.settings.country);
    let mut importer = store.importer_with(campaign.id, &list, country, options).await?;
    let mut body = Limited::new(body, limits::IMPORT_BODY_BYTES);
    let mut broken = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            broken = Some(Problem::malformed("The upload broke off, or was larger than 2 GB."));
            break;
        };
        if let Some(bytes) = frame.data_ref()
            && let Err(failure) = importer.feed(bytes).await
        {
            broken = Some(refused(failure));
            break;
        }
    }
    let result = match broken {
        None => importer.finish().await.map_err(refused),
        Some(mut problem) => {
            let imported = importer.report().imported;
            problem.detail.push_str(&format!(" {imported} leads were imported before that and are kept."));
            Err(problem)
        }
    };
    // What was imported is dialed, whatever came after it.
    let changed = api.engine().command(Command::LeadsChanged(campaign.id)).await;
    let report = result?;
    changed?;
    Ok(report)
}

/// A campaign that is there.
pub(super) async fn find(api: &Api, id: CampaignId) -> Result<Campaign, Problem> {
    let campaign = api.engine().store().campaign(id).await?;
    campaign.ok_or_else(|| Problem::not_found(format!("There is no campaign {id}.")))
}
