//! Answers in JSON, and what a caller is told who holds the same already.
//!
//! A tag stands for what would be shown, and not for when or by how old news: an answer's `version`, `ageMs`, `stale` and
//! `time` differ from one moment to the next, and a tag over them would never be met again. So tags are weak, and the
//! answer to one that is met says version and age in headers. Tags are the same on every edge of a release, so that
//! whoever comes to another one still meets theirs.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::ApiError;
use serde::Serialize;

use super::View;

const EPOCH: HeaderName = HeaderName::from_static("liveevents-epoch");
const VERSION: HeaderName = HeaderName::from_static("liveevents-version");
const AGE: HeaderName = HeaderName::from_static("liveevents-age-ms");
const STALE: HeaderName = HeaderName::from_static("liveevents-stale");

/// Asked for again each time, and nobody else's business.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Stands for what is shown: an entity tag, such as `W/"01234567abcdef89"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// Of an answer from this view of which `what` says all that it shows.
    pub(super) fn of(region: &RegionId, view: &View, what: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        // A revision number may mean something else in another history.
        (region.as_str(), view.published.cursor().epoch.0.as_u128()).hash(&mut hasher);
        what.hash(&mut hasher);
        let mut tag = String::with_capacity(20);
        // Writing to a string never fails.
        let _ = write!(tag, "W/\"{:016x}\"", hasher.finish());
        Self(tag)
    }

    /// Whether an `If-None-Match` names it. Weakly, as RFC 9110 has it.
    pub(super) fn is_met_by(&self, held: Option<&HeaderValue>) -> bool {
        let held = held.and_then(|held| held.to_str().ok());
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        held.is_some_and(|held| {
            held.split(',')
                .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(&self.0))
        })
    }

    fn header(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.0).ok()
    }
}

/// What every answer begins with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    region: &'a RegionId,
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    stale: bool,
    time: Timestamp,
}

/// The beginning of an object to which members are added, each after a comma, and then the brace.
///
/// # Errors
/// Never in practice: all of it has a JSON form.
pub(super) fn opening(
    region: &RegionId,
    view: &View,
    capacity: usize,
) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::with_capacity(capacity);
    let head = Head {
        region,
        epoch: view.published.cursor().epoch,
        version: view.published.cursor().version,
        age_ms: view.age_ms(),
        stale: view.is_stale(),
        time: view.now,
    };
    serde_json::to_writer(&mut text, &head).map_err(ApiError::internal)?;
    text.pop();
    Ok(text)
}

/// A JSON text.
pub(super) fn json(text: Vec<u8>, tag: Option<Tag>) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(header::CONTENT_TYPE, JSON);
    marked(headers, tag);
    response
}

/// That nothing else is shown than what the caller holds.
pub(super) fn not_modified(view: &View, tag: Tag) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    let cursor = view.published.cursor();
    if let Ok(epoch) = HeaderValue::try_from(cursor.epoch.to_string()) {
        headers.insert(EPOCH, epoch);
    }
    headers.insert(VERSION, HeaderValue::from(cursor.version.0));
    headers.insert(AGE, HeaderValue::from(view.age_ms()));
    let stale = if view.is_stale() { "true" } else { "false" };
    headers.insert(STALE, HeaderValue::from_static(stale));
    marked(headers, Some(tag));
    response
}

fn marked(headers: &mut HeaderMap, tag: Option<Tag>) {
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    if let Some(tag) = tag.and_then(Tag::header) {
        headers.insert(header::ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_met_by_itself_in_any_list_and_by_no_other() {
        let tag = Tag(r#"W/"0123456789abcdef""#.to_owned());
        let met = |held: &str| tag.is_met_by(Some(&HeaderValue::from_str(held).unwrap()));
        for held in [
            r#"W/"0123456789abcdef""#,
            r#""0123456789abcdef""#,
            r#""x", W/"0123456789abcdef""#,
            r#"W/"x",W/"0123456789abcdef",W/"y""#,
            "*",
            " * ",
        ] {
            assert!(met(held), "{held}");
        }
        for held in [
            "",
            ",",
            "0123456789abcdef",
            r#"W/"0123456789abcdee""#,
            r#"W/"0123456789ABCDEF""#,
            r#""W/0123456789abcdef""#,
        ] {
            assert!(!met(held), "{held}");
        }
        assert!(!tag.is_met_by(None));
        let opaque = HeaderValue::from_bytes(&[0xff]).unwrap();
        assert!(!tag.is_met_by(Some(&opaque)));
    }
}
