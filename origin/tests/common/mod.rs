//! The REST API in process, on a database of its own, with a clock that tests set.

#![allow(dead_code, reason = "each test file uses its part of the harness")]

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use liveevents_origin::api::{self, Api};
use liveevents_origin::epoch::Cause;
use liveevents_origin::erasure::Names;
use liveevents_origin::inspect::Inspector;
use liveevents_origin::issuer::Issuer;
use liveevents_origin::login::{Delays, Logins, Rules};
use liveevents_origin::metrics::{ApiMetrics, SchedulerMetrics, TrustMetrics};
use liveevents_origin::outbound::Outbound;
use liveevents_origin::password::Passwords;
use liveevents_origin::push::follower;
use liveevents_origin::quotas::{PerMinute, Quotas};
use liveevents_origin::scheduler::Scheduler;
use liveevents_origin::store::database_clock::DatabaseClock;
use liveevents_origin::trust::Keeper;
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_service::clock::ManualClock;
use liveevents_service::http::{Authority, Spans, layers};
use liveevents_service::keys::Keys;
use liveevents_service::metrics::{HttpMetrics, Metrics};
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt as _;

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";
pub(crate) const INSTALLATION: &str = "title-test";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// When tests begin.
pub(crate) const NOW: &str = "2026-06-01T12:00:00Z";

/// An origin's REST API.
pub(crate) struct Origin {
    pub(crate) pool: PgPool,
    pub(crate) clock: ManualClock,
    pub(crate) trust: Keeper,
    issuer: Issuer,
    router: Router,
}

/// What an installation may settle for itself.
pub(crate) struct Choices {
    pub(crate) require_approval: bool,
    pub(crate) four_eyes: bool,
    pub(crate) inspector: Inspector,
    /// Nobody is limited but by a test's choice.
    pub(crate) per_minute: PerMinute,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            require_approval: true,
            four_eyes: false,
            inspector: Inspector::default(),
            per_minute: PerMinute::default(),
        }
    }
}

/// An answer, its body read as JSON; `Null` for an empty one.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

/// Somebody with a token.
pub(crate) struct Caller<'a> {
    origin: &'a Origin,
    pub(crate) token: String,
}

impl Origin {
    /// Deploys only what is approved, as production does.
    pub(crate) async fn start(pool: PgPool) -> Self {
        Self::start_with(pool, true).await
    }

    /// One that has room for what is reported on the day when tests begin.
    pub(crate) async fn start_counting(pool: PgPool) -> Self {
        sqlx::query("SELECT engagement_partitions('2026-06-01')")
            .execute(&pool)
            .await
            .unwrap();
        Self::start(pool).await
    }

    pub(crate) async fn start_with(pool: PgPool, require_approval: bool) -> Self {
        let choices = Choices {
            require_approval,
            ..Choices::default()
        };
        Self::start_by(pool, choices).await
    }

    pub(crate) async fn start_by(pool: PgPool, choices: Choices) -> Self {
        let clock = ManualClock::new(NOW.parse().unwrap());
        let keys = Keys::derive(&SECRET.into()).unwrap();
        let installation: Installation = INSTALLATION.parse().unwrap();
        let metrics = Metrics::new().unwrap();
        follower::mint(&pool, None, &Cause::First, &clock.clock())
            .await
            .unwrap();
        let trust = Keeper::start(
            pool.clone(),
            keys.clone().into(),
            installation.clone(),
            clock.clock(),
            TrustMetrics::new(&metrics).unwrap(),
        )
        .await
        .unwrap();
        let issuer = Issuer::new(&keys, installation).unwrap();
        let api = Api {
            pool: pool.clone(),
            clock: clock.clock(),
            time: DatabaseClock::instead(clock.clock()),
            authority: Authority::new(trust.verifier(), clock.clock()),
            issuer: issuer.clone(),
            passwords: Passwords::new(&metrics).unwrap(),
            trust: trust.clone(),
            logins: Logins::new(Rules {
                lifetime: SignedDuration::from_hours(1),
                proxies: vec!["10.0.0.0/8".parse().unwrap()],
                per_minute: 10,
                // Not to be waited for.
                delays: Delays {
                    first: std::time::Duration::from_millis(1),
                    most: std::time::Duration::from_millis(2),
                },
            }),
            quotas: Quotas::new(choices.per_minute),
            fingerprint_key: *keys.fingerprint(),
            names: Names::new(&keys.clone().into()),
            outbound: Outbound::new(true).unwrap(),
            require_approval: choices.require_approval,
            inspector: choices.inspector,
            four_eyes: choices.four_eyes,
            metrics: ApiMetrics::new(&metrics, &pool).unwrap(),
        };
        let http = HttpMetrics::new(&metrics).unwrap();
        let router = layers(
            api::router(api).merge(metrics.routes()),
            clock.clock(),
            http,
            Spans::Every,
        );
        Self {
            pool,
            clock,
            trust,
            issuer,
            router,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Somebody with a good token of this role, for these regions.
    pub(crate) fn caller(&self, role: Role, regions: &[&str]) -> Caller<'_> {
        let regions = regions
            .iter()
            .map(|region| region.parse::<RegionId>().unwrap())
            .collect();
        let life = SignedDuration::from_hours(24 * 365);
        let now = self.clock.clock().now();
        let claims = self.issuer.claims(role.as_str(), role, regions, life, now);
        self.bearing(self.issuer.sign(&claims).unwrap())
    }

    /// Somebody whose token has expired.
    pub(crate) fn expired(&self, role: Role) -> Caller<'_> {
        let life = SignedDuration::from_secs(60);
        let then = self.now() - SignedDuration::from_hours(1);
        let claims = self
            .issuer
            .claims(role.as_str(), role, Vec::new(), life, then);
        self.bearing(self.issuer.sign(&claims).unwrap())
    }

