//! Which edges are connected to this process. Holds handles only; the newest claim of a name wins.

use std::collections::HashMap;

use liveevents_protocol::id::EdgeId;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The connections of this process, by edge.
#[derive(Debug, Default)]
pub struct Registry {
    live: Mutex<HashMap<EdgeId, Live>>,
}

#[derive(Debug)]
struct Live {
    claim: u64,
    superseded: CancellationToken,
}

impl Registry {
    /// Enters a connection, and ends an older one of the same edge. The token given back is cancelled
    /// when a newer claim is heard of; at once, if it was already.
    pub fn enter(&self, edge: &EdgeId, claim: u64) -> CancellationToken {
        let superseded = CancellationToken::new();
        let mut live = self.live.lock();
        match live.get(edge) {
            Some(newer) if newer.claim > claim => superseded.cancel(),
            older => {
                if let Some(older) = older {
                    older.superseded.cancel();
                }
                live.insert(
                    edge.clone(),
                    Live {
                        claim,
                        superseded: superseded.clone(),
                    },
                );
            }
        }
        superseded
    }

    /// Hears of a claim made here or elsewhere.
    pub fn claimed(&self, edge: &EdgeId, claim: u64) {
        if let Some(live) = self.live.lock().get(edge).filter(|live| live.claim < claim) {
            live.superseded.cancel();
        }
    }

    /// Takes a connection out, unless a newer one has its place.
    pub fn leave(&self, edge: &EdgeId, claim: u64) {
        let mut live = self.live.lock();
        if live.get(edge).is_some_and(|live| live.claim == claim) {
            live.remove(edge);
        }
    }

    /// How many edges are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_claim_wins_in_whatever_order_they_come() {
        let registry = Registry::default();
        let edge: EdgeId = "us-east-1".parse().unwrap();
        let first = registry.enter(&edge, 1);
        let third = registry.enter(&edge, 3);
        assert!(first.is_cancelled() && !third.is_cancelled());
        let second = registry.enter(&edge, 2);
        assert!(second.is_cancelled() && !third.is_cancelled());
        registry.claimed(&edge, 3);
        assert!(!third.is_cancelled());
        registry.leave(&edge, 1);
        assert_eq!(registry.len(), 1);
        registry.claimed(&edge, 4);
        assert!(third.is_cancelled());
        registry.leave(&edge, 3);
        assert!(registry.is_empty());
    }
}
