//! Segments and their revisions. What of them is in effect is in [`publications`](super::publications).

use std::collections::BTreeSet;

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, EventId, RegionId, SegmentId};
use liveevents_protocol::segment::Criteria;
use liveevents_protocol::version::Revision;
use sqlx::{PgConnection, query};

use super::publications::Publication;
use super::revisions::{column, number};
use super::{Page, Paged, StoreError, Time, containing, count, region_segments, time};
use crate::segment::Description;

/// The constraint that a segment's identifier is its own, for ever.
pub const ID_IS_TAKEN: &str = "segments_pkey";

/// A segment that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Which.
    pub id: SegmentId,
    /// Its newest revision.
    pub newest: Revised,
    /// What of it is in effect, if anything ever was.
    pub published: Option<Publication>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// A revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    /// Its number.
    pub revision: Revision,
    /// What it says.
    pub description: Description,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// Where a segment is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Regions that hold it.
    pub regions: Vec<RegionId>,
    /// Events that are not over and name it in their newest revision, the first few.
    pub events: Vec<EventId>,
}

/// What may be wrong with the name of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// There is none of that name.
    pub unknown: BTreeSet<String>,
    /// Nothing of it is in effect.
    pub unpublished: BTreeSet<String>,
}

struct Row {
    segment_id: String,
    created_at: Time,
    created_by: String,
    revision: i32,
    display_name: String,
    description: String,
    criteria: String,
    revised_at: Time,
    revised_by: String,
    publication: Option<i32>,
    published: Option<i32>,
    below: Option<i32>,
    rollback: Option<bool>,
    change_id: Option<uuid::Uuid>,
    actor: Option<String>,
    reason: Option<String>,
    at: Option<Time>,
}

impl Row {
    fn read(self) -> Result<Segment, StoreError> {
        let published = match (self.publication, self.published, self.actor, self.at) {
            (Some(publication), Some(revision), Some(actor), Some(at)) => Some(Publication {
                number: publication,
                revision: number(revision)?,
                below: self.below,
                rollback: self.rollback.unwrap_or(false),
                change: self.change_id.map(ChangeId),
                actor,
                reason: self.reason,
                at: at.to_jiff(),
            }),
            _ => None,
        };
        Ok(Segment {
            id: id(&self.segment_id)?,
            newest: Revised {
                revision: number(self.revision)?,
                description: Description {
                    display_name: self.display_name,
                    description: self.description,
                    criteria: criteria(&self.criteria)?,
                },
                created_at: self.revised_at.to_jiff(),
                created_by: self.revised_by,
            },
            published,
            created_at: self.created_at.to_jiff(),
            created_by: self.created_by,
        })
    }
}

/// Segments whose identifiers are given and that were not deleted, by identifier.
async fn read(conn: &mut PgConnection, ids: &[String]) -> Result<Vec<Segment>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT s.segment_id, s.created_at as "created_at: Time", s.created_by, s.revision, r.display_name,
               r.description, r.criteria::text as "criteria!", r.created_at as "revised_at: Time",
               r.created_by as revised_by, p.publication as "publication?", p.revision as "published?", p.below,
               p.rollback as "rollback?", p.change_id, p.actor as "actor?", p.reason, p.at as "at?: Time"
           FROM segments s JOIN segment_revisions r USING (segment_id, revision)
               LEFT JOIN segment_publications p USING (segment_id, publication)
           WHERE s.segment_id = ANY($1) AND s.deleted_at IS NULL ORDER BY s.segment_id"#,
        ids
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Row::read)
    .collect()
}

/// One segment, unless it was deleted.
///
/// # Errors
/// If the database fails.
pub async fn find(
    conn: &mut PgConnection,
    segment: &SegmentId,
) -> Result<Option<Segment>, StoreError> {
    Ok(read(conn, &[segment.to_string()]).await?.pop())
}

/// One segment, which nobody else edits or publishes until the transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    segment: &SegmentId,
) -> Result<Option<Segment>, StoreError> {
    // NO KEY: revisions of events that name it need not wait. Apart from reading, since a join that waits for the lock
    // would look for the old revision in the new row.
    query!(
        "SELECT segment_id FROM segments WHERE segment_id = $1 FOR NO KEY UPDATE",
        segment.as_str()
    )
    .fetch_optional(&mut *conn)
    .await?;
    find(conn, segment).await
}

/// A page of the segments with a text in identifier or name, by identifier.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    search: Option<&str>,
    page: Page,
) -> Result<Paged<Segment>, StoreError> {
    let search = search.map(|text| containing(&text.to_lowercase()));
    let rows = query!(
        "SELECT segment_id FROM segments JOIN segment_revisions r USING (segment_id, revision)
         WHERE deleted_at IS NULL
           AND ($1::text IS NULL OR segment_id LIKE $1 OR lower(r.display_name) LIKE $1)
         ORDER BY segment_id LIMIT $2 OFFSET $3",
        search.as_deref(),
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = query!(
        "SELECT count(*) FROM segments JOIN segment_revisions r USING (segment_id, revision)
         WHERE deleted_at IS NULL
           AND ($1::text IS NULL OR segment_id LIKE $1 OR lower(r.display_name) LIKE $1)",
        search.as_deref()
    )
    .fetch_one(&mut *conn)
    .await?;
    let ids: Vec<String> = rows.into_iter().map(|row| row.segment_id).collect();
    Ok(Paged {
        items: read(conn, &ids).await?,
        total: count(total.count),
    })
}

/// Adds a segment with its first revision. How many there are now, deleted ones among them.
///
/// # Errors
/// [`ID_IS_TAKEN`], or if the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    segment: &SegmentId,
    description: &Description,
    author: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    query!(
        "INSERT INTO segments (segment_id, revision, created_at, created_by, updated_at) VALUES ($1, 1, $2, $3, $2)",
        segment.as_str(),
        time(now) as _,
        author
    )
    .execute(&mut *conn)
    .await?;
    add(&mut *conn, segment, Revision(1), description, author, now).await?;
    let row = query!("SELECT count(*) FROM segments")
        .fetch_one(conn)
        .await?;
    Ok(count(row.count))
}

