//! How much all watched players of this edge take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::ALL_WATCHED_BYTES;

/// What is left for watched players, in bytes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// What one game server's players take of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(ALL_WATCHED_BYTES)))
    }
}

impl Budget {
    /// Nothing of it yet.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            taken: 0,
        }
    }
}

impl Share {
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes so much in all; if there is not as much it stays as it is.
    #[must_use]
    pub(super) fn resize(&mut self, to: usize) -> bool {
        let left = &self.budget.0;
        if to <= self.taken {
            left.fetch_add(self.taken - to, Ordering::Relaxed);
        } else {
            let more = to - self.taken;
            let take = |left: usize| left.checked_sub(more);
            let took = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
            if took.is_err() {
                return false;
            }
        }
        self.taken = to;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::default();
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.resize(ALL_WATCHED_BYTES - 10));
        assert!(!other.resize(11));
        assert_eq!(other.taken(), 0);
        assert!(other.resize(10));
        assert!(one.resize(5));
        drop(one);
        assert!(other.resize(ALL_WATCHED_BYTES));
        drop(other);
        assert!(budget.share().resize(ALL_WATCHED_BYTES));
    }
}
