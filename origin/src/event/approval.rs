//! Whether somebody said that a revision may be deployed. Belongs to a revision: an edit makes the
//! next one, which starts unapproved.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// Where a revision stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// Nobody has judged it.
    Pending,
    /// It may be deployed.
    Approved(Judgement),
    /// It may not be deployed.
    Rejected(Judgement),
}

/// Who judged, when, and what they said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Their words, if any.
    pub notes: Option<String>,
}

/// The status alone, as JSON and the database name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ApprovalStatus {
    /// See [`Approval::Pending`].
    Pending,
    /// See [`Approval::Approved`].
    Approved,
    /// See [`Approval::Rejected`].
    Rejected,
}

impl Approval {
    /// The status alone.
    #[must_use]
    pub fn status(&self) -> ApprovalStatus {
        match self {
            Self::Pending => ApprovalStatus::Pending,
            Self::Approved(_) => ApprovalStatus::Approved,
            Self::Rejected(_) => ApprovalStatus::Rejected,
        }
    }

    /// What was said, once somebody has judged.
    #[must_use]
    pub fn judgement(&self) -> Option<&Judgement> {
        match self {
            Self::Pending => None,
            Self::Approved(judgement) | Self::Rejected(judgement) => Some(judgement),
        }
    }
}

impl ApprovalStatus {
    /// The name used in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
        }
    }
}

impl fmt::Display for ApprovalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
