//! What every region serves now, as of its head: assignments, contents, and what was removed.

use std::collections::BTreeMap;

use liveevents_protocol::entry::{Entry, EntryKey, Value};
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::{Assignment, BucketBy, Candidate, Suspension};
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::{BasisPoints, Revision, Version};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::region_log::{region, stored, texts, version};
use crate::change::{Held, RegionRow};

struct Row {
    region_id: String,
    event_id: String,
    live: Option<i32>,
    candidate: Option<i32>,
    exposure: Option<i32>,
    bucket_by: Option<String>,
    schedule: Json<Schedule>,
    paused: bool,
    stopped: bool,
    is_full: bool,
    salt: String,
    version: i64,
}

fn revision(stored: i32) -> Result<Revision, StoreError> {
    u32::try_from(stored)
        .map(Revision)
        .map_err(StoreError::unreadable("a revision"))
}

fn stored_revision(revision: Revision) -> i32 {
    i32::try_from(revision.0).unwrap_or(i32::MAX)
}

fn event(text: &str) -> Result<EventId, StoreError> {
    text.parse()
        .map_err(StoreError::unreadable("an event's id"))
}

impl Row {
    fn assignment(self) -> Result<Assignment, StoreError> {
        let exposure = |points: Option<i32>| -> Result<BasisPoints, StoreError> {
            let points = u16::try_from(points.unwrap_or(0));
            let points = points.map_err(StoreError::unreadable("an exposure"))?;
            BasisPoints::new(points).map_err(StoreError::unreadable("an exposure"))
        };
        let candidate = match self.candidate {
            Some(candidate) => Some(Candidate {
                revision: revision(candidate)?,
                exposure: exposure(self.exposure)?,
                bucket_by: self.bucket_by.map_or_else(BucketBy::default, BucketBy),
            }),
            None => None,
        };
        Ok(Assignment {
            event_id: event(&self.event_id)?,
            salt: self.salt,
            live: self.live.map(revision).transpose()?,
            candidate,
            schedule: self.schedule.0,
            suspension: Suspension {
                paused: self.paused,
                stopped: self.stopped,
            },
            full: self.is_full,
        })
    }
}

/// What some regions hold of some events. Call it holding the regions' heads.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn held(
    conn: &mut PgConnection,
    regions: &[RegionId],
    events: &[EventId],
) -> Result<BTreeMap<RegionId, Held>, StoreError> {
    let (regions, events) = (
        texts(regions),
        events.iter().map(ToString::to_string).collect::<Vec<_>>(),
    );
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT region_id, event_id, live, candidate, exposure, bucket_by,
                  schedule AS "schedule: Json<Schedule>", paused, stopped, is_full, salt, version
           FROM assignments WHERE region_id = ANY($1) AND event_id = ANY($2)"#,
        &regions,
        &events
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut held: BTreeMap<RegionId, Held> = BTreeMap::new();
    for row in rows {
        let of = region(&row.region_id)?;
        let assignment = row.assignment()?;
        let held = held.entry(of).or_default();
        held.assignments
            .insert(assignment.event_id.clone(), assignment);
    }
    let rows = sqlx::query!(
        r#"SELECT region_id, event_id, revision,
               ARRAY(SELECT segment_id FROM revision_segments s
                     WHERE s.event_id = c.event_id AND s.revision = c.revision) AS "segments!"
           FROM region_contents c WHERE region_id = ANY($1) AND event_id = ANY($2)"#,
        &regions,
        &events
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let held = held.entry(region(&row.region_id)?).or_default();
        let content = (event(&row.event_id)?, revision(row.revision)?);
        let segments = row.segments.iter().map(|id| super::segments::id(id));
        held.contents
            .insert(content, segments.collect::<Result<_, _>>()?);
    }
    Ok(held)
}

