//! `Idempotency-Key`: a request that creates something, sent again, gets the first answer again.
//!
//! A key belongs to its caller and path. It is kept with a fingerprint of the request, and with the answer, in the
//! transaction that creates: there is no key without its answer, whatever is killed when. The handler claims the key first
//! of all in its transaction; of two at once, the second waits there for the first to commit and gets its answer, or goes on
//! in its place if the first failed. Refusals are not kept: whoever was refused may set it right and send the same key.
//!
//! Of the answer, status, body, `Location` and `ETag` are kept; never is there a secret in them, since what answers with one
//! (logging in, tokens) is not answered twice. The fingerprint is keyed, since what is sent may have a password in it.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Caller, Checks, body};
use serde::Serialize;
use sha2::Sha256;
use sqlx::PgConnection;

use super::Api;
use crate::limits::{IDEMPOTENCY_LIFE, MAX_IDEMPOTENCY_KEY};
use crate::store::idempotency::{self, Answer, Fingerprint, Key};

const KEY: &str = "idempotency-key";

/// The key of the request being answered, if it has one.
#[derive(Clone)]
pub(super) struct Once(Option<(Key, Fingerprint)>);

/// Whether a request is the first of its key.
pub(super) enum Seen {
    /// As far as is known; the handler claims the key.
    First(Request),
    /// This is what the first was answered.
    Before(Response),
}

/// What became of claiming a key.
pub(super) enum Claimed {
    /// It is ours: what is created here has to be kept with it.
    Now(Claim),
    /// Somebody was faster, and was answered this.
    Before(Response),
}

/// A claimed key, or that there is none.
#[must_use = "the answer has to be kept before the commit"]
pub(super) struct Claim(Option<Key>);

/// What something new is answered with.
pub(super) struct New<T> {
    pub(super) headers: HeaderMap,
    pub(super) body: T,
}

impl Once {
    /// Reads the key of a request, and looks for the answer that it may have got already.
    pub(super) async fn read(api: &Api, request: Request) -> Result<Seen, ApiError> {
        let mut checks = Checks::default();
        let key = read_key(request.headers(), &mut checks);
        checks.finish()?;
        let caller = request.extensions().get::<Caller>();
        let subject = caller.map(|caller| caller.subject().to_owned());
        let Some((subject, key)) = subject.zip(key) else {
            return Ok(Seen::First(request));
        };
        let key = Key {
            caller: subject,
            path: request.uri().path().to_owned(),
            key,
        };
        let (mut parts, sent) = request.into_parts();
        let bytes = body(Request::from_parts(parts.clone(), sent), &()).await?;
        let method = parts.method.as_str().as_bytes();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let fingerprint = fingerprint(&api.fingerprint_key, &[method, path.as_bytes(), &bytes]);
        let mut conn = api.acquire().await?;
        let found = idempotency::find(&mut conn, &key, api.clock.now() - IDEMPOTENCY_LIFE).await?;
        drop(conn);
        if let Some((first, answer)) = found {
            return again(&key, fingerprint, first, answer).map(Seen::Before);
        }
        parts.extensions.insert(Self(Some((key, fingerprint))));
        Ok(Seen::First(Request::from_parts(parts, Body::from(bytes))))
    }

    /// Claims the key: first of all in the transaction that creates, since whoever waits here must hold nothing.
    pub(super) async fn claim(
        self,
        conn: &mut PgConnection,
        now: Timestamp,
    ) -> Result<Claimed, ApiError> {
        let Some((key, fingerprint)) = self.0 else {
            return Ok(Claimed::Now(Claim(None)));
        };
        let expired = now - IDEMPOTENCY_LIFE;
        if idempotency::claim(conn, &key, fingerprint, expired, now).await? {
            return Ok(Claimed::Now(Claim(Some(key))));
        }
        match idempotency::find(conn, &key, expired).await? {
            Some((first, answer)) => again(&key, fingerprint, first, answer).map(Claimed::Before),
            // It went in the moment between.
            None => Err(ApiError::Conflict(format!(
                "the Idempotency-Key {} expires just now; try again",
                key.key
            ))),
        }
    }
}

impl Claim {
    /// Keeps what is answered, in the transaction that created it, and makes the answer of it: 201.
    pub(super) async fn keep<T: Serialize>(
        self,
        conn: &mut PgConnection,
        new: New<T>,
    ) -> Result<Response, ApiError> {
        let New { headers, body } = new;
        let text = |name: HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let answer = Answer {
            location: text(header::LOCATION),
            etag: text(header::ETAG),
            body: serde_json::to_string(&body).map_err(ApiError::internal)?,
        };
        if let Some(key) = self.0 {
            idempotency::keep(conn, &key, &answer).await?;
        }
        Ok(response(answer))
    }
}

impl<T> From<T> for New<T> {
    fn from(body: T) -> Self {
        let headers = HeaderMap::new();
        Self { headers, body }
    }
}

impl FromRequestParts<Api> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Infallible> {
        Ok(parts.extensions.remove().unwrap_or(Self(None)))
    }
}

/// A name for the request, under which it is carried out once.
pub(super) fn read_key(headers: &HeaderMap, checks: &mut Checks) -> Option<String> {
    let key = headers.get(KEY)?;
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()));
    let message = format!("must be 1 to {MAX_IDEMPOTENCY_KEY} printable characters");
    checks.require(key.is_some(), "Idempotency-Key", message);
    key.map(str::to_owned)
}

/// The first answer again, if this is the same request.
fn again(
    key: &Key,
    ours: Fingerprint,
    first: Fingerprint,
    answer: Answer,
) -> Result<Response, ApiError> {
    if ours != first {
        let message = format!(
            "the Idempotency-Key {} was used for another request",
            key.key
        );
        return Err(ApiError::Conflict(message));
    }
    Ok(response(answer))
}

fn response(answer: Answer) -> Response {
    let mut headers = HeaderMap::new();
    let mut tell = |name, value: Option<String>| {
        let value = value.and_then(|value| HeaderValue::try_from(value).ok());
        headers.extend(value.map(|value| (name, value)));
    };
    tell(header::LOCATION, answer.location);
    tell(header::ETAG, answer.etag);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    (StatusCode::CREATED, headers, answer.body).into_response()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn fingerprint(key: &[u8; 32], parts: &[&[u8]]) -> Fingerprint {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes");
    for part in parts {
        // With its length, so that nothing can move from one part to the next.
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    Fingerprint(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_every_part_and_of_the_key() {
        let of = |key: u8, parts: &[&[u8]]| fingerprint(&[key; 32], parts);
        let one = of(1, &[b"POST", b"/events", b"{}"]);
        assert_eq!(one, of(1, &[b"POST", b"/events", b"{}"]));
        for other in [
            of(2, &[b"POST", b"/events", b"{}"]),
            of(1, &[b"PUT", b"/events", b"{}"]),
            of(1, &[b"POST", b"/events?", b"{}"]),
            of(1, &[b"POST", b"/events", b"{ }"]),
            of(1, &[b"POST", b"/event", b"s{}"]),
        ] {
            assert_ne!(one, other);
        }
    }
}
