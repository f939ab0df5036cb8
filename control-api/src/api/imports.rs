//! Imports that run by themselves: the file is taken in, then read line by line; how far it is can be asked for, also by a
//! page that was loaded again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use kraliki_engine::store::{ImportFailure, ImportRecord, ImportState, Importer};
use kraliki_engine::{Campaign, CampaignId, Command, Dedupe, ImportError, ImportOptions};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::leads::find;
use crate::auth::{Manager, Require};
use crate::csv::push_record;
use crate::error::Problem;
use crate::extract::{Json, Path, Query, is_type};
use crate::limits::{self, IMPORT_FILE_KEPT, IMPORTS_AT_ONCE};
use crate::state::Api;

/// How often the store hears how far an import is.
const TELL: Duration = Duration::from_secs(1);
/// Errors that an import shows without its file.
const ERRORS_SHOWN: usize = 50;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, start)).routes(routes!(read, cancel)).routes(routes!(errors))
}

/// Where an import in progress is; the store's record follows each second.
pub(crate) struct Running {
    record: ImportRecord,
    cancelled: Arc<AtomicBool>,
}

/// Imports in progress by their ids.
pub(crate) type Imports = BTreeMap<i64, Running>;

/// How a list is read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadQuery {
    /// The list's name; made if there is none of that name.
    pub(super) list: Option<String>,
    /// What columns hold, as a JSON object: by their names in the header one of `phone`, `other_phone`, `first_name`,
    /// `last_name`, `time_zone`, `country`, `state`, `consent`, `consent_at`, `consent_source`, `priority`, `custom` and
    /// `ignore`. The others are known by their names.
    #[serde(default)]
    map: String,
    /// Which numbers count as there already: those of the same `list`, `campaign` (when left out) or `system`.
    dedupe: Option<Dedupe>,
    /// Write nothing, and say what would come of it.
    #[serde(default)]
    dry_run: bool,
}

impl ReadQuery {
    pub(super) fn options(&self) -> Result<ImportOptions, Problem> {
        let map = match self.map.as_str() {
            "" => BTreeMap::new(),
            text => serde_json::from_str(text).map_err(|_| {
                Problem::invalid("map", r#"must be a JSON object of column names, e.g. {"Tel":"phone"}"#)
            })?,
        };
        Ok(ImportOptions { map, dedupe: self.dedupe.unwrap_or_default(), dry_run: self.dry_run })
    }
}

/// The last imports of a campaign, newest first
#[utoipa::path(get, path = "/api/campaigns/{id}/imports", tag = "imports",
    params(("id" = i64, Path, description = "Campaign")), responses((status = 200, body = Vec<ImportRecord>)))]
async fn list(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<CampaignId>,
) -> Result<Json<Vec<ImportRecord>>, Problem> {
    find(&api, id).await?;
    let mut imports = api.engine().store().imports(id).await?;
    let running = api.imports();
    for import in &mut imports {
        if let Some(now) = running.get(&import.id) {
            *import = now.record.clone();
        }
    }
    Ok(Json(imports))
}

/// Import a list in the background
///
/// As `POST /api/campaigns/{id}/leads` with `text/csv`, but answered as soon as the file is taken in. How far it is, and
/// what came of it, is then asked for; `errors` has the lines that were not taken.
#[utoipa::path(post, path = "/api/campaigns/{id}/imports", tag = "imports",
    params(("id" = i64, Path, description = "Campaign"), ReadQuery),
    request_body(content((String = "text/csv"))),
    responses((status = 202, description = "The file is there and is being read", body = ImportRecord)))]
async fn start(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<CampaignId>,
    Query(query): Query<ReadQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let campaign = find(&api, id).await?;
    let options = query.options()?;
    if !is_type(&request, "text/csv") {
        return Err(Problem::unsupported_media_type("Send a list with Content-Type: text/csv."));
    }
    let name = query.list.unwrap_or_else(|| "import".to_owned());
    let record = begin(&api, id, &name, options.dry_run).await?;
    // In a task of its own: what came in is read to its end when the client goes away after that.
    let taken = tokio::spawn(take(api.clone(), record, request.into_body()));
    let record = taken.await.map_err(|_| Problem::internal("The import stopped."))??;
    let answer = record.clone();
    tokio::spawn(run(api, campaign, name, options, record));
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// An import
#[utoipa::path(get, path = "/api/imports/{id}", tag = "imports", params(("id" = i64, Path, description = "Import")),
    responses((status = 200, body = ImportRecord)))]
async fn read(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<i64>,
) -> Result<Json<ImportRecord>, Problem> {
    let running = api.imports().get(&id).map(|running| running.record.clone());
    match running {
        Some(record) => Ok(Json(record)),
        None => api.engine().store().import(id).await?.map(Json).ok_or_else(|| missing(id)),
    }
}

