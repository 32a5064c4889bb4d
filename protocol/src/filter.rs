//! Which events a receiver wants.
//!
//! Lists are alternatives, different lists are conditions: an event passes if each list that is given has a member
//! that fits. Type and tags are those of any revision that the event's assignment names, so that an event is there
//! before a candidate's first player needs it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::EventId;
use crate::limits::MAX_FILTER;
use crate::model::{Content, EventType};

/// Which events a receiver wants; everything if no list is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// These.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub event_ids: BTreeSet<EventId>,
    /// Those of these types.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub types: BTreeSet<EventType>,
    /// Those with one of these tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
}

/// A filter above its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("filter: {0} has more than {MAX_FILTER} members, or one longer than {MAX_FILTER} bytes")]
pub struct TooMuch(&'static str);

impl Filter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.event_ids.is_empty() && !self.looks_inside()
    }

    /// Whether contents decide, which an edit may change.
    #[must_use]
    pub fn looks_inside(&self) -> bool {
        !self.types.is_empty() || !self.tags.is_empty()
    }

    /// Whether an event of this name may pass.
    #[must_use]
    pub fn names(&self, event: &EventId) -> bool {
        self.event_ids.is_empty() || self.event_ids.contains(event)
    }

    /// Whether a revision passes by its type and tags.
    #[must_use]
    pub fn fits(&self, content: &Content) -> bool {
        let tagged = |tag: &String| self.tags.contains(tag);
        (self.types.is_empty() || self.types.contains(&content.event_type))
            && (self.tags.is_empty() || content.tags.iter().any(tagged))
    }

    /// Checks the size of one that a peer sent.
    ///
    /// # Errors
    /// If a list is too long.
    pub fn check(&self) -> Result<(), TooMuch> {
        let long = |tag: &String| tag.len() > MAX_FILTER;
        if self.event_ids.len() > MAX_FILTER {
            Err(TooMuch("eventIds"))
        } else if self.tags.len() > MAX_FILTER || self.tags.iter().any(long) {
            Err(TooMuch("tags"))
        } else {
            Ok(())
        }
    }
}
