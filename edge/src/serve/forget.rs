//! Dropping all that this edge holds of a player: whoever has the player watched, and how often the player's events were
//! asked for. Nothing else here knows players beyond the answer to a request: what is reported of them is added up under
//! keyed hashes, and who is on a segment's list is the studio's to say and comes from the origin.

use std::sync::Arc;

use liveevents_service::http::Quota;

use super::watch::Watchers;

/// Where players are held. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Forget {
    pub(crate) watchers: Watchers,
    pub(crate) quota: Option<Arc<Quota>>,
}

impl Forget {
    /// When it returns nothing is held of the player but what was said of them since.
    pub(crate) fn player(&self, player: &str) {
        self.watchers.forget(player);
        if let Some(quota) = &self.quota {
            quota.forget(&player);
        }
    }
}
