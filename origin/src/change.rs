//! A change: one decision, in one or several regions, in one transaction.
//!
//! What each region's row says is computed by [`entries`], pure. [`commit`] takes the versions and writes.
//! Lock order: the caller has locked the event, then the deployment; here follow the epoch (shared) and
//! the rows of `region_heads` by ascending id. So every change of a region waits for the one before it,
//! and versions have no gaps: a transaction that fails takes its version back with it. Whoever changes when an event is
//! shown holds that event's row: it is told there that the event is to be looked at ([`store::course`]).
//!
//! A change is one version in each region, unless its entries are more than a row holds: then it is several,
//! one after another, each with whole events. A stop of everything is never too large to be made.

mod entries;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::codec::{self, EncodeError};
use liveevents_protocol::entry::Entry;
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::version::{Revision, Version};
use sqlx::PgConnection;

use crate::store::region_log::Locked;
use crate::store::{self, StoreError};
pub use entries::Held;

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
    /// What happens to a single event is too much for a row.
    #[error("region {region} has no room for {event}")]
    TooLarge {
        /// Where.
        region: RegionId,
        /// What.
        event: EventId,
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

/// One version of a change in one region, encoded and judged, ready to be written.
#[derive(Debug)]
pub(crate) struct RegionRow {
    pub(crate) region: RegionId,
    pub(crate) version: Version,
    pub(crate) entries: Vec<Entry>,
    pub(crate) encoded: Vec<u8>,
    pub(crate) digest: liveevents_protocol::position::Digest,
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

    let rescheduled = rescheduled(request, &held);
    let change = ChangeId(uuid::Uuid::now_v7());
    let mut rows = Vec::new();
    for (region, edits) in &request.edits {
        let held = held.remove(region).unwrap_or_default();
        let Some(&(mut version, mut digest)) = heads.get(region) else {
            continue;
        };
        for piece in pieces(region, &held, edits, &request.contents)? {
            verify::verify(region, epoch, &held, &piece.encoded, piece.edits)?;
            version = version.next();
            digest = digest.chain(version, change, FORMAT_V1, &piece.encoded);
            rows.push(RegionRow {
                region: region.clone(),
                version,
                entries: piece.entries,
                encoded: piece.encoded,
                digest,
            });
        }
    }
    store::region_log::write_change(conn, change, &request.decision).await?;
    store::assignments::write(conn, &rows).await?;
    store::region_log::append(conn, epoch, change, &rows).await?;
    store::course::unsettle(conn, &rescheduled).await?;
    // Of several versions of one region the last one stays.
    let regions = rows
        .into_iter()
        .map(|row| (row.region, row.version))
        .collect();
    Ok(Committed { change, regions })
}

/// The events that are shown at other times afterwards in some region.
fn rescheduled(request: &Request, held: &BTreeMap<RegionId, Held>) -> Vec<EventId> {
    let mut found = BTreeSet::new();
    for (region, edits) in &request.edits {
        for edit in edits {
            let before = held
                .get(region)
                .and_then(|held| held.assignments.get(edit.event()));
            let after = match edit {
                Edit::Put(assignment) => Some(&assignment.schedule),
                Edit::Remove(_) => None,
            };
            if before.map(|before| &before.schedule) != after {
                found.insert(edit.event().clone());
            }
        }
    }
    found.into_iter().collect()
}

/// What fits into one row.
struct Piece<'a> {
    edits: &'a [Edit],
    entries: Vec<Entry>,
    encoded: Vec<u8>,
}

/// The edits in rows: one, or halved until each fits; none where nothing changes.
fn pieces<'a>(
    region: &RegionId,
    held: &Held,
    edits: &'a [Edit],
    contents: &[Content],
) -> Result<Vec<Piece<'a>>, ChangeError> {
    let entries = entries::entries(held, edits, contents)?;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    match (codec::encode_entries(&entries), edits) {
        (Ok(encoded), _) => Ok(vec![Piece {
            edits,
            entries,
            encoded,
        }]),
        (Err(source), []) => Err(ChangeError::Unappliable {
            region: region.clone(),
            problem: source.to_string(),
        }),
        (Err(source), [edit]) => Err(ChangeError::TooLarge {
            region: region.clone(),
            event: edit.event().clone(),
            source,
        }),
        (Err(_), _) => {
            let (first, rest) = edits.split_at(edits.len() / 2);
            let mut pieces_of_both = pieces(region, held, first, contents)?;
            pieces_of_both.extend(pieces(region, held, rest, contents)?);
            Ok(pieces_of_both)
        }
    }
}
