//! Keys and revocations: read at a start without the origin, and kept for the next one. Anybody may have put anything
//! there: only what the pinned key has signed counts.

use liveevents_service::logs::chain;
use liveevents_service::trust::verify_trust;
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::store::StoreError;
use super::{Judge, Owner};
use crate::limits::CACHE_REFRESH;

impl Owner {
    pub(super) async fn load_trust(&mut self) -> Result<(), StoreError> {
        let signed = match self.store.load_trust().await {
            Ok(Some(signed)) => signed,
            Ok(None) => return Ok(()),
            Err(StoreError::Rubbish(rubbish)) => {
                self.metrics.rubbish.inc();
                let error = chain(&rubbish);
                warn!(
                    error,
                    "redis held a trust bundle that is none; it is ignored"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Judge {
            verifier,
            authority,
            pinned,
        } = &self.judge;
        match verify_trust(&signed, pinned).and_then(|bundle| verifier.replace(&bundle)) {
            Ok(taken) => {
                // The origin has not been heard by this process: what has expired since it was, nobody could renew.
                if taken && let Some(contact) = self.replica.contact() {
                    authority.cut_off(contact);
                }
                info!("keys and revocations loaded from redis");
            }
            Err(error) => {
                self.metrics.rubbish.inc();
                warn!(
                    error = chain(&error),
                    "redis held a trust bundle that is not to be believed"
                );
            }
        }
        Ok(())
    }

    /// Sees to it that Redis has the newest bundle. One with a later serial may be another edge's, or anybody's.
    pub(super) async fn keep_trust(&mut self) -> Result<(), StoreError> {
        let Some(trust) = self.cache.0.trust.load_full() else {
            return Ok(());
        };
        let (serial, signed) = &*trust;
        let saved = self
            .saved_trust
            .is_some_and(|(saved, when)| saved == *serial && when.elapsed() < CACHE_REFRESH);
        if saved {
            return Ok(());
        }
        if !self.store.save_trust(*serial, signed, false).await? {
            let other = match self.store.load_trust().await {
                Ok(other) => other,
                Err(StoreError::Rubbish(_)) => None,
                Err(error) => return Err(error),
            };
            let later = other.and_then(|other| verify_trust(&other, &self.judge.pinned).ok());
            if later.is_none_or(|later| later.serial <= *serial) {
                self.metrics.rubbish.inc();
                warn!("redis held a trust bundle that is not to be believed; it is replaced");
                self.store.save_trust(*serial, signed, true).await?;
            }
        }
        self.saved_trust = Some((*serial, Instant::now()));
        Ok(())
    }
}
