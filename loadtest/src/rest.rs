//! The part of the REST contract used here, as its callers write it.

mod answers;
mod error;

use std::fmt;

use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::version::Revision;

pub use answers::{
    ChangeRecord, Changed, Created, Deployed, Listed, Metrics, PlayerEvents, Regions, Served,
};
pub use error::RestError;

use crate::address::HttpBase;
use crate::limits;

/// The REST API of an origin or an edge, as one caller uses it.
#[derive(Clone)]
pub struct Rest {
    http: Client,
    base: HttpBase,
    token: Option<String>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// What an event is stopped or resumed by.
#[derive(Debug, Clone, Copy)]
pub enum Suspend {
    /// Nothing of it is shown any more.
    Stop,
    /// It is shown again.
    Resume,
}

impl Suspend {
    fn path(self) -> &'static str {
        match self {
            Self::Stop => "/stop",
            Self::Resume => "/resume",
        }
    }
}

impl Rest {
    /// The API at an address, as nobody.
    ///
    /// # Errors
    /// If the HTTP client cannot be made.
    pub fn new(base: &HttpBase) -> Result<Self, RestError> {
        let http = Client::builder().timeout(limits::REQUEST).build();
        let http = http.map_err(|source| RestError::Failed {
            call: "starting".to_owned(),
            source,
        })?;
        Ok(Self {
            http,
            base: base.clone(),
            token: None,
        })
    }

    /// The same as the bearer of a token.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same caller's token at another server.
    #[must_use]
    pub fn at(&self, base: &HttpBase) -> Self {
        Self {
            base: base.clone(),
            ..self.clone()
        }
    }

