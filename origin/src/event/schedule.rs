//! From an event's timing to the occurrences that one region shows.
//!
//! Pure: the region's zone and the moment are arguments. A recurring event's occurrences are computed
//! [`limits::HORIZON_DAYS`] ahead, from `now` or from its start if that is later, so that a region
//! which hears nothing more keeps opening and closing on time for so long. Occurrences never overlap:
//! one that would run into the next ends where the next opens.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::schedule::{Occurrence, Schedule, ScheduleError};

use super::recurrence::{Recurrence, RuleError};
use super::timing::{Timing, Window};
use super::wall_clock::{OutOfRange, Zone};
use crate::limits;

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

/// The occurrences that a region shows, those that have closed by `now` left out.
///
/// # Errors
/// If a time is out of range or a rule opens too often.
pub fn schedule(timing: &Timing, region: &Zone, now: Timestamp) -> Result<Schedule, Unschedulable> {
    let (start, end) = timing.window.within(region)?;
    let occurrences = match &timing.recurrence {
        None => vec![Occurrence {
            opens: start,
            closes: end,
        }],
        Some(recurrence) => {
            let ahead = SignedDuration::from_hours(24 * limits::HORIZON_DAYS);
            let horizon = now.max(start).checked_add(ahead).unwrap_or(Timestamp::MAX);
            let (zone, first) = match timing.window {
                Window::Absolute { start, .. } => {
                    let zone = recurrence.zone.as_ref().unwrap_or(&timing.zone);
                    (zone, zone.wall_clock(start))
                }
                Window::RegionLocal { start, .. } => (region, start),
            };
            let mut occurrences = recurring(recurrence, zone, first, end.min(horizon), now)?;
            for occurrence in &mut occurrences {
                occurrence.closes = occurrence.closes.min(end);
            }
            occurrences
        }
    };
    Ok(Schedule::new(without_overlap(occurrences, now))?)
}

/// Occurrences from a wall-clock time on that open before `end` and close after `now`.
fn recurring(
    recurrence: &Recurrence,
    zone: &Zone,
    first: DateTime,
    end: Timestamp,
    now: Timestamp,
) -> Result<Vec<Occurrence>, Unschedulable> {
    let mut found = Vec::new();
    for (count, wall) in recurrence.rule.openings(first)?.enumerate() {
        let opens = zone.instant(wall)?;
        if opens >= end || recurrence.until.is_some_and(|until| wall > until) {
            break;
        }
        if count >= limits::MAX_OPENINGS {
            return Err(Unschedulable::TooLong);
        }
        let closes = zone.after(opens, recurrence.duration.0)?;
        if closes > now && !recurrence.except.contains(&wall.date()) {
            found.push(Occurrence { opens, closes });
        }
    }
    Ok(found)
}

/// Ends each occurrence where the next opens, and leaves out what is then empty or over.
fn without_overlap(mut occurrences: Vec<Occurrence>, now: Timestamp) -> Vec<Occurrence> {
    let openings: Vec<Timestamp> = occurrences.iter().skip(1).map(|next| next.opens).collect();
    for (occurrence, next) in occurrences.iter_mut().zip(openings) {
        occurrence.closes = occurrence.closes.min(next);
    }
    occurrences
        .retain(|occurrence| occurrence.opens < occurrence.closes && occurrence.closes > now);
    occurrences
}

#[cfg(test)]
mod tests;
