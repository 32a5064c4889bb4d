//! Whether somebody said that a revision may be deployed. Belongs to a revision: an edit makes the
//! next one, which starts unapproved.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ApprovalStatus {
    /// See [`Approval::Pending`].
    Pending,
    /// See [`Approval::Approved`].
    Approved,
    /// See [`Approval::Rejected`].
    Rejected,
}

/// What somebody says of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be deployed.
    Approve,
    /// It may not.
    Reject,
}

/// Nobody approves what they wrote themselves, where four eyes are demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("approvals.four_eyes is set, and you wrote it yourself: somebody else has to approve it")]
pub struct OwnRevision;

impl Approval {
    /// What becomes of it when somebody judges; `None` if it was judged so already, which stays the first one's word. `own`
    /// says that it is their own revision and four eyes are demanded: to reject that is everybody's right.
    ///
    /// # Errors
    /// If they may not.
    pub fn on(
        &self,
        verdict: Verdict,
        judgement: Judgement,
        own: bool,
    ) -> Result<Option<Self>, OwnRevision> {
        Ok(match (verdict, self) {
            (Verdict::Approve, _) if own => return Err(OwnRevision),
            (Verdict::Approve, Self::Approved(_)) | (Verdict::Reject, Self::Rejected(_)) => None,
            (Verdict::Approve, Self::Pending | Self::Rejected(_)) => {
                Some(Self::Approved(judgement))
            }
            (Verdict::Reject, Self::Pending | Self::Approved(_)) => Some(Self::Rejected(judgement)),
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_stays_and_nobody_approves_their_own() {
        let by = |name: &str| Judgement {
            by: name.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            notes: None,
        };
        let (approved, rejected) = (Approval::Approved(by("a")), Approval::Rejected(by("a")));
        let (yes, no) = (
            Some(Approval::Approved(by("b"))),
            Some(Approval::Rejected(by("b"))),
        );
        let table = [
            (&Approval::Pending, Verdict::Approve, false, Ok(yes.clone())),
            (&Approval::Pending, Verdict::Reject, false, Ok(no.clone())),
            (&Approval::Pending, Verdict::Approve, true, Err(OwnRevision)),
            (&Approval::Pending, Verdict::Reject, true, Ok(no.clone())),
            (&approved, Verdict::Approve, false, Ok(None)),
            (&approved, Verdict::Approve, true, Err(OwnRevision)),
            (&approved, Verdict::Reject, true, Ok(no)),
            (&rejected, Verdict::Reject, false, Ok(None)),
            (&rejected, Verdict::Approve, false, Ok(yes)),
        ];
        for (before, verdict, own, after) in table {
            assert_eq!(
                before.on(verdict, by("b"), own),
                after,
                "{before:?} {verdict:?} {own}"
            );
        }
    }
}
