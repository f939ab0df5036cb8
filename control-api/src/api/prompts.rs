//! Prompts: sounds that are uploaded, and played by campaigns that name them.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::CampaignSettings;
use kraliki_engine::runtime::PromptError;
use kraliki_engine::store::{PromptRecord, StoreError};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Manager, Require};
use crate::error::Problem;
use crate::extract::{Json, Path, Query, bytes};
use crate::limits;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, upload)).routes(routes!(audio)).routes(routes!(delete))
}

/// Every prompt, by name
#[utoipa::path(get, path = "/api/prompts", tag = "prompts", responses((status = 200, body = [PromptRecord])))]
async fn list(State(api): State<Api>, _: Require<Manager>) -> Result<Json<Vec<PromptRecord>>, Problem> {
    Ok(Json(api.engine().store().prompts().await?))
}

/// What it is to be called.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// 1 to 64 letters, digits, spaces, and . - _; campaigns name it with `prompt:` before it.
    name: String,
}

/// Upload a prompt
///
/// A WAV file (16-bit PCM of one or two channels at 8 to 48 kHz, or G.711) or an Ogg Opus file, of two minutes at most. It
/// is converted once, and kept in the store.
#[utoipa::path(post, path = "/api/prompts", tag = "prompts", params(UploadQuery),
    request_body(content((Vec<u8> = "audio/wav"), (Vec<u8> = "audio/ogg"))),
    responses((status = 201, body = PromptRecord)))]
async fn upload(
    State(api): State<Api>,
    user: Require<Manager>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let file = bytes(request, limits::PROMPT_BODY_BYTES).await?;
    let prompt =
        api.engine().add_prompt(query.name.clone(), file.to_vec()).await.map_err(|error| match error {
            PromptError::Sound(error) => {
                Problem::invalid("file", format!("The file cannot be played: {error}."))
            }
            PromptError::Store(StoreError::Exists { .. }) => Problem::conflict(format!(
                "There is a prompt named {} already; choose another name, or delete that one.",
                query.name
            )),
            PromptError::Store(error) => error.into(),
        })?;
    tracing::info!(prompt = prompt.id, user = user.id, "a prompt was uploaded");
    let location = format!("/api/prompts/{}", prompt.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(prompt)).into_response())
}

/// How a prompt sounds
///
/// As it is played to people: 8 kHz, one channel, 16 bits.
#[utoipa::path(get, path = "/api/prompts/{id}/audio", tag = "prompts", params(("id" = i64, Path, description = "Prompt")),
    responses((status = 200, body = Vec<u8>, content_type = "audio/wav")))]
async fn audio(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    let store = api.engine().store();
    let prompt = store.prompts().await?.into_iter().find(|prompt| prompt.id == id);
    let prompt = prompt.ok_or_else(|| missing(id))?;
    let samples = store.prompt_samples(&prompt.name).await?.ok_or_else(|| missing(id))?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"))];
    Ok((kind, wav(&samples)).into_response())
}

/// Delete a prompt
///
/// Not one that a campaign plays.
#[utoipa::path(delete, path = "/api/prompts/{id}", tag = "prompts", params(("id" = i64, Path, description = "Prompt")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    user: Require<Manager>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    match api.engine().store().delete_prompt(id).await {
        Ok(true) => {
            tracing::info!(prompt = id, user = user.id, "a prompt was deleted");
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(false) => Err(missing(id)),
        Err(StoreError::Invalid { message, .. }) => Err(Problem::conflict(format!("This prompt {message}."))),
        Err(error) => Err(error.into()),
    }
}

/// Whether the prompts that a campaign's settings name are there.
pub(super) async fn known(api: &Api, settings: &CampaignSettings) -> Result<(), Problem> {
    let fields = [
        ("abandon_message", &settings.abandon_message),
        ("prompt", &settings.prompt),
        ("voicemail_message", &settings.voicemail_message),
        ("callback_message", &settings.callback_message),
    ];
    let named: Vec<_> = fields
        .into_iter()
        .filter_map(|(field, sound)| Some((field, sound.strip_prefix("prompt:")?)))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let there = api.engine().store().prompts().await?;
    match named.into_iter().find(|(_, name)| there.iter().all(|prompt| prompt.name != *name)) {
        None => Ok(()),
        Some((field, name)) => {
            Err(Problem::invalid(field, format!("There is no prompt named {name}; upload it first.")))
        }
    }
}

fn missing(id: i64) -> Problem {
    Problem::not_found(format!("There is no prompt {id}."))
}

/// A WAV file of samples at 8 kHz.
fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    // PCM, one channel, 8 kHz, 16,000 bytes a second, two at a time, 16 bits.
    file.extend([1, 0, 1, 0]);
    file.extend(8_000u32.to_le_bytes());
    file.extend(16_000u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
