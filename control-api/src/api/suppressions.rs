//! Numbers that must not be called: the dialer's own list, those of campaigns, national ones.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use kraliki_engine::compliance::NationalCopy;
use kraliki_engine::store::{NumberList, NumbersReport, Suppression};
use kraliki_engine::{CampaignId, Command};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Listing, page_limit};
use crate::auth::{Admin, Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Query, is_type, read_json};
use crate::limits;
use crate::state::Api;

/// Bytes of a reason, as the engine takes them.
const REASON_BYTES: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(national, import_national))
}

/// Which part.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionQuery {
    /// Only this campaign's own list; left out: the list that holds for all.
    campaign: Option<i64>,
    /// Rows of a page, 1 to 1000; 100 when left out.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<i64>,
}

/// Where a file of numbers goes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// For a file: this campaign's own list; left out: the list that holds for all.
    campaign: Option<i64>,
    /// For a file: why, for the record.
    reason: Option<String>,
    /// For a file: the country of numbers without a country code, ISO 3166.
    country: Option<String>,
}

/// A number that must not be called.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SuppressionRequest {
    /// With the country code: +420 777 123 456.
    phone: String,
    /// Why, for the record.
    #[serde(default)]
    reason: String,
    /// Only by this campaign; null: by none.
    #[serde(default)]
    campaign: Option<i64>,
}

/// Of which list a file is the copy.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NationalQuery {
    /// ISO 3166.
    country: String,
    /// What the list is called.
    name: Option<String>,
    /// The day of the copy, in ms since 1970.
    as_of_unix_ms: i64,
}

/// What came of a national list.
#[derive(Serialize, ToSchema)]
struct NationalAnswer {
    /// The copy that holds now.
    list: NationalCopy,
    /// What was read.
    report: NumbersReport,
}

/// Suppressed numbers
///
/// Of the list that holds for all campaigns, or of a campaign's own.
#[utoipa::path(get, path = "/api/suppressions", tag = "suppressions", params(SuppressionQuery),
    responses((status = 200, body = Listing<Suppression>)))]
async fn list(
    State(api): State<Api>,
    _: Require<Manager>,
    Query(query): Query<SuppressionQuery>,
) -> Result<Json<Listing<Suppression>>, Problem> {
    let limit = page_limit(query.limit)?;
    let store = api.engine().store();
    let page = match query.campaign {
        Some(campaign) => store.campaign_suppressions(CampaignId(campaign), query.after, limit).await?,
        None => store.suppressions(query.after, limit).await?,
    };
    Ok(Json(page.into()))
}

/// Suppress numbers
///
/// They are not called from now on, by no campaign or not by the one named. As `application/json` one number, as
/// `text/csv` a file with a number on each line. Answered when they are on disk.
#[utoipa::path(post, path = "/api/suppressions", tag = "suppressions", params(FileQuery),
    request_body(content((SuppressionRequest = "application/json"), (String = "text/csv"))),
    responses((status = 201, description = "The number is suppressed", body = SuppressionRequest),
        (status = 200, description = "The file was read", body = NumbersReport)))]
async fn add(
    State(api): State<Api>,
    _: Require<Manager>,
    Query(query): Query<FileQuery>,
    request: Request,
) -> Result<Response, Problem> {
    if is_type(&request, "text/csv") {
        let FileQuery { campaign, reason, country } = query;
        let reason = checked(reason.unwrap_or_else(|| "imported".to_owned()))?;
        let list = match campaign.map(CampaignId) {
            None => NumberList::Internal { reason },
            Some(campaign) => {
                let there = api.engine().store().campaign(campaign).await?.is_some();
                if !there {
                    return Err(Problem::not_found(format!("There is no campaign {campaign}.")));
                }
                NumberList::Campaign { campaign, reason }
            }
        };
        let body = request.into_body();
        // In a task of its own, so that what came in is taken to its end when the client goes away.
        let import = tokio::spawn(import(api, list, country.unwrap_or_default(), body));
        let (report, _) = import.await.map_err(|_| Problem::internal("The import stopped."))??;
        return Ok(Json(report).into_response());
    }
    let SuppressionRequest { phone, reason, campaign } = read_json(request).await?;
    let phone = e164(&phone).ok_or_else(|| {
        Problem::invalid("phone", "write the number with its country code, e.g. +420 777 123 456")
    })?;
    let reason = checked(reason)?;
    let command = Command::Suppress {
        phone: phone.clone().into(),
        reason: reason.clone(),
        campaign: campaign.map(CampaignId),
    };
    api.engine().command(command).await?;
    Ok((StatusCode::CREATED, Json(SuppressionRequest { phone, reason, campaign })).into_response())
}

