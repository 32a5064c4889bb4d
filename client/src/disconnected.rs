//! Why a connection ended, and what that advises.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::close::{CloseReason, Retry};
use liveevents_protocol::version::{Epoch, Version};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::http::header::RETRY_AFTER;

use crate::limits::MAX_GOAWAY;

/// Why there is no connection. [`Disconnected::retry`] says what the client does about it; whatever it
/// is, readers go on with the state that they have.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Disconnected {
    /// No TCP connection, or it broke.
    #[error("the connection failed")]
    Io(#[source] Arc<io::Error>),
    /// Not connected and upgraded in time.
    #[error("the edge did not answer within {0:?}")]
    TimedOut(Duration),
    /// The upgrade was answered with an HTTP error.
    #[error("the edge refused the connection: HTTP {status}{}", shown(.message))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the edge said about it.
        message: Option<String>,
        /// When it said to try again.
        retry_after: Option<Duration>,
    },
    /// The peer does not speak WebSocket, or breaks its rules.
    #[error("the edge does not keep to the WebSocket protocol")]
    WebSocket(#[source] Arc<tungstenite::Error>),
    /// The token has characters that no HTTP header may have.
    #[error("the token cannot be sent in a header")]
    UnusableToken,
    /// The edge closed, saying why.
    #[error("the edge closed the connection: {}{}", .reason.as_str(), shown(.message))]
    Closed {
        /// Its reason.
        reason: CloseReason,
        /// What it said about it.
        message: Option<String>,
    },
    /// The edge closed without a reason known here.
    #[error("the edge closed the connection")]
    Ended,
    /// Nothing was heard for so long.
    #[error("the edge was silent for {0:?}")]
    Silent(Duration),
    /// A message that makes no sense.
    #[error("the edge sent something that makes no sense: {0}")]
    Malformed(String),
    /// A delta that does not continue what is held.
    #[error("the edge sent a delta from version {from}, held is {}", version(.held))]
    Gap {
        /// The version held, if any.
        held: Option<Version>,
        /// Where the delta starts.
        from: Version,
    },
    /// The edge is in an earlier history.
    #[error("the edge is in epoch {theirs}, before ours, {ours}")]
    EarlierEpoch {
        /// The epoch held.
        ours: Epoch,
        /// The edge's.
        theirs: Epoch,
    },
    /// A delta of a later history, which needs a snapshot first.
    #[error("the edge sent a delta of epoch {theirs}, held is {ours}")]
    OtherEpoch {
        /// The epoch held.
        ours: Epoch,
        /// The delta's.
        theirs: Epoch,
    },
    /// The edge belongs to another installation than the first one did, or serves another region.
    #[error("the edge serves {theirs}, ours is {ours}")]
    Foreign {
        /// Installation and region of the client.
        ours: String,
        /// Those of the edge.
        theirs: String,
    },
    /// The edge stayed behind for too long, and there are others.
    #[error("the edge is still behind")]
    StillBehind,
    /// The edge asked to leave it; the moment has come, or comes after this delay.
    #[error("the edge is going away")]
    Goaway(Duration),
}

impl Disconnected {
    /// What the client does about it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Closed { reason, .. } => reason.retry(),
            Self::Refused {
                status,
                retry_after,
                ..
            } => match (status, retry_after) {
                // Too many requests, and whatever is wrong on the other side.
                (408 | 429 | 500..=599, Some(after)) => Retry::After(*after),
                (408 | 429 | 500..=599, None) => Retry::Backoff,
                _ => Retry::Fix,
            },
            Self::UnusableToken | Self::Foreign { .. } => Retry::Fix,
            Self::Goaway(delay) => Retry::After(*delay),
            Self::Io(_)
            | Self::TimedOut(_)
            | Self::WebSocket(_)
            | Self::Ended
            | Self::Silent(_)
            | Self::Malformed(_)
            | Self::Gap { .. }
            | Self::EarlierEpoch { .. }
            | Self::OtherEpoch { .. }
            | Self::StillBehind => Retry::Backoff,
        }
    }
}

impl Disconnected {
    /// Whether another token may help.
    pub(crate) fn is_about_the_token(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == 401,
            Self::Closed { reason, .. } => matches!(
                reason,
                CloseReason::TokenInvalid | CloseReason::TokenExpired | CloseReason::TokenRevoked
            ),
            Self::UnusableToken => true,
            _ => false,
        }
    }
}

impl From<io::Error> for Disconnected {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<tungstenite::Error> for Disconnected {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::Error;
        use tungstenite::error::ProtocolError;
        match error {
            Error::Io(error) => error.into(),
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
            ) => Self::Ended,
            Error::Http(response) => Self::Refused {
                status: response.status().as_u16(),
                message: response.body().as_deref().and_then(said),
                retry_after: retry_after(response.headers()),
            },
            error => Self::WebSocket(Arc::new(error)),
        }
    }
}

/// In seconds; as a date no edge says it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_GOAWAY))
}

/// The message of the error envelope that an edge answers with.
fn said(body: &[u8]) -> Option<String> {
    let envelope: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = envelope.pointer("/error/message")?.as_str()?;
    Some(message.chars().take(200).collect())
}

fn shown(message: &Option<String>) -> String {
    message
        .as_ref()
        .map(|m| format!(", {m}"))
        .unwrap_or_default()
}

fn version(held: &Option<Version>) -> String {
    held.map_or_else(|| "nothing".to_owned(), |version| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advises_by_what_can_help() {
        let refused = |status| Disconnected::Refused {
            status,
            message: None,
            retry_after: None,
        };
        let closed = |reason| Disconnected::Closed {
            reason,
            message: None,
        };
        let table = [
            (refused(401), Retry::Fix),
            (refused(421), Retry::Fix),
            (refused(429), Retry::Backoff),
            (refused(503), Retry::Backoff),
            (
                Disconnected::Refused {
                    status: 503,
                    message: None,
                    retry_after: Some(Duration::from_secs(7)),
                },
                Retry::After(Duration::from_secs(7)),
            ),
            (closed(CloseReason::TokenRevoked), Retry::Fix),
            (closed(CloseReason::Overloaded), Retry::Backoff),
            (
                Disconnected::Goaway(Duration::from_secs(3)),
                Retry::After(Duration::from_secs(3)),
            ),
            (Disconnected::Ended, Retry::Backoff),
        ];
        for (disconnected, retry) in table {
            assert_eq!(disconnected.retry(), retry, "{disconnected}");
        }
    }

    #[test]
    fn repeats_what_the_edge_said() {
        let body = br#"{"error": {"code": "UNAUTHORIZED", "message": "the token was revoked"}}"#;
        let refused = Disconnected::Refused {
            status: 401,
            message: said(body),
            retry_after: None,
        };
        assert_eq!(
            refused.to_string(),
            "the edge refused the connection: HTTP 401, the token was revoked"
        );
        assert_eq!(said(b"<html>"), None);
    }
}
