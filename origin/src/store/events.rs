//! Events: the row that commands lock, with the newest revision beside it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::EventType;
use liveevents_protocol::version::Revision;
use sqlx::{PgConnection, query};

use super::revisions::{self, Judged};
use super::{Page, Paged, StoreError, Time, containing, count, time};
use crate::event::document::Document;
use crate::event::lifecycle::State;
use crate::event::record::{Event, Revised};
use crate::limits;

/// The constraint that a taken identifier violates.
pub const ID_IS_TAKEN: &str = "live_events_pkey";

/// Which events to list; all that hold, where given.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Of this type.
    pub event_type: Option<EventType>,
    /// Of this category.
    pub category: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Served in this region.
    pub region: Option<RegionId>,
    /// Ending after this moment.
    pub from: Option<Timestamp>,
    /// Starting before this moment.
    pub to: Option<Timestamp>,
    /// With this text in identifier, name, tags or description.
    pub search: Option<String>,
}

struct Row {
    event_id: String,
    state: String,
    salt: String,
    created_at: Time,
    created_by: String,
    updated_at: Time,
    activated_at: Option<Time>,
    ended_at: Option<Time>,
    participants: i64,
    timing: Option<String>,
    revision: i32,
    document: String,
    approval_status: String,
    approved_by: Option<String>,
    approved_at: Option<Time>,
    notes: Option<String>,
    revised_at: Time,
    revised_by: String,
}

impl Row {
    fn read(self) -> Result<Event, StoreError> {
        let judged = Judged {
            status: self.approval_status,
            by: self.approved_by,
            at: self.approved_at,
            notes: self.notes,
        };
        Ok(Event {
            id: EventId::new(&self.event_id).map_err(StoreError::unreadable("an event's id"))?,
            state: self
                .state
                .parse()
                .map_err(StoreError::unreadable("an event's state"))?,
            salt: self.salt,
            created_at: self.created_at.to_jiff(),
            created_by: self.created_by,
            updated_at: self.updated_at.to_jiff(),
            activated_at: self.activated_at.map(Time::to_jiff),
            ended_at: self.ended_at.map(Time::to_jiff),
            participants: u64::try_from(self.participants).unwrap_or(0),
            newest: Revised {
                revision: revisions::number(self.revision)?,
                document: revisions::read_with(&self.document, self.timing.as_deref())?,
                approval: judged.read()?,
                created_at: self.revised_at.to_jiff(),
                created_by: self.revised_by,
            },
        })
    }
}

/// The events whose identifiers are given, in order of identifier.
pub(super) async fn read(
    conn: &mut PgConnection,
    ids: &[String],
) -> Result<Vec<Event>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT e.event_id, e.state, e.salt, e.created_at as "created_at: Time", e.created_by,
               e.updated_at as "updated_at: Time", e.activated_at as "activated_at: Time",
               e.ended_at as "ended_at: Time",
               (SELECT coalesce(sum(p.many), 0) FROM event_participants p WHERE p.event_id = e.event_id)::bigint
                   as "participants!", e.timing::text, e.revision, r.document::text as "document!",
               r.approval_status, r.approved_by, r.approved_at as "approved_at: Time", r.notes,
               r.created_at as "revised_at: Time", r.created_by as revised_by
           FROM live_events e JOIN revisions r USING (event_id, revision)
           WHERE e.event_id = ANY($1)
           ORDER BY e.created_at DESC, e.event_id"#,
        ids
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Row::read)
    .collect()
}

/// Those of the given events that there are, newest first.
///
/// # Errors
/// If the database fails.
pub async fn of_ids(conn: &mut PgConnection, ids: &[EventId]) -> Result<Vec<Event>, StoreError> {
    let ids: Vec<String> = ids.iter().map(EventId::to_string).collect();
    read(conn, &ids).await
}

/// One event.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: &EventId) -> Result<Option<Event>, StoreError> {
    Ok(read(conn, &[id.to_string()]).await?.pop())
}

