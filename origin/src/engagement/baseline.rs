//! What would have come in without an event: what did, in the same hours of the same weekdays before it.
//!
//! Pure. All purchases of the regions count, whatever event they are of, during the event as before it: an event may only
//! have moved them. The baseline is the mean of up to four weeks, those that ended before the event began and that are
//! known whole.

use jiff::{SignedDuration, Timestamp};

use super::dollars;

/// How many weeks are looked back.
const WEEKS: i32 = 4;

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What came in within an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// When it began.
    pub from: Timestamp,
    /// In US cents.
    pub cents: u64,
}

/// What came in in some regions during an event, and what would have without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// In US dollars.
    pub during: f64,
    /// In US dollars; none if nothing is known of a week before the event.
    pub baseline: Option<f64>,
}

impl Comparison {
    /// `during / baseline - 1`: 0.2 is a fifth more.
    #[must_use]
    pub fn uplift(&self) -> Option<f64> {
        let baseline = self.baseline.filter(|baseline| *baseline > 0.0)?;
        Some(self.during / baseline - 1.0)
    }
}

/// Compares what came in during an event, as far as it lies in a window, with weeks before it. `hours` are in order of time.
#[must_use]
pub fn compare(
    (start, end): (Timestamp, Timestamp),
    (from, to): (Timestamp, Timestamp),
    hours: &[Hour],
    now: Timestamp,
) -> Comparison {
    let (from, to) = (from.max(start), to.min(end));
    let first = hours.first().map(|hour| hour.from);
    let weeks = (1..=WEEKS).filter_map(|weeks| {
        let back = WEEK.checked_mul(weeks)?;
        let (from, to) = (from.checked_sub(back).ok()?, to.checked_sub(back).ok()?);
        (from < to && to <= start && first? <= from).then(|| within(hours, from, to, now))
    });
    let weeks: Vec<f64> = weeks.collect();
    #[expect(clippy::cast_precision_loss, reason = "four at the most")]
    let count = weeks.len() as f64;
    Comparison {
        during: within(hours, from, to, now),
        baseline: (!weeks.is_empty()).then(|| weeks.iter().sum::<f64>() / count),
    }
}

/// What came in between two moments: of an hour that is only partly between them, that part.
fn within(hours: &[Hour], from: Timestamp, to: Timestamp, now: Timestamp) -> f64 {
    let parts = hours.iter().map(|hour| {
        let end = hour.from.checked_add(HOUR).unwrap_or(hour.from).min(now);
        let part = to
            .min(end)
            .duration_since(from.max(hour.from))
            .as_secs_f64();
        let whole = end.duration_since(hour.from).as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "sums of an hour are far below 2^53"
        )]
        let cents = hour.cents as f64;
        if part > 0.0 && whole > 0.0 {
            cents * (part / whole)
        } else {
            0.0
        }
    });
    dollars(parts.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24;

    /// Hours since a Thursday.
    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3600).unwrap()
    }

    /// A dollar each hour, ten in those of the event.
    fn hours(known_from: i64, event: (i64, i64), to: i64) -> Vec<Hour> {
        let cents = |hour: i64| {
            if (event.0..event.1).contains(&hour) {
                1_000
            } else {
                100
            }
        };
        let known = known_from..to;
        known
            .map(|hour| Hour {
                from: at(hour),
                cents: cents(hour),
            })
            .collect()
    }

    #[test]
    fn the_same_hours_of_weeks_before_the_event_are_the_baseline() {
        let event = (28 * DAY, 30 * DAY);
        let hours = hours(0, event, 29 * DAY);
        let found = compare(
            (at(event.0), at(event.1)),
            (at(28 * DAY), at(29 * DAY)),
            &hours,
            at(29 * DAY),
        );
        assert_eq!((found.during, found.baseline), (240.0, Some(24.0)));
        assert!((found.uplift().unwrap() - 9.0).abs() < 1e-9);
    }

    #[test]
    fn weeks_in_which_the_event_was_on_or_nothing_is_known_do_not_count() {
        let event = (7 * DAY, 40 * DAY);
        let all = hours(0, event, 30 * DAY);
        // 15 days after its start: two weeks before that it was on, three weeks before lies before it.
        let window = (at(22 * DAY), at(23 * DAY));
        let found = compare((at(event.0), at(event.1)), window, &all, at(30 * DAY));
        assert_eq!(found.baseline, Some(24.0));
        // What is known begins too late.
        let late = hours(2 * DAY, event, 30 * DAY);
        let found = compare((at(event.0), at(event.1)), window, &late, at(30 * DAY));
        assert_eq!((found.baseline, found.uplift()), (None, None));
    }

    #[test]
    fn a_window_counts_from_the_start_of_the_event_and_parts_of_hours_by_their_share() {
        let event = (14 * DAY, 20 * DAY);
        let hours = hours(0, event, 14 * DAY + 1);
        let half = Timestamp::from_second(14 * DAY * 3600 + 1800).unwrap();
        let all = (at(10 * DAY), half);
        // The hour is half over, and ten dollars are what came in up to now.
        let found = compare((at(event.0), at(event.1)), all, &hours, half);
        assert_eq!((found.during, found.baseline), (10.0, Some(0.5)));
        // Before the event there is nothing to compare.
        let before = compare((at(event.0), at(event.1)), (at(0), at(DAY)), &hours, half);
        assert_eq!((before.during, before.baseline), (0.0, None));
    }
}
