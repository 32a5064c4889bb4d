//! Players who are to be forgotten, and the edges that have confirmed it. The name goes with the last of them.
//!
//! A record is locked before its edges are touched, so that of two who are last one completes it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{EdgeId, ErasureId, SegmentId};
use sqlx::{PgConnection, query, query_scalar};
use uuid::Uuid;

use super::progress::edge as name;
use super::segments::id as segment;
use super::{StoreError, Time, count, edges, time};
use crate::erasure::NameHash;

/// A record, without the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Which.
    pub id: ErasureId,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// Tokens of the player that were withdrawn.
    pub tokens: u64,
    /// Segments whose lists named the player.
    pub segments: Vec<SegmentId>,
    /// When the last edge was no more waited for.
    pub done_at: Option<Timestamp>,
    /// Those that were registered when it was asked for, by identifier.
    pub edges: Vec<(EdgeId, Standing)>,
}

/// How far one edge has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has not confirmed.
    Awaited {
        /// Whether it has a connection, as far as is known.
        connected: bool,
        /// When it was last heard from.
        last_seen: Timestamp,
        /// Whether it said that it was leaving.
        signed_off: bool,
        /// What it understands.
        capabilities: Vec<String>,
    },
    /// It holds nothing more of the player.
    Confirmed(Timestamp),
    /// It was forgotten itself.
    Dropped(Timestamp),
}

/// A record about to be made.
#[derive(Debug)]
pub struct New<'a> {
    /// Which.
    pub id: ErasureId,
    /// Whom.
    pub player: &'a str,
    /// What will stand for the name.
    pub hash: NameHash,
    /// Who asks.
    pub requested_by: &'a str,
    /// Segments whose lists name the player.
    pub segments: &'a [SegmentId],
}

/// An edge's word that it holds nothing more of a player, over one of its connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confirmation {
    /// Who.
    pub edge: EdgeId,
    /// Over which connection.
    pub claim: u64,
    /// Of which record.
    pub erasure: ErasureId,
}

/// The record of a player that is not done, locked until the caller's transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn lock_pending(
    conn: &mut PgConnection,
    player: &[NameHash],
) -> Result<Option<ErasureId>, StoreError> {
    let id = query_scalar!(
        "SELECT erasure_id FROM erasures WHERE player_hash = ANY($1) AND done_at IS NULL
         ORDER BY erasure_id LIMIT 1 FOR UPDATE",
        &bytes(player)
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(ErasureId))
}

/// Makes a record that waits for every edge registered now. `false`, and nothing is made, if there is one of the player that
/// is not done. An edge that is being forgotten meanwhile is waited for, or not one of them.
///
/// # Errors
/// If the database does not take it.
pub async fn insert(
    conn: &mut PgConnection,
    new: &New<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let segments: Vec<String> = new.segments.iter().map(ToString::to_string).collect();
    let made = query!(
        "INSERT INTO erasures (erasure_id, player, player_hash, requested_by, requested_at, tokens, segments)
         VALUES ($1, $2, $3, $4, $5, 0, $6)
         ON CONFLICT (player_hash) WHERE done_at IS NULL DO NOTHING",
        new.id.0,
        new.player,
        new.hash.0.as_slice(),
        new.requested_by,
        time(now) as _,
        &segments
    )
    .execute(&mut *conn)
    .await?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    query!(
        "INSERT INTO erasure_edges (erasure_id, edge_id)
         SELECT $1, edge_id FROM (SELECT edge_id FROM edges ORDER BY edge_id FOR KEY SHARE) AS registered",
        new.id.0
    )
    .execute(&mut *conn)
    .await?;
    edges::wake(conn).await?;
    Ok(true)
}

