//! A region's whole state, as of its head.

use liveevents_protocol::entry::{Entry, EntryKey, Snapshot, Stamped};
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::position::Position;
use liveevents_protocol::version::{Epoch, Revision};
use sqlx::PgConnection;

use super::region_log::{self, version};
use super::{StoreError, assignments, region_segments, revisions};

/// Reads a region's state and the position that it is as of. `None` if there is no such region, or no
/// epoch yet. Call it in a transaction of one snapshot (`REPEATABLE READ`).
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn read(
    conn: &mut PgConnection,
    region: &RegionId,
) -> Result<Option<(Snapshot, Position)>, StoreError> {
    let Some(minted) = super::epoch::read(&mut *conn).await? else {
        return Ok(None);
    };
    let Some(head) = region_log::heads(&mut *conn).await?.remove(region) else {
        return Ok(None);
    };
    let epoch: Epoch = minted.epoch;
    let mut entries = region_segments::of_region(&mut *conn, region).await?;
    entries.extend(contents(&mut *conn, region).await?);
    let held = assignments::of_region(&mut *conn, region).await?;
    entries.extend(held.into_iter().map(|(version, assignment)| Stamped {
        version,
        entry: assignment.into(),
    }));
    entries.extend(tombstones(conn, region).await?);
    let snapshot = Snapshot {
        epoch,
        version: head.version,
        floor: head.floor,
        entries,
    };
    let position = Position {
        epoch,
        version: head.version,
        digest: head.digest,
    };
    Ok(Some((snapshot, position)))
}

async fn contents(conn: &mut PgConnection, region: &RegionId) -> Result<Vec<Stamped>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.version, c.event_id, c.revision, r.document::text AS "document!"
           FROM region_contents c JOIN revisions r USING (event_id, revision)
           WHERE c.region_id = $1 ORDER BY c.event_id, c.revision"#,
        region.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (event, revision) = key(&row.event_id, row.revision)?;
            let content = revisions::read(&row.document)?.to_content(event, revision);
            Ok(Stamped {
                version: version(row.version),
                entry: content.into(),
            })
        })
        .collect()
}

async fn tombstones(
    conn: &mut PgConnection,
    region: &RegionId,
) -> Result<Vec<Stamped>, StoreError> {
    let rows = sqlx::query!(
        "SELECT version, event_id, revision FROM region_tombstones WHERE region_id = $1",
        region.as_str()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let key = match row.revision {
                Some(revision) => {
                    let (event, revision) = key(&row.event_id, revision)?;
                    EntryKey::Content(event, revision)
                }
                None => EntryKey::Assignment(key(&row.event_id, 0)?.0),
            };
            Ok(Stamped {
                version: version(row.version),
                entry: Entry::Removal(key),
            })
        })
        .collect()
}

fn key(event: &str, revision: i32) -> Result<(EventId, Revision), StoreError> {
    Ok((
        event
            .parse()
            .map_err(StoreError::unreadable("an event's id"))?,
        Revision(u32::try_from(revision).map_err(StoreError::unreadable("a revision"))?),
    ))
}
