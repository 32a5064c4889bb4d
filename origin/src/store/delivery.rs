//! What edges tell of their game servers, and of entries that they could not apply. Written in batches, each
//! statement for all of them.

use jiff::Timestamp;
use liveevents_protocol::delay::Delays;
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::frame::{Quarantined, Standing};
use liveevents_protocol::id::{EdgeId, EventId, RegionId};
use liveevents_protocol::version::{Epoch, Revision, Version};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::region_log::stored;
use super::revisions::column;
use super::{StoreError, Time, time};

/// What the game servers of one edge hold of one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who tells.
    pub edge: EdgeId,
    /// Of which region.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// How many there are.
    pub connected: u32,
    /// How many stand where.
    pub standings: Vec<Standing>,
    /// When it arrived, by the origin's clock.
    pub at: Timestamp,
}

/// One version on its way through one edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passage {
    /// Of which region.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// Which.
    pub version: Version,
    /// Through whom.
    pub edge: EdgeId,
}

/// What some game servers of one edge said of one event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Of which version, and through whom.
    pub of: Passage,
    /// Of which event.
    pub event: EventId,
    /// Of which of its revisions, if they said.
    pub revision: Option<Revision>,
    /// In their words.
    pub reason: String,
}

/// How many have said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Since it was last written.
    pub count: u64,
    /// The first of them.
    pub first_at: Timestamp,
    /// The last of them.
    pub last_at: Timestamp,
}

/// All that one edge cannot apply in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    /// Who.
    pub edge: EdgeId,
    /// Where.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// None once all is well.
    pub entries: Vec<Quarantined>,
    /// When it said so, by the origin's clock.
    pub at: Timestamp,
}

