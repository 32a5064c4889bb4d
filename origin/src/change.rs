//! A change: one decision, in one or several regions, in one transaction.
//!
//! What each region's row says is computed by [`entries`], pure. [`commit`] takes the versions and writes; [`publish`] does so
//! for a segment, wherever it is held.
//! Lock order: the caller has locked the event, then the deployment; here follow the epoch (shared) and
//! the rows of `region_heads` by ascending id. So every change of a region waits for the one before it,
//! and versions have no gaps: a transaction that fails takes its version back with it. Whoever changes when an event is
//! shown holds that event's row: it is told there that the event is to be looked at ([`store::course`]).
//!
//! A change is one version in each region, unless its entries are more than a row holds: then it is several,
//! one after another, each with whole events; segments come before all that names them, and go after it. A stop of
//! everything is never too large to be made.

mod entries;
mod publish;
mod rows;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::codec::EncodeError;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId, SegmentId};
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::segment::Segments;
use liveevents_protocol::version::{Revision, Version};
use sqlx::PgConnection;

use crate::store::region_log::Locked;
use crate::store::{self, StoreError};
pub use entries::Held;
pub use publish::publish;
pub(crate) use rows::RegionRow;
use rows::{Rows, pieces};

/// What happens to one event in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The assignment becomes this.
    Put(Assignment),
    /// Nothing is assigned any more.
    Remove(EventId),
}

impl Edit {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &EventId {
        match self {
            Self::Put(assignment) => &assignment.event_id,
            Self::Remove(event) => event,
        }
    }

    /// The assignment that there is afterwards.
    #[must_use]
    pub fn after(&self) -> Option<&Assignment> {
        match self {
            Self::Put(assignment) => Some(assignment),
            Self::Remove(_) => None,
        }
    }
}

/// What decided it, for the record.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Such as `Deployment`, `Rollback`, `Stop`.
    pub kind: &'static str,
    /// Who.
    pub actor: String,
    /// Why, where somebody said.
    pub reason: Option<String>,
    /// The event, if it is about one.
    pub event: Option<EventId>,
    /// The deployment, if it is a step of one.
    pub deployment: Option<DeploymentId>,
    /// The request's trace.
    pub trace_id: Option<String>,
}

/// A change to be made.
#[derive(Debug, Clone)]
pub struct Request {
    /// What decided it.
    pub decision: Decision,
    /// What happens where.
    pub edits: BTreeMap<RegionId, Vec<Edit>>,
    /// The contents of every revision that the edits bring into a region.
    pub contents: Vec<Content>,
}

/// A change made, once the caller's transaction has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its identifier.
    pub change: ChangeId,
    /// The version that each region has reached by it, the last of its versions there. Regions in which
    /// nothing changed are left out.
    pub regions: BTreeMap<RegionId, Version>,
}

/// Why a change was not made. Nothing is written then, provided the caller drops the transaction.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such region.
    #[error("there is no region {0}")]
    UnknownRegion(RegionId),
    /// The region already serves something else than the edits were made for.
    #[error("revision {revision} of {event} comes into a region without its content")]
    MissingContent {
        /// The event.
        event: EventId,
        /// The revision without content.
        revision: Revision,
    },
    /// An event is for a segment, or not for one, of which nothing was ever published.
    #[error("segment {0} is not published")]
    MissingSegment(SegmentId),
    /// What happens to a single event or segment is too much for a row.
    #[error("region {region} has no room for {what}")]
    TooLarge {
        /// Where.
        region: RegionId,
        /// The event or segment.
        what: String,
        /// How much.
        #[source]
        source: EncodeError,
    },
    /// An edge could not have applied it.
    #[error("region {region} would not apply it: {problem}")]
    Unappliable {
        /// Where.
        region: RegionId,
        /// What an edge would say.
        problem: String,
    },
    /// The database did not take it.
    #[error("the database did not take the change")]
    Store(#[from] StoreError),
}

/// Makes a change within the caller's transaction, which must hold the locks that come before (see
/// above) and commits or drops the whole.
///
/// # Errors
/// See [`ChangeError`].
pub async fn commit(conn: &mut PgConnection, request: &Request) -> Result<Committed, ChangeError> {
    let regions: Vec<RegionId> = request.edits.keys().cloned().collect();
    let Locked { epoch, heads } = store::region_log::lock(conn, &regions).await?;
    if let Some(unknown) = regions.iter().find(|region| !heads.contains_key(*region)) {
        return Err(ChangeError::UnknownRegion(unknown.clone()));
    }
    let events: Vec<EventId> = {
        let edits = request.edits.values().flatten();
        let mut events: Vec<_> = edits.map(|edit| edit.event().clone()).collect();
        events.sort();
        events.dedup();
        events
    };
    let mut held = store::assignments::held(conn, &regions, &events).await?;
    let in_effect = hold_segments(conn, &mut held, request, &events).await?;

    let rescheduled = rescheduled(request, &held);
    let mut rows = Rows::new(epoch);
    for (region, edits) in &request.edits {
        let held = held.remove(region).unwrap_or_default();
        let Some(head) = heads.get(region) else {
            continue;
        };
        let pieces = pieces(region, &held, edits, &request.contents, &in_effect)?;
        verify::verify(region, epoch, &held, &pieces)?;
        rows.add(region, *head, pieces);
    }
    let committed = rows.write(conn, &request.decision).await?;
    store::course::unsettle(conn, &rescheduled).await?;
    Ok(committed)
}

/// Notes what the regions hold of the segments that come and go with the edits, and reads those that a region may lack.
/// Nothing is asked where no segment is named: most events are for everybody.
async fn hold_segments(
    conn: &mut PgConnection,
    held: &mut BTreeMap<RegionId, Held>,
    request: &Request,
    events: &[EventId],
) -> Result<Segments, StoreError> {
    let contents = request.contents.iter();
    let brought: BTreeSet<&SegmentId> = contents.flat_map(entries::named).collect();
    let there = held.values().flat_map(|held| held.contents.values());
    let named: BTreeSet<&SegmentId> = there.flatten().chain(brought.iter().copied()).collect();
    if named.is_empty() {
        return Ok(Segments::default());
    }
    let regions: Vec<RegionId> = request.edits.keys().cloned().collect();
    let named: Vec<SegmentId> = named.into_iter().cloned().collect();
    let brought: Vec<SegmentId> = brought.into_iter().cloned().collect();
    let found = store::region_segments::named(conn, &regions, &named, events).await?;
    for (region, segments) in found {
        held.entry(region).or_default().segments = segments;
    }
    store::publications::in_effect(conn, &brought).await
}

/// The events that are shown at other times afterwards in some region.
fn rescheduled(request: &Request, held: &BTreeMap<RegionId, Held>) -> Vec<EventId> {
    let mut found = BTreeSet::new();
    for (region, edits) in &request.edits {
        for edit in edits {
            let before = held
                .get(region)
                .and_then(|held| held.assignments.get(edit.event()));
            let after = edit.after().map(|assignment| &assignment.schedule);
            if before.map(|before| &before.schedule) != after {
                found.insert(edit.event().clone());
            }
        }
    }
    found.into_iter().collect()
}