/// National do-not-call lists
///
/// The copies that were imported. A copy that is older than the profile allows keeps leads without consent from being
/// called.
#[utoipa::path(get, path = "/api/suppressions/national", tag = "suppressions",
    responses((status = 200, body = [NationalCopy])))]
async fn national(State(api): State<Api>, _: Require<Manager>) -> Result<Json<Vec<NationalCopy>>, Problem> {
    Ok(Json(api.engine().store().national_lists().await?))
}

/// Import a national do-not-call list
///
/// A file with a number on each line, alone or as `202,5550100`: all of the country's list as of that day. It takes the
/// place of the copy before once it was read to its end.
#[utoipa::path(post, path = "/api/suppressions/national", tag = "suppressions", params(NationalQuery),
    request_body(content = String, content_type = "text/csv"), responses((status = 200, body = NationalAnswer)))]
async fn import_national(
    State(api): State<Api>,
    _: Require<Admin>,
    Query(query): Query<NationalQuery>,
    request: Request,
) -> Result<Json<NationalAnswer>, Problem> {
    if !is_type(&request, "text/csv") {
        return Err(Problem::unsupported_media_type("Send the file with Content-Type: text/csv."));
    }
    let NationalQuery { country, name, as_of_unix_ms } = query;
    let list = NumberList::National { name: name.unwrap_or_default(), country, as_of_unix_ms };
    let import = tokio::spawn(import(api, list, String::new(), request.into_body()));
    let (report, copy) = import.await.map_err(|_| Problem::internal("The import stopped."))??;
    let list = copy.ok_or_else(|| Problem::internal("The list was read, but is not there."))?;
    Ok(Json(NationalAnswer { list, report }))
}

/// Gives the body to the store as it comes, then tells the dialer.
async fn import(
    api: Api,
    list: NumberList,
    country: String,
    body: Body,
) -> Result<(NumbersReport, Option<NationalCopy>), Problem> {
    let now = api.engine().wall_unix_ms();
    let mut import = api.engine().store().numbers_import(list, &country, now).await?;
    let mut body = Limited::new(body, limits::IMPORT_BODY_BYTES);
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::malformed("The upload broke off, or was larger than 2 GB.");
        if let Some(bytes) = frame.map_err(broken)?.data_ref() {
            import.feed(bytes).await?;
        }
    }
    let (report, copy) = import.finish().await?;
    api.engine().command(Command::ListsChanged(copy.clone().map(Box::new))).await?;
    Ok((report, copy))
}

fn checked(reason: String) -> Result<String, Problem> {
    if reason.len() > REASON_BYTES {
        return Err(Problem::invalid("reason", format!("a reason has at most {REASON_BYTES} bytes")));
    }
    Ok(reason)
}

/// The number without the spaces and marks that people write into it; none when it is not one with a country code.
pub(super) fn e164(text: &str) -> Option<String> {
    let rest = text.trim().strip_prefix('+')?;
    let digits: String =
        rest.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}')).collect();
    // ITU-T E.164 §6: at most 15 digits, and no country code starts with 0.
    let fits = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    (fits && digits.bytes().all(|b| b.is_ascii_digit())).then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(e164(" +1 (202) 555-0100"), Some("+12025550100".into()));
        assert_eq!(e164("+420.777.123.456"), Some("+420777123456".into()));
        for bad in ["", "+", "2025550100", "+0202555010", "+1202555010x", "+1234567890123456", "+١٢٣٤٥٦٧٨"]
        {
            assert_eq!(e164(bad), None, "{bad}");
        }
    }
}
