//! What regions hold of segments, as of their heads: those that their contents name, and what was removed.

use std::collections::BTreeMap;

use liveevents_protocol::entry::{Entry, EntryKey, Stamped, Value};
use liveevents_protocol::id::{EventId, RegionId, SegmentId};
use liveevents_protocol::segment::Segment;
use sqlx::{PgConnection, query};

use super::StoreError;
use super::region_log::{region, stored, texts, version};
use super::revisions::{column, number};
use super::segments::{criteria, id};
use crate::change::RegionRow;

/// Of the segments given those that each region holds, and whether a content there that is not of these events names it.
/// Call it holding the regions' heads.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn named(
    conn: &mut PgConnection,
    regions: &[RegionId],
    segments: &[SegmentId],
    events: &[EventId],
) -> Result<BTreeMap<RegionId, BTreeMap<SegmentId, bool>>, StoreError> {
    let segments: Vec<String> = segments.iter().map(ToString::to_string).collect();
    let events: Vec<String> = events.iter().map(ToString::to_string).collect();
    let rows = query!(
        r#"SELECT h.region_id, h.segment_id, EXISTS (
               SELECT FROM revision_segments s JOIN region_contents c USING (event_id, revision)
               WHERE s.segment_id = h.segment_id AND c.region_id = h.region_id
                   AND s.event_id <> ALL($3)) AS "elsewhere!"
           FROM region_segments h
           WHERE region_id = ANY($1) AND segment_id = ANY($2) AND h.revision IS NOT NULL"#,
        &texts(regions),
        &segments,
        &events
    )
    .fetch_all(conn)
    .await?;
    let mut found: BTreeMap<RegionId, BTreeMap<SegmentId, bool>> = BTreeMap::new();
    for row in rows {
        let of = found.entry(region(&row.region_id)?).or_default();
        of.insert(id(&row.segment_id)?, row.elsewhere);
    }
    Ok(found)
}

/// The regions that hold a segment.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn holders(
    conn: &mut PgConnection,
    segment: &SegmentId,
) -> Result<Vec<RegionId>, StoreError> {
    let rows = query!(
        "SELECT region_id FROM region_segments WHERE segment_id = $1 AND revision IS NOT NULL ORDER BY region_id",
        segment.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| region(&row.region_id)).collect()
}

/// What one region holds, with the version that last changed it, and what was removed above its floor.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn of_region(conn: &mut PgConnection, of: &RegionId) -> Result<Vec<Stamped>, StoreError> {
    let rows = query!(
        r#"SELECT h.segment_id, h.revision, h.version, s.criteria::text AS criteria
           FROM region_segments h LEFT JOIN segment_revisions s USING (segment_id, revision)
           WHERE region_id = $1 ORDER BY segment_id"#,
        of.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = id(&row.segment_id)?;
            let entry = match row.revision.zip(row.criteria) {
                Some((revision, text)) => Entry::from(Segment {
                    id,
                    revision: number(revision)?,
                    criteria: criteria(&text)?,
                }),
                None => Entry::Removal(EntryKey::Segment(id)),
            };
            Ok(Stamped {
                version: version(row.version),
                entry,
            })
        })
        .collect()
}

/// Brings the table to what the rows of one change say of segments.
///
/// # Errors
/// If the database does not take it.
pub(crate) async fn write(conn: &mut PgConnection, rows: &[RegionRow]) -> Result<(), StoreError> {
    let (mut regions, mut versions) = (Vec::new(), Vec::new());
    let (mut segments, mut revisions) = (Vec::new(), Vec::new());
    for row in rows {
        for entry in &row.entries {
            let (segment, revision) = match entry {
                Entry::Put(Value::Segment(segment)) => (&segment.id, Some(segment.revision)),
                Entry::Removal(EntryKey::Segment(segment)) => (segment, None),
                Entry::Put(_) | Entry::Removal(_) => continue,
            };
            regions.push(row.region.to_string());
            versions.push(stored(row.version));
            segments.push(segment.to_string());
            revisions.push(revision.map(column));
        }
    }
    if regions.is_empty() {
        return Ok(());
    }
    query!(
        "INSERT INTO region_segments (region_id, version, segment_id, revision)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[])
         ON CONFLICT (region_id, segment_id) DO UPDATE SET version = excluded.version, revision = excluded.revision",
        &regions,
        &versions,
        &segments,
        &revisions as _
    )
    .execute(conn)
    .await?;
    Ok(())
}
