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
    /// The message.
    pub(crate) text: Bytes,
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

    /// What was made after `seen`, and where that leads.
    pub(crate) fn since(&self, seen: u64) -> (Vec<Arc<Notice>>, u64) {
        let kept = self.0.load();
        let missing = usize::try_from(kept.total.saturating_sub(seen)).unwrap_or(usize::MAX);
        let from = kept.last.len().saturating_sub(missing);
        let news = kept.last.get(from..).unwrap_or_default();
        (news.to_vec(), kept.total)
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
                text: number.to_string().into(),
            })
            .collect()
    }

    fn texts(told: &[Arc<Notice>]) -> Vec<&[u8]> {
        told.iter().map(|notice| &*notice.text).collect()
    }

    #[test]
    fn are_told_once_to_each_in_order() {
        let kept = Notices::default();
        kept.add(notices(0..2));
        let late = kept.latest();
        kept.add(notices(2..3));
        let (told, seen) = kept.since(0);
        assert_eq!(texts(&told), [b"0", b"1", b"2"]);
        assert_eq!(texts(&kept.since(late).0), [b"2"]);
        assert_eq!(kept.since(seen), (Vec::new(), 3));
        assert_eq!(kept.since(u64::MAX), (Vec::new(), 3));
    }

    #[test]
    fn are_kept_in_bounded_number_for_who_lags() {
        let kept = Notices::default();
        for step in 0..10 {
            kept.add(notices(step * NOTICES / 3..(step + 1) * NOTICES / 3));
        }
        let (told, seen) = kept.since(1);
        assert_eq!(told.len(), NOTICES);
        assert_eq!(seen, kept.latest());
        let last = (10 * NOTICES / 3 - 1).to_string();
        assert_eq!(told.last().unwrap().text, last);
        assert_eq!(kept.since(seen - 1).0.len(), 1);
    }
}
