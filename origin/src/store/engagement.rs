//! Engagement: which batches were counted, and what they came to, by minute and by hour.

mod add;
mod participants;
mod revenue;
mod rows;

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::engagement::{Cell, Distinct, SenderSession};
use liveevents_protocol::frame::Aggregate;
use liveevents_protocol::id::{EdgeId, RegionId};
use sqlx::{PgConnection, query};

use super::{StoreError, time};

pub use participants::{crowded, places};
pub use revenue::revenue;
pub use rows::{Asked, actives, rows};

/// How long a stretch the rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// A minute; kept for 48 hours.
    Minute,
    /// An hour; kept for 30 days.
    Hour,
}

impl Grain {
    const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "Minute",
            Self::Hour => "Hour",
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// When the stretch began that a moment is in.
    #[must_use]
    pub fn begin(self, at: Timestamp) -> Timestamp {
        let second = at.as_second();
        Timestamp::from_second(second - second.rem_euclid(self.seconds())).unwrap_or(at)
    }
}

/// Notes that an edge takes the batches of some sessions from now on, and gives the last batch of each that was counted.
///
/// # Errors
/// If the database fails.
pub async fn claim(
    conn: &mut PgConnection,
    (edge, claim): (&EdgeId, u64),
    sessions: &[SenderSession],
    now: Timestamp,
) -> Result<Vec<(SenderSession, u64)>, StoreError> {
    let sessions: Vec<uuid::Uuid> = sessions.iter().map(|session| session.0).collect();
    let rows = query!(
        "INSERT INTO report_sessions (session, edge_id, claim, batch, claimed_at)
         SELECT session, $2, $3, 0, $4 FROM unnest($1::uuid[]) AS session ORDER BY session
         ON CONFLICT (session) DO UPDATE SET edge_id = excluded.edge_id, claim = excluded.claim,
             claimed_at = excluded.claimed_at
         RETURNING session, batch",
        &sessions,
        edge.as_str(),
        stored(claim),
        time(now) as _
    )
    .fetch_all(conn)
    .await?;
    let claimed = rows
        .into_iter()
        .map(|row| (SenderSession(row.session), read(row.batch)));
    Ok(claimed.collect())
}

/// What became of an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It counts once the transaction is committed, and adds so much in each region.
    Counted(BTreeMap<RegionId, Added>),
    /// It was counted before.
    Again,
    /// This connection has not claimed these sessions in it, so nothing is written.
    Refused(Vec<SenderSession>),
}

/// What was added in a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Players taking part, as often as they were said to.
    pub participations: u64,
    /// What purchases brought, in US cents.
    pub revenue: u64,
}

/// Counts an aggregate, unless it was counted before or one of the sessions in it is not this connection's.
///
/// # Errors
/// If the database fails.
pub async fn count(
    conn: &mut PgConnection,
    (edge, claim): (&EdgeId, u64),
    aggregate: &Aggregate,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let batches = aggregate.batches.iter();
    let (sessions, numbers): (Vec<uuid::Uuid>, Vec<i64>) = batches
        .map(|(session, batch)| (session.0, stored(*batch)))
        .unzip();
    let held = query!(
        "SELECT session, batch FROM report_sessions WHERE session = ANY($1) AND edge_id = $2 AND claim = $3
         ORDER BY session FOR UPDATE",
        &sessions,
        edge.as_str(),
        stored(claim)
    )
    .fetch_all(&mut *conn)
    .await?;
    let batches: BTreeMap<uuid::Uuid, i64> = held
        .into_iter()
        .map(|row| (row.session, row.batch))
        .collect();
    // Tried again after a commit that was not heard of: nobody else could have counted these. One is proof of all, also of
    // sessions that have moved since.
    let is_counted = |(session, number): (&uuid::Uuid, &i64)| {
        batches
            .get(session)
            .is_some_and(|counted| counted >= number)
    };
    if sessions.iter().zip(&numbers).any(is_counted) {
        return Ok(Outcome::Again);
    }
    let foreign = sessions
        .iter()
        .filter(|session| !batches.contains_key(session));
    let refused: Vec<SenderSession> = foreign.map(|session| SenderSession(*session)).collect();
    if !refused.is_empty() {
        return Ok(Outcome::Refused(refused));
    }
    query!(
        "UPDATE report_sessions s SET batch = b.batch, counted_at = $3
         FROM unnest($1::uuid[], $2::bigint[]) AS b (session, batch) WHERE s.session = b.session",
        &sessions,
        &numbers,
        time(now) as _
    )
    .execute(&mut *conn)
    .await?;
    let cells = add::add(&mut *conn, &aggregate.cells, now).await?;
    participants::add(&mut *conn, &cells).await?;
    revenue::add(conn, edge, &cells).await?;
    Ok(Outcome::Counted(added(&cells)))
}

/// What cells add in each region.
fn added(cells: &[Cell]) -> BTreeMap<RegionId, Added> {
    let mut added: BTreeMap<RegionId, Added> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.place.segment.is_none()) {
        let region = added.entry(cell.place.region.clone()).or_default();
        let sums = &cell.tally.sums;
        region.participations = region.participations.saturating_add(sums.participations);
        region.revenue = region.revenue.saturating_add(sums.revenue);
    }
    added
}

pub(super) fn sketch(bytes: &[u8]) -> Result<Distinct, StoreError> {
    Distinct::from_bytes(bytes).map_err(StoreError::unreadable("a sketch of players"))
}

/// Makes room for today by the database's clock, and forgets what is over: minutes after two days, hours after thirty.
///
/// # Errors
/// If the database fails.
pub async fn keep_partitions(conn: &mut PgConnection) -> Result<(), StoreError> {
    query!("SELECT engagement_partitions((now() AT TIME ZONE 'UTC')::date)")
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets what came in before a moment, by hour.
///
/// # Errors
/// If the database fails.
pub async fn forget_revenue(conn: &mut PgConnection, before: Timestamp) -> Result<(), StoreError> {
    query!(
        "DELETE FROM region_revenue WHERE bucket < $1",
        time(before) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets sessions of which nothing was heard since: whoever sends a batch of one again after that is counted again.
///
/// # Errors
/// If the database fails.
pub async fn forget_sessions(conn: &mut PgConnection, since: Timestamp) -> Result<(), StoreError> {
    query!(
        "DELETE FROM report_sessions WHERE coalesce(counted_at, claimed_at) < $1",
        time(since) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}
