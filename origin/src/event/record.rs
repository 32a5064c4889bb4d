//! An event and its revisions as the origin holds them.

use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;

use super::approval::Approval;
use super::document::Document;
use super::lifecycle::State;
use super::times::Times;

/// An event with its newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// Where in its life it is.
    pub state: State,
    /// Decides which side of an exposure a bucketing key is on; made once, kept for good.
    pub salt: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was last edited, or changed state or times.
    pub updated_at: Timestamp,
    /// When somebody activated it, if anybody did.
    pub activated_at: Option<Timestamp>,
    /// When it was completed or cancelled.
    pub ended_at: Option<Timestamp>,
    /// About how many players have taken part in it, of whom was reported; one who did so in two regions counts twice.
    pub participants: u64,
    /// What the last accepted edit made, with the event's times: once it is deployed they are its own and no revision's.
    pub newest: Revised,
}

impl Event {
    /// When it happens by now.
    #[must_use]
    pub fn times(&self) -> Times<'_> {
        Times {
            timing: &self.newest.document.timing,
            activated: self.activated_at,
        }
    }
}

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    /// Its number.
    pub revision: Revision,
    /// What it says.
    pub document: Document,
    /// Whether it may be deployed.
    pub approval: Approval,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}
