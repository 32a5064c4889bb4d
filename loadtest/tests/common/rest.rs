//! The origin's REST API, as an admin uses it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::cluster::Edge;

/// A logged-in admin.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Rest {
    /// Logs in.
    pub async fn log_in(base: &str, username: &str, password: &str) -> Self {
        let http = reqwest::Client::new();
        let answer = http
            .post(format!("{base}/api/v1/authentication/login"))
            .json(&json!({ "username": username, "password": password }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        let token = answer["token"].as_str().unwrap().to_owned();
        Self {
            http,
            base: base.to_owned(),
            token,
        }
    }

    /// Sends a request. `Err` if the origin is away, or goes away meanwhile.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), reqwest::Error> {
        let mut request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    async fn expect(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.send(method, path, body).await.unwrap();
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// What a GET answers.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(Method::GET, path, None).await
    }

    /// What a POST answers.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.expect(Method::POST, path, Some(body)).await
    }

    /// What a PUT answers.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.expect(Method::PUT, path, Some(body)).await
    }

    /// Creates and approves an event that is open now and for a week.
    pub async fn event(&self, id: &str) {
        self.create(id, json!({})).await;
        self.approve(id).await;
    }

    /// Creates an event that is open now and for a week, with some fields of the test's.
    pub async fn create(&self, id: &str, more: Value) {
        let now = jiff::Timestamp::from_second(jiff::Zoned::now().timestamp().as_second()).unwrap();
        let mut body = json!({
            "eventId": id,
            "displayName": format!("Event {id}"),
            "type": "LimitedTimeOffer",
            "startTime": (now - jiff::SignedDuration::from_secs(60)).to_string(),
            "endTime": (now + jiff::SignedDuration::from_hours(24 * 7)).to_string(),
            "configuration": { "rewards": { "questMultiplier": 2.0 } },
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post("/events", body).await;
    }

    /// Approves the newest revision.
    pub async fn approve(&self, id: &str) {
        self.post(
            &format!("/events/{id}/approve"),
            json!({ "notes": "tested" }),
        )
        .await;
    }

    /// Makes the next revision, and approves it.
    pub async fn revise(&self, id: &str, fields: Value) {
        self.put(&format!("/events/{id}"), fields).await;
        self.approve(id).await;
    }

    /// Deploys the newest approved revision.
    pub async fn deploy(&self, id: &str, regions: &[&str], percentage: u32) -> Value {
        let body = json!({ "eventId": id, "regions": regions, "percentage": percentage });
        self.post("/deployments", body).await
    }

    /// A service token.
    pub async fn token(&self, role: &str, regions: &[&str]) -> String {
        self.token_for(role, regions, "PT1H").await.1
    }

    /// The id of a service token, and the token.
    pub async fn token_for(&self, role: &str, regions: &[&str], life: &str) -> (String, String) {
        let body = json!({
            "role": role,
            "subject": format!("{role}-under-test"),
            "regions": regions,
            "expiresIn": life,
        });
        let made = self.post("/tokens", body).await;
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        (text("tokenId"), text("token"))
    }

    /// Withdraws a service token.
    pub async fn revoke(&self, id: &str) {
        self.expect(Method::DELETE, &format!("/tokens/{id}"), None)
            .await;
    }

    /// What an edge serves; `None` if it does not answer.
    pub async fn served(&self, edge: &Edge) -> Option<Value> {
        let url = format!("{}/api/v1/regions/{}/events", edge.http, edge.region);
        let answer = self
            .http
            .get(url)
            .bearer_auth(&self.token)
            .send()
            .await
            .ok()?;
        answer.status().is_success().then_some(())?;
        answer.json().await.ok()
    }
}
