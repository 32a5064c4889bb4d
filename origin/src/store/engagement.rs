//! Engagement: which batches were counted, and what they came to, by minute and by hour.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::engagement::{Cell, Cohort, Distinct, Place, SenderSession, Sums, Tally};
use liveevents_protocol::frame::Aggregate;
use liveevents_protocol::id::{EdgeId, EventId, RegionId};
use sqlx::{PgConnection, query};

use super::revisions::{column, number};
use super::{StoreError, Time, time};

/// How far an edge's clock may be off before the database's counts instead.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

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

/// Counts an aggregate, or gives the sessions in it that this connection has not claimed: then nothing is written,
/// provided the caller drops the transaction.
///
/// # Errors
/// If the database fails.
pub async fn count(
    conn: &mut PgConnection,
    (edge, claim): (&EdgeId, u64),
    aggregate: &Aggregate,
    now: Timestamp,
) -> Result<Vec<SenderSession>, StoreError> {
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
    let foreign = sessions
        .iter()
        .filter(|session| !batches.contains_key(session));
    let refused: Vec<SenderSession> = foreign.map(|session| SenderSession(*session)).collect();
    if !refused.is_empty() {
        return Ok(refused);
    }
    // Tried again after a commit that was not heard of: nobody else could have counted these.
    let is_counted = |(session, number): (&uuid::Uuid, &i64)| {
        batches
            .get(session)
            .is_some_and(|counted| counted >= number)
    };
    if sessions.iter().zip(&numbers).all(is_counted) {
        return Ok(Vec::new());
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
    add(conn, &aggregate.cells, now).await?;
    Ok(Vec::new())
}

/// The key of a row; rows are locked in this order.
type Key = (Grain, String, Timestamp, String, i32, String, &'static str);

/// Adds cells to the minutes and hours that they are in.
async fn add(conn: &mut PgConnection, cells: &[Cell], now: Timestamp) -> Result<(), StoreError> {
    let mut sums: BTreeMap<Key, Tally> = BTreeMap::new();
    for cell in cells {
        let place = &cell.place;
        let off = cell.second.duration_since(now).abs() > TOLERANCE;
        let second = if off { now } else { cell.second };
        for grain in Grain::ALL {
            let key = (
                grain,
                place.event.to_string(),
                grain.begin(second),
                place.region.to_string(),
                place.revision.map_or(0, column),
                place.variant.clone().unwrap_or_default(),
                place.cohort.as_str(),
            );
            sums.entry(key).or_default().add(&cell.tally);
        }
    }
    if sums.is_empty() {
        return Ok(());
    }
    let keys = Keys::of(sums.keys());
    // So that each row is there to be locked. Whoever reports of an event that there is not has it for themselves.
    query!(
        "INSERT INTO engagement (grain, event_id, bucket, region_id, revision, variant, cohort)
         SELECT k.* FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[])
             AS k (grain, event_id, bucket, region_id, revision, variant, cohort)
         WHERE EXISTS (SELECT FROM live_events e WHERE e.event_id = k.event_id)
         ON CONFLICT DO NOTHING",
        &keys.grains,
        &keys.events,
        &keys.buckets as _,
        &keys.regions,
        &keys.revisions,
        &keys.variants,
        &keys.cohorts
    )
    .execute(&mut *conn)
    .await?;
    let there = query!(
        r#"SELECT n as "n!", e.active, e.participants, e.completers, e.payers
           FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[])
                   WITH ORDINALITY AS k (grain, event_id, bucket, region_id, revision, variant, cohort, n)
               JOIN engagement e USING (grain, event_id, bucket, region_id, revision, variant, cohort)
           ORDER BY n FOR UPDATE OF e"#,
        &keys.grains,
        &keys.events,
        &keys.buckets as _,
        &keys.regions,
        &keys.revisions,
        &keys.variants,
        &keys.cohorts
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut before: BTreeMap<i64, [Vec<u8>; 4]> = BTreeMap::new();
    for row in there {
        let sketches = [row.active, row.participants, row.completers, row.payers];
        before.insert(row.n, sketches);
    }
    let mut merged = Merged::default();
    for (tally, n) in sums.values().zip(1..) {
        let nothing = Default::default();
        let [active, participants, completers, payers] = before.get(&n).unwrap_or(&nothing);
        merged.push(
            tally,
            [
                (active, &tally.active),
                (participants, &tally.participants),
                (completers, &tally.completers),
                (payers, &tally.payers),
            ],
        )?;
    }
    write(conn, &keys, &merged).await
}

async fn write(conn: &mut PgConnection, keys: &Keys, merged: &Merged) -> Result<(), StoreError> {
    let [
        starts,
        ends,
        seconds,
        participations,
        completions,
        purchases,
        revenue,
        positive,
        neutral,
        negative,
        promoters,
        passives,
        detractors,
        errors,
    ] = &merged.sums;
    let [active, participants, completers, payers] = &merged.sketches;
    query!(
        "UPDATE engagement e SET
             session_starts = e.session_starts + m.session_starts, session_ends = e.session_ends + m.session_ends,
             session_seconds = e.session_seconds + m.session_seconds,
             participations = e.participations + m.participations, completions = e.completions + m.completions,
             purchases = e.purchases + m.purchases, revenue_cents = e.revenue_cents + m.revenue_cents,
             positive = e.positive + m.positive, neutral = e.neutral + m.neutral, negative = e.negative + m.negative,
             promoters = e.promoters + m.promoters, passives = e.passives + m.passives,
             detractors = e.detractors + m.detractors, errors = e.errors + m.errors,
             active = m.active, participants = m.participants, completers = m.completers, payers = m.payers
         FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[],
                 $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
                 $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[],
                 $21::bigint[], $22::bytea[], $23::bytea[], $24::bytea[], $25::bytea[])
             AS m (grain, event_id, bucket, region_id, revision, variant, cohort, session_starts, session_ends,
                 session_seconds, participations, completions, purchases, revenue_cents, positive, neutral, negative,
                 promoters, passives, detractors, errors, active, participants, completers, payers)
         WHERE (e.grain, e.event_id, e.bucket, e.region_id, e.revision, e.variant, e.cohort)
             = (m.grain, m.event_id, m.bucket, m.region_id, m.revision, m.variant, m.cohort)",
        &keys.grains,
        &keys.events,
        &keys.buckets as _,
        &keys.regions,
        &keys.revisions,
        &keys.variants,
        &keys.cohorts,
        starts,
        ends,
        seconds,
        participations,
        completions,
        purchases,
        revenue,
        positive,
        neutral,
        negative,
        promoters,
        passives,
        detractors,
        errors,
        active,
        participants,
        completers,
        payers
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keys in parallel arrays, for `unnest`.
#[derive(Default)]
struct Keys {
    grains: Vec<String>,
    events: Vec<String>,
    buckets: Vec<Time>,
    regions: Vec<String>,
    revisions: Vec<i32>,
    variants: Vec<String>,
    cohorts: Vec<String>,
}

impl Keys {
    fn of<'a>(keys: impl Iterator<Item = &'a Key>) -> Self {
        let mut columns = Self::default();
        for (grain, event, bucket, region, revision, variant, cohort) in keys {
            columns.grains.push(grain.as_str().to_owned());
            columns.events.push(event.clone());
            columns.buckets.push(time(*bucket));
            columns.regions.push(region.clone());
            columns.revisions.push(*revision);
            columns.variants.push(variant.clone());
            columns.cohorts.push((*cohort).to_owned());
        }
        columns
    }
}

/// What is added to rows, and their sketches as they are then.
#[derive(Default)]
struct Merged {
    sums: [Vec<i64>; Sums::COUNT],
    sketches: [Vec<Vec<u8>>; 4],
}

impl Merged {
    fn push(
        &mut self,
        tally: &Tally,
        sketches: [(&Vec<u8>, &Distinct); 4],
    ) -> Result<(), StoreError> {
        for (column, sum) in self.sums.iter_mut().zip(tally.sums.to_array()) {
            column.push(stored(sum));
        }
        for (column, (before, more)) in self.sketches.iter_mut().zip(sketches) {
            let mut players = sketch(before)?;
            players.merge(more);
            column.push(players.to_bytes());
        }
        Ok(())
    }
}

fn sketch(bytes: &[u8]) -> Result<Distinct, StoreError> {
    Distinct::from_bytes(bytes).map_err(StoreError::unreadable("a sketch of players"))
}

/// Which rows are asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Of which event.
    pub event: &'a EventId,
    /// How long each.
    pub grain: Grain,
    /// From the stretch that begins here.
    pub from: Timestamp,
    /// In one region.
    pub region: Option<&'a RegionId>,
    /// Of one variant.
    pub variant: Option<&'a str>,
    /// Of one cohort.
    pub cohort: Option<Cohort>,
}

