//! What stands around every router, in one layer: trace id and span, deadline, panic guard, envelope,
//! log and metrics.
//!
//! It is one layer, and a service of our own rather than a function of axum's, because each costs boxed
//! futures and clones on a path that answers fifty thousand times a second. It knows no route: a refusal is
//! logged by its matched route and code, never by its URI, which may name a player.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::Service;
use tower::layer::layer_fn;
use tracing::{Instrument, Span, debug, debug_span, error, info, info_span, warn};

use super::error::{ApiError, Refusal};
use super::trace::{self, TraceId};
use crate::clock::Clock;
use crate::limits::{MAX_BODY, MAX_REJECTION_TEXT, REQUEST_DEADLINE};
use crate::metrics::HttpMetrics;

/// Which requests have a span, under which whatever they log is found by their trace id. A refusal is
/// logged with it either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// All of them.
    Every,
    /// Those of a process that logs at `debug`: for handlers that answer from memory and log nothing, where
    /// making a span costs more than the answer.
    Debugging,
}

/// Wraps a finished router: call it last, after every route, so that unknown paths are covered too.
pub fn layers(router: Router, clock: Clock, metrics: HttpMetrics, spans: Spans) -> Router {
    let observer = Arc::new(Observer {
        clock,
        metrics,
        spans,
    });
    router.layer(layer_fn(move |inner| Observed {
        inner,
        observer: Arc::clone(&observer),
    }))
}

struct Observer {
    clock: Clock,
    metrics: HttpMetrics,
    spans: Spans,
}

#[derive(Clone)]
struct Observed<S> {
    inner: S,
    observer: Arc<Observer>,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if !request.method().is_safe() {
            // A route's own bound, set further in, counts instead.
            DefaultBodyLimit::max(MAX_BODY).apply(&mut request);
        }
        let begun = Begun {
            at: Instant::now(),
            id: TraceId::of(request.headers()),
            method: label(request.method()),
            matched: request.extensions().get::<MatchedPath>().cloned(),
        };
        let observer = Arc::clone(&self.observer);
        let next = self.inner.call(request);
        Box::pin(observe(observer, begun, next))
    }
}

/// A request of which the answer is awaited.
struct Begun {
    at: Instant,
    id: TraceId,
    method: &'static str,
    matched: Option<MatchedPath>,
}

impl Begun {
    fn route(&self) -> &str {
        self.matched
            .as_ref()
            .map_or("unmatched", MatchedPath::as_str)
    }

    fn span(&self) -> Span {
        info_span!("request", trace = %self.id, method = self.method, route = self.route())
    }
}

async fn observe(
    observer: Arc<Observer>,
    begun: Begun,
    next: impl Future<Output = Result<Response, Infallible>> + Send,
) -> Result<Response, Infallible> {
    let span = match observer.spans {
        Spans::Every => begun.span(),
        Spans::Debugging => {
            debug_span!("request", trace = %begun.id, method = begun.method, route = begun.route())
        }
    };
    let (id, clock) = (begun.id, observer.clock.clone());
    let answer = async {
        let guarded = AssertUnwindSafe(next).catch_unwind();
        let response = match tokio::time::timeout(REQUEST_DEADLINE, guarded).await {
            Ok(Ok(Ok(response))) => enveloped(response).await,
            Ok(Err(panic)) => ApiError::internal(Panicked::from(panic)).into_response(),
            Err(late) => ApiError::unavailable("the request took too long", late).into_response(),
        };
        let (status, took) = (response.status(), begun.at.elapsed());
        let metrics = &observer.metrics;
        metrics.answered(begun.method, begun.route(), status, took);
        if let Some(refusal) = response.extensions().get::<Refusal>() {
            metrics.refused(refusal.code, status);
            match observer.spans {
                Spans::Every => log(status, refusal),
                Spans::Debugging => begun.span().in_scope(|| log(status, refusal)),
            }
        }
        Ok(response)
    };
    trace::scope(id, clock, answer).instrument(span).await
}

fn log(status: StatusCode, refusal: &Refusal) {
    let Refusal { code, reason, .. } = refusal;
    let status = status.as_u16();
    match status {
        _ if !refusal.notable => debug!(status, code, reason, "request refused"),
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
