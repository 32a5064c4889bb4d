//! A recurring event in the course of time: what a region's schedule becomes as the horizon moves on.
//!
//! Pure. Occurrences are only ever added at the end: what the lifecycle has made of those that a region holds is
//! left as it is.

use jiff::Timestamp;
use liveevents_protocol::schedule::{Occurrence, Schedule, ScheduleError};

use super::schedule::{Expansion, HORIZON};

/// The occurrences that have come within the horizon since somebody gave a region its schedule.
#[must_use]
pub fn lacking(held: &Schedule, expansion: &Expansion) -> Vec<Occurrence> {
    let last = held.occurrences().last().map(|last| last.opens);
    let ahead = expansion.schedule.occurrences().iter();
    ahead
        .filter(|occurrence| last.is_none_or(|last| occurrence.opens > last))
        .copied()
        .collect()
}

/// A region's schedule with more occurrences at its end, and without those that are over.
///
/// # Errors
/// If there would be more than a schedule holds.
pub fn extended(
    held: &Schedule,
    more: &[Occurrence],
    now: Timestamp,
) -> Result<Schedule, ScheduleError> {
    let mut occurrences = held.occurrences().to_vec();
    if let (Some(last), Some(first)) = (occurrences.last_mut(), more.first()) {
        last.closes = last.closes.min(first.opens);
    }
    occurrences.extend(more);
    occurrences.retain(|occurrence| occurrence.closes > now);
    Schedule::new(occurrences)
}

/// A region's schedule with the occurrences that have come within the horizon, and without those that are over.
/// None if it lacks nothing.
///
/// # Errors
/// If there would be more than a schedule holds.
pub fn topped_up(
    held: &Schedule,
    expansion: &Expansion,
    now: Timestamp,
) -> Result<Option<Schedule>, ScheduleError> {
    let lacking = lacking(held, expansion);
    if lacking.is_empty() {
        return Ok(None);
    }
    extended(held, &lacking, now).map(Some)
}

/// A region's schedule after the event's times have changed from what gave `before` to what gives `after`. Occurrences
/// that were left out there are left out still.
///
/// # Errors
/// If there would be more than a schedule holds.
pub fn reshaped(
    held: &Schedule,
    before: &Expansion,
    after: &Expansion,
    now: Timestamp,
) -> Result<Schedule, ScheduleError> {
    let opens = |occurrences: &[Occurrence], at| occurrences.iter().any(|o| o.opens == at);
    let held: Vec<Occurrence> = held.occurrences().to_vec();
    let left_out = |occurrence: &Occurrence| {
        occurrence.closes > now
            && opens(before.schedule.occurrences(), occurrence.opens)
            && !opens(&held, occurrence.opens)
    };
    let occurrences = after.schedule.occurrences().iter().copied();
    Schedule::new(
        occurrences
            .filter(|occurrence| !left_out(occurrence))
            .collect(),
    )
}

/// When the next occurrence comes within the horizon, so that regions lack it. None if nothing follows.
#[must_use]
pub fn due(expansion: &Expansion) -> Option<Timestamp> {
    let beyond = expansion.beyond?;
    Some(beyond.checked_sub(HORIZON).unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
    }

    fn schedule(hours: &[(i64, i64)]) -> Schedule {
        let occurrences = hours.iter().map(|&(opens, closes)| Occurrence {
            opens: at(opens),
            closes: at(closes),
        });
        Schedule::new(occurrences.collect()).unwrap()
    }

    fn expansion(hours: &[(i64, i64)], beyond: Option<i64>) -> Expansion {
        Expansion {
            schedule: schedule(hours),
            beyond: beyond.map(at),
        }
    }

    #[test]
    fn what_is_lacking_is_added_at_the_end_and_nothing_else_is_touched() {
        // Held, expansion, now, what becomes of it.
        let table = [
            // All there.
            (
                &[(10, 12), (20, 22)][..],
                &[(10, 12), (20, 22)][..],
                5,
                None,
            ),
            // One more; the first is over by now.
            (
                &[(10, 12), (20, 22)],
                &[(20, 22), (30, 32)],
                15,
                Some(&[(20, 22), (30, 32)][..]),
            ),
            // Somebody extended the one that is open, and let one fall out: that stays so.
            (
                &[(10, 19), (30, 32)],
                &[(10, 12), (20, 22), (30, 32), (40, 42)],
                11,
                Some(&[(10, 19), (30, 32), (40, 42)]),
            ),
            // What runs into the next ends there.
            (&[(10, 25)], &[(20, 22)], 11, Some(&[(10, 20), (20, 22)])),
            // Nothing held: a rule that opens more rarely than the horizon is long.
            (&[], &[(50, 60)], 40, Some(&[(50, 60)])),
            // Nothing follows.
            (&[(10, 12)], &[], 13, None),
        ];
        for (held, expanded, now, expected) in table {
            assert_eq!(
                topped_up(&schedule(held), &expansion(expanded, None), at(now)),
                Ok(expected.map(schedule)),
                "{held:?}"
            );
        }
    }

    #[test]
    fn it_is_due_when_the_next_occurrence_comes_within_the_horizon() {
        let horizon = HORIZON.as_hours();
        assert_eq!(due(&expansion(&[(1, 2)], Some(horizon + 7))), Some(at(7)));
        assert_eq!(due(&expansion(&[(1, 2)], None)), None);
    }
}