/// What happened, by stretch and place, in order of time.
///
/// # Errors
/// If the database fails.
pub async fn rows(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
) -> Result<Vec<(Timestamp, Place, Tally)>, StoreError> {
    let rows = query!(
        r#"SELECT bucket as "bucket: Time", region_id, revision, variant, cohort, session_starts, session_ends,
               session_seconds, participations, completions, purchases, revenue_cents, positive, neutral, negative,
               promoters, passives, detractors, errors, active, participants, completers, payers
           FROM engagement
           WHERE grain = $1 AND event_id = $2 AND bucket >= $3 AND ($4::text IS NULL OR region_id = $4)
             AND ($5::text IS NULL OR variant = $5) AND ($6::text IS NULL OR cohort = $6)
           ORDER BY bucket"#,
        asked.grain.as_str(),
        asked.event.as_str(),
        time(asked.from) as _,
        asked.region.map(RegionId::as_str),
        asked.variant,
        asked.cohort.map(Cohort::as_str)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let cohort = Cohort::ALL
                .into_iter()
                .find(|one| one.as_str() == row.cohort);
            let place = Place {
                region: super::regions::id(&row.region_id)?,
                event: asked.event.clone(),
                revision: match row.revision {
                    0 => None,
                    revision => Some(number(revision)?),
                },
                variant: Some(row.variant).filter(|variant| !variant.is_empty()),
                cohort: cohort.ok_or_else(|| StoreError::unreadable("a cohort")(row.cohort))?,
            };
            let sums = [
                row.session_starts,
                row.session_ends,
                row.session_seconds,
                row.participations,
                row.completions,
                row.purchases,
                row.revenue_cents,
                row.positive,
                row.neutral,
                row.negative,
                row.promoters,
                row.passives,
                row.detractors,
                row.errors,
            ];
            let tally = Tally {
                sums: Sums::from_array(sums.map(read)),
                active: sketch(&row.active)?,
                participants: sketch(&row.participants)?,
                completers: sketch(&row.completers)?,
                payers: sketch(&row.payers)?,
            };
            Ok((row.bucket.to_jiff(), place, tally))
        })
        .collect()
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
