//! How a connection to the origin can end, and what the origin is told then.

use std::time::Duration;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::id::RegionId;
use liveevents_service::trust::TrustError;
use quinn::ConnectionError;

use super::dial::DialError;
use crate::replica::Refused;

/// Why a connection, or the try to make one, has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// This process is to end.
    #[error("this edge is shutting down")]
    Shutdown,
    /// No connection.
    #[error("the origin cannot be reached")]
    Unreachable(#[source] DialError),
    /// The origin closed it, and said why, and perhaps how long to stay away.
    #[error("the origin closed the connection: {}", .0.as_str())]
    Closed(CloseReason, Option<Duration>),
    /// The line went dead, or the other end without a word.
    #[error("the connection was lost")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was heard or taken in time.
    #[error("the origin has fallen silent")]
    Silent,
    /// What came is not this protocol.
    #[error("the origin sent what is not the protocol: {0}")]
    Violation(String),
    /// The origin's keys are not signed by the one that is pinned here.
    #[error("the origin is not to be trusted")]
    Distrusted(#[source] TrustError),
    /// A region's data was not taken.
    #[error("data of region {region} was refused")]
    Refused {
        /// Which region's.
        region: RegionId,
        /// Whether it was refused before, so that a snapshot was asked for.
        again: bool,
        /// Why.
        #[source]
        why: Refused,
    },
}

impl End {
    /// The label of a metric.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Unreachable(_) => "unreachable",
            Self::Closed(reason, _) => reason.as_str(),
            Self::Lost(_) => "lost",
            Self::Silent => "silent",
            Self::Violation(_) => "violation",
            Self::Distrusted(_) => "distrusted",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether something went wrong, and neither side left in order.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(
            self,
            Self::Shutdown | Self::Closed(CloseReason::GoingAway, _)
        )
    }

    /// What the origin is told.
    pub(super) fn close_code(&self) -> CloseReason {
        match self {
            Self::Silent => CloseReason::TimedOut,
            Self::Violation(_) => CloseReason::Malformed,
            Self::Distrusted(_) => CloseReason::ForeignInstallation,
            Self::Refused {
                why: Refused::BrokenChain | Refused::EarlierEpoch { .. },
                ..
            } => CloseReason::BrokenChain,
            Self::Refused { .. } => CloseReason::Malformed,
            Self::Shutdown | Self::Unreachable(_) | Self::Closed(..) | Self::Lost(_) => {
                CloseReason::GoingAway
            }
        }
    }

    pub(super) fn lost(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Lost(Box::new(error))
    }

    pub(super) fn violation(what: impl ToString) -> Self {
        Self::Violation(what.to_string())
    }
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        match &error {
            ConnectionError::ApplicationClosed(close) => {
                match CloseReason::from_code(close.error_code.into_inner()) {
                    Some(reason) => {
                        let words = String::from_utf8_lossy(&close.reason);
                        Self::Closed(reason, CloseReason::retry_after(&words))
                    }
                    None => Self::lost(error),
                }
            }
            ConnectionError::TimedOut => Self::Silent,
            _ => Self::lost(error),
        }
    }
}
