//! What events of one category in one region are compared by. Call these holding the regions' heads: whoever changes what
//! is shown there then waits, and nobody judges by what is about to change.

use std::collections::BTreeMap;

use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::Revision;
use sqlx::types::Json;
use sqlx::{PgConnection, query};

use super::region_log::{region, texts};
use super::{StoreError, revisions};
use crate::event::overlap::Beside;

/// The categories of an event's served revisions that do not allow an overlap, by region.
///
/// # Errors
/// If the database fails.
pub async fn of_event(
    conn: &mut PgConnection,
    event: &EventId,
) -> Result<BTreeMap<RegionId, BTreeMap<Revision, String>>, StoreError> {
    let rows = query!(
        r#"SELECT a.region_id, r.revision, r.category as "category!"
           FROM assignments a JOIN revisions r ON r.event_id = a.event_id AND r.revision IN (a.live, a.candidate)
           WHERE a.event_id = $1 AND r.category IS NOT NULL AND NOT r.allow_overlap"#,
        event.as_str()
    )
    .fetch_all(conn)
    .await?;
    let mut found: BTreeMap<RegionId, BTreeMap<Revision, String>> = BTreeMap::new();
    for row in rows {
        let of = found.entry(region(&row.region_id)?).or_default();
        of.insert(revisions::number(row.revision)?, row.category);
    }
    Ok(found)
}

/// What other events of these categories some regions show, those left out that allow an overlap.
///
/// # Errors
/// If the database fails.
pub async fn beside(
    conn: &mut PgConnection,
    event: Option<&EventId>,
    regions: &[RegionId],
    categories: &[String],
) -> Result<Vec<Beside>, StoreError> {
    let rows = query!(
        r#"SELECT DISTINCT a.region_id, a.event_id, r.category as "category!", a.schedule as "schedule: Json<Schedule>"
           FROM assignments a JOIN revisions r ON r.event_id = a.event_id AND r.revision IN (a.live, a.candidate)
           WHERE a.region_id = ANY($1) AND a.event_id IS DISTINCT FROM $2 AND r.category = ANY($3)
             AND NOT r.allow_overlap
           ORDER BY a.region_id, a.event_id"#,
        &texts(regions),
        event.map(EventId::as_str),
        categories
    )
    .fetch_all(conn)
    .await?;
    let beside = rows.into_iter().map(|row| {
        Ok(Beside {
            region: region(&row.region_id)?,
            event: row
                .event_id
                .parse()
                .map_err(StoreError::unreadable("an event's id"))?,
            category: row.category,
            schedule: row.schedule.0,
        })
    });
    beside.collect()
}