/// Counts tokens that were withdrawn for a record.
///
/// # Errors
/// If the database does not take it.
pub async fn add_tokens(
    conn: &mut PgConnection,
    id: ErasureId,
    tokens: u64,
) -> Result<(), StoreError> {
    query!(
        "UPDATE erasures SET tokens = tokens + $2 WHERE erasure_id = $1",
        id.0,
        i64::try_from(tokens).unwrap_or(i64::MAX)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records what edges confirm, and completes the records that wait for nobody else. Only over its newest connection does an
/// edge confirm; what it confirms again, or was never told, is passed over.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn confirm(
    conn: &mut PgConnection,
    confirmations: &[Confirmation],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = confirmations.iter().map(|one| one.erasure.0).collect();
    let of: Vec<String> = confirmations
        .iter()
        .map(|one| one.edge.to_string())
        .collect();
    let claim = |one: &Confirmation| i64::try_from(one.claim).unwrap_or(i64::MAX);
    let claims: Vec<i64> = confirmations.iter().map(claim).collect();
    let open = query_scalar!(
        "SELECT erasure_id FROM erasures WHERE erasure_id = ANY($1) AND done_at IS NULL
         ORDER BY erasure_id FOR UPDATE",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    if open.is_empty() {
        return Ok(());
    }
    let confirmed = query!(
        "UPDATE erasure_edges w SET confirmed_at = $4
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS c (erasure_id, edge_id, claim)
             JOIN edges e ON e.edge_id = c.edge_id AND e.claim = c.claim
         WHERE w.erasure_id = c.erasure_id AND w.edge_id = c.edge_id
             AND w.confirmed_at IS NULL AND w.dropped_at IS NULL",
        &ids,
        &of,
        &claims,
        time(now) as _
    )
    .execute(&mut *conn)
    .await?;
    if confirmed.rows_affected() == 0 {
        return Ok(());
    }
    complete(conn, &open, now).await?;
    // There may be more for the edge than it is told at once.
    edges::wake(conn).await
}

/// Waits for an edge no more, since it is being forgotten, and completes the records that wait for nobody else.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction, and has locked the edge's row.
pub async fn drop_edge(
    conn: &mut PgConnection,
    edge: &EdgeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let open = query_scalar!(
        "SELECT erasure_id FROM erasures WHERE done_at IS NULL AND erasure_id IN (
             SELECT erasure_id FROM erasure_edges
             WHERE edge_id = $1 AND confirmed_at IS NULL AND dropped_at IS NULL)
         ORDER BY erasure_id FOR UPDATE",
        edge.as_str()
    )
    .fetch_all(&mut *conn)
    .await?;
    query!(
        "UPDATE erasure_edges SET dropped_at = $2
         WHERE edge_id = $1 AND confirmed_at IS NULL AND dropped_at IS NULL",
        edge.as_str(),
        time(now) as _
    )
    .execute(&mut *conn)
    .await?;
    complete(conn, &open, now).await
}

/// Completes a record if it waits for nobody, and forgets the name.
///
/// # Errors
/// If the database does not take it.
pub async fn settle(
    conn: &mut PgConnection,
    id: ErasureId,
    now: Timestamp,
) -> Result<(), StoreError> {
    complete(conn, &[id.0], now).await
}

