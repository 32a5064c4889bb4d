//! What stands around every router, in one layer: trace id and span, deadline, panic guard, envelope,
//! log and metrics.
//!
//! It is one layer because each costs a boxed future on a path that answers fifty thousand times a
//! second. It knows no route: a refusal is logged by its matched route and code, never by its URI, which
//! may name a player.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::{Instrument, error, info, info_span, warn};

use super::error::{ApiError, Refusal};
use super::trace::{self, TraceId};
use crate::clock::Clock;
use crate::limits::{MAX_BODY, MAX_REJECTION_TEXT, REQUEST_DEADLINE};
use crate::metrics::HttpMetrics;

/// Wraps a finished router: call it last, after every route, so that unknown paths are covered too.
pub fn layers(router: Router, clock: Clock, metrics: HttpMetrics) -> Router {
    router
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Observer { clock, metrics }, observe))
}

#[derive(Clone)]
struct Observer {
    clock: Clock,
    metrics: HttpMetrics,
}

async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = TraceId::of(request.headers());
    let method = label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = info_span!("request", trace = %id, method, route);

    let answer = async {
        let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
        let response = match tokio::time::timeout(REQUEST_DEADLINE, guarded).await {
            Ok(Ok(response)) => enveloped(response).await,
            Ok(Err(panic)) => ApiError::internal(Panicked::from(panic)).into_response(),
            Err(late) => ApiError::unavailable("the request took too long", late).into_response(),
        };
        let status = response.status();
        observer
            .metrics
            .answered(method, route, status, started.elapsed());
        if let Some(refusal) = response.extensions().get::<Refusal>() {
            observer.metrics.refused(refusal.code);
            log(status, refusal);
        }
        response
    };
    trace::scope(id, observer.clock.clone(), answer)
        .instrument(span)
        .await
}

fn log(status: StatusCode, Refusal { code, reason }: &Refusal) {
    let status = status.as_u16();
    match status {
        500 => error!(status, code, reason, "request failed"),
        501.. => warn!(status, code, reason, "request failed"),
        _ => info!(status, code, reason, "request refused"),
    }
}

/// A refusal by the framework itself (unknown path, wrong method, a failed upgrade) in our envelope.
/// An answer in JSON is somebody's deliberate one, such as a health report, and stays.
async fn enveloped(response: Response) -> Response {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || is_json(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_REJECTION_TEXT).await.unwrap_or_default();
    let error = match status {
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized("a bearer token is needed"),
        StatusCode::FORBIDDEN => ApiError::Forbidden("this is not allowed".to_owned()),
        StatusCode::NOT_FOUND => ApiError::NotFound("there is nothing at this path".to_owned()),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::PayloadTooLarge,
        _ if status.is_client_error() => ApiError::malformed(String::from_utf8_lossy(&text)),
        _ => ApiError::internal(String::from_utf8_lossy(&text)),
    };
    let (ours, body) = error.into_response().into_parts();
    // What the framework said besides, such as Allow, stays.
    parts.headers.extend(ours.headers);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.extensions.extend(ours.extensions);
    parts.status = ours.status;
    Response::from_parts(parts, body)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// Methods as labels, from a closed set: a caller may invent any.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// A handler panicked. The message is for the log.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_else(|| "no message".to_owned()))
    }
}
