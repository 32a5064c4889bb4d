//! What is told of the whole installation for `/metrics`.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use liveevents_protocol::engagement::{Distinct, Tally};
use liveevents_protocol::id::RegionId;
use sqlx::{PgConnection, query};

use super::engagement::sketch;
use super::regions::id;
use super::{StoreError, time};

/// Who played and who took part in each region: players of events that are Active, since the hour that begins at `from`.
/// It reads so many rows at the most, and keeps none of them.
///
/// # Errors
/// If the database fails.
pub async fn taking_part(
    conn: &mut PgConnection,
    from: Timestamp,
    most: i64,
) -> Result<BTreeMap<RegionId, Tally>, StoreError> {
    // Event by event, since that is what the rows are kept by.
    let mut rows = query!(
        r#"SELECT e.region_id, e.active, e.participants
           FROM live_events l CROSS JOIN LATERAL (
               SELECT region_id, active, participants FROM engagement
               WHERE grain = 'Hour' AND event_id = l.event_id AND bucket >= $1 AND segment = ''
               OFFSET 0) e
           WHERE l.state = 'Active' LIMIT $2"#,
        time(from) as _,
        most
    )
    .fetch(conn);
    let mut regions: BTreeMap<RegionId, Tally> = BTreeMap::new();
    while let Some(row) = rows.try_next().await? {
        let of: [Distinct; 2] = [sketch(&row.active)?, sketch(&row.participants)?];
        let region = regions.entry(id(&row.region_id)?).or_default();
        region.active.merge(&of[0]);
        region.participants.merge(&of[1]);
    }
    Ok(regions)
}