/// One event, its row locked.
///
/// # Errors
/// If the database fails.
pub async fn lock(conn: &mut PgConnection, id: &EventId) -> Result<Option<Event>, StoreError> {
    // NO KEY: whoever only refers to the event (a stop's change does) need not wait. Apart from reading,
    // since a join that waits for the lock would look for the old revision in the new row.
    query!(
        "SELECT event_id FROM live_events WHERE event_id = $1 FOR NO KEY UPDATE",
        id.as_str()
    )
    .fetch_optional(&mut *conn)
    .await?;
    find(conn, id).await
}

/// A page of the events that a filter passes, newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    page: Page,
) -> Result<Paged<Event>, StoreError> {
    let Filter {
        state,
        event_type,
        category,
        tag,
        region,
        from,
        to,
        search,
    } = filter;
    // Each filter that is not given falls away before the plan is made, and an index of another is used. A plan made for
    // all requests could use none.
    query!(r#"SELECT set_config('plan_cache_mode', 'force_custom_plan', true) as "set!""#)
        .fetch_one(&mut *conn)
        .await?;
    let search = search
        .as_deref()
        .map(|text| containing(&text.to_lowercase()));
    let rows = query!(
        r#"SELECT event_id
           FROM live_events e
           WHERE ($1::text IS NULL OR state = $1)
             AND ($2::text IS NULL OR event_type = $2)
             AND ($3::text IS NULL OR category = $3)
             AND ($4::text IS NULL OR tags @> ARRAY[$4])
             AND ($5::text IS NULL OR event_id IN (SELECT a.event_id FROM assignments a WHERE a.region_id = $5))
             AND ($6::timestamptz IS NULL OR end_time > $6)
             AND ($7::timestamptz IS NULL OR start_time < $7)
             AND ($8::text IS NULL OR event_id IN (SELECT s.event_id FROM event_search s WHERE s.text LIKE $8))
           ORDER BY created_at DESC, event_id
           LIMIT $9 OFFSET $10"#,
        state.map(State::as_str),
        event_type.map(EventType::as_str),
        category.as_deref(),
        tag.as_deref(),
        region.as_ref().map(RegionId::as_str),
        from.map(time) as _,
        to.map(time) as _,
        search.as_deref(),
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    // Apart, so that the page itself may stop at its last row.
    let total = query!(
        r#"SELECT count(*)
           FROM live_events e
           WHERE ($1::text IS NULL OR state = $1)
             AND ($2::text IS NULL OR event_type = $2)
             AND ($3::text IS NULL OR category = $3)
             AND ($4::text IS NULL OR tags @> ARRAY[$4])
             AND ($5::text IS NULL OR event_id IN (SELECT a.event_id FROM assignments a WHERE a.region_id = $5))
             AND ($6::timestamptz IS NULL OR end_time > $6)
             AND ($7::timestamptz IS NULL OR start_time < $7)
             AND ($8::text IS NULL OR event_id IN (SELECT s.event_id FROM event_search s WHERE s.text LIKE $8))"#,
        state.map(State::as_str),
        event_type.map(EventType::as_str),
        category.as_deref(),
        tag.as_deref(),
        region.as_ref().map(RegionId::as_str),
        from.map(time) as _,
        to.map(time) as _,
        search.as_deref()
    )
    .fetch_one(&mut *conn)
    .await?;
    let ids: Vec<String> = rows.into_iter().map(|row| row.event_id).collect();
    Ok(Paged {
        items: read(conn, &ids).await?,
        total: count(total.count),
    })
}

/// Whether an identifier is taken.
///
/// # Errors
/// If the database fails.
pub async fn exists(conn: &mut PgConnection, id: &EventId) -> Result<bool, StoreError> {
    let row = query!(
        r#"SELECT EXISTS (SELECT FROM live_events WHERE event_id = $1) as "exists!""#,
        id.as_str()
    )
    .fetch_one(conn)
    .await?;
    Ok(row.exists)
}

/// The events whose newest revision has a tag.
///
/// # Errors
/// If the database fails.
pub async fn tagged(conn: &mut PgConnection, tag: &str) -> Result<BTreeSet<EventId>, StoreError> {
    let rows = query!(
        "SELECT event_id FROM live_events WHERE tags @> ARRAY[$1::text]",
        tag
    )
    .fetch_all(conn)
    .await?;
    let ids = rows.into_iter().map(|row| EventId::new(&row.event_id));
    ids.collect::<Result<_, _>>()
        .map_err(StoreError::unreadable("an event's id"))
}

/// Adds a draft with its first revision.
///
/// # Errors
/// [`ID_IS_TAKEN`], or if the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    id: &EventId,
    salt: &str,
    document: &Document,
    author: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = Columns::of(document);
    query!(
        "INSERT INTO live_events (event_id, state, event_type, category, display_name, start_time,
             end_time, timezone, region_local, revision, priority, tags, salt, created_at, created_by,
             updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12, $13, $14, $13)",
        id.as_str(),
        State::Draft.as_str(),
        document.event_type.as_str(),
        document.category.as_deref(),
        document.display_name,
        columns.start as _,
        columns.end as _,
        document.timing.zone.as_str(),
        columns.region_local,
        document.priority,
        &document.tags,
        salt,
        time(now) as _,
        author
    )
    .execute(&mut *conn)
    .await?;
    index(&mut *conn, id, document).await?;
    revisions::insert(conn, id, Revision(1), document, author, now).await
}