async fn complete(conn: &mut PgConnection, ids: &[Uuid], now: Timestamp) -> Result<(), StoreError> {
    query!(
        "UPDATE erasures r SET done_at = $2, player = NULL
         WHERE erasure_id = ANY($1) AND done_at IS NULL AND NOT EXISTS (
             SELECT FROM erasure_edges w
             WHERE w.erasure_id = r.erasure_id AND w.confirmed_at IS NULL AND w.dropped_at IS NULL)",
        ids,
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whom these edges have not confirmed to have forgotten, so many each at most, the oldest records first.
///
/// # Errors
/// If the database fails.
pub async fn awaited(
    conn: &mut PgConnection,
    edges: &[EdgeId],
    most: usize,
) -> Result<BTreeMap<EdgeId, Vec<(ErasureId, String)>>, StoreError> {
    let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
    let rows = query!(
        r#"SELECT e.edge_id as "edge_id!", w.erasure_id as "erasure_id!", w.player as "player!"
           FROM unnest($1::text[]) AS e (edge_id) CROSS JOIN LATERAL (
               SELECT w.erasure_id, r.player FROM erasure_edges w JOIN erasures r USING (erasure_id)
               WHERE w.edge_id = e.edge_id AND w.confirmed_at IS NULL AND w.dropped_at IS NULL
                   AND r.player IS NOT NULL
               ORDER BY w.erasure_id LIMIT $2) AS w
           ORDER BY e.edge_id, w.erasure_id"#,
        &edges,
        i64::try_from(most).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await?;
    let mut awaited: BTreeMap<EdgeId, Vec<(ErasureId, String)>> = BTreeMap::new();
    for row in rows {
        let of = awaited.entry(name(&row.edge_id)?).or_default();
        of.push((ErasureId(row.erasure_id), row.player));
    }
    Ok(awaited)
}

/// When the oldest record was asked for that is not done.
///
/// # Errors
/// If the database fails.
pub async fn oldest_pending(conn: &mut PgConnection) -> Result<Option<Timestamp>, StoreError> {
    let since = query_scalar!(
        r#"SELECT min(requested_at) as "since: Time" FROM erasures WHERE done_at IS NULL"#
    )
    .fetch_one(conn)
    .await?;
    Ok(since.map(Time::to_jiff))
}

/// One record.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
    Ok(read(conn, &[id.0]).await?.pop())
}

/// The records of a player, newest first, so many at most.
///
/// # Errors
/// If the database fails.
pub async fn of_player(
    conn: &mut PgConnection,
    player: &[NameHash],
    most: i64,
) -> Result<Vec<Erasure>, StoreError> {
    let ids = query_scalar!(
        "SELECT erasure_id FROM erasures WHERE player_hash = ANY($1) ORDER BY erasure_id DESC LIMIT $2",
        &bytes(player),
        most
    )
    .fetch_all(&mut *conn)
    .await?;
    read(conn, &ids).await
}

async fn read(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Erasure>, StoreError> {
    let rows = query!(
        r#"SELECT erasure_id, requested_by, requested_at as "requested_at: Time", tokens, segments,
               done_at as "done_at: Time"
           FROM erasures WHERE erasure_id = ANY($1) ORDER BY erasure_id DESC"#,
        ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut standings: BTreeMap<Uuid, Vec<(EdgeId, Standing)>> = BTreeMap::new();
    let edges = query!(
        r#"SELECT w.erasure_id, w.edge_id, w.confirmed_at as "confirmed_at: Time",
               w.dropped_at as "dropped_at: Time", e.connected as "connected?",
               e.last_seen as "last_seen?: Time", e.signed_off_at IS NOT NULL as "signed_off!",
               e.capabilities as "capabilities?"
           FROM erasure_edges w LEFT JOIN edges e USING (edge_id)
           WHERE w.erasure_id = ANY($1) ORDER BY w.erasure_id, w.edge_id"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    for row in edges {
        let standing = match (row.confirmed_at, row.dropped_at) {
            (Some(at), _) => Standing::Confirmed(at.to_jiff()),
            (None, Some(at)) => Standing::Dropped(at.to_jiff()),
            (None, None) => Standing::Awaited {
                connected: row.connected.unwrap_or(false),
                last_seen: row.last_seen.map_or(Timestamp::MIN, Time::to_jiff),
                signed_off: row.signed_off,
                capabilities: row.capabilities.unwrap_or_default(),
            },
        };
        let of = standings.entry(row.erasure_id).or_default();
        of.push((name(&row.edge_id)?, standing));
    }
    rows.into_iter()
        .map(|row| {
            let segments = row.segments.iter().map(|text| segment(text));
            Ok(Erasure {
                id: ErasureId(row.erasure_id),
                requested_by: row.requested_by,
                requested_at: row.requested_at.to_jiff(),
                tokens: count(Some(row.tokens)),
                segments: segments.collect::<Result<_, _>>()?,
                done_at: row.done_at.map(Time::to_jiff),
                edges: standings.remove(&row.erasure_id).unwrap_or_default(),
            })
        })
        .collect()
}

fn bytes(hashes: &[NameHash]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.0.to_vec()).collect()
}
