//! What of segments is in effect, and everything that ever was: publications pile up, and one that is rolled back uncovers
//! the one below it.

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, SegmentId};
use liveevents_protocol::segment::{Segment, Segments};
use liveevents_protocol::version::Revision;
use sqlx::{PgConnection, query};

use super::revisions::{column, number};
use super::segments::{criteria, id};
use super::{Page, Paged, StoreError, Time, count, time};

/// What made a revision take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its number, from 1.
    pub number: i32,
    /// Which revision.
    pub revision: Revision,
    /// The number of the one that takes effect again once this is rolled back.
    pub below: Option<i32>,
    /// Whether it took back the one before it.
    pub rollback: bool,
    /// The change that it was; none of what came with the installation.
    pub change: Option<ChangeId>,
    /// Who.
    pub actor: String,
    /// Why, where somebody said.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Notes what took effect, and makes it what is in effect. The segment's row is locked.
///
/// # Errors
/// If the database fails.
pub async fn put_in_effect(
    conn: &mut PgConnection,
    segment: &SegmentId,
    publication: &Publication,
) -> Result<(), StoreError> {
    query!(
        "WITH in_effect AS (UPDATE segments SET publication = $2 WHERE segment_id = $1)
         INSERT INTO segment_publications (segment_id, publication, revision, below, rollback, change_id, actor,
             reason, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        segment.as_str(),
        publication.number,
        column(publication.revision),
        publication.below,
        publication.rollback,
        publication.change.map(|change| change.0),
        publication.actor,
        publication.reason,
        time(publication.at) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of a segment's publications, newest first; or the one of this number.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    segment: &SegmentId,
    one: Option<i32>,
    page: Page,
) -> Result<Paged<Publication>, StoreError> {
    let rows = query!(
        r#"SELECT publication, revision, below, rollback, change_id, actor, reason, at as "at: Time"
           FROM segment_publications WHERE segment_id = $1 AND ($2::int IS NULL OR publication = $2)
           ORDER BY publication DESC LIMIT $3 OFFSET $4"#,
        segment.as_str(),
        one,
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = query!(
        "SELECT count(*) FROM segment_publications WHERE segment_id = $1",
        segment.as_str()
    )
    .fetch_one(conn)
    .await?;
    let items = rows.into_iter().map(|row| {
        Ok(Publication {
            number: row.publication,
            revision: number(row.revision)?,
            below: row.below,
            rollback: row.rollback,
            change: row.change_id.map(ChangeId),
            actor: row.actor,
            reason: row.reason,
            at: row.at.to_jiff(),
        })
    });
    Ok(Paged {
        items: items.collect::<Result<_, StoreError>>()?,
        total: count(total.count),
    })
}

/// What is in effect of some segments, also of those that were deleted since. Call it holding the head of a region that it
/// is for.
///
/// # Errors
/// If the database fails.
pub async fn in_effect(
    conn: &mut PgConnection,
    segments: &[SegmentId],
) -> Result<Segments, StoreError> {
    let ids: Vec<String> = segments.iter().map(SegmentId::to_string).collect();
    let rows = query!(
        r#"SELECT s.segment_id, p.revision, r.criteria::text as "criteria!"
           FROM segments s JOIN segment_publications p USING (segment_id, publication)
               JOIN segment_revisions r ON (r.segment_id, r.revision) = (p.segment_id, p.revision)
           WHERE s.segment_id = ANY($1)"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Segment {
                id: id(&row.segment_id)?,
                revision: number(row.revision)?,
                criteria: criteria(&row.criteria)?,
            })
        })
        .collect()
}
