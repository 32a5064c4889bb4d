//! The last switches of a region as texts, for whoever follows them by sequence number.
//!
//! Nothing depends on receiving them: they are derived from state and time. So a bounded number is kept, and a receiver
//! that is further behind misses the oldest.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use liveevents_protocol::id::EventId;

use crate::limits::NOTICES;

/// A notice, encoded once for all who are sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Of which event.
    pub(crate) event: EventId,
    /// Which message: `activated` or `deactivated`.
    pub(crate) kind: &'static str,
    /// The message, ready to be sent.
    pub(crate) frame: Bytes,
}

/// A region's notices. Read without a lock; written by one task.
#[derive(Debug, Default)]
pub(crate) struct Notices(ArcSwap<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// How many there have ever been.
    total: u64,
    /// The last of them.
    last: Vec<Arc<Notice>>,
}

impl Notices {
    /// Where a receiver begins that wants only what is to come.
    pub(crate) fn latest(&self) -> u64 {
        self.0.load().total
    }

    /// The first that was made after `seen` and is kept, and where that leads.
    pub(crate) fn after(&self, seen: u64) -> Option<(Arc<Notice>, u64)> {
        let kept = self.0.load();
        let missing = kept.total.saturating_sub(seen).min(kept.last.len() as u64);
        let from = kept.last.len() - usize::try_from(missing).ok()?;
        let notice = Arc::clone(kept.last.get(from)?);
        Some((notice, kept.total - missing + 1))
    }

    /// Adds some, in order.
    pub(crate) fn add(&self, notices: Vec<Notice>) {
        let kept = self.0.load();
        let total = kept.total + notices.len() as u64;
        let mut last = kept.last.clone();
        last.extend(notices.into_iter().map(Arc::new));
        last.drain(..last.len().saturating_sub(NOTICES));
        self.0.store(Arc::new(Kept { total, last }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(range: std::ops::Range<usize>) -> Vec<Notice> {
        range
            .map(|number| Notice {
                event: "sale".parse().unwrap(),
                kind: "activated",
                frame: number.to_string().into(),
            })
            .collect()
    }

    /// What somebody is told who has seen so many, and where that leads.
    fn told(kept: &Notices, mut seen: u64) -> (Vec<usize>, u64) {
        let mut told = Vec::new();
        while let Some((notice, next)) = kept.after(seen) {
            told.push(std::str::from_utf8(&notice.frame).unwrap().parse().unwrap());
            seen = next;
        }
        (told, seen)
    }

    #[test]
    fn are_told_once_to_each_in_order() {
        let kept = Notices::default();
        assert_eq!(told(&kept, 0), (vec![], 0));
        kept.add(notices(0..2));
        let late = kept.latest();
        kept.add(notices(2..3));
        assert_eq!(told(&kept, 0), (vec![0, 1, 2], 3));
        assert_eq!(told(&kept, late), (vec![2], 3));
        assert_eq!(told(&kept, 3), (vec![], 3));
    }

    #[test]
    fn are_kept_in_bounded_number_for_who_lags() {
        let kept = Notices::default();
        for step in 0..10 {
            kept.add(notices(step * NOTICES / 3..(step + 1) * NOTICES / 3));
        }
        let all = 10 * NOTICES / 3;
        let (last, seen) = told(&kept, 1);
        assert_eq!(last, (all - NOTICES..all).collect::<Vec<_>>());
        assert_eq!(seen, kept.latest());
        assert_eq!(told(&kept, seen - 1).0, [all - 1]);
    }
}
