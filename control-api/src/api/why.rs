//! Why a lead is not being dialed.

use axum::extract::State;
use kraliki_engine::store::LeadRecord;
use kraliki_engine::{CampaignId, Command, LeadAnswer, LeadId, LeadStatus, ListId, Prospect, Reason, Reply};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Analyst, Require};
use crate::error::Problem;
use crate::extract::{Json, Path};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(why))
}

/// What holds a lead, and where it stands.
#[derive(Serialize, ToSchema)]
struct WhyView {
    /// Which lead.
    lead: LeadId,
    /// Of which campaign.
    campaign: CampaignId,
    /// On which list.
    list: ListId,
    /// Where it stands.
    status: LeadStatus,
    /// What is to be expected.
    prospect: Prospect,
    /// What holds it, the strongest first, then whose turn it is.
    reasons: Vec<Reason>,
    /// How many leads are dialed before it; null: it has no place in the queue.
    before: Option<u32>,
    /// Whether there may be more than that.
    more_before: bool,
}

/// Why is this lead not being dialed?
///
/// The exact rule with its values, asked of the code that dials. For any lead, in the same time whatever the list's size.
#[utoipa::path(get, path = "/api/leads/{id}/why", tag = "leads", params(("id" = i64, Path, description = "Lead")),
    responses((status = 200, body = WhyView)))]
async fn why(
    State(api): State<Api>,
    _: Require<Analyst>,
    Path(id): Path<LeadId>,
) -> Result<Json<WhyView>, Problem> {
    let store = api.engine().store();
    let missing = || Problem::not_found(format!("There is no lead {id}."));
    let record = store.lead(id).await?.ok_or_else(missing)?;
    let (campaign, list) = (record.campaign, record.list);
    let held = store.list(list).await?;
    let LeadAnswer::Found { lead, status, next_unix_ms } =
        store.standing(campaign, id, api.engine().wall_unix_ms()).await?
    else {
        return Err(missing());
    };
    let command = Command::Why { lead, status, next_unix_ms };
    let Reply::Why(said) = api.engine().command(command).await? else {
        return Err(Problem::internal("The dialer gave no answer to that."));
    };
    let mut view = WhyView {
        lead: id,
        campaign,
        list,
        status,
        prospect: said.prospect,
        reasons: said.reasons,
        before: said.before,
        more_before: false,
    };
    if matches!(view.prospect, Prospect::Now | Prospect::Never) {
        return Ok(Json(view));
    }
    let of_list = match &held {
        None => Some(Reason::new("list_deleted", "its list is being deleted", None)),
        Some(list) if !list.settings.enabled => {
            let text = format!("its list \"{}\" is disabled; enable it", list.settings.name);
            Some(Reason::new("list_disabled", text, None))
        }
        Some(list) if record.left_out => {
            let filter = list.settings.filter.as_ref().map_or_else(String::new, |pick| {
                format!(": {} must be or begin with \"{}\"", pick.field, pick.value)
            });
            let text = format!("the filter of its list \"{}\" leaves it out{filter}", list.settings.name);
            Some(Reason::new("filtered", text, None))
        }
        Some(_) => None,
    };
    if let Some(reason) = of_list {
        view.reasons.insert(0, reason);
        view.prospect = Prospect::Waits;
    } else if view.before.is_none() {
        queued(&api, &record, &mut view).await?;
    }
    Ok(Json(view))
}

/// A lead that is not held ready yet: how many are read from the store before it.
async fn queued(api: &Api, record: &LeadRecord, view: &mut WhyView) -> Result<(), Problem> {
    let now = api.engine().wall_unix_ms();
    if record.next_unix_ms > now || record.callback.is_some() {
        return Ok(());
    }
    let place = api.engine().store().queue_place(record, now).await?;
    view.before = Some(place.before);
    view.more_before = place.more;
    let more = if place.more { "more than " } else { "" };
    let text = format!("{more}{} leads are due before it", place.before);
    view.reasons.push(Reason::new("queue", text, None));
    Ok(())
}
