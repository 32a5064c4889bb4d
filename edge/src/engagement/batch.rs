//! A batch of reports, added up: what counts, and what does not and why. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::attribute::{Attribute, Attributes};
use liveevents_protocol::engagement::{
    Batch, Cents, Counted, Happening, Place, Refused, Report, Tally,
};
use liveevents_protocol::id::{EventId, RegionId, SegmentId};
use liveevents_protocol::limits::{MAX_BATCH, MAX_NAME};
use liveevents_protocol::model::Content;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Revision;
use liveevents_service::limits::{MAX_ATTRIBUTES, MAX_KEYS};
use serde::Deserialize as _;

use super::{Cells, Rules, attribute, hash};
use crate::limits::MAX_BATCH_CELLS;
use crate::metrics::{Judged, Kinds};

/// The longest session of play that is believed: a week.
const MAX_SESSION_SECONDS: u32 = 7 * 24 * 3600;

/// The largest purchase that is believed: a million dollars.
const MAX_PURCHASE: Cents = Cents(100_000_000);

/// What is known of a player that watches here: attributes and platform.
pub(crate) type Known<'a> = (&'a BTreeMap<String, Attribute>, Option<&'a str>);

/// Whose reports they are, and what they are judged by.
pub(crate) struct View<'a> {
    pub(crate) region: &'a RegionId,
    pub(crate) state: Option<&'a RegionState>,
    pub(crate) rules: &'a Rules,
    pub(crate) now: Timestamp,
    /// What the game server has said of a player before.
    pub(crate) known: &'a dyn Fn(&str) -> Option<Known<'a>>,
}

/// Whether a batch is one: its number and how many reports it has. Gives the field that is wrong, and what is.
pub(crate) fn judge(batch: &Batch) -> Result<(), (&'static str, String)> {
    if batch.batch == 0 {
        return Err(("batch", "must be 1 or more".to_owned()));
    }
    if batch.reports.len() > MAX_BATCH {
        let message = format!("has {}, at most {MAX_BATCH} may be", batch.reports.len());
        return Err(("reports", message));
    }
    Ok(())
}

/// What the reports of a batch come to.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) cells: Cells,
    /// Those that do not count.
    pub(crate) refused: Vec<Refused>,
    /// What kinds they were of.
    pub(crate) kinds: Kinds,
}

/// Adds the reports of a batch up.
pub(crate) fn add_up(batch: &Batch, view: &View<'_>) -> Sum {
    let second = Timestamp::from_second(view.now.as_second()).unwrap_or(view.now);
    let (mut tallies, mut refused, mut kinds) = (
        BTreeMap::<Place, Tally>::new(),
        Vec::new(),
        Kinds::default(),
    );
    for (index, written) in batch.reports.iter().enumerate() {
        let mut refuse = |message| {
            kinds.note(written, Judged::Refused);
            refused.push(Refused {
                batch: batch.batch,
                index,
                message,
            });
        };
        let (report, counted) = match judged(written, view.rules) {
            Ok(judged) => judged,
            Err(message) => {
                refuse(message);
                continue;
            }
        };
        let places = places(&report, view);
        let is_new = |place: &&Place| !tallies.contains_key(*place);
        let new = places.iter().filter(is_new).count();
        if tallies.len() + new > MAX_BATCH_CELLS {
            refuse(format!(
                "the batch is of too many events and segments, more than {MAX_BATCH_CELLS} together; send less at once"
            ));
            continue;
        }
        kinds.note(written, Judged::Taken);
        let player = hash(&view.rules.key, &report.player);
        for place in places {
            let everybody = place.segment.is_none();
            let tally = tallies.entry(place).or_default();
            match everybody {
                true => tally.count(player, counted),
                false => tally.sums.count(counted),
            }
        }
    }
    let cells = tallies.into_iter();
    Sum {
        cells: cells
            .map(|(place, tally)| ((place, second), tally))
            .collect(),
        refused,
        kinds,
    }
}