/// Adds the next revision of a segment whose row is locked.
///
/// # Errors
/// If the database fails.
pub async fn revise(
    conn: &mut PgConnection,
    segment: &SegmentId,
    revision: Revision,
    description: &Description,
    author: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "UPDATE segments SET revision = $2, updated_at = $3 WHERE segment_id = $1",
        segment.as_str(),
        column(revision),
        time(now) as _
    )
    .execute(&mut *conn)
    .await?;
    add(conn, segment, revision, description, author, now).await
}

async fn add(
    conn: &mut PgConnection,
    segment: &SegmentId,
    revision: Revision,
    description: &Description,
    author: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let criteria = serde_json::to_string(&description.criteria)
        .map_err(StoreError::unreadable("criteria about to be stored"))?;
    query!(
        "INSERT INTO segment_revisions (segment_id, revision, display_name, description, criteria, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5::text::json, $6, $7)",
        segment.as_str(),
        column(revision),
        description.display_name,
        description.description,
        criteria,
        time(now) as _,
        author
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One revision.
///
/// # Errors
/// If the database fails.
pub async fn revision(
    conn: &mut PgConnection,
    segment: &SegmentId,
    revision: Revision,
) -> Result<Option<Revised>, StoreError> {
    let page = Page {
        limit: 1,
        offset: 0,
    };
    let found = revisions(conn, segment, Some(revision), page).await?;
    Ok(found.items.into_iter().next())
}

/// A page of a segment's revisions, newest first; or the one given.
///
/// # Errors
/// If the database fails.
pub async fn revisions(
    conn: &mut PgConnection,
    segment: &SegmentId,
    one: Option<Revision>,
    page: Page,
) -> Result<Paged<Revised>, StoreError> {
    let rows = query!(
        r#"SELECT revision, display_name, description, criteria::text as "criteria!",
               created_at as "created_at: Time", created_by
           FROM segment_revisions WHERE segment_id = $1 AND ($2::int IS NULL OR revision = $2)
           ORDER BY revision DESC LIMIT $3 OFFSET $4"#,
        segment.as_str(),
        one.map(column),
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = query!(
        "SELECT revision FROM segments WHERE segment_id = $1",
        segment.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let items = rows.into_iter().map(|row| {
        Ok(Revised {
            revision: number(row.revision)?,
            description: Description {
                display_name: row.display_name,
                description: row.description,
                criteria: criteria(&row.criteria)?,
            },
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
        })
    });
    Ok(Paged {
        items: items.collect::<Result<_, StoreError>>()?,
        // They are numbered without gaps.
        total: count(total.map(|row| i64::from(row.revision))),
    })
}

/// Deletes a segment whose row is locked: what is known of it stays, for the record.
///
/// # Errors
/// If the database fails.
pub async fn delete(
    conn: &mut PgConnection,
    segment: &SegmentId,
    now: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "UPDATE segments SET deleted_at = $2, updated_at = $2 WHERE segment_id = $1",
        segment.as_str(),
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where a segment is used, with at most so many events.
///
/// # Errors
/// If the database fails.
pub async fn used(
    conn: &mut PgConnection,
    segment: &SegmentId,
    events: i64,
) -> Result<Use, StoreError> {
    let rows = query!(
        "SELECT event_id FROM revision_segments JOIN live_events USING (event_id, revision)
         WHERE segment_id = $1 AND state NOT IN ('Completed', 'Cancelled') ORDER BY event_id LIMIT $2",
        segment.as_str(),
        events
    )
    .fetch_all(&mut *conn)
    .await?;
    let events = rows.iter().map(|row| EventId::new(&row.event_id));
    Ok(Use {
        events: events
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable("an event's id"))?,
        regions: region_segments::holders(conn, segment).await?,
    })
}

/// What is wrong with some names of segments.
///
/// # Errors
/// If the database fails.
pub async fn lacking(conn: &mut PgConnection, names: &[String]) -> Result<Lacking, StoreError> {
    let rows = query!(
        r#"SELECT name as "name!", s.segment_id IS NULL as "unknown!"
           FROM unnest($1::text[]) AS name
               LEFT JOIN segments s ON s.segment_id = name AND s.deleted_at IS NULL
           WHERE s.publication IS NULL"#,
        names
    )
    .fetch_all(conn)
    .await?;
    let mut lacking = Lacking::default();
    for row in rows {
        let names = if row.unknown {
            &mut lacking.unknown
        } else {
            &mut lacking.unpublished
        };
        names.insert(row.name);
    }
    Ok(lacking)
}

/// A segment out of its column.
pub(super) fn id(text: &str) -> Result<SegmentId, StoreError> {
    SegmentId::new(text).map_err(StoreError::unreadable("a segment's id"))
}

/// Criteria out of their column.
pub(super) fn criteria(json: &str) -> Result<Criteria, StoreError> {
    serde_json::from_str(json).map_err(StoreError::unreadable("a segment's criteria"))
}
