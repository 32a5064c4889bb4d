//! What every request passes before its handler: who is asking, whether they may, how often, and whether it was answered
//! before.
//!
//! The rules are those that the routes were registered with ([`super::access`]). Somebody who may not is told so before
//! anything of the request is looked at, so that a refusal tells nothing of what there is.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use liveevents_service::http::{Allowance, ApiError, Caller, Checks};
use tokio::time::Instant;
use url::form_urlencoded;

use super::Api;
use super::access::{Rule, Rules};
use super::once::{Once, Seen};

/// The rules, and what judging by them takes.
#[derive(Clone)]
pub(super) struct Gate {
    api: Api,
    rules: Arc<Rules>,
}

impl Gate {
    pub(super) fn new(api: Api, rules: Rules) -> Self {
        let rules = Arc::new(rules);
        Self { api, rules }
    }

    fn rule(&self, request: &Request) -> Option<&Rule> {
        let path = request.extensions().get::<MatchedPath>()?;
        let method = match *request.method() {
            Method::HEAD => Method::GET,
            ref other => other.clone(),
        };
        self.rules.get(&(method, path.as_str().to_owned()))
    }
}

/// Lets a request pass to its handler, or answers it.
pub(super) async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    // Without a rule there is no such operation, and the router says so.
    let Some(rule) = gate.rule(&request) else {
        return next.run(request).await;
    };
    let allowance = match admit(&gate.api, rule, &mut request) {
        Ok(allowance) => allowance,
        Err(refused) => return refused.into_response(),
    };
    let mut answer = match answer(&gate.api, rule, request, next).await {
        Ok(answer) => answer,
        Err(refused) => refused.into_response(),
    };
    if let Some(allowance) = allowance {
        allowance.tell(answer.headers_mut());
    }
    answer
}

/// Whether the caller may, and how often still.
fn admit(api: &Api, rule: &Rule, request: &mut Request) -> Result<Option<Allowance>, ApiError> {
    let mut allowance = None;
    if let Some(roles) = rule.access.roles {
        let caller = Caller::read(&api.authority, request.headers(), None)?;
        caller.require(roles)?;
        if let Some(limit) = rule.access.limit {
            allowance = api.quotas.take(limit, caller.subject(), Instant::now())?;
        }
        request.extensions_mut().insert(caller);
    }
    Ok(allowance)
}

async fn answer(
    api: &Api,
    rule: &Rule,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    check_query(rule, &request)?;
    if !rule.access.once {
        return Ok(next.run(request).await);
    }
    match Once::read(api, request).await? {
        Seen::First(request) => Ok(next.run(request).await),
        Seen::Before(answer) => Ok(answer),
    }
}

/// Names in the query that the operation does not know.
fn check_query(rule: &Rule, request: &Request) -> Result<(), ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let mut checks = Checks::default();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if !rule.knows(&name) {
            checks.fault(name, "is not a parameter of this query");
        }
    }
    checks.finish()
}
