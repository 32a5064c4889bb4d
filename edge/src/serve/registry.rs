//! Who may come in: places in all and for each token, and the filters that are in use.
//!
//! Which of them holds what is told by [`crate::delivery`]; who is sent what by [`super::shard`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use liveevents_protocol::filter::Filter;
use liveevents_protocol::id::TokenId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::MAX_FILTERS;
use crate::replica::Selection;

/// All game servers connected to this edge. Clones share it.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Shared>);

struct Shared {
    places: Arc<Semaphore>,
    /// Places for each token.
    each: usize,
    tokens: Mutex<HashMap<TokenId, usize>>,
    filters: Mutex<HashSet<Arc<Filter>>>,
}

/// A game server's place among those connected, given back when dropped.
pub(super) struct Place {
    registry: Registry,
    token: Mutex<TokenId>,
    _permit: OwnedSemaphorePermit,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// This edge is full.
    Edge,
    /// This token has as many as it may have.
    Token,
}

impl Registry {
    /// With room for so many, and so many with the same token.
    pub(crate) fn new(places: usize, each: usize) -> Self {
        Self(Arc::new(Shared {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            each,
            tokens: Mutex::default(),
            filters: Mutex::default(),
        }))
    }

    /// A place for one more, if there is one.
    pub(super) fn place(&self, token: TokenId) -> Result<Place, Full> {
        let permit = Arc::clone(&self.0.places).try_acquire_owned();
        let permit = permit.map_err(|_| Full::Edge)?;
        let mut tokens = self.0.tokens.lock();
        let taken = tokens.entry(token).or_default();
        if *taken >= self.0.each {
            return Err(Full::Token);
        }
        *taken += 1;
        drop(tokens);
        Ok(Place {
            registry: self.clone(),
            token: Mutex::new(token),
            _permit: permit,
        })
    }

    /// The filter as everybody has it who has the same. `None` if there are too many different ones.
    pub(super) fn select(&self, filter: Filter) -> Option<Selection> {
        if filter.is_everything() {
            return Some(None);
        }
        let mut filters = self.0.filters.lock();
        if let Some(same) = filters.get(&filter) {
            return Some(Some(Arc::clone(same)));
        }
        if filters.len() >= MAX_FILTERS {
            filters.retain(|filter| Arc::strong_count(filter) > 1);
        }
        if filters.len() >= MAX_FILTERS {
            return None;
        }
        let filter = Arc::new(filter);
        filters.insert(Arc::clone(&filter));
        Some(Some(filter))
    }
}

impl Shared {
    fn leave(&self, token: TokenId) {
        let mut tokens = self.tokens.lock();
        if let Some(taken) = tokens.get_mut(&token) {
            *taken -= 1;
            if *taken == 0 {
                tokens.remove(&token);
            }
        }
    }
}

impl Place {
    /// Counts it for another token from now on, whether there is room or not: it has been here before.
    pub(super) fn renew(&self, token: TokenId) {
        *self.registry.0.tokens.lock().entry(token).or_default() += 1;
        let before = std::mem::replace(&mut *self.token.lock(), token);
        self.registry.0.leave(before);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.0.leave(*self.token.get_mut());
    }
}

#[cfg(test)]
mod tests;
