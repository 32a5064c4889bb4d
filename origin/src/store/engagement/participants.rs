//! Everybody who ever took part in an event.

use std::collections::BTreeMap;

use liveevents_protocol::engagement::{Cell, Distinct};
use liveevents_protocol::id::{EventId, RegionId};
use sqlx::{PgConnection, query};

use super::{sketch, stored};
use crate::engagement::whole;
use crate::store::{StoreError, regions};

/// Rows that are others than before, in parallel arrays for `unnest`.
#[derive(Default)]
struct Changed {
    events: Vec<String>,
    regions: Vec<String>,
    players: Vec<Vec<u8>>,
    many: Vec<i64>,
}

/// Adds who takes part in cells.
pub(super) async fn add(conn: &mut PgConnection, cells: &[Cell]) -> Result<(), StoreError> {
    let mut news: BTreeMap<(String, String), Distinct> = BTreeMap::new();
    for cell in cells
        .iter()
        .filter(|cell| !cell.tally.participants.is_empty())
    {
        let key = (cell.place.event.to_string(), cell.place.region.to_string());
        news.entry(key).or_default().merge(&cell.tally.participants);
    }
    if news.is_empty() {
        return Ok(());
    }
    let (events, regions): (Vec<String>, Vec<String>) = news.keys().cloned().unzip();
    query!(
        "INSERT INTO event_participants (event_id, region_id) SELECT * FROM unnest($1::text[], $2::text[])
         ON CONFLICT DO NOTHING",
        &events,
        &regions
    )
    .execute(&mut *conn)
    .await?;
    let there = query!(
        r#"SELECT n as "n!", p.players
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (event_id, region_id, n)
               JOIN event_participants p USING (event_id, region_id)
           ORDER BY n FOR UPDATE OF p"#,
        &events,
        &regions
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut before: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    for row in there {
        before.insert(row.n, row.players);
    }
    let mut changed = Changed::default();
    for (((event, region), new), n) in news.into_iter().zip(1..) {
        let before = before.get(&n).map_or(&[][..], Vec::as_slice);
        let mut all = sketch(before)?;
        all.merge(&new);
        // Most of those who take part did so before.
        let players = all.to_bytes();
        if players != before {
            changed.events.push(event);
            changed.regions.push(region);
            changed.many.push(stored(whole(all.estimate())));
            changed.players.push(players);
        }
    }
    query!(
        "UPDATE event_participants p SET players = m.players, many = m.many
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[]) AS m (event_id, region_id, players, many)
         WHERE (p.event_id, p.region_id) = (m.event_id, m.region_id)",
        &changed.events,
        &changed.regions,
        &changed.players,
        &changed.many
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Events that are full and not marked so in some region, or the other way about: what a region serves of an event, its
/// candidate where nothing is live, says how many places there are, in all regions together.
///
/// # Errors
/// If the database fails.
pub async fn crowded(conn: &mut PgConnection) -> Result<Vec<EventId>, StoreError> {
    let events = query!(
        r#"SELECT DISTINCT a.event_id FROM assignments a
               JOIN revisions r ON r.event_id = a.event_id AND r.revision = coalesce(a.live, a.candidate)
           WHERE a.event_id IN (
                   SELECT event_id FROM revisions WHERE max_participants IS NOT NULL
                   UNION ALL SELECT event_id FROM assignments WHERE is_full)
             AND a.is_full <> coalesce(r.max_participants
                 <= (SELECT sum(p.many) FROM event_participants p WHERE p.event_id = a.event_id), false)
           ORDER BY a.event_id"#
    )
    .fetch_all(conn)
    .await?;
    let events = events
        .into_iter()
        .map(|row| EventId::new(&row.event_id).map_err(StoreError::unreadable("an event's id")));
    events.collect()
}

/// Whether each region that has an event should have it marked full. Call it holding the event's row.
///
/// # Errors
/// If the database fails.
pub async fn places(
    conn: &mut PgConnection,
    event: &EventId,
) -> Result<BTreeMap<RegionId, bool>, StoreError> {
    let rows = query!(
        r#"SELECT a.region_id, coalesce(r.max_participants
               <= (SELECT sum(p.many) FROM event_participants p WHERE p.event_id = a.event_id), false) as "full!"
           FROM assignments a JOIN revisions r
               ON r.event_id = a.event_id AND r.revision = coalesce(a.live, a.candidate)
           WHERE a.event_id = $1"#,
        event.as_str()
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    rows.map(|row| Ok((regions::id(&row.region_id)?, row.full)))
        .collect()
}
