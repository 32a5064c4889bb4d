//! The occurrences during which an assignment is shown.
//!
//! An occurrence is half open, `[opens, closes)`: at `opens` it is shown, at `closes` no more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits;

/// One stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurrence {
    /// First instant shown.
    pub opens: Timestamp,
    /// First instant no longer shown.
    pub closes: Timestamp,
}

/// Why a list is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// An occurrence that ends before it begins.
    #[error("occurrence {index} must close after it opens")]
    Empty {
        /// Which, from 0.
        index: usize,
    },
    /// An occurrence that begins before the one before it has ended.
    #[error("occurrence {index} must open when the one before it has closed, or later")]
    Overlap {
        /// Which, from 0.
        index: usize,
    },
    /// Too many.
    #[error("must have at most {max} occurrences, has {count}", max = limits::MAX_OCCURRENCES)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// Occurrences in order of time, without overlap, to the microsecond: finer than that neither the database
/// nor the wire can tell, and what opens and closes within one would be undecodable at every edge. An empty
/// schedule never opens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Schedule(Vec<Occurrence>);

impl Schedule {
    /// Checks order, overlap and number, after cutting times to microseconds.
    ///
    /// # Errors
    /// Naming the first occurrence that is wrong.
    pub fn new(mut occurrences: Vec<Occurrence>) -> Result<Self, ScheduleError> {
        if occurrences.len() > limits::MAX_OCCURRENCES {
            return Err(ScheduleError::TooMany {
                count: occurrences.len(),
            });
        }
        for occurrence in &mut occurrences {
            occurrence.opens = to_microsecond(occurrence.opens);
            occurrence.closes = to_microsecond(occurrence.closes);
        }
        let mut before: Option<&Occurrence> = None;
        for (index, occurrence) in occurrences.iter().enumerate() {
            if occurrence.opens >= occurrence.closes {
                return Err(ScheduleError::Empty { index });
            }
            if before.is_some_and(|before| before.closes > occurrence.opens) {
                return Err(ScheduleError::Overlap { index });
            }
            before = Some(occurrence);
        }
        Ok(Self(occurrences))
    }

    /// The occurrences in order of time.
    #[must_use]
    pub fn occurrences(&self) -> &[Occurrence] {
        &self.0
    }

    /// The occurrence at `now`, or the next one.
    #[must_use]
    pub fn current_or_next(&self, now: Timestamp) -> Option<&Occurrence> {
        let at = self.0.partition_point(|o| o.closes <= now);
        self.0.get(at)
    }

    /// Whether it is shown at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.current_or_next(now).is_some_and(|o| o.opens <= now)
    }

    /// The first moment after `now` at which it opens or closes.
    #[must_use]
    pub fn next_switch(&self, now: Timestamp) -> Option<Timestamp> {
        let occurrence = self.current_or_next(now)?;
        Some(if occurrence.opens > now {
            occurrence.opens
        } else {
            occurrence.closes
        })
    }
}

/// What is left of a time on the wire.
fn to_microsecond(time: Timestamp) -> Timestamp {
    from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// The time so many microseconds after 1970. [`Timestamp::from_microsecond`] knows nothing of the last second
/// that there is, which [`Timestamp::MAX`] lies in: the end of what never ends.
pub(crate) fn from_microsecond(micros: i64) -> Result<Timestamp, jiff::Error> {
    Timestamp::from_nanosecond(i128::from(micros).saturating_mul(1_000))
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn schedule(times: &[(i64, i64)]) -> Result<Schedule, ScheduleError> {
        Schedule::new(
            times
                .iter()
                .map(|&(opens, closes)| Occurrence {
                    opens: at(opens),
                    closes: at(closes),
                })
                .collect(),
        )
    }

    #[test]
    fn is_half_open_and_knows_its_next_switch() {
        let schedule = schedule(&[(10, 20), (20, 30), (50, 60)]).unwrap();
        let table = [
            (9, false, Some(10)),
            (10, true, Some(20)),
            (19, true, Some(20)),
            (20, true, Some(30)),
            (30, false, Some(50)),
            (59, true, Some(60)),
            (60, false, None),
        ];
        for (now, open, next) in table {
            assert_eq!(schedule.is_open(at(now)), open, "at {now}");
            assert_eq!(schedule.next_switch(at(now)), next.map(at), "at {now}");
        }
    }

    #[test]
    fn knows_nothing_finer_than_a_microsecond() {
        let schedule = |opens: i128, closes: i128| {
            Schedule::new(vec![Occurrence {
                opens: Timestamp::from_nanosecond(opens).unwrap(),
                closes: Timestamp::from_nanosecond(closes).unwrap(),
            }])
        };
        assert_eq!(schedule(1_001, 2_999), schedule(1_000, 2_000));
        assert!(schedule(1_000, 2_000).is_ok());
        assert!(schedule(0, Timestamp::MAX.as_nanosecond()).is_ok());
        assert_eq!(
            schedule(1_001, 1_999),
            Err(ScheduleError::Empty { index: 0 })
        );
    }

    #[test]
    fn refuses_what_is_out_of_order() {
        assert_eq!(
            schedule(&[(10, 10)]),
            Err(ScheduleError::Empty { index: 0 })
        );
        assert_eq!(
            schedule(&[(10, 20), (19, 30)]),
            Err(ScheduleError::Overlap { index: 1 })
        );
        let many: Vec<_> = (0..).map(|i| (i * 2, i * 2 + 1)).take(2000).collect();
        assert_eq!(schedule(&many), Err(ScheduleError::TooMany { count: 2000 }));
    }
}
