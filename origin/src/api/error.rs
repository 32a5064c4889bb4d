//! What went wrong below, as answers. The only place that knows which failure is whose fault.

use std::time::Duration;

use liveevents_service::http::{ApiError, FieldError};

use crate::change::ChangeError;
use crate::event::fault::Faults;
use crate::event::lifecycle::Conflict;
use crate::inspect::InspectError;
use crate::password::PasswordError;
use crate::store::StoreError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_away() {
            Self::unavailable("the database is away for now; try again", error)
        } else if error.is_unstorable() {
            Self::malformed("a text has a NUL, or a number or time is beyond all range")
        } else {
            Self::internal(error)
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::UnknownRegion(region) => Self::not_found("region", &region),
            ChangeError::MissingSegment(_) => Self::Conflict(error.to_string()),
            ChangeError::TooLarge { .. } => Self::Conflict(format!("{error}; make it smaller")),
            ChangeError::Store(error) => error.into(),
            ChangeError::MissingContent { .. } | ChangeError::Unappliable { .. } => {
                Self::internal(error)
            }
        }
    }
}

impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        let details = faults.into_vec().into_iter();
        Self::invalid(
            details
                .map(|fault| FieldError::new(fault.field, fault.message))
                .collect(),
        )
    }
}

impl From<InspectError> for ApiError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Store(error) => error.into(),
            InspectError::Busy => {
                Self::unavailable("too many events are being judged; try again", error)
            }
            InspectError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<Conflict> for ApiError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict.to_string())
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Crowded => Self::Crowded {
                message: "too many log in at once; try again".to_owned(),
                retry_after: Duration::from_secs(1),
            },
            _ => Self::internal(error),
        }
    }
}
