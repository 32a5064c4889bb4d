//! Moving an event's end, and its start while it has not begun: pure.
//!
//! An absolute event's end is one instant. A region-local one's is a wall-clock time, and moving it by a duration moves
//! that; a region in which the event has closed opens again if its new end lies ahead. A recurring event's end is that of
//! the series: up to it occurrences are added, those after it fall away, the one that it cuts ends with it, and an `until`
//! gives way to a later end. A COUNT in the rule still counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{Span, Timestamp};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::schedule::Schedule;

use super::document::Document;
use super::fault::Faults;
use super::outlook::Held;
use super::schedule::Unschedulable;
use super::series;
use super::times::Times;
use super::timing::{self, Window};
use super::wall_clock::OutOfRange;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// The new start.
    pub start: Option<String>,
    /// The new end.
    pub end: Option<String>,
    /// How much later the end is to be, or earlier.
    pub by: Option<String>,
}

impl Extension {
    /// The field that the end was asked by.
    #[must_use]
    pub fn end_field(&self) -> &'static str {
        if self.by.is_some() {
            "extendBy"
        } else {
            "endTime"
        }
    }

    /// The event with other times.
    ///
    /// # Errors
    /// Everything that is wrong with what was asked for.
    pub fn of(&self, document: &Document) -> Result<Document, Faults> {
        let mut faults = Faults::default();
        let mut fields = document.to_fields();
        match (&self.start, &self.end, &self.by) {
            (_, Some(_), Some(_)) => {
                faults.add("extendBy", "must be left out where endTime is given");
            }
            (None, None, None) => faults.add("endTime", "must be given, or extendBy"),
            (_, Some(end), None) => fields.end_time = Some(end.clone()),
            (_, None, Some(by)) => {
                fields.end_time = faults
                    .take("extendBy", moved(document, by))
                    .or(fields.end_time);
            }
            (Some(_), None, None) => {}
        }
        if let Some(start) = &self.start {
            fields.start_time = Some(start.clone());
        }
        faults.or_ok()?;
        let until = fields.recurrence.as_mut().and_then(Option::as_mut);
        let until = until.and_then(|recurrence| recurrence.until.take());
        let mut extended = Document::parse(&fields)?;
        if extended.bounds.1 <= document.bounds.1
            && let Some(until) = until
            && let Some(Some(recurrence)) = &mut fields.recurrence
        {
            recurrence.until = Some(until);
            extended = Document::parse(&fields)?;
        }
        Ok(extended)
    }
}

/// The end, moved by a duration.
fn moved(document: &Document, by: &str) -> Result<String, &'static str> {
    let span: Span = by
        .parse()
        .map_err(|_| "must be an ISO 8601 duration such as PT2H, or -PT2H for an earlier end")?;
    if span.is_zero() {
        return Err("must not be zero");
    }
    if span.get_milliseconds() != 0 || span.get_microseconds() != 0 || span.get_nanoseconds() != 0 {
        return Err("must be in whole seconds");
    }
    let out_of_range = |_| "leads to a time out of range";
    match &document.timing.window {
        Window::Absolute { end, .. } => {
            let end = document.timing.zone.after(*end, span).map_err(out_of_range);
            end.map(|end| end.to_string())
        }
        Window::RegionLocal { end, .. } => {
            let end: DateTime = end
                .checked_add(span)
                .map_err(|_| "leads to a time out of range")?;
            Ok(end.to_string())
        }
    }
}

/// What is wrong with an event's new times where it is served.
#[derive(Debug, thiserror::Error)]
pub enum NotAhead {
    /// They are not all ahead.
    #[error("the times are not all ahead")]
    Faults(Faults),
    /// They give no schedule.
    #[error("{region}: {cause}")]
    Unschedulable {
        /// Where.
        region: RegionId,
        /// Why.
        #[source]
        cause: Unschedulable,
    },
}

/// The schedule that each region gets of new times.
///
/// # Errors
/// If an end would lie in the past where the event is not over, a new start would, or nothing would be left.
pub fn schedules(
    asked: &Extension,
    (before, after): (Times<'_>, Times<'_>),
    held: &BTreeMap<RegionId, Held<'_>>,
    now: Timestamp,
) -> Result<BTreeMap<RegionId, Schedule>, NotAhead> {
    let mut schedules = BTreeMap::new();
    let mut past = BTreeSet::new();
    let mut left = false;
    for (region, held) in held {
        let unschedulable = |cause| NotAhead::Unschedulable {
            region: region.clone(),
            cause,
        };
        let within = after.timing.window.within(held.zone);
        let (start, end) = within.map_err(|error: OutOfRange| unschedulable(error.into()))?;
        let is_over = held.schedule.current_or_next(now).is_none();
        // Of an absolute event said once, since it is so everywhere.
        let place = after.timing.is_region_local().then_some(region);
        if asked.start.is_some() && start < now {
            past.insert(("startTime", place, "activate the event to start it now"));
        }
        if end <= now && !is_over {
            past.insert((
                asked.end_field(),
                place,
                "deactivate the event to end it now",
            ));
        }
        let old = before.expand(held.zone, now).map_err(unschedulable)?;
        let new = after.expand(held.zone, now).map_err(unschedulable)?;
        left |= !new.is_over();
        let schedule = series::reshaped(held.schedule, &old, &new, now);
        schedules.insert(
            region.clone(),
            schedule.map_err(|error| unschedulable(error.into()))?,
        );
    }
    let mut faults = Faults::default();
    for (field, place, instead) in past {
        let place = place.map_or(String::new(), |region| format!(" in {region}"));
        faults.add(field, format!("lies in the past{place}; {instead}"));
    }
    if held.is_empty() {
        left = after
            .timing
            .window
            .within(&after.timing.zone)
            .is_ok_and(|(_, end)| end > now);
    }
    if !left && faults.is_empty() {
        let message = "would leave nothing ahead; deactivate or cancel the event to end it now";
        faults.add(asked.end_field(), message);
    }
    faults.or_ok().map_err(NotAhead::Faults)?;
    Ok(schedules)
}

/// The event as it is after having been ended at a moment: not shown a second longer than it was. Wall-clock times stay
/// as they were announced, since no single one says what a moment is in every region.
#[must_use]
pub fn ended(document: &Document, now: Timestamp) -> Document {
    let mut ended = document.clone();
    if let Window::Absolute { start, end } = &mut ended.timing.window {
        let last = timing::second_after(now).max(timing::second_after(*start));
        *end = last.min(*end);
        ended.bounds.1 = *end;
    }
    ended
}

#[cfg(test)]
mod tests;
