//! The course of events' lives: what the lifecycle makes of them, and when each is to be looked at next.
//!
//! A moment to look at is a hint: what is due is decided from the schedules. Every change of a schedule takes the hint
//! away ([`unsettle`]), so that nobody has to remember to set it.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::EventId;
use sqlx::{PgConnection, query};

use super::events::{Columns, read};
use super::{StoreError, Time, time};
use crate::event::document::Document;
use crate::event::lifecycle::State;
use crate::event::record::Event;

/// Notified when an event is to be looked at.
pub const CHANNEL: &str = "liveevents_due";

/// What the lifecycle makes of an event.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// Where in its life it is.
    pub state: State,
    /// With its times.
    pub document: &'a Document,
    /// When somebody activated it.
    pub activated_at: Option<Timestamp>,
    /// When it was completed or cancelled.
    pub ended_at: Option<Timestamp>,
}

/// Writes state and times of an event whose row is locked.
///
/// # Errors
/// If the database fails.
pub async fn set_course(
    conn: &mut PgConnection,
    id: &EventId,
    course: Course<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = Columns::of(course.document);
    let timing = serde_json::to_string(&course.document.timing_fields()).map_err(
        StoreError::unreadable("an event's times about to be stored"),
    )?;
    // A region-local event may be activated, and ended, before it starts by the event's own zone.
    query!(
        "UPDATE live_events SET state = $2, timing = $3::text::json,
             start_time = least($4::timestamptz, $6::timestamptz),
             end_time = CASE WHEN $7::timestamptz > least($4::timestamptz, $6::timestamptz)
                 THEN least($5::timestamptz, $7) ELSE $5 END,
             activated_at = $6, ended_at = $7, updated_at = $8
         WHERE event_id = $1",
        id.as_str(),
        course.state.as_str(),
        timing,
        columns.start as _,
        columns.end as _,
        course.activated_at.map(time) as _,
        course.ended_at.map(time) as _,
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves an event whose row is locked to another state; its times stay.
///
/// # Errors
/// If the database fails.
pub async fn set_state(
    conn: &mut PgConnection,
    id: &EventId,
    state: State,
    now: Timestamp,
) -> Result<(), StoreError> {
    set_states(conn, &[(id, state, None)], now).await
}

/// Moves events whose rows are locked to other states, with the moment at which each that is over ended.
///
/// # Errors
/// If the database fails.
pub async fn set_states(
    conn: &mut PgConnection,
    moves: &[(&EventId, State, Option<Timestamp>)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<String> = moves.iter().map(|(id, ..)| id.to_string()).collect();
    let states: Vec<String> = moves
        .iter()
        .map(|(_, state, _)| state.to_string())
        .collect();
    let ends: Vec<Option<Time>> = moves.iter().map(|(.., ended)| ended.map(time)).collect();
    query!(
        "UPDATE live_events e SET state = m.state, ended_at = coalesce(m.ended_at, e.ended_at), updated_at = $4
         FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS m (event_id, state, ended_at)
         WHERE e.event_id = m.event_id",
        &ids,
        &states,
        &ends as _,
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Somebody has changed schedules of these events, whose rows are locked: they are to be looked at.
///
/// # Errors
/// If the database fails.
pub async fn unsettle(conn: &mut PgConnection, events: &[EventId]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let events: Vec<String> = events.iter().map(ToString::to_string).collect();
    query!(
        "UPDATE live_events SET due_at = NULL WHERE event_id = ANY($1)",
        &events
    )
    .execute(&mut *conn)
    .await?;
    query!("SELECT pg_notify($1, '')", CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}

/// Events, whose rows are locked, have been looked at; next time is then, or never by itself.
///
/// # Errors
/// If the database fails.
pub async fn settle(
    conn: &mut PgConnection,
    looks: &[(&EventId, Option<Timestamp>)],
) -> Result<(), StoreError> {
    let ids: Vec<String> = looks.iter().map(|(id, _)| id.to_string()).collect();
    let next: Vec<Option<Time>> = looks.iter().map(|(_, next)| next.map(time)).collect();
    query!(
        "UPDATE live_events e SET due_at = coalesce(l.due_at, 'infinity')
         FROM unnest($1::text[], $2::timestamptz[]) AS l (event_id, due_at) WHERE e.event_id = l.event_id",
        &ids,
        &next as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether an event is to be looked at.
///
/// # Errors
/// If the database fails.
pub async fn is_due(
    conn: &mut PgConnection,
    event: &EventId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let row = query!(
        r#"SELECT EXISTS (
               SELECT FROM live_events
               WHERE event_id = $1 AND state IN ('Scheduled', 'Active', 'Paused')
                 AND (due_at IS NULL OR due_at <= $2)) as "due!""#,
        event.as_str(),
        time(now) as _
    )
    .fetch_one(conn)
    .await?;
    Ok(row.due)
}

/// Locks events that are to be looked at, those first that have waited longest, and none that somebody else has locked.
///
/// # Errors
/// If the database fails.
pub async fn claim(
    conn: &mut PgConnection,
    now: Timestamp,
    at_most: i64,
) -> Result<Vec<Event>, StoreError> {
    let rows = query!(
        "SELECT event_id FROM live_events
         WHERE state IN ('Scheduled', 'Active', 'Paused') AND (due_at IS NULL OR due_at <= $1)
         ORDER BY due_at NULLS FIRST LIMIT $2
         FOR NO KEY UPDATE SKIP LOCKED",
        time(now) as _,
        at_most
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<String> = rows.into_iter().map(|row| row.event_id).collect();
    read(conn, &ids).await
}

/// The same of one event, if nobody has locked or looked at it meanwhile.
///
/// # Errors
/// If the database fails.
pub async fn claim_one(
    conn: &mut PgConnection,
    event: &EventId,
    now: Timestamp,
) -> Result<Vec<Event>, StoreError> {
    let row = query!(
        "SELECT event_id FROM live_events
         WHERE event_id = $1 AND state IN ('Scheduled', 'Active', 'Paused')
           AND (due_at IS NULL OR due_at <= $2)
         FOR NO KEY UPDATE SKIP LOCKED",
        event.as_str(),
        time(now) as _
    )
    .fetch_optional(&mut *conn)
    .await?;
    let ids: Vec<String> = row.into_iter().map(|row| row.event_id).collect();
    read(conn, &ids).await
}

/// How long it is until the next event is to be looked at, nothing if one is already; none if there is none.
///
/// # Errors
/// If the database fails.
pub async fn next(
    conn: &mut PgConnection,
    now: Timestamp,
) -> Result<Option<SignedDuration>, StoreError> {
    // Twice, so that each is one look into the index.
    let row = query!(
        r#"SELECT EXISTS (
                   SELECT FROM live_events
                   WHERE state IN ('Scheduled', 'Active', 'Paused') AND due_at IS NULL) as "unsettled!",
               (SELECT min(due_at) FROM live_events
                WHERE state IN ('Scheduled', 'Active', 'Paused') AND due_at < 'infinity') as "at: Time""#
    )
    .fetch_one(conn)
    .await?;
    if row.unsettled {
        return Ok(Some(SignedDuration::ZERO));
    }
    let at = row.at.map(Time::to_jiff);
    Ok(at.map(|at| now.duration_until(at).max(SignedDuration::ZERO)))
}

/// Notes that a scheduler has found nothing more to do.
///
/// # Errors
/// If the database fails.
pub async fn note_run(conn: &mut PgConnection, now: Timestamp) -> Result<(), StoreError> {
    query!(
        "INSERT INTO scheduler (ran_at) VALUES ($1)
         ON CONFLICT (only_one) DO UPDATE SET ran_at = greatest(scheduler.ran_at, $1)",
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When a scheduler of any replica last found nothing more to do.
///
/// # Errors
/// If the database fails.
pub async fn last_run(conn: &mut PgConnection) -> Result<Option<Timestamp>, StoreError> {
    let row = query!(r#"SELECT ran_at as "at: Time" FROM scheduler"#)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.at.to_jiff()))
}