/// Writes what game servers hold, in place of what was told before. At most one report an edge and region.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn record_reports(
    conn: &mut PgConnection,
    reports: &[&Report],
) -> Result<(), StoreError> {
    let of = |s: &Standing| json!([s.version, s.received, s.applied, s.deferred]);
    let standings = |report: &&Report| report.standings.iter().map(of).collect::<Value>();
    sqlx::query!(
        "INSERT INTO game_server_standings AS s (edge_id, region_id, epoch, connected, standings, reported_at)
         SELECT r.* FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::jsonb[], $6::timestamptz[])
             AS r (edge_id, region_id, epoch, connected, standings, reported_at)
             WHERE EXISTS (SELECT FROM edges e WHERE e.edge_id = r.edge_id)
         ON CONFLICT (edge_id, region_id) DO UPDATE SET epoch = excluded.epoch,
             connected = excluded.connected, standings = excluded.standings,
             reported_at = excluded.reported_at
         WHERE s.reported_at <= excluded.reported_at",
        &each(reports, |report| report.edge.to_string()),
        &each(reports, |report| report.region.to_string()),
        &each(reports, |report| report.epoch.0),
        &each(reports, |report| i64::from(report.connected)),
        &reports.iter().map(standings).collect::<Vec<_>>(),
        &each(reports, |report| time(report.at)) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds how long versions took to game servers.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn record_times(
    conn: &mut PgConnection,
    times: &[(&Passage, &Delays)],
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO delivery_times AS t (region_id, epoch, version, edge_id, delays, max_us)
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::jsonb[], $6::bigint[])
         ON CONFLICT (region_id, epoch, version, edge_id) DO UPDATE SET
             max_us = greatest(t.max_us, excluded.max_us),
             delays = (SELECT jsonb_object_agg(bucket, count)
                       FROM (SELECT key AS bucket, sum(value::bigint) AS count
                             FROM (SELECT * FROM jsonb_each_text(t.delays)
                                   UNION ALL SELECT * FROM jsonb_each_text(excluded.delays)) AS parts
                             GROUP BY key) AS sums)",
        &each(times, |(of, _)| of.region.to_string()),
        &each(times, |(of, _)| of.epoch.0),
        &each(times, |(of, _)| stored(of.version)),
        &each(times, |(of, _)| of.edge.to_string()),
        &each(times, |(_, delays)| buckets(delays)),
        &each(times, |(_, delays)| i64::try_from(delays.max().as_micros()).unwrap_or(i64::MAX)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds what game servers complained of.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn record_nacks(
    conn: &mut PgConnection,
    nacks: &[(&Complaint, &Counted)],
) -> Result<(), StoreError> {
    let first: Vec<Time> = each(nacks, |(_, counted)| time(counted.first_at));
    let last: Vec<Time> = each(nacks, |(_, counted)| time(counted.last_at));
    sqlx::query!(
        "INSERT INTO nacks AS n (region_id, epoch, version, edge_id, event_id, revision, reason, count,
             first_at, last_at)
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::int[],
             $7::text[], $8::bigint[], $9::timestamptz[], $10::timestamptz[])
         ON CONFLICT ON CONSTRAINT nacks_once DO UPDATE SET count = n.count + excluded.count,
             first_at = least(n.first_at, excluded.first_at),
             last_at = greatest(n.last_at, excluded.last_at)",
        &each(nacks, |(complaint, _)| complaint.of.region.to_string()),
        &each(nacks, |(complaint, _)| complaint.of.epoch.0),
        &each(nacks, |(complaint, _)| stored(complaint.of.version)),
        &each(nacks, |(complaint, _)| complaint.of.edge.to_string()),
        &each(nacks, |(complaint, _)| complaint.event.to_string()),
        &each(nacks, |(complaint, _)| complaint.revision.map(column)) as _,
        &each(nacks, |(complaint, _)| complaint.reason.clone()),
        &each(nacks, |(_, counted)| i64::try_from(counted.count).unwrap_or(i64::MAX)),
        &first as _,
        &last as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what edges cannot apply, in place of what they told before. What they told already keeps its time.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn record_degraded(
    conn: &mut PgConnection,
    lists: &[&Degraded],
) -> Result<(), StoreError> {
    let entries: Vec<(&Degraded, &Quarantined)> = lists
        .iter()
        .flat_map(|list| list.entries.iter().map(move |entry| (*list, entry)))
        .collect();
    let edges = each(&entries, |(list, _)| list.edge.to_string());
    let regions = each(&entries, |(list, _)| list.region.to_string());
    let kinds = each(&entries, |(_, entry)| parts(&entry.key).0.to_owned());
    let events = each(&entries, |(_, entry)| match &entry.key {
        EntryKey::Segment(segment) => segment.to_string(),
        EntryKey::Content(event, _) | EntryKey::Assignment(event) => event.to_string(),
    });
    let revisions = each(&entries, |(_, entry)| parts(&entry.key).1);
    sqlx::query!(
        "DELETE FROM quarantined_entries q
         USING unnest($1::text[], $2::text[]) AS told (edge_id, region_id)
         WHERE q.edge_id = told.edge_id AND q.region_id = told.region_id AND NOT EXISTS (
             SELECT FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::int[])
                 AS e (edge_id, region_id, kind, event_id, revision)
             WHERE (e.edge_id, e.region_id, e.kind, e.event_id) = (q.edge_id, q.region_id, q.kind, q.event_id)
                 AND e.revision IS NOT DISTINCT FROM q.revision)",
        &each(lists, |list| list.edge.to_string()),
        &each(lists, |list| list.region.to_string()),
        &edges,
        &regions,
        &kinds,
        &events,
        &revisions as _,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO quarantined_entries (edge_id, region_id, kind, event_id, revision, epoch, version, reason,
             since)
         SELECT e.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::uuid[],
                 $7::bigint[], $8::text[], $9::timestamptz[])
             AS e (edge_id, region_id, kind, event_id, revision, epoch, version, reason, since)
             WHERE EXISTS (SELECT FROM edges WHERE edges.edge_id = e.edge_id)
         ON CONFLICT ON CONSTRAINT quarantined_entries_once DO UPDATE SET epoch = excluded.epoch,
             version = excluded.version, reason = excluded.reason",
        &edges,
        &regions,
        &kinds,
        &events,
        &revisions as _,
        &each(&entries, |(list, _)| list.epoch.0),
        &each(&entries, |(_, entry)| stored(entry.version)),
        &each(&entries, |(_, entry)| entry.reason.clone()),
        &each(&entries, |(list, _)| time(list.at)) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A column of some rows.
fn each<R, T>(rows: &[R], column: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

fn buckets(delays: &Delays) -> Value {
    let buckets = delays.buckets();
    buckets
        .map(|(bucket, count)| (bucket.to_string(), Value::from(count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A key as kind and revision.
fn parts(key: &EntryKey) -> (&'static str, Option<i32>) {
    match key {
        EntryKey::Segment(_) => ("Segment", None),
        EntryKey::Assignment(_) => ("Assignment", None),
        EntryKey::Content(_, revision) => ("Content", Some(column(*revision))),
    }
}
