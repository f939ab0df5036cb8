//! Leads as a table.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::store::{LeadFilter, LeadRecord, StoreError};
use kraliki_engine::{CampaignId, LeadId, LeadStatus, ListId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::leads::find;
use crate::auth::{Manager, Require};
use crate::csv::{attachment, push_record};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::limits::PAGE_MOST;
use crate::state::Api;

/// Phones of a lead, as the engine takes them.
const PHONES: usize = 5;
/// Columns that every export has.
const COLUMNS: [&str; 14] = [
    "phone",
    "phone2",
    "phone3",
    "phone4",
    "phone5",
    "first_name",
    "last_name",
    "time_zone",
    "priority",
    "status",
    "attempts",
    "last_outcome",
    "next_unix_ms",
    "callback_unix_ms",
];
/// Pages that are looked at for the names of further columns; what stands in none of their leads goes into `more`.
const LOOKED_AT: usize = 10;
/// Further columns, as the import takes them.
const CUSTOM_MOST: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(export))
}

/// Which leads.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// Only of this list.
    list: Option<i64>,
    /// Only leads that stand here.
    status: Option<LeadStatus>,
}

/// The leads of a campaign as CSV
///
/// Streams; the columns can be imported again. A value that begins like a formula has an apostrophe in front.
#[utoipa::path(get, path = "/api/campaigns/{id}/leads.csv", tag = "leads",
    params(("id" = i64, Path, description = "Campaign"), ExportQuery),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn export(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<CampaignId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let campaign = find(&api, id).await?;
    let filter =
        LeadFilter { status: query.status, list: query.list.map(ListId), after: None, limit: PAGE_MOST };
    let custom = custom_columns(&api, id, filter).await?;
    tracing::info!(campaign = id.0, user = user.id, "leads are exported");
    let mut head = String::new();
    let mut names: Vec<&str> = COLUMNS.to_vec();
    names.extend(custom.iter().map(String::as_str));
    names.push("more");
    push_record(&mut head, names);
    let state = (api, id, Some(filter), Some(head), custom);
    let parts = futures::stream::try_unfold(state, async |(api, id, filter, head, custom)| {
        if let Some(head) = head {
            return Ok(Some((head, (api, id, filter, None, custom))));
        }
        let Some(filter) = filter else { return Ok::<_, StoreError>(None) };
        let page = api.engine().store().leads(id, filter).await.inspect_err(|error| {
            tracing::error!(%error, "an export broke off");
        })?;
        let mut text = String::new();
        for lead in &page.items {
            push_lead(&mut text, lead, &custom);
        }
        let next = page.next.map(|after| LeadFilter { after: Some(LeadId(after)), ..filter });
        Ok(Some((text, (api, id, next, None, custom))))
    });
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    let name = HeaderValue::from_str(&attachment(&format!("{}.csv", campaign.settings.name)))
        .map_err(|_| Problem::internal("The file's name could not be written."))?;
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// The names of further columns.
async fn custom_columns(api: &Api, id: CampaignId, filter: LeadFilter) -> Result<Vec<String>, Problem> {
    let (mut names, mut after) = (BTreeSet::new(), None);
    for _ in 0..LOOKED_AT {
        let page = api.engine().store().leads(id, LeadFilter { after, ..filter }).await?;
        names.extend(page.items.iter().flat_map(|lead| lead.custom.0.keys().cloned()));
        match page.next {
            Some(next) => after = Some(LeadId(next)),
            None => break,
        }
    }
    Ok(names.into_iter().take(CUSTOM_MOST).collect())
}

fn push_lead(to: &mut String, lead: &LeadRecord, custom: &[String]) {
    let mut fields: Vec<String> = vec![lead.phone.0.clone()];
    let others = lead.phones.iter().map(|phone| phone.phone.0.clone()).filter(|phone| *phone != lead.phone.0);
    fields.extend(others.chain(std::iter::repeat_with(String::new)).take(PHONES - 1));
    let status = serde_json::to_value(lead.status).ok();
    let next = if lead.next_unix_ms > 0 { lead.next_unix_ms.to_string() } else { String::new() };
    fields.extend([
        lead.first_name.0.clone(),
        lead.last_name.0.clone(),
        lead.time_zone.clone(),
        lead.priority.to_string(),
        status.as_ref().and_then(|status| status.as_str()).unwrap_or_default().to_owned(),
        lead.attempts.to_string(),
        lead.last_outcome.map_or("", |outcome| outcome.as_str()).to_owned(),
        next,
        lead.callback.map(|callback| callback.due_unix_ms.to_string()).unwrap_or_default(),
    ]);
    fields.extend(custom.iter().map(|name| lead.custom.0.get(name).cloned().unwrap_or_default()));
    let mut more = lead.custom.0.clone();
    more.retain(|name, _| !custom.contains(name));
    fields.push(if more.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&more).unwrap_or_default()
    });
    push_record(to, fields.iter().map(String::as_str));
}
