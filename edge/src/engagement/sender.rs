//! What is known of one sender session: which batches were counted, which are on their way, and what waits.
//!
//! Pure. Batches `1..=counted` are counted at the origin; `sending` holds those after them that travel, if any do, and
//! `pending` those after these. What was sent and not answered before the connection was lost has been counted or has not:
//! the origin's answer to the next claim tells.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::engagement::{Place, Tally};

use crate::limits::{CELL_WEIGHT, MAX_SENDER_WEIGHT, MAX_UNDERWAY, REPORT_WEIGHT};

/// What happened, by place and second.
pub(crate) type Cells = BTreeMap<(Place, Timestamp), Tally>;

/// Consecutive batches, added up.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The last batch before them.
    after: u64,
    /// The last of them.
    upto: u64,
    cells: Cells,
    /// Not less than what they take, encoded.
    weight: usize,
}

impl Part {
    fn after(batch: u64) -> Self {
        Self {
            after: batch,
            upto: batch,
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.after == self.upto
    }

    /// These and the batches after them.
    fn with(mut self, next: Self) -> Self {
        self.upto = next.upto;
        self.weight = self.weight.saturating_add(next.weight);
        for (key, tally) in next.cells {
            self.cells.entry(key).or_default().add(&tally);
        }
        self
    }
}

/// Whether the origin knows that this edge takes the session's batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It has to be told.
    Wanted,
    /// It has been, and has not answered.
    Asked,
    /// It does.
    Held,
}

/// What became of offering a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It was counted before.
    Counted,
    /// It is on its way already.
    Underway,
    /// It has been taken now.
    Taken,
    /// Another is to come first.
    Gap {
        /// This one.
        expected: u64,
    },
    /// Too many are on their way.
    Full,
}

/// One session.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) claim: Claim,
    counted: u64,
    sending: Option<Part>,
    pending: Part,
}

impl Sender {
    /// One of which nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            claim: Claim::Wanted,
            counted: 0,
            sending: None,
            pending: Part::default(),
        }
    }

    /// The last batch that was counted.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// The last batch that was taken.
    pub(super) fn taken(&self) -> u64 {
        self.pending.upto
    }

    /// Whether nothing of it is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.sending.is_none() && self.pending.is_empty()
    }

    /// What is kept of it, not less than it takes.
    pub(super) fn weight(&self) -> usize {
        let sending = self.sending.as_ref().map_or(0, |sending| sending.weight);
        sending.saturating_add(self.pending.weight)
    }

    /// Takes a batch of so many reports, if it is the next one.
    pub(super) fn offer(
        &mut self,
        batch: u64,
        reports: usize,
        cells: impl FnOnce() -> Cells,
    ) -> Offered {
        let taken = self.taken();
        if batch <= self.counted {
            Offered::Counted
        } else if batch <= taken {
            Offered::Underway
        } else if batch != taken + 1 {
            Offered::Gap {
                expected: taken + 1,
            }
        } else if taken - self.counted >= MAX_UNDERWAY || self.weight() >= MAX_SENDER_WEIGHT {
            Offered::Full
        } else {
            let cells = cells();
            let weight = cells.len() * CELL_WEIGHT + reports * REPORT_WEIGHT;
            let next = Part {
                after: taken,
                upto: batch,
                cells,
                weight,
            };
            let pending = std::mem::take(&mut self.pending);
            self.pending = pending.with(next);
            Offered::Taken
        }
    }

    /// Has the origin asked once more what was counted, unless something is on its way to it: of that the answer could
    /// not tell whether it is counted.
    pub(super) fn doubt(&mut self) -> bool {
        let asks = self.claim == Claim::Held && self.sending.is_none();
        if asks {
            self.claim = Claim::Wanted;
        }
        asks
    }

    /// What is to be sent now, up to which batch, and how much it is. It stays until it is counted.
    pub(super) fn send(&mut self) -> Option<(u64, &Cells, usize)> {
        if self.claim != Claim::Held || self.sending.is_some() || self.pending.is_empty() {
            return None;
        }
        let next = Part::after(self.pending.upto);
        let sending = std::mem::replace(&mut self.pending, next);
        let sending = self.sending.insert(sending);
        Some((sending.upto, &sending.cells, sending.weight))
    }

    /// What was sent is counted.
    pub(super) fn sent(&mut self) {
        if let Some(sent) = self.sending.take() {
            self.counted = sent.upto;
        }
    }

    /// What was sent was not counted, and is to be sent again.
    pub(super) fn unsent(&mut self) {
        if let Some(unsent) = self.sending.take() {
            let pending = std::mem::take(&mut self.pending);
            self.pending = unsent.with(pending);
        }
    }

    /// The origin knows of the session, and that batches up to this one are counted. Whether what was taken here goes on
    /// from there: if others have counted part of it, it cannot be taken apart, and the sender sends it again.
    pub(super) fn claimed(&mut self, counted: u64) -> bool {
        self.claim = Claim::Held;
        if self
            .sending
            .as_ref()
            .is_some_and(|sending| sending.upto <= counted)
        {
            self.sent();
        } else {
            self.unsent();
        }
        let goes_on = self.pending.after == counted;
        if !goes_on {
            let lost = !self.pending.is_empty();
            self.pending = Part::after(counted);
            self.counted = counted;
            return !lost;
        }
        self.counted = counted;
        true
    }
}