/// Stop an import
///
/// What was imported until then stays.
#[utoipa::path(delete, path = "/api/imports/{id}", tag = "imports", params(("id" = i64, Path, description = "Import")),
    responses((status = 204)))]
async fn cancel(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    // One that just ended may still be among them.
    let open = |running: &&Running| running.record.state.is_open();
    let cancelled = api.imports().get(&id).filter(open).map(|running| Arc::clone(&running.cancelled));
    match cancelled {
        Some(cancelled) => cancelled.store(true, Relaxed),
        None if api.engine().store().import(id).await?.is_none() => return Err(missing(id)),
        None => return Err(Problem::conflict("This import is over.")),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The lines that an import did not take
///
/// A table of line, column, message and the line as it came. Kept for a week.
#[utoipa::path(get, path = "/api/imports/{id}/errors", tag = "imports",
    params(("id" = i64, Path, description = "Import")),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn errors(
    State(api): State<Api>,
    _: Require<Manager>,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    let file = File::open(errors_of(&api, id)).await.map_err(|_| {
        Problem::not_found(format!(
            "Import {id} has no file of errors: none were found, or it is older than a week."
        ))
    })?;
    let parts = futures::stream::try_unfold(file, async |mut file| {
        let mut part = vec![0; 64 * 1024];
        let read = file.read(&mut part).await?;
        part.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((Bytes::from(part), file)))
    });
    let name = HeaderValue::from_str(&format!("attachment; filename=\"import-{id}-errors.csv\""))
        .map_err(|_| Problem::internal("The file's name could not be written."))?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

fn missing(id: i64) -> Problem {
    Problem::not_found(format!("There is no import {id}."))
}

fn file_of(api: &Api, id: i64) -> PathBuf {
    api.engine().store().imports_directory().join(format!("{id}.csv"))
}

fn errors_of(api: &Api, id: i64) -> PathBuf {
    api.engine().store().imports_directory().join(format!("{id}-errors.csv"))
}

fn disk(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "an import cannot be kept");
    Problem::unavailable("The file cannot be kept beside the database; the log says why.")
}

/// A place among the imports in progress.
async fn begin(api: &Api, campaign: CampaignId, name: &str, dry_run: bool) -> Result<ImportRecord, Problem> {
    clean(api).await;
    if api.imports().len() >= IMPORTS_AT_ONCE {
        let text = format!("{IMPORTS_AT_ONCE} imports are in progress; wait until one is done");
        return Err(Problem::too_many(text, Duration::from_secs(30)));
    }
    let store = api.engine().store();
    let record = store.create_import(campaign, name, dry_run, api.engine().wall_unix_ms()).await?;
    let running = Running { record: record.clone(), cancelled: Arc::default() };
    api.imports().insert(record.id, running);
    Ok(record)
}

/// Removes files that nobody needs any more: of imports that are over, and errors older than a week.
async fn clean(api: &Api) {
    let Ok(mut files) = tokio::fs::read_dir(api.engine().store().imports_directory()).await else { return };
    while let Ok(Some(file)) = files.next_entry().await {
        let name = file.file_name().to_string_lossy().into_owned();
        let id = name.strip_suffix(".csv").and_then(|id| id.parse::<i64>().ok());
        let open = id.is_some_and(|id| api.imports().contains_key(&id));
        let age = file.metadata().await.ok().and_then(|data| data.modified().ok()?.elapsed().ok());
        let old = age.is_some_and(|age| age > IMPORT_FILE_KEPT);
        if ((id.is_some() && !open) || old)
            && let Err(error) = tokio::fs::remove_file(file.path()).await
        {
            tracing::warn!(%error, "a file of an import stays");
        }
    }
}

/// A file for nobody else's eyes: it holds people's numbers.
async fn create(path: PathBuf) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await
}

/// Takes the file in. Nothing of it is read when it does not come whole.
async fn take(api: Api, mut record: ImportRecord, body: Body) -> Result<ImportRecord, Problem> {
    let taken = receive(&api, &mut record, body).await;
    record.state = if taken.is_ok() { ImportState::Running } else { ImportState::Failed };
    match taken {
        Ok(()) => {
            show(&api, &record).await;
            Ok(record)
        }
        Err(problem) => {
            record.message.clone_from(&problem.detail);
            over(&api, record).await;
            Err(problem)
        }
    }
}

async fn receive(api: &Api, record: &mut ImportRecord, body: Body) -> Result<(), Problem> {
    let mut file = create(file_of(api, record.id)).await.map_err(|error| disk(&error))?;
    let mut body = Limited::new(body, limits::IMPORT_BODY_BYTES);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::malformed("The upload broke off, or was larger than 2 GB."));
        };
        if let Some(bytes) = frame.data_ref() {
            file.write_all(bytes).await.map_err(|error| disk(&error))?;
            record.bytes += bytes.len() as u64;
            if let Some(running) = api.imports().get_mut(&record.id) {
                running.record.bytes = record.bytes;
            }
        }
    }
    file.flush().await.map_err(|error| disk(&error))
}