/// Where a report counts: for everybody, and for each segment that the event names and the player is in.
fn places(report: &Report, view: &View<'_>) -> Vec<Place> {
    let (revision, cohort) = attribute(view.state, &report.event_id, &report.player, &report.seen);
    let everybody = Place {
        region: view.region.clone(),
        event: report.event_id.clone(),
        revision,
        variant: report.seen.variant.clone(),
        cohort,
        segment: None,
    };
    let mut places = Vec::new();
    if let Some(state) = view.state {
        for segment in segments(state, report, revision, view) {
            places.push(Place {
                segment: Some(segment.clone()),
                ..everybody.clone()
            });
        }
    }
    places.push(everybody);
    places
}

fn segments<'a>(
    state: &'a RegionState,
    report: &Report,
    revision: Option<Revision>,
    view: &View<'_>,
) -> impl Iterator<Item = &'a SegmentId> {
    let content = named(state, &report.event_id, revision);
    let named = content.into_iter().flat_map(|content| {
        let targets = content.target_segments.iter();
        targets.chain(&content.exclude_segments)
    });
    let known = (view.known)(&report.player).filter(|_| report.attributes.is_empty());
    let (attributes, platform) = known.unwrap_or((&report.attributes, None));
    let platform = report.platform.as_deref().or(platform);
    let attributes = Attributes::new(attributes).on(platform);
    let is_in = |segment: &&SegmentId| {
        let membership = state
            .segments()
            .membership(segment, Some(&report.player), &attributes);
        membership.is_in() == Some(true)
    };
    let mut members: Vec<&SegmentId> = named.filter(is_in).collect();
    members.sort_unstable();
    members.dedup();
    members.into_iter()
}

/// The content whose segments count: that of the revision seen, else of the one that is served.
fn named<'a>(
    state: &'a RegionState,
    event: &EventId,
    revision: Option<Revision>,
) -> Option<&'a Content> {
    let seen = revision.and_then(|revision| state.content(event, revision));
    seen.or_else(|| {
        let served = state.assignment(event)?.revisions().next()?;
        state.content(event, served)
    })
}

/// A report, and what of it counts.
fn judged(written: &serde_json::Value, rules: &Rules) -> Result<(Report, Counted), String> {
    let report = Report::deserialize(written).map_err(|error| error.to_string())?;
    let name = |field: &str, text: &str| match text.len() {
        1..=MAX_NAME => Ok(()),
        len => Err(format!(
            "{field} has {len} bytes, must have 1 to {MAX_NAME}"
        )),
    };
    name("player", &report.player)?;
    if let Some(variant) = &report.seen.variant {
        name("variant", variant)?;
    }
    if report.seen.keys.len() > MAX_KEYS {
        return Err(format!("keys: at most {MAX_KEYS} may be given"));
    }
    if report.attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("attributes: at most {MAX_ATTRIBUTES} may be given"));
    }
    let counted = match &report.happening {
        Happening::SessionStart => Counted::SessionStart,
        Happening::SessionEnd { seconds } if *seconds > MAX_SESSION_SECONDS => {
            return Err(format!(
                "seconds is {seconds}, must be {MAX_SESSION_SECONDS} at most"
            ));
        }
        Happening::SessionEnd { seconds } => Counted::SessionEnd(*seconds),
        Happening::Participation => Counted::Participation,
        Happening::Completion => Counted::Completion,
        Happening::Purchase { amount, currency } => {
            let rate = rules.currencies.rate(currency);
            let rate = rate.ok_or_else(|| {
                format!("currency {currency:?} is not in the table of currencies")
            })?;
            let cents = rate.cents(*amount);
            if cents > MAX_PURCHASE {
                return Err(format!(
                    "amount is {amount} {currency}, more than a million dollars"
                ));
            }
            Counted::Purchase(cents)
        }
        Happening::Feedback {
            score: Some(score), ..
        } if *score > 10 => return Err(format!("score is {score}, must be 0 to 10")),
        Happening::Feedback { sentiment, score } => Counted::Feedback(*sentiment, *score),
        Happening::Error => Counted::Error,
    };
    Ok((report, counted))
}

#[cfg(test)]
mod tests;
