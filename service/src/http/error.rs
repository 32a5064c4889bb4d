//! One error type for everything HTTP answers, and the envelope of api.md.
//!
//! A variant is a thing a caller can do something about; status and code are fixed by it in one match.
//! What the caller is told is the variant's message; what went wrong inside travels as its cause and is
//! shown only to the log, by the layer that sees the answer pass, under the same trace id.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

use super::quota;
use super::trace::{self, TraceId};
use crate::logs::chain;

/// Any error, as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request itself is wrong; each field at fault is named.
    #[error("{message}")]
    Validation {
        /// What is wrong as a whole.
        message: String,
        /// What is wrong with which field.
        details: Vec<FieldError>,
    },
    /// 401: no token, or one that is not accepted.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 403: a valid token whose role or regions do not suffice.
    #[error("{0}")]
    Forbidden(String),
    /// 404: no such thing, or no such path.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path exists, but not with this method.
    #[error("this method is not offered here; the Allow header names those that are")]
    MethodNotAllowed,
    /// 409: the request is right, but not in the present state of things.
    #[error("{0}")]
    Conflict(String),
    /// 412: somebody was faster.
    #[error("{0}")]
    PreconditionFailed(String),
    /// 413: the body is larger than `limits::MAX_BODY`.
    #[error("the body is larger than {} bytes", crate::limits::MAX_BODY)]
    PayloadTooLarge,
    /// 421: this edge does not serve that region; others do.
    #[error("{message}")]
    Misdirected {
        /// What was asked of the wrong edge.
        message: String,
        /// Addresses of edges that serve it; shown as details of the field `address`.
        addresses: Vec<String>,
    },
    /// 429: more requests than allowed.
    #[error("the limit of {limit} requests a minute is used up")]
    RateLimited {
        /// Requests allowed per minute.
        limit: u32,
        /// When there is room again.
        retry_after: Duration,
    },
    /// 429: more at once than allowed.
    #[error("{message}")]
    TooMany {
        /// More of what.
        message: String,
        /// When there may be room again.
        retry_after: Duration,
    },
    /// 503: nothing is wrong here but that too many come, or that this server is about to end. They come by the thousand,
    /// so it is counted and not logged.
    #[error("{message}")]
    Crowded {
        /// What is not taken.
        message: String,
        /// When to come again.
        retry_after: Duration,
    },
    /// 500: our fault. The caller learns nothing but the trace id.
    #[error("something went wrong on our side; the trace id finds it in our logs")]
    Internal(#[source] BoxError),
    /// 503: a part we need is away for now.
    #[error("{message}")]
    Unavailable {
        /// What cannot be done at the moment.
        message: String,
        /// Why, for the log.
        #[source]
        cause: Option<BoxError>,
    },
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its path, such as `localizations.de.displayName` or `items[3].amount`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl FieldError {
    /// A fault of one field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// Gathers all faults of a request, so that one answer names them all.
#[derive(Debug, Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    /// Records a fault unless `holds`.
    pub fn require(&mut self, holds: bool, field: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.fault(field, message);
        }
    }

    /// Records a fault.
    pub fn fault(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    /// Takes the value of a result, or records its error as a fault.
    pub fn take<T, E: std::fmt::Display>(
        &mut self,
        field: impl Into<String>,
        result: Result<T, E>,
    ) -> Option<T> {
        result
            .map_err(|error| self.fault(field, error.to_string()))
            .ok()
    }

    /// The faults so far, for an answer that is a report and not a refusal.
    #[must_use]
    pub fn faults(&self) -> &[FieldError] {
        &self.0
    }

    /// Ends in a `Validation` error naming every fault, if there is one.
    ///
    /// # Errors
    /// If a fault was recorded.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.0))
        }
    }
}

impl ApiError {
    /// One field is wrong.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// Fields are wrong. The message says how many; the details say which.
    #[must_use]
    pub fn invalid(details: Vec<FieldError>) -> Self {
        let message = match details.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            all => format!("{} fields are not valid", all.len()),
        };
        Self::Validation { message, details }
    }

    /// The request as a whole is wrong, no field of it in particular.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Validation {
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// There is no such thing: `ApiError::not_found("event", &id)`.
    pub fn not_found(what: &str, id: &(impl std::fmt::Display + ?Sized)) -> Self {
        Self::NotFound(format!("there is no {what} {id}"))
    }

    /// Our fault; the cause is for the log.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Internal(cause.into())
    }

    /// Something we need is away; the cause is for the log.
    pub fn unavailable(message: impl Into<String>, cause: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            message: message.into(),
            cause: Some(cause.into()),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status_and_code().0
    }

    /// The code of the envelope.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Validation { .. } => (StatusCode::BAD_REQUEST, "VALIDATION_ERROR"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "CONFLICT"),
            Self::PreconditionFailed(_) => (StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
            Self::Misdirected { .. } => (StatusCode::MISDIRECTED_REQUEST, "MISDIRECTED"),
            Self::RateLimited { .. } | Self::TooMany { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED")
            }
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
            Self::Crowded { .. } | Self::Unavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
            }
        }
    }

    /// What the log may know beyond the code. Messages to callers are not in it: they may repeat what
    /// was sent, and a player's id with it.
    fn reason(&self) -> String {
        match self {
            Self::Internal(cause) => chain(cause.as_ref()),
            Self::Unavailable {
                cause: Some(cause), ..
            } => chain(cause.as_ref()),
            Self::Unauthorized(reason) => (*reason).to_owned(),
            _ => String::new(),
        }
    }

    fn details(&mut self) -> Vec<FieldError> {
        match self {
            Self::Validation { details, .. } => std::mem::take(details),
            Self::Misdirected { addresses, .. } => std::mem::take(addresses)
                .into_iter()
                .map(|address| FieldError::new("address", address))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Left on the answer for the layer that logs and counts refusals.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) reason: String,
    /// Whether somebody may want to know of this very one.
    pub(super) notable: bool,
}

#[derive(Serialize)]
struct Envelope {
    error: Body,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    code: &'static str,
    message: String,
    details: Vec<FieldError>,
    trace_id: TraceId,
    timestamp: Timestamp,
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let (status, code) = self.status_and_code();
        let refusal = Refusal {
            code,
            reason: self.reason(),
            notable: !matches!(self, Self::Crowded { .. }),
        };
        let (trace_id, timestamp) = trace::now();
        let body = Envelope {
            error: Body {
                code,
                message: self.to_string(),
                details: self.details(),
                trace_id,
                timestamp,
            },
        };
        let mut response = (status, axum::Json(body)).into_response();
        response.extensions_mut().insert(refusal);
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::RateLimited { limit, retry_after } => {
                quota::tell_refused(limit, retry_after, headers);
            }
            Self::TooMany { retry_after, .. } | Self::Crowded { retry_after, .. } => {
                // Whole seconds, and not too early.
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                headers.insert(header::RETRY_AFTER, seconds.max(1).into());
            }
            _ => {}
        }
        response
    }
}
