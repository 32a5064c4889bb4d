//! What every command of an event's life begins with: what is due by now is applied first; and that nothing is shown beside
//! another event of its category.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::Revision;
use liveevents_service::http::ApiError;
use sqlx::{PgConnection, Postgres, Transaction};

use super::record::trace_id;
use super::{Api, commit};
use crate::event::document::Document;
use crate::event::overlap::{self, Asked};
use crate::event::record::Event;
use crate::limits::SETTLE_ATTEMPTS;
use crate::settle::{Extent, settle};
use crate::store::{course, events, overlaps};

/// An event locked, as of a moment at which nothing of it is due.
pub(super) struct Settled {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) event: Event,
    pub(super) now: Timestamp,
}

/// Locks an event, and applies what is due of it by the time that the lock is there. That stays, whatever becomes of the
/// command, so it is committed before the command is judged.
pub(super) async fn lock(api: &Api, id: &EventId) -> Result<Settled, ApiError> {
    for _ in 0..SETTLE_ATTEMPTS {
        let mut tx = api.begin().await?;
        let found = events::lock(&mut tx, id).await?;
        let event = found.ok_or_else(|| ApiError::not_found("event", id))?;
        let now = api.time.now(&mut tx).await?;
        if !course::is_due(&mut tx, id, now).await? {
            return Ok(Settled { tx, event, now });
        }
        let settled = settle(&mut tx, &[event], Extent::All, now, trace_id().as_deref()).await?;
        commit(tx).await?;
        for kind in settled.changes {
            api.metrics.changed(kind);
        }
    }
    Err(ApiError::Conflict(format!(
        "event {id} is being changed by others all the time; try again"
    )))
}

/// What becomes of an event in a region.
#[derive(Clone, Copy)]
pub(super) struct Move<'a> {
    pub(super) region: &'a RegionId,
    pub(super) before: Option<&'a Assignment>,
    pub(super) after: &'a Assignment,
}

/// The category in which a revision may not be shown beside others, if any.
pub(super) fn exclusive(document: &Document) -> Option<String> {
    let category = document.category.clone();
    category.filter(|_| !document.allow_overlap)
}

/// Refuses to show an event beside another of its category where it was not before. `brought` are the categories of
/// revisions that come into the regions. The regions' heads have to be locked.
pub(super) async fn refuse_overlaps<'a>(
    conn: &mut PgConnection,
    event: &EventId,
    moves: impl IntoIterator<Item = Move<'a>>,
    brought: &[(Revision, Option<String>)],
    now: Timestamp,
) -> Result<(), ApiError> {
    let served = overlaps::of_event(&mut *conn, event).await?;
    let mut asked = Vec::new();
    for Move {
        region,
        before,
        after,
    } in moves
    {
        let none = BTreeMap::new();
        let known = served.get(region).unwrap_or(&none);
        let had: BTreeSet<&String> = known.values().collect();
        let of = |revision: Revision| match brought.iter().find(|(brought, _)| *brought == revision)
        {
            Some((_, category)) => category.as_ref(),
            None => known.get(&revision),
        };
        let claims: BTreeSet<&String> = after.revisions().filter_map(of).collect();
        let own = |categories: BTreeSet<&String>| categories.into_iter().cloned().collect();
        // What it has already is for more time; what it had not is for all of its time.
        let (old, new): (BTreeSet<&String>, BTreeSet<&String>) = claims
            .into_iter()
            .partition(|category| had.contains(category));
        let more = match before {
            Some(before) => overlap::beyond(&after.schedule, &before.schedule),
            None => after.schedule.occurrences().to_vec(),
        };
        asked.push(Asked {
            region: region.clone(),
            categories: own(old),
            stretches: more,
        });
        asked.push(Asked {
            region: region.clone(),
            categories: own(new),
            stretches: after.schedule.occurrences().to_vec(),
        });
    }
    asked.retain(|asked| !asked.categories.is_empty() && !asked.stretches.is_empty());
    if asked.is_empty() {
        return Ok(());
    }
    let regions: BTreeSet<RegionId> = asked.iter().map(|asked| asked.region.clone()).collect();
    let regions: Vec<RegionId> = regions.into_iter().collect();
    let categories: BTreeSet<String> = asked
        .iter()
        .flat_map(|asked| asked.categories.clone())
        .collect();
    let categories: Vec<String> = categories.into_iter().collect();
    let beside = overlaps::beside(conn, Some(event), &regions, &categories).await?;
    let collisions = overlap::collisions(&asked, &beside, now);
    if collisions.is_empty() {
        return Ok(());
    }
    let told = collisions.into_iter().map(|collision| {
        format!(
            "in {} beside {} of category {} from {} to {}",
            collision.region,
            collision.event,
            collision.category,
            collision.when.opens,
            collision.when.closes
        )
    });
    let told: Vec<String> = told.collect();
    Err(ApiError::Conflict(format!(
        "event {event} would be shown {}; one of the two has to allow it by allowOverlap, or give way",
        told.join(", ")
    )))
}