/// One event's assignments, by region.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn of_event(
    conn: &mut PgConnection,
    of: &EventId,
) -> Result<BTreeMap<RegionId, Assignment>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT region_id, event_id, live, candidate, exposure, bucket_by,
                  schedule AS "schedule: Json<Schedule>", paused, stopped, is_full, salt, version
           FROM assignments WHERE event_id = $1"#,
        of.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((region(&row.region_id)?, row.assignment()?)))
        .collect()
}

/// Some events' assignments, by event and region. An event without any is left out.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn of_events(
    conn: &mut PgConnection,
    events: &[EventId],
) -> Result<BTreeMap<EventId, BTreeMap<RegionId, Assignment>>, StoreError> {
    let events: Vec<String> = events.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT region_id, event_id, live, candidate, exposure, bucket_by,
                  schedule AS "schedule: Json<Schedule>", paused, stopped, is_full, salt, version
           FROM assignments WHERE event_id = ANY($1)"#,
        &events
    )
    .fetch_all(conn)
    .await?;
    let mut found: BTreeMap<EventId, BTreeMap<RegionId, Assignment>> = BTreeMap::new();
    for row in rows {
        let region = region(&row.region_id)?;
        let assignment = row.assignment()?;
        let of = found.entry(assignment.event_id.clone()).or_default();
        of.insert(region, assignment);
    }
    Ok(found)
}

/// One region's assignments in order of event, each with the version that last changed it.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn of_region(
    conn: &mut PgConnection,
    of: &RegionId,
) -> Result<Vec<(Version, Assignment)>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT region_id, event_id, live, candidate, exposure, bucket_by,
                  schedule AS "schedule: Json<Schedule>", paused, stopped, is_full, salt, version
           FROM assignments WHERE region_id = $1 ORDER BY event_id"#,
        of.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((version(row.version), row.assignment()?)))
        .collect()
}

