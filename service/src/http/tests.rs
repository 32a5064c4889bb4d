//! A small API, asked right and wrong: every failure, the framework's own included, in the envelope.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::FromRef;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract::DefaultBodyLimit};
use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId, TokenId};
use liveevents_protocol::trust::TrustBundle;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::clock::Clock;
use crate::keys::Keys;
use crate::metrics::{HttpMetrics, Metrics};
use crate::token::{Claims, Role, Signer, Verifier};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

mod callers;
mod logging;
mod refusals;
mod requests;
mod serving;

#[derive(Clone)]
struct App(Authority);

impl FromRef<App> for Authority {
    fn from_ref(app: &App) -> Self {
        app.0.clone()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    event_id: EventId,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    amount: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: u8,
}

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn keys() -> Keys {
    Keys::derive(&"k".repeat(32).into()).unwrap()
}

fn token(role: Role, expires_in: i64) -> String {
    let claims = Claims {
        installation: "starfall-test".parse().unwrap(),
        subject: "somebody".to_owned(),
        role,
        regions: vec!["us-east".parse().unwrap()],
        id: TokenId(uuid::Uuid::from_u128(1)),
        issued_at: now(),
        expires_at: now() + jiff::SignedDuration::from_secs(expires_in),
        not_before: None,
        attributes: Default::default(),
        keys: Default::default(),
    };
    Signer::new(&keys()).unwrap().sign(&claims).unwrap()
}

fn app() -> (Router, Metrics, Authority) {
    let verifier = Verifier::new("starfall-test".parse().unwrap());
    let bundle = TrustBundle {
        installation: "starfall-test".parse().unwrap(),
        serial: 1,
        keys: vec![keys().public()],
        revoked: Vec::new(),
        issuers: Vec::new(),
    };
    verifier.replace(&bundle).unwrap();
    let authority = Authority::new(Arc::new(verifier), Clock::fixed(now()));
    let router = Router::new()
        .route(
            "/orders",
            post(|Json(order): Json<Order>| async move {
                let sum: u32 = order.items.iter().map(|item| item.amount).sum();
                Json(json!({ "id": order.event_id, "sum": sum }))
            }),
        )
        .route(
            "/notes",
            post(|note: Option<Json<Item>>| async move { note.is_some().to_string() }),
        )
        .route(
            "/pages",
            get(|Query(page): Query<Page>| async move { page.limit.to_string() }),
        )
        .route(
            "/events/{id}",
            get(|Path(id): Path<EventId>| async move { id.to_string() }),
        )
        .route(
            "/events/{id}/revisions/{n}",
            get(|Path((id, n)): Path<(EventId, u32)>| async move { format!("{id} {n}") }),
        )
        .route(
            "/regions/{region}",
            get(|caller: Caller, Path(region): Path<RegionId>| async move {
                caller.require(&[Role::Admin, Role::GameServer])?;
                caller.require_region(&region)?;
                Ok::<_, ApiError>(caller.subject().to_owned())
            }),
        )
        .route(
            "/trace",
            get(|id: TraceId| async move { format!("{id} {:?}", TraceId::current()) }),
        )
        .route("/panic", get(panicking))
        .route("/late", get(std::future::pending::<String>))
        .route(
            "/internal",
            get(|| async { Err::<(), _>(ApiError::internal("hunter2")) }),
        )
        .route(
            "/ready",
            get(|| async {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    Json(json!({"status": "down"})),
                )
            }),
        )
        .route(
            "/raw",
            get(|| async { (StatusCode::IM_A_TEAPOT, "short and stout") }),
        )
        .route(
            "/upgrade",
            get(|_: axum::extract::WebSocketUpgrade| async {}),
        )
        .route("/limited", get(limited))
        .route("/crowded", get(crowded))
        .route(
            "/upload",
            post(|body: axum::body::Bytes| async move { body.len().to_string() }),
        )
        .route(
            "/any",
            post(|Json(value): Json<Value>| async move { Json(value) }),
        )
        .route(
            "/small",
            post(|Json(value): Json<Value>| async move { Json(value) })
                .layer(DefaultBodyLimit::max(10)),
        )
        .with_state(App(authority.clone()));
    let metrics = Metrics::new().unwrap();
    let http = HttpMetrics::new(&metrics).unwrap();
    let router = layers(
        router.merge(metrics.routes()),
        Clock::fixed(now()),
        http,
        Spans::Every,
    );
    (router, metrics, authority)
}

async fn panicking() -> StatusCode {
    panic!("hunter2")
}

async fn limited() -> ApiError {
    ApiError::RateLimited {
        limit: 10,
        retry_after: std::time::Duration::from_millis(1500),
    }
}

async fn crowded() -> ApiError {
    ApiError::Crowded {
        message: "too many come".to_owned(),
        retry_after: std::time::Duration::from_millis(1500),
    }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    Request::builder()
        .method(method)
        .uri(path)
        .header("traceparent", parent)
}

async fn send(request: Request<Body>) -> Response {
    app().0.oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), 1 << 21).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Checks the envelope; gives code, message and details as `field: message`.
async fn refusal(response: Response) -> (u16, String, String, Vec<String>) {
    let status = response.status().as_u16();
    let content_type = response.headers()[header::CONTENT_TYPE].clone();
    assert_eq!(content_type, "application/json");
    let text = text(response).await;
    assert!(
        !text.contains("hunter2"),
        "something internal is shown: {text}"
    );
    let body: Value = serde_json::from_str(&text).unwrap();
    let error = body["error"].as_object().unwrap();
    let fields: Vec<_> = error.keys().collect();
    assert_eq!(
        fields,
        ["code", "details", "message", "timestamp", "traceId"]
    );
    assert_eq!(
        (&error["traceId"], &error["timestamp"]),
        (&json!(TRACE), &json!(now()))
    );
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let details = error["details"].as_array().unwrap().iter();
    let details = details.map(|d| format!("{}: {}", string(&d["field"]), string(&d["message"])));
    (
        status,
        string(&error["code"]),
        string(&error["message"]),
        details.collect(),
    )
}

async fn refused(method: &str, path: &str, body: &str) -> (u16, String, String, Vec<String>) {
    let request = request(method, path).body(Body::from(body.to_owned()));
    refusal(send(request.unwrap()).await).await
}
