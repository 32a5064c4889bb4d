//! What is asked about a player: the [`Question`], and what the caller holds already.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use liveevents_service::http::question::Question;
use liveevents_service::http::{ApiError, Path};

use super::Wording;

/// A request.
pub(in crate::serve) struct Asked {
    pub(super) question: Question,
    /// The tags of what the caller holds.
    pub(super) held: Option<HeaderValue>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(player) = Path::<String>::from_request_parts(parts, state).await?;
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            held: parts.headers.get(header::IF_NONE_MATCH).cloned(),
            question: Question::read(player, query, &mut [])?,
        })
    }
}

impl Asked {
    pub(super) fn wording(&self) -> Wording<'_> {
        Wording {
            language: self.question.language.as_deref(),
            configuration: self.question.include_config,
        }
    }
}
