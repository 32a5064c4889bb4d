//! What is shown when, where: the occurrences of events within a stretch of time, and which of them overlap.
//!
//! Pure. What a region holds is told as it holds it, a pause or an extension included. A recurring event goes on beyond
//! what is held, which ends 60 days ahead: there its rule is followed. What is over has left the regions, and with them
//! the calendar; the audit log keeps it.

pub mod ics;

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::schedule::Occurrence;
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::lifecycle::State;
use crate::event::record::Event;
use crate::event::schedule::{self, Unschedulable};
use crate::event::wall_clock::Zone;

/// An event at one time in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CalendarEntry)]
pub struct Entry {
    /// Which event.
    pub event_id: EventId,
    /// Its name for players.
    pub display_name: String,
    /// Its grouping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Where in its life it is. Of a draft it is only planned.
    pub state: State,
    /// Where. None for a draft, which is in no region yet: its times are those of its own zone.
    pub region: Option<RegionId>,
    /// When it opens.
    pub opens: Timestamp,
    /// When it closes.
    pub closes: Timestamp,
    /// Paused or stopped there: nothing of it is shown while that lasts.
    pub suspended: bool,
    /// Whether it may be beside others of its category.
    #[serde(skip)]
    pub allow_overlap: bool,
}

/// Two events of one category at one time in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CalendarOverlap)]
pub struct Overlap {
    /// Where.
    pub region: RegionId,
    /// Of which category.
    pub category: String,
    /// The two.
    #[schema(value_type = Vec<EventId>, min_items = 2, max_items = 2)]
    pub events: [EventId; 2],
    /// From when on.
    pub opens: Timestamp,
    /// Until when.
    pub closes: Timestamp,
    /// Whether one of them says that it may be so.
    pub allowed: bool,
}

/// From when to when, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// First instant.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
}

impl Stretch {
    fn has(self, occurrence: &Occurrence) -> bool {
        occurrence.opens < self.to && occurrence.closes > self.from
    }
}

/// What a region shows of an event within a stretch.
///
/// # Errors
/// If its rule opens too often to be followed.
pub fn assigned(
    event: &Event,
    (region, zone): (&RegionId, &Zone),
    assignment: &Assignment,
    stretch: Stretch,
) -> Result<Vec<Entry>, Unschedulable> {
    let held = assignment.schedule.occurrences();
    let mut occurrences: Vec<Occurrence> = held.to_vec();
    let timing = &event.newest.document.timing;
    if let (Some(_), Some(last)) = (&timing.recurrence, held.last()) {
        let (beyond, _) = schedule::between(timing, zone, last.closes, stretch.to)?;
        occurrences.extend(beyond.into_iter().filter(|next| next.opens >= last.closes));
    }
    let occurrences = occurrences
        .iter()
        .filter(|occurrence| stretch.has(occurrence));
    let suspended = assignment.suspension.is_suspended();
    Ok(occurrences
        .map(|occurrence| entry(event, Some(region), *occurrence, suspended))
        .collect())
}

/// What a draft would show, by the wall clock of a zone.
///
/// # Errors
/// If its rule opens too often to be followed.
pub fn planned(event: &Event, zone: &Zone, stretch: Stretch) -> Result<Vec<Entry>, Unschedulable> {
    let timing = &event.newest.document.timing;
    let (occurrences, _) = schedule::between(timing, zone, stretch.from, stretch.to)?;
    Ok(occurrences
        .into_iter()
        .map(|occurrence| entry(event, None, occurrence, false))
        .collect())
}

fn entry(
    event: &Event,
    region: Option<&RegionId>,
    occurrence: Occurrence,
    suspended: bool,
) -> Entry {
    let document = &event.newest.document;
    Entry {
        event_id: event.id.clone(),
        display_name: document.display_name.clone(),
        category: document.category.clone(),
        state: event.state,
        region: region.cloned(),
        opens: occurrence.opens,
        closes: occurrence.closes,
        suspended,
        allow_overlap: document.allow_overlap,
    }
}

/// Entries in order of time, then region and event.
pub fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| {
        (a.opens, a.closes, &a.region, &a.event_id).cmp(&(
            b.opens,
            b.closes,
            &b.region,
            &b.event_id,
        ))
    });
}

/// Which entries, sorted, overlap others of their category in their region; at most so many.
#[must_use]
pub fn overlaps(entries: &[Entry], at_most: usize) -> Vec<Overlap> {
    let mut open: BTreeMap<(&RegionId, &str), Vec<&Entry>> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in entries {
        let (Some(region), Some(category)) = (&entry.region, entry.category.as_deref()) else {
            continue;
        };
        let beside = open.entry((region, category)).or_default();
        beside.retain(|other| other.closes > entry.opens);
        for other in beside.iter().filter(|o| o.event_id != entry.event_id) {
            if found.len() == at_most {
                return found;
            }
            found.push(Overlap {
                region: region.clone(),
                category: category.to_owned(),
                events: [other.event_id.clone(), entry.event_id.clone()],
                opens: entry.opens,
                closes: entry.closes.min(other.closes),
                allowed: entry.allow_overlap || other.allow_overlap,
            });
        }
        beside.push(entry);
    }
    found
}

#[cfg(test)]
mod tests;
