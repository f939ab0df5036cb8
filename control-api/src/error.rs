//! What goes wrong, as a client reads it: RFC 9457 problem details.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kraliki_engine::CommandError;
use kraliki_engine::runtime::{RecordingError, SessionError};
use kraliki_engine::store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error as the API answers it, with the content type `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem for programs, e.g. `urn:kraliki:not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time and what to do about it.
    pub detail: String,
    /// The field of the request that is at fault, e.g. `settings.retry.busy.delay_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("urn:kraliki:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            retry_after_s: None,
        }
    }

    /// 400: the request cannot be read at all.
    pub(crate) fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read", detail)
    }

    /// 401: nobody is signed in.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Sign in first", detail)
    }

    /// 403: somebody is, who may not do this.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: there is no such thing, or not for this user.
    pub(crate) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 405: the path is right, the method is not.
    pub(crate) fn method_not_allowed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
    }

    /// 409: not in the present state.
    pub(crate) fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, "conflict", "Not possible now", detail)
    }

    /// 413: more than is taken.
    pub(crate) fn too_large(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// 415: a body of another type than the ones that are understood.
    pub(crate) fn unsupported_media_type(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "This content type is not understood",
            detail,
        )
    }

    /// 422: it can be read, and a value is wrong.
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A value is not valid", detail);
        Problem { field: Some(field.into()).filter(|f| !f.is_empty()), ..problem }
    }

    /// 429: too much, too fast.
    pub(crate) fn too_many(detail: impl Into<String>, retry_after: std::time::Duration) -> Problem {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail)
            .retry_after(retry_after)
    }

    /// 500: our fault.
    pub(crate) fn internal(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server made a mistake", detail)
    }

    /// 503: not now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", detail)
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Says when to try again.
    pub(crate) fn retry_after(mut self, after: std::time::Duration) -> Problem {
        self.retry_after_s = Some(after.as_secs() + u64::from(after.subsec_nanos() > 0));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let mut set = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
        set(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: a 401 names a scheme.
            set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            set(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        match error {
            CommandError::NotFound { what, id } => Problem::not_found(format!("There is no {what} {id}.")),
            CommandError::Conflict(text) => Problem::conflict(text),
            CommandError::Invalid { field, message } => Problem::invalid(field, message),
            CommandError::Store => {
                Problem::unavailable(error.to_string()).retry_after(std::time::Duration::from_secs(1))
            }
            CommandError::Overloaded(after) => Problem::unavailable(error.to_string()).retry_after(after),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Problem {
        let text = error.to_string();
        match error {
            SessionError::BadOffer(_) => Problem::invalid("", text),
            SessionError::NotFound => Problem::not_found(text),
            SessionError::Conflict(_) => Problem::conflict(text),
            SessionError::Unavailable(_) => {
                Problem::unavailable(text).retry_after(std::time::Duration::from_secs(1))
            }
        }
    }
}

impl From<RecordingError> for Problem {
    fn from(error: RecordingError) -> Problem {
        match error {
            RecordingError::NotFound(call) => {
                Problem::not_found(format!("There is no recording of call {call}."))
            }
            error @ RecordingError::InProgress(_) => Problem::conflict(error.to_string()),
            RecordingError::Store(error) => error.into(),
            error => {
                tracing::error!(%error, "a recording cannot be read");
                Problem::unavailable("The recording cannot be read now; the log says why.")
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match error {
            StoreError::NotFound { what, id } => Problem::not_found(format!("There is no {what} {id}.")),
            error @ StoreError::Exists { .. } => Problem::conflict(error.to_string()),
            StoreError::Invalid { field, message } => Problem::invalid(field, message),
            error => {
                tracing::error!(%error, "the store failed");
                Problem::unavailable("The store failed; try again.")
                    .retry_after(std::time::Duration::from_secs(1))
            }
        }
    }
}

/// Why the server could not start or take a new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Another program listens there.
    #[error("http: {0} is in use by another program; stop it, or choose another port in [http] listen")]
    PortInUse(std::net::SocketAddr),
    /// The address cannot be listened on.
    #[error("http: cannot listen on {addr}: {source}")]
    Listen {
        /// Which.
        addr: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key cannot be read or used.
    #[error("http: {path}: {problem}")]
    Tls {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The key that signs tokens could not be read from the store or written to it.
    #[error("http: the key that signs tokens: {0}")]
    Key(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        let response = Problem::from(CommandError::Overloaded(Duration::from_millis(500))).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn an_invalid_value_names_its_field() {
        let error = CommandError::Invalid { field: "name".into(), message: "must not be empty".into() };
        let json = serde_json::to_value(Problem::from(error)).unwrap();
        assert_eq!(json["field"], "name");
        assert_eq!(json["status"], 422);
        assert_eq!(json["type"], "urn:kraliki:invalid");
    }
}
