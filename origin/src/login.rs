//! How often somebody may try to log in, and how long each try takes.
//!
//! Two limits, both this replica's own. One by address: so many tries a minute, then 429; who guesses from one place is
//! done with that. One by name, against guessing from many places: after some wrong passwords each further try waits
//! before it is judged, longer and longer up to a bound. It waits and is not refused, so that the right password is
//! always good: nobody is locked out by what others try. And who comes from a network from which that person has logged
//! in before is counted apart, so that the person does not even notice.
//!
//! Whether a name exists makes no difference to anything here. Failures are counted in a table of fixed size in which
//! two names may share a place: then one waits for the other's failures, which is the price of nobody being able to
//! fill it.

pub mod network;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use liveevents_service::http::{Allowance, ApiError, Quota};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits::{
    FREE_FAILURES, LOGIN_DELAY, LOGINS_WAITING, LOGINS_WAITING_FOR_ONE, MAX_LOGIN_DELAY,
    NAME_PLACES, REMEMBER_FAILURES,
};
use network::{Home, Network};

/// Who may try how often. Clones share everything.
#[derive(Clone)]
pub struct Logins(Arc<Shared>);

struct Shared {
    lifetime: SignedDuration,
    proxies: Vec<Network>,
    addresses: Option<Quota>,
    delays: Delays,
    names: Mutex<Box<[Failures]>>,
    hasher: RandomState,
    waiting: Arc<Semaphore>,
}

/// How logging in is configured.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long whoever logs in stays so.
    pub lifetime: SignedDuration,
    /// Whose word is taken for whom they stand for.
    pub proxies: Vec<Network>,
    /// Tries a minute from one address; 0 is no limit.
    pub per_minute: u32,
    /// How long tries for one name wait.
    pub delays: Delays,
}

/// How long tries for one name wait after failures.
#[derive(Debug, Clone, Copy)]
pub struct Delays {
    /// The first time.
    pub first: Duration,
    /// At most; from one to the next it doubles.
    pub most: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            first: LOGIN_DELAY,
            most: MAX_LOGIN_DELAY,
        }
    }
}

impl Delays {
    /// After so many failures in a row.
    fn after(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(FREE_FAILURES) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    /// The last one.
    at: Timestamp,
    /// Tries that wait.
    waiting: usize,
}

/// For whom failures are counted: a name, and apart for each network that is known to be theirs.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// As typed.
    pub name: &'a str,
    /// The network, if that name has logged in from it before.
    pub known: Option<Home>,
}

impl Logins {
    /// Nobody has tried yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(Shared {
            lifetime: rules.lifetime,
            proxies: rules.proxies,
            addresses: (rules.per_minute > 0).then(|| Quota::per_minute(rules.per_minute)),
            delays: rules.delays,
            names: Mutex::new(vec![Failures::default(); NAME_PLACES].into()),
            hasher: RandomState::new(),
            waiting: Arc::new(Semaphore::new(LOGINS_WAITING)),
        }))
    }

    /// How long whoever logs in stays so.
    #[must_use]
    pub fn lifetime(&self) -> SignedDuration {
        self.0.lifetime
    }

    /// Whose word is taken for whom they stand for.
    #[must_use]
    pub fn proxies(&self) -> &[Network] {
        &self.0.proxies
    }

    /// Counts a try from an address.
    ///
    /// # Errors
    /// `RateLimited` if there was none left.
    pub fn admit(&self, home: Home, now: Instant) -> Result<Option<Allowance>, ApiError> {
        let addresses = self.0.addresses.as_ref();
        addresses.map(|quota| quota.take(&home, now)).transpose()
    }

    /// Waits for as long as failures for this name demand.
    ///
    /// # Errors
    /// `TooMany` if too many wait already.
    pub async fn wait(&self, who: Who<'_>, now: Timestamp) -> Result<(), ApiError> {
        if let Some(wait) = self.queue(who, now)? {
            tokio::time::sleep(wait.delay).await;
        }
        Ok(())
    }

    fn queue(&self, who: Who<'_>, now: Timestamp) -> Result<Option<Wait>, ApiError> {
        let place = self.place(who);
        let mut names = self.0.names.lock();
        let Some(failures) = names.get_mut(place) else {
            return Ok(None);
        };
        failures.forget(now);
        let delay = self.0.delays.after(failures.count);
        if delay.is_zero() {
            return Ok(None);
        }
        let full = |_| ApiError::TooMany {
            message: "too many try to log in under this name; try again".to_owned(),
            retry_after: delay.max(Duration::from_secs(1)),
        };
        if failures.waiting >= LOGINS_WAITING_FOR_ONE {
            return Err(full(()));
        }
        let slot = Arc::clone(&self.0.waiting).try_acquire_owned();
        let slot = slot.map_err(|_| full(()))?;
        failures.waiting += 1;
        Ok(Some(Wait {
            logins: self.clone(),
            place,
            delay,
            _slot: slot,
        }))
    }

    /// Counts a wrong password.
    pub fn failed(&self, who: Who<'_>, now: Timestamp) {
        let place = self.place(who);
        if let Some(failures) = self.0.names.lock().get_mut(place) {
            failures.forget(now);
            failures.count = failures.count.saturating_add(1);
            failures.at = now;
        }
    }

    /// Forgets the wrong ones: that was the right one.
    pub fn succeeded(&self, who: Who<'_>) {
        let place = self.place(who);
        if let Some(failures) = self.0.names.lock().get_mut(place) {
            failures.count = 0;
        }
    }

    fn place(&self, who: Who<'_>) -> usize {
        let hash = self.0.hasher.hash_one((who.name, who.known));
        usize::try_from(hash % NAME_PLACES as u64).unwrap_or_default()
    }
}

impl Failures {
    fn forget(&mut self, now: Timestamp) {
        if now.duration_since(self.at) > REMEMBER_FAILURES {
            self.count = 0;
        }
    }
}

/// A try that waits; its place is free again whatever becomes of it.
struct Wait {
    logins: Logins,
    place: usize,
    delay: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(failures) = self.logins.0.names.lock().get_mut(self.place) {
            failures.waiting = failures.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
