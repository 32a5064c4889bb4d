//! An edge that is about to be taken away: nobody new, and everybody told when to go where.
//!
//! Game servers are served on until they have left, so that none is without an edge before it has found another. Their
//! goodbyes name different moments, so that they do not all arrive at the same one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

use crate::limits::DRAIN_GRACE;

/// Whether this edge drains. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Drain(Arc<watch::Sender<Option<Draining>>>);

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draining {
    /// Over how long game servers come to other edges.
    pub(super) spread: Duration,
    /// When who is still here is closed.
    pub(super) until: Instant,
}

impl Drain {
    /// Not yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Begins, and spreads goodbyes over so long. There is no way back; of two ends the earlier counts.
    pub(crate) fn begin(&self, spread: Duration) {
        let until = Instant::now() + spread + DRAIN_GRACE;
        self.0.send_if_modified(|draining| {
            let sooner = draining.is_none_or(|draining| until < draining.until);
            if sooner {
                *draining = Some(Draining { spread, until });
                info!(seconds = spread.as_secs_f64(), "this edge drains");
            }
            sooner
        });
    }

    /// How, if it does.
    pub(crate) fn state(&self) -> Option<Draining> {
        *self.0.borrow()
    }

    /// Wakes when that has changed.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Draining>> {
        self.0.subscribe()
    }

    /// Returns once it drains.
    pub(super) async fn begun(&self) {
        // The sender is in `self`.
        let _ = self.watch().wait_for(Option::is_some).await;
    }
}
