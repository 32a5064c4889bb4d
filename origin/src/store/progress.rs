//! How far a change has come, as edges have told: the facts that [`crate::convergence`] judges.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::delay::Delays;
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::frame::Standing;
use liveevents_protocol::id::{ChangeId, EdgeId, EventId, RegionId};
use liveevents_protocol::limits::MAX_STANDINGS;
use liveevents_protocol::version::{Epoch, Version};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::region_log::{region, version};
use super::revisions::number;
use super::{StoreError, Time, count, time};
use crate::convergence::{EdgeFacts, Facts, GameServers, Nack, Quarantined};

/// How far one change has come in one region.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// In which history.
    pub epoch: Epoch,
    /// The version that the change is there; the last, if it is several.
    pub version: Version,
    /// What edges have told. Those not heard from for a day are left out.
    pub facts: Facts,
    /// From the commit to the edges' acks.
    pub to_edges: Option<Quantiles>,
    /// From the commit to the game servers' acks.
    pub to_game_servers: Option<Quantiles>,
}

/// How long it took for half, for 99 % and for the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    /// For half of them.
    pub p50: Duration,
    /// For 99 %.
    pub p99: Duration,
    /// For the last.
    pub last: Duration,
}

/// What the game servers of one edge have of one version. Those told of as the oldest of a full list may hold less
/// than it says, and are not counted for it.
#[must_use]
pub fn game_servers(
    (connected, of): (u32, Epoch),
    standings: &[Standing],
    (epoch, version): (Epoch, Version),
) -> GameServers {
    let lumped = standings.len() >= MAX_STANDINGS;
    let sure = standings.iter().skip(usize::from(lumped));
    let mut sum = GameServers {
        connected: u64::from(connected),
        ..GameServers::default()
    };
    for standing in sure.filter(|standing| (of, standing.version) >= (epoch, version)) {
        sum.received += u64::from(standing.received);
        sum.applied += u64::from(standing.applied);
        sum.deferred += u64::from(standing.deferred);
    }
    sum
}

/// How far a change has come in each of its regions; empty for one that changed nothing, or does not exist.
///
/// # Errors
/// If the database does not answer, or a row cannot be read. Call it in a transaction of one snapshot.
pub async fn of_change(
    conn: &mut PgConnection,
    change: ChangeId,
    now: Timestamp,
) -> Result<BTreeMap<RegionId, Progress>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.region_id, c.epoch, c.version, l.committed_at AS "committed_at?: Time",
               took.p50, took.p99, took.last
           FROM change_regions c
               LEFT JOIN region_log l ON l.region_id = c.region_id AND l.version = c.version
                   AND l.change_id = c.change_id
               CROSS JOIN LATERAL (
                   SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY us) AS p50,
                       percentile_disc(0.99) WITHIN GROUP (ORDER BY us) AS p99, max(us) AS last
                   FROM (SELECT (extract(epoch FROM a.acked_at - l.committed_at) * 1000000)::bigint AS us
                         FROM region_acks a WHERE a.region_id = c.region_id AND a.epoch = c.epoch
                             AND a.version = c.version AND l.committed_at IS NOT NULL) AS a
               ) AS took
           WHERE c.change_id = $1"#,
        change.0,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let progress = Progress {
            epoch: Epoch(row.epoch),
            version: version(row.version),
            facts: Facts {
                committed_at: row.committed_at.map(Time::to_jiff),
                ..Facts::default()
            },
            to_edges: match (row.p50, row.p99, row.last) {
                (Some(p50), Some(p99), Some(last)) => Some(Quantiles {
                    p50: micros(p50),
                    p99: micros(p99),
                    last: micros(last),
                }),
                _ => None,
            },
            to_game_servers: None,
        };
        found.insert(region(&row.region_id)?, progress);
    }
    edges(conn, change, now, &mut found).await?;
    nacks(conn, change, &mut found).await?;
    quarantined(conn, change, &mut found).await?;
    times(conn, change, &mut found).await?;
    Ok(found)
}

type Found = BTreeMap<RegionId, Progress>;