/// Adds the next revision of an event whose row is locked. Its times are the event's only while that is a draft.
///
/// # Errors
/// If the database fails.
pub async fn revise(
    conn: &mut PgConnection,
    id: &EventId,
    revision: Revision,
    document: &Document,
    author: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    revisions::insert(&mut *conn, id, revision, document, author, now).await?;
    let columns = Columns::of(document);
    query!(
        "UPDATE live_events SET event_type = $2, category = $3, display_name = $4,
             start_time = CASE state WHEN 'Draft' THEN $5 ELSE start_time END,
             end_time = CASE state WHEN 'Draft' THEN $6 ELSE end_time END, timezone = $7, region_local = $8, revision = $9, priority = $10, tags = $11,
             updated_at = $12
         WHERE event_id = $1",
        id.as_str(),
        document.event_type.as_str(),
        document.category.as_deref(),
        document.display_name,
        columns.start as _,
        columns.end as _,
        document.timing.zone.as_str(),
        columns.region_local,
        revisions::column(revision),
        document.priority,
        &document.tags,
        time(now) as _
    )
    .execute(&mut *conn)
    .await?;
    index(conn, id, document).await
}

/// Writes what a search looks at.
async fn index(
    conn: &mut PgConnection,
    id: &EventId,
    document: &Document,
) -> Result<(), StoreError> {
    let description: String = document
        .description
        .chars()
        .take(limits::MAX_SEARCHED)
        .collect();
    let tags = document.tags.join("\n");
    let text = [id.as_str(), &document.display_name, &tags, &description].join("\n");
    query!(
        "INSERT INTO event_search (event_id, text) VALUES ($1, $2)
         ON CONFLICT (event_id) DO UPDATE SET text = $2 WHERE event_search.text <> $2",
        id.as_str(),
        text.to_lowercase()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a draft, whose row is locked, with its revisions. What stopped it along with others is kept.
///
/// # Errors
/// If the database fails.
pub async fn delete(conn: &mut PgConnection, id: &EventId) -> Result<(), StoreError> {
    // Whoever is about to refer to it is waited for, and seen.
    query!(
        "SELECT event_id FROM live_events WHERE event_id = $1 FOR UPDATE",
        id.as_str()
    )
    .fetch_optional(&mut *conn)
    .await?;
    query!(
        "UPDATE changes SET event_id = NULL WHERE event_id = $1",
        id.as_str()
    )
    .execute(&mut *conn)
    .await?;
    query!("DELETE FROM live_events WHERE event_id = $1", id.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// How many events are in a state.
///
/// # Errors
/// If the database fails.
pub async fn number_in(conn: &mut PgConnection, state: State) -> Result<u64, StoreError> {
    let row = query!(
        "SELECT count(*) FROM live_events WHERE state = $1",
        state.as_str()
    )
    .fetch_one(conn)
    .await?;
    Ok(count(row.count))
}

pub(super) struct Columns {
    pub(super) start: Time,
    pub(super) end: Time,
    region_local: bool,
}

impl Columns {
    pub(super) fn of(document: &Document) -> Self {
        let (start, end) = document.bounds;
        Self {
            start: time(start),
            end: time(end),
            region_local: document.timing.is_region_local(),
        }
    }
}
