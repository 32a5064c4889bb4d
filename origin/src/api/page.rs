//! `limit` and `offset` of lists.

use liveevents_service::http::Checks;

use crate::store::Page;

/// The longest page.
pub(super) const MAX_LIMIT: u32 = 100;

/// The page if nothing is said.
pub(super) const LIMIT: u32 = 20;

/// Reads a page, noting what is wrong with it.
pub(super) fn page(limit: Option<u32>, offset: Option<u32>, checks: &mut Checks) -> Page {
    let limit = limit.unwrap_or(LIMIT);
    let fits = (1..=MAX_LIMIT).contains(&limit);
    checks.require(fits, "limit", format!("must be 1 to {MAX_LIMIT}"));
    Page {
        limit,
        offset: offset.unwrap_or(0),
    }
}