async fn edges(
    conn: &mut PgConnection,
    change: ChangeId,
    now: Timestamp,
    found: &mut Found,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.region_id, e.edge_id, e.last_seen AS "last_seen: Time",
               e.signed_off_at IS NOT NULL AS "signed_off!",
               coalesce((p.epoch, p.version) >= (c.epoch, c.version), false) AS "holds!",
               s.epoch AS "epoch?", s.connected AS "connected?",
               s.standings AS "standings?: Json<Vec<[u64; 4]>>"
           FROM change_regions c
               JOIN edges e ON c.region_id = ANY(e.regions)
               LEFT JOIN edge_positions p ON p.edge_id = e.edge_id AND p.region_id = c.region_id
               LEFT JOIN game_server_standings s ON s.edge_id = e.edge_id AND s.region_id = c.region_id
           WHERE c.change_id = $1 AND e.last_seen > $2::timestamptz - interval '1 day'
           ORDER BY e.edge_id"#,
        change.0,
        time(now) as _
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let Some(progress) = found.get_mut(&region(&row.region_id)?) else {
            continue;
        };
        let told = row.epoch.zip(row.connected).zip(row.standings);
        let game_servers = told.map(|((epoch, connected), Json(standings))| {
            let connected = u32::try_from(connected).unwrap_or(u32::MAX);
            let change = (progress.epoch, progress.version);
            game_servers(
                (connected, Epoch(epoch)),
                &read_standings(&standings),
                change,
            )
        });
        progress.facts.edges.push(EdgeFacts {
            edge: edge(&row.edge_id)?,
            last_seen: row.last_seen.to_jiff(),
            signed_off: row.signed_off,
            holds: row.holds,
            game_servers: game_servers.unwrap_or_default(),
        });
    }
    Ok(())
}

async fn nacks(
    conn: &mut PgConnection,
    change: ChangeId,
    found: &mut Found,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        r#"SELECT n.region_id, n.event_id, n.revision, n.reason, sum(n.count)::bigint AS "count!",
               min(n.first_at) AS "first_at!: Time", max(n.last_at) AS "last_at!: Time"
           FROM change_regions c JOIN nacks n ON n.region_id = c.region_id AND n.epoch = c.epoch
               AND n.version > c.version - c.versions AND n.version <= c.version
           WHERE c.change_id = $1
           GROUP BY n.region_id, n.event_id, n.revision, n.reason
           ORDER BY n.event_id, n.revision, sum(n.count) DESC, n.reason"#,
        change.0
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let Some(progress) = found.get_mut(&region(&row.region_id)?) else {
            continue;
        };
        progress.facts.nacks.push(Nack {
            event: event(&row.event_id)?,
            revision: row.revision.map(number).transpose()?,
            reason: row.reason,
            count: count(Some(row.count)),
            first_at: row.first_at.to_jiff(),
            last_at: row.last_at.to_jiff(),
        });
    }
    Ok(())
}

async fn quarantined(
    conn: &mut PgConnection,
    change: ChangeId,
    found: &mut Found,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        r#"SELECT q.region_id, q.edge_id, q.kind, q.event_id, q.revision, q.version, q.reason,
               q.since AS "since: Time"
           FROM change_regions c JOIN quarantined_entries q ON q.region_id = c.region_id
               AND q.epoch = c.epoch AND q.version > c.version - c.versions AND q.version <= c.version
           WHERE c.change_id = $1
           ORDER BY q.edge_id, q.event_id, q.revision NULLS LAST"#,
        change.0
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let Some(progress) = found.get_mut(&region(&row.region_id)?) else {
            continue;
        };
        progress.facts.quarantined.push(Quarantined {
            edge: edge(&row.edge_id)?,
            key: key(&row.kind, &row.event_id, row.revision)?,
            version: version(row.version),
            reason: row.reason,
            since: row.since.to_jiff(),
        });
    }
    Ok(())
}

