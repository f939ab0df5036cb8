//! Recordings of calls: which there are, how they are heard and deleted, and their pause during the call.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use kraliki_engine::runtime::{RecordingAudio, RecordingError};
use kraliki_engine::store::{RecordingFilter, RecordingFormat, RecordingRecord};
use kraliki_engine::{AgentId, AttemptId, CampaignId, Command};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::{act, may_act};
use super::{Listing, page_limit};
use crate::auth::{Manager, Require, User};
use crate::error::Problem;
use crate::extract::{Json, Path, Query};
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(audio))
        .routes(routes!(delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
}

/// Which recordings.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RecordingQuery {
    /// Only of this campaign.
    campaign: Option<i64>,
    /// Only of this agent.
    agent: Option<i64>,
    /// Rows of a page, 1 to 1000; 100 when left out.
    limit: Option<u32>,
    /// The `next` of the page before.
    before: Option<i64>,
}

/// Recordings, newest first
#[utoipa::path(get, path = "/api/recordings", tag = "recordings", params(RecordingQuery),
    responses((status = 200, body = Listing<RecordingRecord>)))]
async fn list(
    State(api): State<Api>,
    _: Require<Manager>,
    Query(query): Query<RecordingQuery>,
) -> Result<Json<Listing<RecordingRecord>>, Problem> {
    let filter = RecordingFilter {
        campaign: query.campaign.map(CampaignId),
        agent: query.agent.map(AgentId),
        before: query.before.map(AttemptId),
        limit: page_limit(query.limit)?,
    };
    Ok(Json(api.engine().store().recordings(filter).await?.into()))
}

/// What was said in a call
///
/// The sound file, decrypted: the called person left, the agent right. While the call goes on, as far as it is written.
#[utoipa::path(get, path = "/api/recordings/{call}/audio", tag = "recordings",
    params(("call" = i64, Path, description = "Call")),
    responses((status = 200, description = "`audio/ogg` (Opus) or `audio/wav`",
        content((Vec<u8> = "audio/ogg"), (Vec<u8> = "audio/wav")))))]
async fn audio(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(call): Path<AttemptId>,
) -> Result<Response, Problem> {
    let mut audio = api.engine().recording_audio(call).await?;
    // With the first octets it is known whether it can be read at all.
    let first = audio.next().await?.unwrap_or_default();
    tracing::info!(%call, user = user.id, "a recording is listened to");
    let (kind, ending) = match audio.record.format {
        RecordingFormat::Opus => ("audio/ogg", "ogg"),
        RecordingFormat::Wav => ("audio/wav", "wav"),
    };
    let name = format!("attachment; filename=\"call-{call}.{ending}\"");
    let rest = futures::stream::try_unfold((Some(first), audio), async |(first, mut audio)| {
        let part = match first {
            Some(first) => Some(first),
            None => {
                audio.next().await.inspect_err(|error| tracing::error!(%error, "a recording broke off"))?
            }
        };
        Ok::<Option<(Bytes, (Option<Bytes>, RecordingAudio))>, RecordingError>(
            part.map(|part| (part, (None, audio))),
        )
    });
    let mut response = Body::from_stream(rest).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Delete a recording
///
/// Its key is erased at once, so that nobody can read a copy of it either; its file follows.
#[utoipa::path(delete, path = "/api/recordings/{call}", tag = "recordings",
    params(("call" = i64, Path, description = "Call")), responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(call): Path<AttemptId>,
) -> Result<StatusCode, Problem> {
    api.engine().delete_recording(call).await?;
    tracing::info!(%call, user = user.id, "a recording was deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Pause the recording of a call
///
/// Silence is recorded from here on, both sides: somebody says a card number. By the call's agent, or a supervisor.
#[utoipa::path(post, path = "/api/calls/{id}/recording/pause", tag = "recordings",
    params(("id" = i64, Path, description = "Call")), responses((status = 204)))]
async fn pause(
    State(api): State<Api>,
    user: User,
    Path(call): Path<AttemptId>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, call).await?;
    act(&api, Command::PauseRecording { call, on: true }).await
}

/// Go on recording a call
#[utoipa::path(post, path = "/api/calls/{id}/recording/resume", tag = "recordings",
    params(("id" = i64, Path, description = "Call")), responses((status = 204)))]
async fn resume(
    State(api): State<Api>,
    user: User,
    Path(call): Path<AttemptId>,
) -> Result<StatusCode, Problem> {
    may_act(&api, &user, call).await?;
    act(&api, Command::PauseRecording { call, on: false }).await
}
