//! The trace id of the request being answered.
//!
//! It is taken from a caller's W3C `traceparent` header, so that one id follows a request through nginx,
//! origin and log, or made anew. It is at hand anywhere below the layer ([`TraceId::current`]) without
//! being passed, because an error becomes an answer where no request is in sight.

use std::fmt;
use std::future::Future;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::clock::Clock;

/// Names one request in answers and logs. As an extractor it never fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

tokio::task_local! {
    static CURRENT: (TraceId, Clock);
}

impl TraceId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// That of the request being answered, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|(id, _)| *id).ok()
    }

    /// The caller's, if its `traceparent` is well formed; else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .and_then(Self::from_traceparent)
            .unwrap_or_else(Self::random)
    }

    /// `00-<32 hex>-<16 hex>-<2 hex>`; later versions may append fields after that.
    fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, id, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, len| {
            part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let well_formed = hex(version, 2) && hex(id, 32) && hex(parent, 16) && hex(flags, 2);
        if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let id = u128::from_str_radix(id, 16).ok()?;
        (id != 0).then_some(Self(id))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<S: Sync> FromRequestParts<S> for TraceId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::current().unwrap_or_else(Self::random))
    }
}

/// Runs `answer` with `id` and `clock` at hand.
pub(super) fn scope<F: Future>(
    id: TraceId,
    clock: Clock,
    answer: F,
) -> impl Future<Output = F::Output> {
    CURRENT.scope((id, clock), answer)
}

/// Trace id and time for an envelope; outside a request a new id and the machine's time.
pub(super) fn now() -> (TraceId, Timestamp) {
    CURRENT
        .try_with(|(id, clock)| (*id, clock.now()))
        .unwrap_or_else(|_| (TraceId::random(), Clock::system().now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_only_if_well_formed() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let taken = |text: &str| TraceId::from_traceparent(text).map(|id| id.to_string());
        let whole = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(taken(&whole).as_deref(), Some(id));
        assert_eq!(
            taken(&format!("01-{id}-00f067aa0ba902b7-01-more")).as_deref(),
            Some(id)
        );
        for bad in [
            String::new(),
            "00-1-2-3".to_owned(),
            format!("{whole}-more"),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-+{}-00f067aa0ba902b7-01", &id[1..]),
        ] {
            assert_eq!(taken(&bad), None, "{bad}");
        }
    }
}
