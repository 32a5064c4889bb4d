//! From an event's timing to the occurrences that one region shows.
//!
//! Pure: the region's zone and the moment are arguments. A recurring event's occurrences are computed
//! [`limits::HORIZON_DAYS`] ahead, from `now` or from its start if that is later, so that a region
//! which hears nothing more keeps opening and closing on time for so long. Occurrences never overlap:
//! one that would run into the next ends where the next opens.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Span, Timestamp};
use liveevents_protocol::schedule::{Occurrence, Schedule, ScheduleError};

use super::recurrence::{Recurrence, RuleError};
use super::timing::{Timing, Window};
use super::wall_clock::{OutOfRange, Zone};
use crate::limits;

/// How far ahead a recurring event's occurrences are computed and sent.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(24 * limits::HORIZON_DAYS);

/// Why a timing gives no schedule.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unschedulable {
    /// An instant that cannot be represented.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A rule that cannot be expanded.
    #[error("the rule {0}")]
    Rule(#[from] RuleError),
    /// A rule that has opened too often since its start.
    #[error(
        "opens more than {} times from its start; start it later",
        limits::MAX_OPENINGS
    )]
    TooLong,
    /// Too many occurrences.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// What a region shows up to the horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The occurrences, those that have closed left out.
    pub schedule: Schedule,
    /// When the first occurrence beyond the horizon opens; none if nothing follows.
    pub beyond: Option<Timestamp>,
}

impl Expansion {
    /// Whether nothing is shown any more, now or ever.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.schedule.occurrences().is_empty() && self.beyond.is_none()
    }
}

/// The occurrences that a region shows, those that have closed by `now` left out.
///
/// # Errors
/// If a time is out of range or a rule opens too often.
pub fn schedule(timing: &Timing, region: &Zone, now: Timestamp) -> Result<Schedule, Unschedulable> {
    Ok(expand(timing, region, now)?.schedule)
}

/// [`schedule`], and what lies beyond it.
///
/// # Errors
/// If a time is out of range or a rule opens too often.
pub fn expand(timing: &Timing, region: &Zone, now: Timestamp) -> Result<Expansion, Unschedulable> {
    let (start, _) = timing.window.within(region)?;
    let (occurrences, beyond) = between(timing, region, now, horizon(start, now))?;
    Ok(Expansion {
        schedule: Schedule::new(occurrences)?,
        beyond,
    })
}

/// Up to when occurrences are computed.
pub(super) fn horizon(start: Timestamp, now: Timestamp) -> Timestamp {
    let from = now.max(start);
    from.checked_add(HORIZON).unwrap_or(Timestamp::MAX)
}

/// The zone whose wall clock a rule is read by in a region.
pub(super) fn rule_zone<'a>(
    timing: &'a Timing,
    recurrence: &'a Recurrence,
    region: &'a Zone,
) -> &'a Zone {
    match timing.window {
        Window::Absolute { .. } => recurrence.zone.as_ref().unwrap_or(&timing.zone),
        Window::RegionLocal { .. } => region,
    }
}

/// The occurrences that close after `from` and open before `to`, and the first opening after those.
///
/// # Errors
/// If a time is out of range or a rule opens too often.
pub fn between(
    timing: &Timing,
    region: &Zone,
    from: Timestamp,
    to: Timestamp,
) -> Result<(Vec<Occurrence>, Option<Timestamp>), Unschedulable> {
    let (start, end) = timing.window.within(region)?;
    let Some(recurrence) = &timing.recurrence else {
        let window = Occurrence {
            opens: start,
            closes: end,
        };
        return Ok(if start >= to {
            (Vec::new(), Some(start).filter(|_| start < end))
        } else {
            (without_overlap(vec![window], None, from), None)
        });
    };
    let zone = rule_zone(timing, recurrence, region);
    let first = match timing.window {
        Window::Absolute { start, .. } => zone.wall_clock(start),
        Window::RegionLocal { start, .. } => start,
    };
    let (mut occurrences, beyond) = recurring(recurrence, zone, first, (start, end), (from, to))?;
    for occurrence in &mut occurrences {
        occurrence.closes = occurrence.closes.min(end);
    }
    Ok((without_overlap(occurrences, beyond, from), beyond))
}

/// Occurrences of a rule that starts at a wall-clock time, within the event's window.
fn recurring(
    recurrence: &Recurrence,
    zone: &Zone,
    first: DateTime,
    (start, end): (Timestamp, Timestamp),
    (from, to): (Timestamp, Timestamp),
) -> Result<(Vec<Occurrence>, Option<Timestamp>), Unschedulable> {
    let mut found = Vec::new();
    let earliest = earliest(recurrence, zone, from).map_or(first, |at| at.max(first));
    let openings = recurrence.rule.openings(first, earliest)?;
    for (count, wall) in openings.enumerate() {
        // An event that starts in the second of two repeated hours does not open in the first.
        let opens = zone.instant(wall)?.max(start);
        if opens >= end || recurrence.until.is_some_and(|until| wall > until) {
            break;
        }
        if count >= limits::MAX_OPENINGS {
            return Err(Unschedulable::TooLong);
        }
        if recurrence.except.contains(&wall.date()) {
            continue;
        }
        if opens >= to {
            return Ok((found, Some(opens)));
        }
        let closes = zone.after(opens, recurrence.duration.0)?;
        if closes > from {
            found.push(Occurrence { opens, closes });
        }
    }
    Ok((found, None))
}

/// What opened before this wall-clock time has closed by `from`: a duration earlier, and two days for what zones do
/// to wall clocks (they have skipped a day), and months to durations.
fn earliest(recurrence: &Recurrence, zone: &Zone, from: Timestamp) -> Option<DateTime> {
    let wall = zone.wall_clock(from);
    let opened = wall.checked_sub(recurrence.duration.0).ok()?;
    opened.checked_sub(Span::new().days(4)).ok()
}

/// Ends each occurrence where the next opens, and leaves out what is then empty or over.
fn without_overlap(
    mut occurrences: Vec<Occurrence>,
    beyond: Option<Timestamp>,
    from: Timestamp,
) -> Vec<Occurrence> {
    let openings: Vec<Timestamp> = occurrences.iter().skip(1).map(|next| next.opens).collect();
    for (occurrence, next) in occurrences
        .iter_mut()
        .zip(openings.into_iter().chain(beyond))
    {
        occurrence.closes = occurrence.closes.min(next);
    }
    occurrences
        .retain(|occurrence| occurrence.opens < occurrence.closes && occurrence.closes > from);
    occurrences
}

#[cfg(test)]
mod tests;
