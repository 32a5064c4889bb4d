//! Aggregates, added to the rows of their minutes and hours: set by set, however many reports they are of.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::engagement::{Cell, Distinct, Sums, Tally};
use sqlx::{PgConnection, query, query_scalar};

use super::{Grain, sketch, stored};
use crate::store::revisions::column;
use crate::store::{StoreError, Time, time};

/// How far an edge's clock may be off before the database's counts instead.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// Cells of events that there are, each with the time that counts.
async fn known(
    conn: &mut PgConnection,
    cells: &[Cell],
    now: Timestamp,
) -> Result<Vec<Cell>, StoreError> {
    let named: BTreeSet<String> = cells
        .iter()
        .map(|cell| cell.place.event.to_string())
        .collect();
    let named: Vec<String> = named.into_iter().collect();
    let found = query_scalar!(
        "SELECT event_id FROM live_events WHERE event_id = ANY($1)",
        &named
    )
    .fetch_all(conn)
    .await?;
    let found: BTreeSet<String> = found.into_iter().collect();
    let known = cells
        .iter()
        .filter(|cell| found.contains(cell.place.event.as_str()));
    let timed = known.map(|cell| {
        let off = cell.second.duration_since(now).abs() > TOLERANCE;
        Cell {
            second: if off { now } else { cell.second },
            ..cell.clone()
        }
    });
    Ok(timed.collect())
}

/// The key of a row; rows are locked in this order.
type Key = (
    Grain,
    String,
    Timestamp,
    String,
    i32,
    String,
    &'static str,
    String,
);

/// Adds cells to the minutes and hours that they are in. Gives those of events that there are, with the time that counted:
/// whoever reports of another event has it for themselves.
pub(super) async fn add(
    conn: &mut PgConnection,
    cells: &[Cell],
    now: Timestamp,
) -> Result<Vec<Cell>, StoreError> {
    let cells = known(&mut *conn, cells, now).await?;
    let mut sums: BTreeMap<Key, Tally> = BTreeMap::new();
    for cell in &cells {
        let (place, second) = (&cell.place, cell.second);
        for grain in Grain::ALL {
            let key = (
                grain,
                place.event.to_string(),
                grain.begin(second),
                place.region.to_string(),
                place.revision.map_or(0, column),
                place.variant.clone().unwrap_or_default(),
                place.cohort.as_str(),
                place
                    .segment
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
            );
            sums.entry(key).or_default().add(&cell.tally);
        }
    }
    if sums.is_empty() {
        return Ok(cells);
    }
    let keys = Keys::of(sums.keys());
    // So that each row is there to be locked.
    query!(
        "INSERT INTO engagement (grain, event_id, bucket, region_id, revision, variant, cohort, segment)
         SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[],
             $8::text[])
         ON CONFLICT DO NOTHING",
        &keys.grains,
        &keys.events,
        &keys.buckets as _,
        &keys.regions,
        &keys.revisions,
        &keys.variants,
        &keys.cohorts,
        &keys.segments
    )
    .execute(&mut *conn)
    .await?;
    let there = query!(
        r#"SELECT n as "n!", e.active, e.participants, e.completers, e.payers
           FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[],
                   $8::text[])
                   WITH ORDINALITY AS k (grain, event_id, bucket, region_id, revision, variant, cohort, segment, n)
               JOIN engagement e USING (grain, event_id, bucket, region_id, revision, variant, cohort, segment)
           ORDER BY n FOR UPDATE OF e"#,
        &keys.grains,
        &keys.events,
        &keys.buckets as _,
        &keys.regions,
        &keys.revisions,
        &keys.variants,
        &keys.cohorts,
        &keys.segments
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
    write(conn, &keys, &merged).await?;
    Ok(cells)
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
                 $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
                 $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[],
                 $21::bigint[], $22::bigint[], $23::bytea[], $24::bytea[], $25::bytea[], $26::bytea[])
             AS m (grain, event_id, bucket, region_id, revision, variant, cohort, segment, session_starts, session_ends,
                 session_seconds, participations, completions, purchases, revenue_cents, positive, neutral, negative,
                 promoters, passives, detractors, errors, active, participants, completers, payers)
         WHERE (e.grain, e.event_id, e.bucket, e.region_id, e.revision, e.variant, e.cohort, e.segment)
             = (m.grain, m.event_id, m.bucket, m.region_id, m.revision, m.variant, m.cohort, m.segment)",
        &keys.grains,
        &keys.events,
        &keys.buckets as _,
        &keys.regions,
        &keys.revisions,
        &keys.variants,
        &keys.cohorts,
        &keys.segments,
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
    segments: Vec<String>,
}

impl Keys {
    fn of<'a>(keys: impl Iterator<Item = &'a Key>) -> Self {
        let mut columns = Self::default();
        for (grain, event, bucket, region, revision, variant, cohort, segment) in keys {
            columns.grains.push(grain.as_str().to_owned());
            columns.events.push(event.clone());
            columns.buckets.push(time(*bucket));
            columns.regions.push(region.clone());
            columns.revisions.push(*revision);
            columns.variants.push(variant.clone());
            columns.cohorts.push((*cohort).to_owned());
            columns.segments.push(segment.clone());
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
