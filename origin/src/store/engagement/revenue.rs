//! What came in by region and hour, whatever event it was of: the baseline that an event is compared with.
//!
//! Each edge adds to rows of its own, so that edges of a region do not wait for one another.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::engagement::Cell;
use liveevents_protocol::id::{EdgeId, RegionId};
use sqlx::{PgConnection, query};

use super::{Grain, read, stored};
use crate::engagement::Hour;
use crate::store::{StoreError, Time, time};

/// Adds the purchases of cells that an edge told of.
pub(super) async fn add(
    conn: &mut PgConnection,
    edge: &EdgeId,
    cells: &[Cell],
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(Timestamp, String), u64> = BTreeMap::new();
    // What a segment's players bought is in everybody's too.
    for cell in cells.iter().filter(|cell| cell.place.segment.is_none()) {
        let cents = cell.tally.sums.revenue;
        if cents > 0 {
            let key = (
                Grain::Hour.begin(cell.second),
                cell.place.region.to_string(),
            );
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(cents);
        }
    }
    if sums.is_empty() {
        return Ok(());
    }
    let buckets: Vec<Time> = sums.keys().map(|(bucket, _)| time(*bucket)).collect();
    let regions: Vec<String> = sums.keys().map(|(_, region)| region.clone()).collect();
    let cents: Vec<i64> = sums.values().map(|cents| stored(*cents)).collect();
    query!(
        "INSERT INTO region_revenue (bucket, region_id, edge_id, cents)
         SELECT bucket, region_id, $4, cents FROM unnest($1::timestamptz[], $2::text[], $3::bigint[])
             AS m (bucket, region_id, cents)
         ON CONFLICT (bucket, region_id, edge_id) DO UPDATE SET cents = region_revenue.cents + excluded.cents",
        &buckets as _,
        &regions,
        &cents,
        edge.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What came in in some regions, by hour from a moment on, in order of time; hours in which nothing did are left out.
///
/// # Errors
/// If the database fails.
pub async fn revenue(
    conn: &mut PgConnection,
    regions: &[RegionId],
    from: Timestamp,
) -> Result<Vec<Hour>, StoreError> {
    let regions: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let rows = query!(
        r#"SELECT bucket as "bucket: Time", sum(cents)::bigint as "cents!" FROM region_revenue
           WHERE bucket >= $1 AND region_id = ANY($2) GROUP BY bucket ORDER BY bucket"#,
        time(from) as _,
        &regions
    )
    .fetch_all(conn)
    .await?;
    let hours = rows.into_iter().map(|row| Hour {
        from: row.bucket.to_jiff(),
        cents: read(row.cents),
    });
    Ok(hours.collect())
}
