//! Numbers that must not be called.

use axum::extract::State;
use axum::http::StatusCode;
use kraliki_engine::Command;
use kraliki_engine::store::Suppression;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Listing, page_limit};
use crate::auth::{Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Query};
use crate::state::Api;

/// Bytes of a reason, as the engine takes them.
const REASON_BYTES: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, add))
}

/// Which part.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionQuery {
    /// Rows of a page, 1 to 1000; 100 when left out.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<i64>,
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
}

/// Every suppressed number
#[utoipa::path(get, path = "/api/suppressions", tag = "suppressions", params(SuppressionQuery),
    responses((status = 200, body = Listing<Suppression>)))]
async fn list(
    State(api): State<Api>,
    _: Require<Manager>,
    Query(query): Query<SuppressionQuery>,
) -> Result<Json<Listing<Suppression>>, Problem> {
    let limit = page_limit(query.limit)?;
    Ok(Json(api.engine().store().suppressions(query.after, limit).await?.into()))
}

/// Suppress a number
///
/// It is not called from now on, by no campaign. Answered when it is on disk.
#[utoipa::path(post, path = "/api/suppressions", tag = "suppressions", request_body = SuppressionRequest,
    responses((status = 201, body = SuppressionRequest)))]
async fn add(
    State(api): State<Api>,
    _: Require<Manager>,
    Json(request): Json<SuppressionRequest>,
) -> Result<(StatusCode, Json<SuppressionRequest>), Problem> {
    let SuppressionRequest { phone, reason } = request;
    let phone = e164(&phone).ok_or_else(|| {
        Problem::invalid("phone", "write the number with its country code, e.g. +420 777 123 456")
    })?;
    if reason.len() > REASON_BYTES {
        return Err(Problem::invalid("reason", format!("a reason has at most {REASON_BYTES} bytes")));
    }
    let command = Command::Suppress { phone: phone.clone().into(), reason: reason.clone() };
    api.engine().command(command).await?;
    Ok((StatusCode::CREATED, Json(SuppressionRequest { phone, reason })))
}

/// The number without the spaces and marks that people write into it; none when it is not one with a country code.
fn e164(text: &str) -> Option<String> {
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
