//! What the origin holds of players under their names: tokens, and lists of segments.

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use liveevents_protocol::id::{ErasureId, SegmentId};
use liveevents_protocol::version::Revision;
use sqlx::{PgConnection, query};

use super::segments::{criteria, id};
use super::{StoreError, count, time};

/// A segment whose lists name a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Which.
    pub segment: SegmentId,
    /// In which of its revisions.
    pub revision: Revision,
    /// On the list of those who belong to it.
    pub included: bool,
    /// On the list of those who do not.
    pub excluded: bool,
    /// Whether that is the revision in effect.
    pub in_effect: bool,
    /// Whether that is the newest one.
    pub newest: bool,
}

/// Revokes all tokens of a player and takes the name off them, for an erasure. Gives how many were not revoked before.
///
/// # Errors
/// If the database does not take it.
pub async fn withdraw_tokens(
    conn: &mut PgConnection,
    player: &str,
    erasure: ErasureId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    // Who made a token may have called the request by the player's name.
    let withdrawn = query!(
        r#"WITH held AS (
               SELECT token_id, revoked_at IS NULL AS good FROM tokens
               WHERE role = 'Player' AND subject = $1 ORDER BY token_id FOR UPDATE
           ), taken AS (
               UPDATE tokens t SET revoked_at = coalesce(t.revoked_at, $3), subject = $2, claims = NULL,
                   idempotency_key = CASE WHEN position($1 IN t.idempotency_key) > 0 THEN NULL
                       ELSE t.idempotency_key END
               FROM held WHERE held.token_id = t.token_id
           )
           SELECT count(*) FILTER (WHERE good) FROM held"#,
        player,
        format!("erased:{erasure}"),
        time(now) as _
    )
    .fetch_one(conn)
    .await?;
    Ok(count(withdrawn.count))
}

/// Revisions of segments that have a player on one of their lists, by segment, the newest first.
///
/// # Errors
/// If the database fails.
pub async fn listed_in(conn: &mut PgConnection, player: &str) -> Result<Vec<Listing>, StoreError> {
    let written = serde_json::to_string(player);
    let written = written.map_err(StoreError::unreadable("a player's name"))?;
    // As it is written; whether it stands on a list is seen by reading it. Lists are long: one at a time.
    let mut rows = query!(
        r#"SELECT r.segment_id, r.revision, r.criteria::text as "criteria!", s.revision as newest,
               p.revision as "in_effect?"
           FROM segment_revisions r JOIN segments s USING (segment_id)
               LEFT JOIN segment_publications p ON p.segment_id = s.segment_id AND p.publication = s.publication
           WHERE position($1 IN r.criteria::text) > 0
           ORDER BY r.segment_id, r.revision DESC"#,
        written
    )
    .fetch(conn);
    let mut listings = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let lists = criteria(&row.criteria)?;
        let (included, excluded) = (
            lists.include.contains(player),
            lists.exclude.contains(player),
        );
        if included || excluded {
            let revision = u32::try_from(row.revision);
            listings.push(Listing {
                segment: id(&row.segment_id)?,
                revision: Revision(revision.map_err(StoreError::unreadable("a revision"))?),
                included,
                excluded,
                in_effect: row.in_effect == Some(row.revision),
                newest: row.newest == row.revision,
            });
        }
    }
    Ok(listings)
}
