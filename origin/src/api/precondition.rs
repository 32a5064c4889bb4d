//! `ETag` and `If-Match`: nobody has been faster.
//!
//! A revision's entity tag is its number in quotes. Tags are compared strongly (RFC 9110), as an edit has to be: a weak one
//! says that two things are nearly the same, so it matches nothing, and whoever sends one is told so rather than that
//! somebody was faster. What is no entity tag at all is a fault of the request.

use axum::http::{HeaderMap, HeaderValue, header};
use liveevents_protocol::version::Revision;
use liveevents_service::http::ApiError;

/// A revision's entity tag, as a header.
pub(super) fn etag(revision: Revision) -> HeaderMap {
    let tag = HeaderValue::from_str(&format!("\"{revision}\""));
    tag.into_iter().map(|tag| (header::ETAG, tag)).collect()
}

/// Whether a request may go on at this revision.
pub(super) fn check_match(headers: &HeaderMap, newest: Revision) -> Result<(), ApiError> {
    let mut asked = headers.get_all(header::IF_MATCH).iter().peekable();
    if asked.peek().is_none() {
        return Ok(());
    }
    let ours = format!("\"{newest}\"");
    let mut weak = None;
    for value in asked {
        let value = value.to_str().map_err(|_| malformed())?.trim();
        if value == "*" {
            return Ok(());
        }
        // Empty elements of a list are ignored; a list of nothing else is none.
        let mut tags = value
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .peekable();
        tags.peek().ok_or_else(malformed)?;
        for tag in tags {
            if tag == ours {
                return Ok(());
            }
            let strong = tag.strip_prefix("W/").unwrap_or(tag);
            let inner = strong
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            if inner.is_none_or(|inner| inner.contains('"')) {
                return Err(malformed());
            }
            if tag.starts_with("W/") {
                weak = Some(tag);
            }
        }
    }
    Err(ApiError::PreconditionFailed(match weak {
        Some(tag) => format!(
            "{tag} is a weak tag, which never matches: send the ETag as it was answered, such as {ours}"
        ),
        None => format!("somebody was faster: the revision is {newest} now"),
    }))
}

fn malformed() -> ApiError {
    ApiError::field(
        "If-Match",
        "must be * or entity tags in double quotes, divided by commas, such as \"3\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(values: &[&'static str]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        let refused = check_match(&headers, Revision(3)).err();
        refused.map(|error| error.status().as_u16())
    }

    #[test]
    fn tags_are_compared_strongly() {
        for fine in [
            &[][..],
            &["*"],
            &["\"3\""],
            &["\"1\", \"3\""],
            &["\"1\"", "\"3\""],
            &["W/\"3\", \"3\""],
        ] {
            assert_eq!(status(fine), None, "{fine:?}");
        }
        for other in [&["\"2\""][..], &["\"33\""], &["W/\"3\""], &["\"\""]] {
            assert_eq!(status(other), Some(412), "{other:?}");
        }
        for no_tag in [&["3"][..], &[""], &["\"3"], &[","], &["3, *"], &["w/\"3\""]] {
            assert_eq!(status(no_tag), Some(400), "{no_tag:?}");
        }
    }
}
