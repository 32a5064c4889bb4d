//! Whether what a deployment brings can be evaluated for the segments that it names: they are published, and every live edge
//! of its regions knows what segments are. Anything else would be shown to nobody there.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::frame::SEGMENTS;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::limits::LIVE_WITHIN;
use liveevents_service::http::ApiError;
use sqlx::PgConnection;

use crate::event::record::Revised;
use crate::store::{edges, segments};

/// Passes a revision whose segments are in effect and known where it goes. Call it holding the regions' heads, so that what
/// is in effect stays so.
pub(super) async fn check(
    conn: &mut PgConnection,
    regions: &[RegionId],
    revised: &Revised,
    now: Timestamp,
) -> Result<(), ApiError> {
    let document = &revised.document;
    let named = document
        .target_segments
        .iter()
        .chain(&document.exclude_segments);
    let named: Vec<String> = named.map(ToString::to_string).collect();
    if named.is_empty() {
        return Ok(());
    }
    let lacking = segments::lacking(&mut *conn, &named).await?;
    let listed = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(", ");
    let revision = revised.revision;
    if !lacking.unknown.is_empty() {
        let names = listed(&mut lacking.unknown.into_iter());
        let message = format!("revision {revision} names segments that there are not: {names}");
        return Err(ApiError::Conflict(message));
    }
    if !lacking.unpublished.is_empty() {
        let names = listed(&mut lacking.unpublished.into_iter());
        let message =
            format!("revision {revision} names segments of which nothing is published: {names}");
        return Err(ApiError::Conflict(message));
    }
    let within = SignedDuration::try_from(LIVE_WITHIN).unwrap_or(SignedDuration::MAX);
    let old = edges::lacking(conn, SEGMENTS, regions, now - within).await?;
    if !old.is_empty() {
        let names = listed(&mut old.iter().map(ToString::to_string));
        let message = format!(
            "revision {revision} names segments, which edges of an earlier release cannot evaluate: {names}; update them first"
        );
        return Err(ApiError::Conflict(message));
    }
    Ok(())
}
