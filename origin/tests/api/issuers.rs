//! A studio's own issuers: described by admins, their key sets asked for at a real server, and believed by edges.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::{Router, routing::get};
use liveevents_origin::metrics::TrustMetrics;
use liveevents_origin::outbound::Outbound;
use liveevents_origin::studio::refresh::Refresh;
use liveevents_service::metrics::Metrics;
use liveevents_service::token::Role;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::common::{Caller, Origin};

/// RFC 8037, appendix A.2.
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn key(kid: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": X })
}

fn described(more: Value) -> Value {
    let mut description = json!({
        "issuer": "https://id.studio.example", "audience": "starfall", "algorithms": ["EdDSA"],
        "keys": [key("k-1")], "regions": ["us-east"],
    });
    for (name, value) in more.as_object().unwrap() {
        description[name] = value.clone();
    }
    let members = description.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null());
    description
}

/// What a studio's server answers, and where it is.
struct Studio {
    answer: Arc<Mutex<(StatusCode, String)>>,
    address: String,
    _server: JoinSet<()>,
}

impl Studio {
    async fn start() -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, String::new())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/keys", listener.local_addr().unwrap());
        let told = Arc::clone(&answer);
        let keys = move || {
            let (status, body) = told.lock().clone();
            async move { (status, [(header::LOCATION, "/elsewhere")], body).into_response() }
        };
        let router = Router::new().route("/keys", get(keys));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            answer,
            address,
            _server: server,
        }
    }

    fn has(&self, keys: &[&str]) {
        let keys: Vec<Value> = keys.iter().map(|kid| key(kid)).collect();
        self.answers(StatusCode::OK, &json!({ "keys": keys }).to_string());
    }

    fn answers(&self, status: StatusCode, body: &str) {
        *self.answer.lock() = (status, body.to_owned());
    }
}

/// Asks for every set once more, as if it were due.
async fn ask(origin: &Origin, refresh: &Refresh) {
    sqlx::query("UPDATE issuers SET fetch_due_at = now() WHERE fetch_due_at IS NOT NULL")
        .execute(&origin.pool)
        .await
        .unwrap();
    refresh.round().await.unwrap();
}

fn refresh(origin: &Origin, metrics: &TrustMetrics) -> Refresh {
    Refresh {
        pool: origin.pool.clone(),
        outbound: Outbound::new(true).unwrap(),
        trust: origin.trust.clone(),
        interval: Duration::from_secs(300),
        clock: origin.clock.clock(),
        metrics: metrics.clone(),
    }
}

async fn believed(admin: &Caller<'_>) -> (Vec<String>, Option<String>) {
    let issuer = admin.get("/issuers/studio").await.must(200);
    let keys = issuer["believedKeys"].as_array().unwrap().iter();
    let kids = keys.map(|key| key["kid"].as_str().unwrap().to_owned());
    let problem = issuer["failure"]["problem"].as_str().map(str::to_owned);
    (kids.collect(), problem)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_admin_describes_corrects_and_removes_an_issuer(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let made = admin
        .put("/issuers/studio", described(json!({})))
        .await
        .must(201);
    assert_eq!(
        made["believedKeys"],
        json!([{ "kid": "k-1", "algorithm": "EdDSA" }])
    );
    let changed = described(json!({ "audience": "starfall-2" }));
    let changed = admin.put("/issuers/studio", changed).await.must(200);
    assert_eq!(changed["audience"], "starfall-2");
    let twin = admin.put("/issuers/twin", described(json!({}))).await;
    twin.refused(409, "CONFLICT");
    let listed = admin.get("/issuers").await.must(200);
    assert_eq!(listed["issuers"].as_array().unwrap().len(), 1);

    let wrong = described(json!({
        "issuer": "", "algorithms": [], "regions": ["atlantis"], "jwksUrl": "ftp://x", "keys": null,
    }));
    let fields = admin.put("/issuers/Not%20A%20Slug", wrong).await;
    let fields = fields.refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["issuer", "algorithms", "id", "jwksUrl", "regions"]);
    let private =
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": X, "d": X }] });
    let fields = admin.put("/issuers/studio", described(private)).await;
    assert_eq!(fields.refused(400, "VALIDATION_ERROR"), ["keys[0]"]);
    for role in [Role::Operator, Role::GameDesigner, Role::Developer] {
        let caller = origin.caller(role, &[]);
        caller.get("/issuers").await.refused(403, "FORBIDDEN");
    }
    admin.delete("/issuers/studio").await.must(204);
    admin.get("/issuers/studio").await.refused(404, "NOT_FOUND");
    admin
        .delete("/issuers/studio")
        .await
        .refused(404, "NOT_FOUND");
    let audit = admin.get("/audit?subject=studio").await.must(200);
    assert_eq!(audit["total"], 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_set_is_followed_and_its_last_good_keys_stay(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let studio = Studio::start().await;
    let metrics = TrustMetrics::new(&Metrics::new().unwrap()).unwrap();
    let refresh = refresh(&origin, &metrics);
    studio.has(&["k-1"]);
    let by_address = json!({ "keys": null, "jwksUrl": studio.address });
    let by_address = admin.put("/issuers/studio", described(by_address)).await;
    assert_eq!(by_address.must(201)["believedKeys"], json!([]));
    // It is due at once.
    refresh.round().await.unwrap();
    assert_eq!(believed(&admin).await, (vec!["k-1".to_owned()], None));

    studio.has(&["k-1", "k-2"]);
    ask(&origin, &refresh).await;
    assert_eq!(believed(&admin).await.0, ["k-1", "k-2"]);
    studio.has(&["k-2"]);
    ask(&origin, &refresh).await;
    assert_eq!(believed(&admin).await.0, ["k-2"]);

    let huge = format!(r#"{{"keys":[],"padding":"{}"}}"#, "x".repeat(300_000));
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, ""),
        (StatusCode::FOUND, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, r#"{"keys":[]}"#),
        (
            StatusCode::OK,
            r#"{"keys":[{"kty":"oct","kid":"s","k":"c2VjcmV0"}]}"#,
        ),
        (StatusCode::OK, &huge),
    ] {
        studio.answers(status, body);
        let before = metrics.key_set_failures.get();
        ask(&origin, &refresh).await;
        let (keys, problem) = believed(&admin).await;
        assert_eq!(keys, ["k-2"], "{status} {body:.40}");
        assert!(problem.is_some(), "{status} {body:.40}");
        assert_eq!(metrics.key_set_failures.get(), before + 1);
    }
    studio.has(&["k-3"]);
    ask(&origin, &refresh).await;
    assert_eq!(believed(&admin).await, (vec!["k-3".to_owned()], None));

    // Nobody there.
    drop(studio);
    ask(&origin, &refresh).await;
    let (keys, problem) = believed(&admin).await;
    assert_eq!((keys, problem.is_some()), (vec!["k-3".to_owned()], true));
}