/// Reads the file to its end.
async fn run(api: Api, campaign: Campaign, name: String, options: ImportOptions, mut record: ImportRecord) {
    let dry_run = options.dry_run;
    let country = &campaign.settings.country;
    let ended = match api.engine().store().importer_with(campaign.id, &name, country, options).await {
        Ok(importer) => lines(&api, importer, &mut record).await,
        Err(error) => Err(Problem::from(error)),
    };
    let cancelled = api.imports().get(&record.id).is_some_and(|running| running.cancelled.load(Relaxed));
    record.state = match &ended {
        Ok(()) if cancelled => ImportState::Cancelled,
        Ok(()) => ImportState::Done,
        Err(problem) => {
            record.message.clone_from(&problem.detail);
            ImportState::Failed
        }
    };
    // What was imported is dialed, whatever came after it.
    if !dry_run && let Err(error) = api.engine().command(Command::LeadsChanged(campaign.id)).await {
        tracing::debug!(%error, "the dialer looks at an import with its next refill");
    }
    over(&api, record).await;
}

async fn lines(api: &Api, mut importer: Importer, record: &mut ImportRecord) -> Result<(), Problem> {
    importer.keep_errors();
    record.list = importer.list();
    let mut file = File::open(file_of(api, record.id)).await.map_err(|error| disk(&error))?;
    let mut rejected: Option<File> = None;
    let mut chunk = vec![0; 64 * 1024];
    let mut told = Instant::now();
    loop {
        let read = file.read(&mut chunk).await.map_err(|error| disk(&error))?;
        let fed = match chunk.get(..read).filter(|part| !part.is_empty()) {
            Some(part) => importer.feed(part).await,
            None => importer.end().await,
        };
        record.read_bytes += read as u64;
        note(api, &mut importer, record, &mut rejected).await?;
        fed.map_err(refused)?;
        let cancelled = api.imports().get(&record.id).is_none_or(|running| running.cancelled.load(Relaxed));
        if read == 0 {
            break;
        }
        if cancelled || *api.stopped().borrow() {
            importer.stop().await?;
            note(api, &mut importer, record, &mut rejected).await?;
            break;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            show(api, record).await;
        } else if let Some(running) = api.imports().get_mut(&record.id) {
            running.record = record.clone();
        }
    }
    match rejected {
        Some(mut file) => file.flush().await.map_err(|error| disk(&error)),
        None => Ok(()),
    }
}

/// Takes over what came of the lines so far; errors go into their file as they come.
async fn note(
    api: &Api,
    importer: &mut Importer,
    record: &mut ImportRecord,
    rejected: &mut Option<File>,
) -> Result<(), Problem> {
    let report = importer.report();
    record.rows = report.rows;
    (record.imported, record.duplicates, record.rejected) =
        (report.imported, report.duplicates, report.rejected);
    let errors = importer.take_errors();
    if errors.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    let file = match rejected {
        Some(file) => file,
        none => {
            push_record(&mut text, ["line", "column", "message", "record"]);
            let new = create(errors_of(api, record.id)).await.map_err(|error| disk(&error))?;
            none.insert(new)
        }
    };
    for ImportError { line, column, message, record } in &errors {
        push_record(&mut text, [line.to_string().as_str(), column, message, record.as_str()]);
    }
    let room = ERRORS_SHOWN.saturating_sub(record.errors.len());
    record.errors.extend(errors.into_iter().take(room));
    file.write_all(text.as_bytes()).await.map_err(|error| disk(&error))
}

/// Shows how far an import is, here and in the store.
async fn show(api: &Api, record: &ImportRecord) {
    if let Some(running) = api.imports().get_mut(&record.id) {
        running.record = record.clone();
    }
    if let Err(error) = api.engine().store().put_import(record).await {
        tracing::warn!(%error, "the store does not know how far an import is");
    }
}

/// It is over, however it ended.
async fn over(api: &Api, mut record: ImportRecord) {
    record.ended_unix_ms = Some(api.engine().wall_unix_ms());
    show(api, &record).await;
    if let Err(error) = tokio::fs::remove_file(file_of(api, record.id)).await {
        tracing::warn!(%error, "the file of an import stays until the next one");
    }
    api.imports().remove(&record.id);
}

/// Why a file is not read.
pub(super) fn refused(failure: ImportFailure) -> Problem {
    match failure {
        ImportFailure::File(error) => Problem::invalid(
            error.column,
            format!("Line {}: {}.", error.line, error.message.trim_end_matches('.')),
        ),
        ImportFailure::Store(error) => error.into(),
    }
}
