//! No two events of one category at the same time in the same region, unless one of them allows it: pure.
//!
//! What counts is what is served: the categories of the revisions that are live or being tried, and the schedule, also
//! while it is suspended, since a resume is never refused. Only what is new is judged: an event that gets more time is
//! not held to account for time that it had already.

use std::collections::BTreeSet;

use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::schedule::{Occurrence, Schedule};

/// Time that an event would take in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where.
    pub region: RegionId,
    /// For which categories: those of its revisions there that do not allow an overlap.
    pub categories: BTreeSet<String>,
    /// When, in order.
    pub stretches: Vec<Occurrence>,
}

/// Another event in a region, which does not allow an overlap in this category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Where.
    pub region: RegionId,
    /// Which.
    pub event: EventId,
    /// Of which category.
    pub category: String,
    /// When it is shown.
    pub schedule: Schedule,
}

/// Both would be shown at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// Where.
    pub region: RegionId,
    /// Beside which event.
    pub event: EventId,
    /// Of which category both are.
    pub category: String,
    /// The first stretch of time.
    pub when: Occurrence,
}

/// What collides after `now`, one a region and event at the most.
#[must_use]
pub fn collisions(asked: &[Asked], beside: &[Beside], now: Timestamp) -> Vec<Collision> {
    let mut found: Vec<Collision> = Vec::new();
    for asked in asked {
        let others = beside.iter().filter(|other| {
            other.region == asked.region && asked.categories.contains(&other.category)
        });
        for other in others {
            let told = |c: &Collision| c.region == other.region && c.event == other.event;
            if let Some(when) = in_common(&asked.stretches, other.schedule.occurrences(), now)
                && !found.iter().any(told)
            {
                found.push(Collision {
                    region: other.region.clone(),
                    event: other.event.clone(),
                    category: other.category.clone(),
                    when,
                });
            }
        }
    }
    found
}

/// The first stretch that both lists have in common after `now`. Both are in order and without overlaps.
#[must_use]
pub fn in_common(a: &[Occurrence], b: &[Occurrence], now: Timestamp) -> Option<Occurrence> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let common = Occurrence {
            opens: x.opens.max(y.opens).max(now),
            closes: x.closes.min(y.closes),
        };
        if common.opens < common.closes {
            return Some(common);
        }
        if x.closes <= y.closes {
            a.next();
        } else {
            b.next();
        }
    }
    None
}

/// The stretches of one schedule that another lacks.
#[must_use]
pub fn beyond(after: &Schedule, before: &Schedule) -> Vec<Occurrence> {
    let mut left = Vec::new();
    for occurrence in after.occurrences() {
        let mut opens = occurrence.opens;
        for taken in before.occurrences() {
            if taken.closes <= opens || taken.opens >= occurrence.closes {
                continue;
            }
            if taken.opens > opens {
                left.push(Occurrence {
                    opens,
                    closes: taken.opens,
                });
            }
            opens = opens.max(taken.closes);
        }
        if opens < occurrence.closes {
            left.push(Occurrence {
                opens,
                closes: occurrence.closes,
            });
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
    }

    fn stretches(hours: &[(i64, i64)]) -> Vec<Occurrence> {
        let stretch = |&(opens, closes): &(i64, i64)| Occurrence {
            opens: at(opens),
            closes: at(closes),
        };
        hours.iter().map(stretch).collect()
    }

    fn schedule(hours: &[(i64, i64)]) -> Schedule {
        Schedule::new(stretches(hours)).unwrap()
    }

    #[test]
    fn what_is_only_next_to_each_other_has_nothing_in_common() {
        // One, the other, now, what they share first.
        let table = [
            (&[(1, 5)][..], &[(5, 9)][..], 0, None),
            (&[(1, 5)], &[(4, 9)], 0, Some((4, 5))),
            (&[(1, 5)], &[(4, 9)], 5, None),
            (&[(1, 9)], &[(2, 3), (4, 5)], 3, Some((4, 5))),
            (&[(1, 9)], &[(2, 6)], 4, Some((4, 6))),
            (
                &[(1, 2), (3, 4), (5, 8)],
                &[(2, 3), (4, 5), (7, 9)],
                0,
                Some((7, 8)),
            ),
            (&[], &[(1, 2)], 0, None),
        ];
        for (one, other, now, expected) in table {
            let expected = expected.map(|(opens, closes)| stretches(&[(opens, closes)])[0]);
            for (a, b) in [(one, other), (other, one)] {
                let found = in_common(&stretches(a), &stretches(b), at(now));
                assert_eq!(found, expected, "{a:?} {b:?} at {now}");
            }
        }
    }

    #[test]
    fn only_what_is_new_is_left_of_a_schedule() {
        let table = [
            (&[(1, 5)][..], &[][..], &[(1, 5)][..]),
            (&[(1, 5)], &[(1, 5)], &[]),
            (&[(1, 9)], &[(3, 5)], &[(1, 3), (5, 9)]),
            (&[(1, 9)], &[(0, 2), (3, 4), (8, 12)], &[(2, 3), (4, 8)]),
            (&[(1, 2), (4, 6)], &[(2, 4)], &[(1, 2), (4, 6)]),
            (&[(3, 4)], &[(1, 9)], &[]),
        ];
        for (after, before, expected) in table {
            let found = beyond(&schedule(after), &schedule(before));
            assert_eq!(found, stretches(expected), "{after:?} {before:?}");
        }
    }

    #[test]
    fn only_the_same_category_in_the_same_region_collides() {
        let asked = |region: &str, category: &str| Asked {
            region: region.parse().unwrap(),
            categories: [category.to_owned()].into(),
            stretches: stretches(&[(1, 5)]),
        };
        let beside = [Beside {
            region: "us-east".parse().unwrap(),
            event: "sale".parse().unwrap(),
            category: "shop".to_owned(),
            schedule: schedule(&[(4, 6)]),
        }];
        let found = |asked: Asked| collisions(&[asked], &beside, at(0)).len();
        assert_eq!(found(asked("us-east", "shop")), 1);
        assert_eq!(found(asked("us-west", "shop")), 0);
        assert_eq!(found(asked("us-east", "esports")), 0);
    }
}
