//! Who is asking: the bearer token of a request, judged.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use liveevents_protocol::id::{RegionId, TokenId};

use super::error::ApiError;
use crate::clock::Clock;
use crate::token::{Claims, Expiry, Role, TokenError, Verifier};

/// Judges tokens by the clock, and knows whether the origin can be reached. A part of a router's
/// state; clones share everything.
#[derive(Debug, Clone)]
pub struct Authority {
    verifier: Arc<Verifier>,
    clock: Clock,
    expiry: Arc<ArcSwap<Expiry>>,
}

impl Authority {
    /// Refuses expired tokens until told that the origin is away.
    #[must_use]
    pub fn new(verifier: Arc<Verifier>, clock: Clock) -> Self {
        let expiry = Arc::new(ArcSwap::from_pointee(Expiry::Strict));
        Self {
            verifier,
            clock,
            expiry,
        }
    }

    /// An edge lost its origin, at that moment: service tokens that expire from then on stay good.
    pub fn cut_off(&self, since: Timestamp) {
        let expiry = Expiry::AcceptIfExpiredAfter(since);
        self.expiry.store(Arc::new(expiry));
    }

    /// The origin is back: expired is expired.
    pub fn in_contact(&self) {
        self.expiry.store(Arc::new(Expiry::Strict));
    }

    /// Judges a token that did not come by HTTP.
    ///
    /// # Errors
    /// If it is not accepted, and why.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        self.verifier
            .verify(token, self.clock.now(), **self.expiry.load())
    }

    /// Whether a token that was accepted has been withdrawn since.
    #[must_use]
    pub fn is_revoked(&self, token: TokenId) -> bool {
        self.verifier.is_revoked(token)
    }
}

/// Whoever sent the request, by their token. As an extractor it refuses a request without a good one.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<Claims>);

impl Caller {
    /// Judges the bearer token of a request; where its headers have none, the one that came otherwise.
    ///
    /// # Errors
    /// If there is none, or it is not accepted.
    pub fn read(
        authority: &Authority,
        headers: &HeaderMap,
        otherwise: Option<&str>,
    ) -> Result<Self, ApiError> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer)
            .or(otherwise)
            .ok_or(ApiError::Unauthorized("a bearer token is needed"))?;
        authority.verify(token).map(Self).map_err(refused)
    }

    /// Passes one of these roles.
    ///
    /// # Errors
    /// `Forbidden` for any other, naming those that may.
    pub fn require(&self, roles: &[Role]) -> Result<(), ApiError> {
        if roles.contains(&self.0.role) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let (own, names) = (self.0.role, names.join(", "));
        Err(ApiError::Forbidden(format!(
            "this needs the role {names}; the token's is {own}"
        )))
    }

    /// Passes if the token covers the region ([`Claims::covers`]).
    ///
    /// # Errors
    /// `Forbidden` otherwise.
    pub fn require_region(&self, region: &RegionId) -> Result<(), ApiError> {
        if self.0.covers(region) {
            return Ok(());
        }
        Err(ApiError::Forbidden(format!(
            "the token does not cover the region {region}"
        )))
    }

    /// The name for the audit log.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Authority: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Whoever was judged on the way here is not judged again.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        Self::read(&Authority::from_ref(state), &parts.headers, None)
    }
}

/// A refusal of the token would send its bearer away to have it set right, and nothing is wrong with it before there
/// are keys: an edge that was never reached by its origin is not ready, and says so.
fn refused(error: TokenError) -> ApiError {
    let message = error.reason();
    match error {
        TokenError::NoKeys => ApiError::Unavailable {
            message: message.to_owned(),
            cause: None,
        },
        _ => ApiError::Unauthorized(message),
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}