    /// An operator of this name.
    pub(crate) fn named(&self, subject: &str) -> Caller<'_> {
        let life = SignedDuration::from_hours(24);
        let (role, regions, now) = (Role::Operator, Vec::new(), self.now());
        let claims = self.issuer.claims(subject, role, regions, life, now);
        self.bearing(self.issuer.sign(&claims).unwrap())
    }

    pub(crate) fn admin(&self) -> Caller<'_> {
        self.caller(Role::Admin, &[])
    }

    /// Somebody with whatever token.
    pub(crate) fn bearing(&self, token: impl Into<String>) -> Caller<'_> {
        Caller {
            origin: self,
            token: token.into(),
        }
    }

    /// A POST without a token.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path)
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// Logs in, and must succeed.
    pub(crate) async fn log_in(&self, username: &str, password: &str) -> Caller<'_> {
        let login = json!({ "username": username, "password": password });
        let answer = self
            .post("/api/v1/authentication/login", login)
            .await
            .must(200);
        self.bearing(answer["token"].as_str().unwrap())
    }

    /// A replica's scheduler, by the same clock.
    pub(crate) fn scheduler(&self) -> Scheduler {
        Scheduler {
            pool: self.pool.clone(),
            time: DatabaseClock::instead(self.clock.clock()),
            interval: std::time::Duration::from_secs(3600),
            metrics: SchedulerMetrics::new(&Metrics::new().unwrap()).unwrap(),
        }
    }

    /// Sets the clock, and lets a scheduler do what is due by then.
    pub(crate) async fn at(&self, moment: &str) {
        self.clock.set(moment.parse().unwrap());
        self.let_go().await;
        self.scheduler().catch_up().await.unwrap();
    }

    /// A request that was refused may still hold its locks for a moment: its transaction ends when the connection is back.
    /// Not waited for longer than that, since a test may hold one on purpose.
    async fn let_go(&self) {
        for _ in 0..100 {
            if self.pool.num_idle() == self.pool.size() as usize {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.clock().now()
    }
}

impl Caller<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[], body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &[], body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// `path` is below `/api/v1`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.origin.send(request.body(body.into()).unwrap()).await
    }

    /// Creates an event that starts in a month, with some fields of the test's, and approves it.
    pub(crate) async fn approved_event(&self, id: &str, more: Value) {
        self.post("/events", event(id, more)).await.must(201);
        self.post(&format!("/events/{id}/approve"), json!({}))
            .await
            .must(200);
    }

    /// The same, deployed to all players of some regions.
    pub(crate) async fn deployed_event(&self, id: &str, regions: &[&str], more: Value) {
        self.approved_event(id, more).await;
        self.deploy(id, regions, 100.0).await;
    }

    /// Commands an event, with a reason.
    pub(crate) async fn command(&self, id: &str, command: &str) -> Answer {
        let body = json!({ "reason": "so they said" });
        self.post(&format!("/events/{id}/{command}"), body).await
    }

    pub(crate) async fn extend(&self, id: &str, body: Value) -> Answer {
        self.put(&format!("/events/{id}/extend"), body).await
    }

    pub(crate) async fn event(&self, id: &str) -> Value {
        self.get(&format!("/events/{id}")).await.must(200)
    }

    /// What a region shows of an event, each occurrence as `opens/closes`.
    pub(crate) async fn shown(&self, id: &str, region: &str) -> Vec<String> {
        let event = self.event(id).await;
        let schedule = event["regions"][region]["schedule"].as_array().cloned();
        let text = |time: &Value| time.as_str().unwrap().to_owned();
        let occurrences = schedule.unwrap_or_default().into_iter();
        occurrences
            .map(|o| format!("{}/{}", text(&o["opens"]), text(&o["closes"])))
            .collect()
    }

    /// What the audit log says of an event, oldest first: who, what, and what it was after.
    pub(crate) async fn deeds(&self, id: &str) -> Vec<(String, String, Value)> {
        let listed = self
            .get(&format!("/audit?subject={id}&limit=100"))
            .await
            .must(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = listed["entries"].as_array().unwrap().iter().rev();
        rows.map(|row| {
            (
                text(&row["actor"]),
                text(&row["action"]),
                row["after"].clone(),
            )
        })
        .collect()
    }

    /// Deploys the newest approved revision, and gives the answer.
    pub(crate) async fn deploy(&self, event: &str, regions: &[&str], percentage: f64) -> Value {
        let body = json!({ "eventId": event, "regions": regions, "percentage": percentage });
        self.post("/deployments", body).await.must(201)
    }
}

impl Answer {
    /// The body, if the status is this.
    #[track_caller]
    pub(crate) fn must(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.body
    }

    /// The status and the envelope's code must be these; gives the fields at fault.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Vec<String> {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = &self.body["error"];
        assert_eq!(error["code"], code, "{}", self.text);
        assert_eq!(
            error["traceId"].as_str().map(str::len),
            Some(32),
            "{}",
            self.text
        );
        assert!(error["timestamp"].is_string(), "{}", self.text);
        let details = error["details"].as_array().unwrap().iter();
        details
            .map(|detail| detail["field"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What the envelope says.
    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}

/// The body of an event that starts in a month.
pub(crate) fn event(id: &str, more: Value) -> Value {
    let mut event = json!({
        "eventId": id,
        "displayName": "Summer Fest",
        "type": "SeasonalPromotion",
        "startTime": "2026-07-01T10:00:00Z",
        "endTime": "2026-07-15T10:00:00Z",
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}
