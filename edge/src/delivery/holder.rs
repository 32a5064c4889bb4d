//! What one game server says that it has. Pure.

use liveevents_protocol::message::{AckStatus, Cursor};

use crate::replica::place;

/// What one game server says that it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) received: Option<Cursor>,
    pub(super) applied: Option<Cursor>,
    /// What it will apply later; `None` once it has.
    pub(super) deferred: Option<Cursor>,
    /// Whether `applied` is from its hello: what it holds, and not yet whether players see it.
    presumed: bool,
    covered: Option<Covered>,
}

/// Versions of which a receiver's filter passes nothing: whoever holds `least` holds `to` as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Covered {
    least: Cursor,
    to: Cursor,
}

impl Holder {
    /// A game server that says in its hello what it holds.
    pub(super) fn new(position: Option<Cursor>) -> Self {
        Self {
            received: position,
            applied: position,
            presumed: position.is_some(),
            ..Self::default()
        }
    }

    /// Notes an ack. Applying implies receiving; what a game server defers, it has received.
    pub(super) fn ack(&mut self, at: Cursor, status: AckStatus) {
        let presumed = std::mem::take(&mut self.presumed);
        if presumed && status == AckStatus::Deferred && self.applied == Some(at) {
            self.applied = None;
        }
        let at = self.beyond(at);
        raise(&mut self.received, at);
        match status {
            AckStatus::Applied => raise(&mut self.applied, at),
            AckStatus::Deferred => raise(&mut self.deferred, at),
            AckStatus::Received => {}
        }
        self.settle();
    }

    /// Between `from`, which it was sent or which was covered before, and `to` there was nothing for it.
    pub(super) fn covers(&mut self, from: Cursor, to: Cursor) {
        let least = match self.covered {
            Some(covered) if covered.to == from => covered.least,
            _ => from,
        };
        self.covered = Some(Covered { least, to });
        for held in [&mut self.received, &mut self.applied, &mut self.deferred] {
            if held.is_some_and(|held| place(held) >= place(least)) {
                raise(held, to);
            }
        }
    }

    /// Whether both count the same.
    pub(super) fn stands_as(&self, other: &Self) -> bool {
        let standing = |holder: &Self| (holder.received, holder.applied, holder.deferred);
        standing(self) == standing(other)
    }

    /// Whether `at` is a version of which nothing was sent.
    pub(super) fn was_spared(&self, at: Cursor) -> bool {
        self.covered.is_some_and(|covered| {
            place(at) > place(covered.least) && place(at) <= place(covered.to)
        })
    }

    fn beyond(&self, at: Cursor) -> Cursor {
        match self.covered {
            Some(covered) if place(at) >= place(covered.least) && place(at) < place(covered.to) => {
                covered.to
            }
            _ => at,
        }
    }

    /// What is applied is deferred no more.
    fn settle(&mut self) {
        let applied = self.applied.map(place);
        self.deferred = self.deferred.filter(|&at| Some(place(at)) > applied);
    }
}

fn raise(held: &mut Option<Cursor>, at: Cursor) {
    *held = held.filter(|&held| place(held) >= place(at)).or(Some(at));
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::version::{Epoch, Version};
    use uuid::Uuid;

    use super::*;

    fn at(version: u64) -> Cursor {
        Cursor {
            epoch: Epoch(Uuid::from_u128(5)),
            version: Version(version),
        }
    }

    fn versions(holder: &Holder) -> [Option<u64>; 3] {
        [holder.received, holder.applied, holder.deferred].map(|at| at.map(|at| at.version.0))
    }

    #[test]
    fn an_ack_says_what_it_says_and_never_less() {
        use AckStatus::{Applied, Deferred, Received};
        type Row = (Option<u64>, &'static [(u64, AckStatus)], [Option<u64>; 3]);
        let table: &[Row] = &[
            (None, &[], [None, None, None]),
            (None, &[(3, Received)], [Some(3), None, None]),
            (None, &[(3, Applied)], [Some(3), Some(3), None]),
            (None, &[(3, Deferred)], [Some(3), None, Some(3)]),
            (
                None,
                &[(3, Applied), (4, Deferred)],
                [Some(4), Some(3), Some(4)],
            ),
            (
                None,
                &[(4, Deferred), (4, Applied)],
                [Some(4), Some(4), None],
            ),
            (
                None,
                &[(4, Deferred), (3, Applied)],
                [Some(4), Some(3), Some(4)],
            ),
            (
                None,
                &[(4, Applied), (3, Deferred)],
                [Some(4), Some(4), None],
            ),
            (
                None,
                &[(4, Applied), (3, Applied)],
                [Some(4), Some(4), None],
            ),
            // A hello says what is held. That it is deferred is said by an ack.
            (Some(3), &[], [Some(3), Some(3), None]),
            (Some(3), &[(3, Deferred)], [Some(3), None, Some(3)]),
            (Some(3), &[(4, Deferred)], [Some(4), Some(3), Some(4)]),
            (
                Some(3),
                &[(3, Applied), (3, Deferred)],
                [Some(3), Some(3), None],
            ),
        ];
        for (position, acks, expected) in table {
            let mut holder = Holder::new(position.map(at));
            for &(version, status) in *acks {
                holder.ack(at(version), status);
            }
            assert_eq!(versions(&holder), *expected, "{position:?} {acks:?}");
        }
    }

    #[test]
    fn a_later_epoch_is_later_whatever_its_versions() {
        let later = Cursor {
            epoch: Epoch(Uuid::from_u128(6)),
            version: Version(1),
        };
        let mut holder = Holder::new(Some(at(900)));
        holder.ack(later, AckStatus::Applied);
        holder.ack(at(901), AckStatus::Applied);
        assert_eq!(holder.applied, Some(later));
    }

    #[test]
    fn versions_wholly_filtered_out_are_held_with_the_one_before() {
        let mut holder = Holder::new(None);
        // 5 was sent and is not acked yet; of 6 and 7 nothing passes.
        holder.covers(at(5), at(6));
        holder.covers(at(6), at(7));
        assert_eq!(versions(&holder), [None, None, None]);
        holder.ack(at(4), AckStatus::Applied);
        assert_eq!(versions(&holder), [Some(4), Some(4), None]);
        holder.ack(at(5), AckStatus::Received);
        assert_eq!(versions(&holder), [Some(7), Some(4), None]);
        holder.ack(at(5), AckStatus::Deferred);
        assert_eq!(versions(&holder), [Some(7), Some(4), Some(7)]);
        holder.ack(at(5), AckStatus::Applied);
        assert_eq!(versions(&holder), [Some(7), Some(7), None]);
        // Held already: covered at once.
        holder.covers(at(7), at(8));
        assert_eq!(versions(&holder), [Some(8), Some(8), None]);
        // 9 is sent, 10 is not: holding 8 says nothing about either.
        holder.covers(at(9), at(10));
        assert_eq!(versions(&holder), [Some(8), Some(8), None]);
        assert!(!holder.was_spared(at(9)) && holder.was_spared(at(10)));
        holder.ack(at(9), AckStatus::Applied);
        assert_eq!(versions(&holder), [Some(10), Some(10), None]);
    }
}