/// Brings the tables to what the rows of one change say of events.
///
/// # Errors
/// If the database does not take it.
pub(crate) async fn write(conn: &mut PgConnection, rows: &[RegionRow]) -> Result<(), StoreError> {
    let mut puts = Puts::default();
    let (mut contents, mut removals) = (Keys::default(), Keys::default());
    for row in rows {
        for entry in &row.entries {
            match entry {
                Entry::Put(Value::Assignment(assignment)) => puts.push(row, assignment),
                // By [`region_segments`](super::region_segments).
                Entry::Put(Value::Segment(_)) => {}
                Entry::Put(Value::Content(_)) => contents.push(row, &entry.key()),
                Entry::Removal(key) => removals.push(row, key),
            }
        }
    }
    if !contents.regions.is_empty() {
        put_contents(conn, &contents).await?;
    }
    if !puts.regions.is_empty() {
        put_assignments(conn, &puts).await?;
    }
    if !removals.regions.is_empty() {
        remove(conn, &removals).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Puts {
    regions: Vec<String>,
    versions: Vec<i64>,
    events: Vec<String>,
    lives: Vec<Option<i32>>,
    candidates: Vec<Option<i32>>,
    exposures: Vec<Option<i32>>,
    bucket_bys: Vec<Option<String>>,
    schedules: Vec<serde_json::Value>,
    paused: Vec<bool>,
    stopped: Vec<bool>,
    full: Vec<bool>,
    salts: Vec<String>,
}

impl Puts {
    fn push(&mut self, row: &RegionRow, assignment: &Assignment) {
        let candidate = assignment.candidate.as_ref();
        self.regions.push(row.region.to_string());
        self.versions.push(stored(row.version));
        self.events.push(assignment.event_id.to_string());
        self.lives.push(assignment.live.map(stored_revision));
        self.candidates
            .push(candidate.map(|candidate| stored_revision(candidate.revision)));
        self.exposures
            .push(candidate.map(|candidate| i32::from(candidate.exposure.value())));
        self.bucket_bys
            .push(candidate.map(|candidate| candidate.bucket_by.0.clone()));
        self.schedules.push(serde_json::json!(assignment.schedule));
        self.paused.push(assignment.suspension.paused);
        self.stopped.push(assignment.suspension.stopped);
        self.full.push(assignment.full);
        self.salts.push(assignment.salt.clone());
    }
}

async fn put_assignments(conn: &mut PgConnection, puts: &Puts) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH rows AS (
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[], $5::int[], $6::int[],
                     $7::text[], $8::jsonb[], $9::bool[], $10::bool[], $11::bool[], $12::text[])
                 AS t (region_id, version, event_id, live, candidate, exposure, bucket_by, schedule,
                     paused, stopped, is_full, salt)),
         there_again AS (
             DELETE FROM region_tombstones t USING rows r
             WHERE t.region_id = r.region_id AND t.kind = 'Assignment' AND t.event_id = r.event_id)
         INSERT INTO assignments (region_id, version, event_id, live, candidate, exposure, bucket_by,
             schedule, paused, stopped, is_full, salt)
         SELECT * FROM rows
         ON CONFLICT (region_id, event_id) DO UPDATE SET version = excluded.version,
             live = excluded.live, candidate = excluded.candidate, exposure = excluded.exposure,
             bucket_by = excluded.bucket_by, schedule = excluded.schedule, paused = excluded.paused,
             stopped = excluded.stopped, is_full = excluded.is_full, salt = excluded.salt",
        &puts.regions,
        &puts.versions,
        &puts.events,
        &puts.lives as _,
        &puts.candidates as _,
        &puts.exposures as _,
        &puts.bucket_bys as _,
        &puts.schedules,
        &puts.paused,
        &puts.stopped,
        &puts.full,
        &puts.salts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keys in parallel arrays, for `unnest`. An assignment has no revision.
#[derive(Default)]
struct Keys {
    regions: Vec<String>,
    versions: Vec<i64>,
    events: Vec<String>,
    revisions: Vec<Option<i32>>,
}

impl Keys {
    fn push(&mut self, row: &RegionRow, key: &EntryKey) {
        let Some(event) = key.event() else { return };
        self.regions.push(row.region.to_string());
        self.versions.push(stored(row.version));
        self.events.push(event.to_string());
        self.revisions.push(match key {
            EntryKey::Content(_, revision) => Some(stored_revision(*revision)),
            EntryKey::Segment(_) | EntryKey::Assignment(_) => None,
        });
    }
}

async fn put_contents(conn: &mut PgConnection, keys: &Keys) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH rows AS (
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[])
                 AS t (region_id, version, event_id, revision)),
         there_again AS (
             DELETE FROM region_tombstones t USING rows r
             WHERE t.region_id = r.region_id AND t.kind = 'Content' AND t.event_id = r.event_id
                 AND t.revision = r.revision)
         INSERT INTO region_contents (region_id, version, event_id, revision) SELECT * FROM rows
         ON CONFLICT (region_id, event_id, revision) DO UPDATE SET version = excluded.version",
        &keys.regions,
        &keys.versions,
        &keys.events,
        &keys.revisions as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn remove(conn: &mut PgConnection, keys: &Keys) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH rows AS (
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[])
                 AS t (region_id, version, event_id, revision)),
         assignments_gone AS (
             DELETE FROM assignments a USING rows r
             WHERE r.revision IS NULL AND a.region_id = r.region_id AND a.event_id = r.event_id),
         contents_gone AS (
             DELETE FROM region_contents c USING rows r
             WHERE c.region_id = r.region_id AND c.event_id = r.event_id AND c.revision = r.revision)
         INSERT INTO region_tombstones (region_id, version, kind, event_id, revision)
         SELECT region_id, version, CASE WHEN revision IS NULL THEN 'Assignment' ELSE 'Content' END,
             event_id, revision FROM rows
         ON CONFLICT ON CONSTRAINT region_tombstones_once DO UPDATE SET version = excluded.version",
        &keys.regions,
        &keys.versions,
        &keys.events,
        &keys.revisions as _
    )
    .execute(conn)
    .await?;
    Ok(())
}
