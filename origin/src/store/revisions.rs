//! Revisions: immutable documents, and what was said of them.

use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::Content;
use liveevents_protocol::version::Revision;
use sqlx::{PgConnection, query};

use super::{Page, Paged, StoreError, Time, count, time};
use crate::event::approval::{Approval, Judgement};
use crate::event::document::Document;
use crate::event::fields::{EventFields, TimingFields};
use crate::event::record::Revised;

struct Row {
    revision: i32,
    document: String,
    approval_status: String,
    approved_by: Option<String>,
    approved_at: Option<Time>,
    notes: Option<String>,
    created_at: Time,
    created_by: String,
}

impl Row {
    fn read(self) -> Result<Revised, StoreError> {
        let judged = Judged {
            status: self.approval_status,
            by: self.approved_by,
            at: self.approved_at,
            notes: self.notes,
        };
        Ok(Revised {
            revision: number(self.revision)?,
            document: read(&self.document)?,
            approval: judged.read()?,
            created_at: self.created_at.to_jiff(),
            created_by: self.created_by,
        })
    }
}

/// The columns of an approval.
pub(super) struct Judged {
    pub(super) status: String,
    pub(super) by: Option<String>,
    pub(super) at: Option<Time>,
    pub(super) notes: Option<String>,
}

impl Judged {
    pub(super) fn read(self) -> Result<Approval, StoreError> {
        let judgement = self.by.zip(self.at).map(|(by, at)| Judgement {
            by,
            at: at.to_jiff(),
            notes: self.notes,
        });
        match (self.status.as_str(), judgement) {
            ("Pending", None) => Ok(Approval::Pending),
            ("Approved", Some(judgement)) => Ok(Approval::Approved(judgement)),
            ("Rejected", Some(judgement)) => Ok(Approval::Rejected(judgement)),
            _ => Err(StoreError::unreadable("an approval")(self.status)),
        }
    }
}

/// A revision without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its number.
    pub revision: Revision,
    /// What the event was called.
    pub display_name: String,
    /// Whether it may be deployed.
    pub approval: Approval,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// A page of an event's revisions, newest first, without their documents.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    event: &EventId,
    page: Page,
) -> Result<Paged<Summary>, StoreError> {
    let total = query!(
        "SELECT count(*) FROM revisions WHERE event_id = $1",
        event.as_str()
    )
    .fetch_one(&mut *conn)
    .await?;
    let rows = query!(
        r#"SELECT revision, document->>'displayName' as "display_name!", approval_status, approved_by,
               approved_at as "approved_at: Time", notes, created_at as "created_at: Time", created_by
           FROM revisions WHERE event_id = $1 ORDER BY revision DESC LIMIT $2 OFFSET $3"#,
        event.as_str(),
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(conn)
    .await?;
    let items = rows
        .into_iter()
        .map(|row| {
            let judged = Judged {
                status: row.approval_status,
                by: row.approved_by,
                at: row.approved_at,
                notes: row.notes,
            };
            Ok(Summary {
                revision: number(row.revision)?,
                display_name: row.display_name,
                approval: judged.read()?,
                created_at: row.created_at.to_jiff(),
                created_by: row.created_by,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Paged {
        items,
        total: count(total.count),
    })
}

/// One revision.
///
/// # Errors
/// If the database fails.
pub async fn find(
    conn: &mut PgConnection,
    event: &EventId,
    revision: Revision,
) -> Result<Option<Revised>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT revision, document::text as "document!", approval_status, approved_by,
               approved_at as "approved_at: Time", notes, created_at as "created_at: Time", created_by
           FROM revisions WHERE event_id = $1 AND revision = $2"#,
        event.as_str(),
        column(revision)
    )
    .fetch_optional(conn)
    .await?
    .map(Row::read)
    .transpose()
}

/// The newest revision that somebody approved.
///
/// # Errors
/// If the database fails.
pub async fn newest_approved(
    conn: &mut PgConnection,
    event: &EventId,
) -> Result<Option<Revision>, StoreError> {
    let row = query!(
        "SELECT max(revision) FROM revisions WHERE event_id = $1 AND approval_status = 'Approved'",
        event.as_str()
    )
    .fetch_one(conn)
    .await?;
    row.max.map(number).transpose()
}

/// What players get of one revision.
///
/// # Errors
/// If the database fails.
pub async fn content(
    conn: &mut PgConnection,
    event: &EventId,
    revision: Revision,
) -> Result<Option<Content>, StoreError> {
    let found = find(conn, event, revision).await?;
    Ok(found.map(|found| found.document.to_content(event.clone(), revision)))
}

/// Adds a revision, unapproved.
pub(super) async fn insert(
    conn: &mut PgConnection,
    event: &EventId,
    revision: Revision,
    document: &Document,
    author: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let segments = document
        .target_segments
        .iter()
        .chain(&document.exclude_segments);
    let segments: Vec<String> = segments.map(ToString::to_string).collect();
    let document = serde_json::to_string(&document.to_fields())
        .map_err(StoreError::unreadable("a document about to be stored"))?;
    query!(
        "WITH segments AS (
             INSERT INTO revision_segments (event_id, revision, segment_id)
             SELECT $1, $2, segment_id FROM unnest($6::text[]) AS segment_id)
         INSERT INTO revisions (event_id, revision, document, approval_status, created_at, created_by)
         VALUES ($1, $2, $3::text::json, 'Pending', $4, $5)",
        event.as_str(),
        column(revision),
        document,
        time(now) as _,
        author,
        &segments
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes what was said of a revision.
///
/// # Errors
/// If the database fails.
pub async fn judge(
    conn: &mut PgConnection,
    event: &EventId,
    revision: Revision,
    approval: &Approval,
) -> Result<(), StoreError> {
    let judgement = approval.judgement();
    query!(
        "UPDATE revisions SET approval_status = $3, approved_by = $4, approved_at = $5, notes = $6
         WHERE event_id = $1 AND revision = $2",
        event.as_str(),
        column(revision),
        approval.status().as_str(),
        judgement.map(|judgement| &*judgement.by),
        judgement.map(|judgement| time(judgement.at)) as _,
        judgement.and_then(|judgement| judgement.notes.as_deref())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A document as stored.
pub(super) fn read(json: &str) -> Result<Document, StoreError> {
    read_with(json, None)
}

/// A document as stored, with other times instead of its own.
pub(super) fn read_with(json: &str, timing: Option<&str>) -> Result<Document, StoreError> {
    let mut fields: EventFields =
        serde_json::from_str(json).map_err(StoreError::unreadable("a document"))?;
    if let Some(timing) = timing {
        let timing: TimingFields =
            serde_json::from_str(timing).map_err(StoreError::unreadable("an event's times"))?;
        fields = timing.over(fields);
    }
    Document::parse(&fields).map_err(|faults| {
        let faults = faults.into_vec().into_iter();
        let text: Vec<String> = faults
            .map(|f| format!("{}: {}", f.field, f.message))
            .collect();
        StoreError::unreadable("a document")(text.join("; "))
    })
}

/// A revision out of its column.
pub(super) fn number(column: i32) -> Result<Revision, StoreError> {
    u32::try_from(column)
        .map(Revision)
        .map_err(StoreError::unreadable("a revision's number"))
}

/// A revision into its column. One that does not fit names no row, and 0 does neither.
pub(super) fn column(revision: Revision) -> i32 {
    i32::try_from(revision.0).unwrap_or(0)
}