    /// Its token, for commands to try.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &HttpBase {
        &self.base
    }

    /// Logs in.
    ///
    /// # Errors
    /// If user name and password are not accepted.
    pub async fn login(&self, username: &str, password: &str) -> Result<Self, RestError> {
        let body = json!({ "username": username, "password": password });
        let answer: Token = self.post("/authentication/login", &body).await?;
        Ok(self.bearing(&answer.token))
    }

    /// Makes a service token for these regions, good for a day.
    ///
    /// # Errors
    /// If the caller may not.
    pub async fn service_token(
        &self,
        role: &str,
        subject: &str,
        regions: &[RegionId],
    ) -> Result<String, RestError> {
        let body =
            json!({ "role": role, "subject": subject, "regions": regions, "expiresIn": "P1D" });
        let answer: Token = self.post("/tokens", &body).await?;
        Ok(answer.token)
    }

    /// Creates an event from a whole document.
    ///
    /// # Errors
    /// If it is not accepted; with 409 if there is one of this name.
    pub async fn create_event(&self, document: String) -> Result<Created, RestError> {
        let request = self.request(Method::POST, "/events");
        let request = request
            .header("content-type", "application/json")
            .body(document);
        self.answer("POST", "/events", request).await
    }

    /// Edits an event; the fields given make the next revision.
    ///
    /// # Errors
    /// If it is not accepted.
    pub async fn edit_event(&self, event: &EventId, fields: &Value) -> Result<Created, RestError> {
        let path = format!("/events/{event}");
        let request = self.request(Method::PUT, &path).json(fields);
        self.answer("PUT", &path, request).await
    }

    /// Approves a revision.
    ///
    /// # Errors
    /// If the caller may not.
    pub async fn approve(&self, event: &EventId, revision: Revision) -> Result<(), RestError> {
        let body = json!({ "revision": revision, "notes": "by liveevents-loadtest" });
        let _: Value = self
            .post(&format!("/events/{event}/approve"), &body)
            .await?;
        Ok(())
    }

    /// Deploys a revision; the share is in hundredths of a percent.
    ///
    /// # Errors
    /// If it may not be deployed.
    pub async fn deploy(
        &self,
        event: &EventId,
        revision: Revision,
        regions: &[RegionId],
        basis_points: u32,
    ) -> Result<Deployed, RestError> {
        let percentage = f64::from(basis_points) / 100.0;
        let body = json!({
            "eventId": event, "revision": revision, "regions": regions, "percentage": percentage,
        });
        self.post("/deployments", &body).await
    }

    /// Takes a deployment back.
    ///
    /// # Errors
    /// If a later one has changed the same.
    pub async fn roll_back(
        &self,
        deployment: DeploymentId,
        reason: &str,
    ) -> Result<Changed, RestError> {
        let path = format!("/deployments/{deployment}/rollback");
        self.post(&path, &json!({ "reason": reason })).await
    }

    /// Stops or resumes an event in some regions.
    ///
    /// # Errors
    /// If the caller may not.
    pub async fn suspend(
        &self,
        what: Suspend,
        event: &EventId,
        regions: &[RegionId],
        reason: &str,
    ) -> Result<Changed, RestError> {
        self.post(
            what.path(),
            &json!({ "events": [event], "regions": regions, "reason": reason }),
        )
        .await
    }

    /// Stops or resumes every event in every region.
    ///
    /// # Errors
    /// If the caller may not.
    pub async fn suspend_all(&self, what: Suspend, reason: &str) -> Result<Changed, RestError> {
        self.post(what.path(), &json!({ "all": true, "reason": reason }))
            .await
    }

    /// What became of a change.
    ///
    /// # Errors
    /// If there is no such change.
    pub async fn change(&self, change: ChangeId) -> Result<ChangeRecord, RestError> {
        self.get(&format!("/changes/{change}")).await
    }

    /// The regions of the installation.
    ///
    /// # Errors
    /// If the caller may not.
    pub async fn regions(&self) -> Result<Vec<RegionId>, RestError> {
        let answer: Regions = self.get("/regions").await?;
        Ok(answer
            .regions
            .into_iter()
            .map(|region| region.region_id)
            .collect())
    }

    /// The events that a query of `GET /events` finds.
    ///
    /// # Errors
    /// If the query is not one.
    pub async fn find(&self, query: &str) -> Result<Listed, RestError> {
        self.get(&format!("/events?{query}")).await
    }

    /// What was reported of an event, by a query of `GET /events/{id}/metrics`.
    ///
    /// # Errors
    /// If there is no such event.
    pub async fn metrics(&self, event: &EventId, query: &str) -> Result<Metrics, RestError> {
        self.get(&format!("/events/{event}/metrics?{query}")).await
    }

    /// The events assigned in a region, a hundred at most, as the origin knows them.
    ///
    /// # Errors
    /// If the caller may not.
    pub async fn assigned(&self, region: &RegionId) -> Result<Vec<EventId>, RestError> {
        let answer = self.find(&format!("region={region}&limit=100")).await?;
        Ok(answer
            .events
            .into_iter()
            .map(|event| event.event_id)
            .collect())
    }

    /// The events that an edge shows a player.
    ///
    /// # Errors
    /// With 421 at an edge that does not replicate the region.
    pub async fn shown(&self, player: &str, region: &RegionId) -> Result<Vec<EventId>, RestError> {
        let answer: PlayerEvents = self
            .get(&format!("/players/{player}/events?region={region}"))
            .await?;
        Ok(answer
            .events
            .into_iter()
            .map(|event| event.event_id)
            .collect())
    }

    /// What an edge serves of a region.
    ///
    /// # Errors
    /// With 421 at an edge that does not replicate it.
    pub async fn served(&self, region: &RegionId) -> Result<Served, RestError> {
        self.get(&format!("/regions/{region}/events")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RestError> {
        self.answer("GET", path, self.request(Method::GET, path))
            .await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, RestError> {
        let request = self.request(Method::POST, path).json(body);
        self.answer("POST", path, request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        request: RequestBuilder,
    ) -> Result<T, RestError> {
        let call = || format!("{method} {}/api/v1{path}", self.base);
        let failed = |source| RestError::Failed {
            call: call(),
            source,
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(failed);
        }
        let said = error::said(&response.text().await.map_err(failed)?);
        Err(RestError::Refused {
            call: call(),
            status,
            said,
        })
    }
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_its_token() {
        let rest = Rest::new(&"http://origin".parse().unwrap())
            .unwrap()
            .bearing("s3cret");
        assert!(!format!("{rest:?}").contains("s3cret"));
        assert_eq!(rest.token(), "s3cret");
    }
}
