//! Engagement: what game servers report of players, and how it adds up.
//!
//! Reports come in numbered batches of a *sender session*. They become cells, each of what happened to one event in one
//! second under one revision; cells are sums and sketches, so that they add up in any order, and over regions and hours.
//! No player is named in them: who they were is in sketches alone, by a keyed hash.

mod distinct;
mod money;
mod report;
mod tally;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{EventId, RegionId, SegmentId};
use crate::version::Revision;

pub use distinct::{Distinct, Unreadable};
pub use money::{Amount, Cents, Currencies, Rate};
pub use report::{Batch, Happening, Refused, Report, Seen, Sentiment};
pub use tally::{Counted, Sums, Tally};

/// One run of whoever sends reports, such as of a game server's process: its batches are numbered from 1 without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SenderSession(pub Uuid);

impl SenderSession {
    /// A new one, from 16 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid())
    }
}

impl fmt::Display for SenderSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// On which side of a candidate a player was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cohort {
    /// Nothing was being tried.
    Everybody,
    /// Saw the candidate.
    Exposed,
    /// A candidate was being tried, and this player did not see it.
    Control,
    /// Nobody said what was seen. It is in no comparison.
    Unattributed,
}

impl Cohort {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Everybody,
        Self::Exposed,
        Self::Control,
        Self::Unattributed,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "Everybody",
            Self::Exposed => "Exposed",
            Self::Control => "Control",
            Self::Unattributed => "Unattributed",
        }
    }
}

/// What a tally is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// In which region.
    pub region: RegionId,
    /// Of which event.
    pub event: EventId,
    /// Which revision was seen; none if none was, or nobody said.
    pub revision: Option<Revision>,
    /// Which variant of it, if it has some.
    pub variant: Option<String>,
    /// On which side.
    pub cohort: Cohort,
    /// Of which segment's players; everybody's if of none. Of a segment there are sums alone, no sketches, and what they
    /// count is in everybody's too.
    pub segment: Option<SegmentId>,
}

/// What happened to an event in one second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Where.
    pub place: Place,
    /// When it was taken, by the edge's clock, cut to the second.
    pub second: Timestamp,
    /// What.
    pub tally: Tally,
}
