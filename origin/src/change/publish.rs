//! A segment's other revision, wherever it is held: one change.

use liveevents_protocol::entry::Entry;
use liveevents_protocol::segment::Segment;
use sqlx::PgConnection;

use super::rows::{Piece, Rows, fitted};
use super::{ChangeError, Committed, Decision, verify};
use crate::store;
use crate::store::region_log::Locked;

/// Puts a segment in place of what regions hold under its name, within the caller's transaction, which has locked the
/// segment's row and says in it what is in effect. All heads are taken, of regions to come too: so whoever brings a content
/// into a region reads under its head what is in effect there until the commit.
///
/// # Errors
/// See [`ChangeError`].
pub async fn publish(
    conn: &mut PgConnection,
    decision: &Decision,
    segment: &Segment,
) -> Result<Committed, ChangeError> {
    let Locked { epoch, heads } = store::region_log::lock_all(conn).await?;
    let holders = store::region_segments::holders(conn, &segment.id).await?;
    let mut rows = Rows::new(epoch);
    for region in &holders {
        let Some(head) = heads.get(region) else {
            continue;
        };
        let entries = [Entry::from(segment.clone())];
        let fitted = fitted(region, &entries, &|entries: &[Entry]| Ok(entries.to_vec()))?;
        let pieces = fitted.into_iter().map(|(_, entries, encoded)| Piece {
            edits: &[],
            entries,
            encoded,
        });
        let pieces = pieces.collect::<Vec<_>>();
        verify::applies(region, epoch, &pieces)?;
        rows.add(region, *head, pieces);
    }
    Ok(rows.write(conn, decision).await?)
}