/// Of a change of several versions the last one's times: whoever has that has the others.
async fn times(
    conn: &mut PgConnection,
    change: ChangeId,
    found: &mut Found,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        r#"SELECT t.region_id, t.max_us, t.delays AS "delays: Json<BTreeMap<u8, u64>>"
           FROM change_regions c JOIN delivery_times t ON t.region_id = c.region_id
               AND t.epoch = c.epoch AND t.version = c.version
           WHERE c.change_id = $1"#,
        change.0
    )
    .fetch_all(conn)
    .await?;
    let mut sums: BTreeMap<RegionId, Delays> = BTreeMap::new();
    for row in rows {
        let of_edge = Delays::from_buckets(row.delays.0, micros(row.max_us));
        sums.entry(region(&row.region_id)?)
            .or_default()
            .merge(&of_edge);
    }
    for (region, delays) in sums {
        if let Some(progress) = found.get_mut(&region) {
            let quantile = |share| delays.quantile(share);
            progress.to_game_servers =
                quantile(0.5)
                    .zip(quantile(0.99))
                    .map(|(p50, p99)| Quantiles {
                        p50,
                        p99,
                        last: delays.max(),
                    });
        }
    }
    Ok(())
}

/// Standings out of their column.
pub(super) fn read_standings(column: &[[u64; 4]]) -> Vec<Standing> {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let standing = |&[version, received, applied, deferred]: &[u64; 4]| Standing {
        version: Version(version),
        received: count(received),
        applied: count(applied),
        deferred: count(deferred),
    };
    column.iter().map(standing).collect()
}

/// An entry's key out of its columns: an assignment has no revision, and neither has a segment.
pub(super) fn key(kind: &str, name: &str, revision: Option<i32>) -> Result<EntryKey, StoreError> {
    Ok(match (kind, revision) {
        ("Segment", _) => EntryKey::Segment(super::segments::id(name)?),
        (_, Some(revision)) => EntryKey::Content(event(name)?, number(revision)?),
        (_, None) => EntryKey::Assignment(event(name)?),
    })
}

pub(super) fn edge(text: &str) -> Result<EdgeId, StoreError> {
    text.parse().map_err(StoreError::unreadable("an edge's id"))
}

fn event(text: &str) -> Result<EventId, StoreError> {
    text.parse()
        .map_err(StoreError::unreadable("an event's id"))
}

/// The replica that took the ack may have a clock a little behind the database's.
pub(super) fn micros(stored: i64) -> Duration {
    Duration::from_micros(u64::try_from(stored).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(uuid::Uuid::from_u128(5));

    fn standing(version: u64, received: u32, applied: u32, deferred: u32) -> Standing {
        Standing {
            version: Version(version),
            received,
            applied,
            deferred,
        }
    }

    fn counted(standings: &[Standing], of: u128, version: u64) -> [u64; 3] {
        let change = (Epoch(uuid::Uuid::from_u128(of)), Version(version));
        let counted = game_servers((10, EPOCH), standings, change);
        assert_eq!(counted.connected, 10);
        [counted.received, counted.applied, counted.deferred]
    }

    #[test]
    fn whoever_holds_more_holds_it_and_a_later_epoch_is_more() {
        let standings = [
            standing(4, 1, 2, 0),
            standing(7, 3, 2, 1),
            standing(9, 4, 3, 2),
        ];
        let table = [
            (5, 4, [8, 7, 3]),
            (5, 5, [7, 5, 3]),
            (5, 9, [4, 3, 2]),
            (5, 10, [0, 0, 0]),
            (4, 10, [8, 7, 3]),
            (6, 1, [0, 0, 0]),
        ];
        for (epoch, version, expected) in table {
            assert_eq!(
                counted(&standings, epoch, version),
                expected,
                "{epoch} {version}"
            );
        }
    }

    #[test]
    fn whom_a_full_list_lumps_together_is_not_counted_as_holding() {
        let full: Vec<_> = (1..=64).map(|version| standing(version, 1, 1, 0)).collect();
        assert_eq!(counted(&full, 5, 1), [63, 63, 0]);
        assert_eq!(counted(&full, 5, 64), [1, 1, 0]);
        assert_eq!(counted(&full[1..], 5, 1), [63, 63, 0]);
    }
}
