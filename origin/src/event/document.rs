//! What one revision says: an event's fields, checked.
//!
//! [`Document::parse`] holds the rules that every stored document meets, so it is also how one is read
//! back. A rule added later belongs into [`Document::check_draft`] or beside it, never into `parse`:
//! what was once accepted has to stay readable.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use liveevents_protocol::conditions::{Requires, WhenStale};
use liveevents_protocol::id::{EventId, SegmentId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{BucketBy, Content, EventType, Localization};
use liveevents_protocol::version::Revision;
use serde_json::json;

use super::fault::Faults;
use super::fields::{EventFields, RecurrenceFields, TimingFields};
use super::recurrence::{Recurrence, Rule};
use super::timing::{self, Timing, Window};
use super::wall_clock::Zone;
use crate::limits;

mod check;
mod conditions;

/// An event's content and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Name shown to players.
    pub display_name: String,
    /// Markdown.
    pub description: String,
    /// What kind of event it is.
    pub event_type: EventType,
    /// The studio's own grouping.
    pub category: Option<String>,
    /// When it happens.
    pub timing: Timing,
    /// [`Timing::window`] in the event's own zone, for lists and operators.
    pub bounds: (Timestamp, Timestamp),
    /// What the game does with it.
    pub configuration: JsonText,
    /// Texts by language.
    pub localizations: BTreeMap<String, Localization>,
    /// Higher comes first.
    pub priority: i32,
    /// How many players may take part.
    pub max_participants: Option<u32>,
    /// For filters and stops.
    pub tags: Vec<String>,
    /// Whose bucketing key decides who gets a candidate.
    pub bucket_by: BucketBy,
    /// Which game builds it is for.
    pub requires: Requires,
    /// Whether it is shown when news have not come for long.
    pub when_stale: WhenStale,
    /// Whom it is for: players of any of these, or everybody if there are none.
    pub target_segments: Vec<SegmentId>,
    /// Whom it is not for, whatever else they are.
    pub exclude_segments: Vec<SegmentId>,
    /// Whether it may be served beside another event of its category.
    pub allow_overlap: bool,
}

impl Document {
    /// Checks fields and makes a document of them.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub fn parse(fields: &EventFields) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let name = faults.require("displayName", fields.display_name.as_deref());
        let name = name.map(|name| check::text(&mut faults, "displayName", name, limits::MAX_NAME));
        let event_type = faults.require("type", fields.event_type.as_deref());
        let event_type = event_type.and_then(|text| faults.take("type", text.parse::<EventType>()));
        let category = fields.category.clone().flatten();
        if let Some(category) = &category {
            check::text(&mut faults, "category", category, limits::MAX_TAG);
        }
        let description = fields.description.clone().unwrap_or_default();
        check::description(&mut faults, "description", &description);
        let timing = parse_timing(fields, &mut faults);
        let configuration = fields
            .configuration
            .clone()
            .unwrap_or_else(JsonText::empty_object);
        check::configuration(&mut faults, &configuration);
        let localizations = fields.localizations.clone().unwrap_or_default();
        check::localizations(&mut faults, &localizations);
        let tags = fields.tags.clone().unwrap_or_default();
        check::tags(&mut faults, &tags);
        let max_participants = fields.max_participants.flatten().and_then(|number| {
            let positive = u32::try_from(number).ok().filter(|&number| number > 0);
            faults.take(
                "maxParticipants",
                positive.ok_or("must be positive and below 2^32"),
            )
        });
        let bucket_by = fields.bucket_by.as_deref().unwrap_or(BucketBy::PLAYER);
        check::bucket_by(&mut faults, bucket_by);
        let requires = conditions::requires(&mut faults, fields.requires.as_ref());
        let when_stale = conditions::when_stale(&mut faults, fields.when_stale.as_ref());
        let (target_segments, exclude_segments) = check::segments(
            &mut faults,
            fields.target_segments.as_deref().unwrap_or_default(),
            fields.exclude_segments.as_deref().unwrap_or_default(),
        );
        check::size(&mut faults, fields);

        match (name, event_type, timing) {
            (Some(display_name), Some(event_type), Some((timing, bounds))) if faults.is_empty() => {
                Ok(Self {
                    display_name,
                    description,
                    event_type,
                    category,
                    timing,
                    bounds,
                    configuration,
                    localizations,
                    priority: fields.priority.unwrap_or(0),
                    max_participants,
                    tags,
                    bucket_by: BucketBy(bucket_by.to_owned()),
                    requires,
                    when_stale,
                    target_segments,
                    exclude_segments,
                    allow_overlap: fields.allow_overlap.unwrap_or(false),
                })
            }
            _ => Err(faults),
        }
    }

    /// What holds only while nothing is deployed: it does not start in the past.
    ///
    /// # Errors
    /// If it does.
    pub fn check_draft(&self, now: Timestamp) -> Result<(), Faults> {
        let mut faults = Faults::default();
        if self.bounds.0.as_second() < now.as_second() - limits::MAX_PAST_START_SECONDS {
            faults.add(
                "startTime",
                "must not be more than five minutes in the past",
            );
        }
        faults.or_ok()
    }

    /// Its fields, with what was left out filled in.
    #[must_use]
    pub fn to_fields(&self) -> EventFields {
        self.timing_fields().over(EventFields {
            event_id: None,
            display_name: Some(self.display_name.clone()),
            description: Some(self.description.clone()),
            event_type: Some(self.event_type.as_str().to_owned()),
            category: Some(self.category.clone()),
            configuration: Some(self.configuration.clone()),
            localizations: Some(self.localizations.clone()),
            priority: Some(self.priority),
            max_participants: Some(self.max_participants.map(i64::from)),
            tags: Some(self.tags.clone()),
            bucket_by: Some(self.bucket_by.0.clone()),
            requires: Some(conditions::requires_fields(&self.requires)),
            when_stale: Some(json!(self.when_stale)),
            target_segments: Some(names(&self.target_segments)),
            exclude_segments: Some(names(&self.exclude_segments)),
            allow_overlap: Some(self.allow_overlap),
            ..EventFields::default()
        })
    }

    /// When it happens, as fields.
    #[must_use]
    pub fn timing_fields(&self) -> TimingFields {
        let (start_time, end_time) = match &self.timing.window {
            Window::Absolute { start, end } => (start.to_string(), end.to_string()),
            Window::RegionLocal { start, end } => (start.to_string(), end.to_string()),
        };
        TimingFields {
            start_time,
            end_time,
            timezone: self.timing.zone.as_str().to_owned(),
            region_local: self.timing.is_region_local(),
            recurrence: self.timing.recurrence.as_ref().map(recurrence_fields),
        }
    }

    /// What players get of it.
    #[must_use]
    pub fn to_content(&self, event_id: EventId, revision: Revision) -> Content {
        Content {
            event_id,
            revision,
            event_type: self.event_type,
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            category: self.category.clone(),
            priority: self.priority,
            tags: self.tags.clone(),
            localizations: self.localizations.clone(),
            requires: self.requires,
            when_stale: self.when_stale,
            target_segments: self.target_segments.clone(),
            exclude_segments: self.exclude_segments.clone(),
            configuration: self.configuration.clone(),
        }
    }
}

fn names(segments: &[SegmentId]) -> Vec<String> {
    segments.iter().map(ToString::to_string).collect()
}

fn parse_timing(
    fields: &EventFields,
    faults: &mut Faults,
) -> Option<(Timing, (Timestamp, Timestamp))> {
    let zone = match fields.timezone.as_deref() {
        Some(name) => faults.take("timezone", name.parse::<Zone>()),
        None => Some(Zone::utc()),
    };
    let start = faults.require("startTime", fields.start_time.as_deref());
    let end = faults.require("endTime", fields.end_time.as_deref());
    // Without a zone region-local times are read in UTC, so that their own faults are found as well.
    let known_zone = zone.clone().unwrap_or_else(Zone::utc);
    let window = if fields.region_local.unwrap_or(false) {
        let start =
            start.and_then(|t| faults.take("startTime", timing::wall_clock(t, &known_zone)));
        let end = end.and_then(|t| faults.take("endTime", timing::wall_clock(t, &known_zone)));
        start
            .zip(end)
            .map(|(start, end)| Window::RegionLocal { start, end })
    } else {
        let start = start.and_then(|t| faults.take("startTime", timing::instant(t)));
        let end = end.and_then(|t| faults.take("endTime", timing::instant(t)));
        start
            .zip(end)
            .map(|(start, end)| Window::Absolute { start, end })
    };
    let window = window?;
    let bounds = faults.take("startTime", window.within(&known_zone))?;
    if bounds.0 >= bounds.1 {
        faults.add("endTime", "must be after startTime");
    }
    let recurrence = match fields.recurrence.as_ref().and_then(Option::as_ref) {
        Some(recurrence) => Some(parse_recurrence(recurrence, &window, &known_zone, faults)?),
        None => None,
    };
    let timing = Timing {
        window,
        zone: zone?,
        recurrence,
    };
    Some((timing, bounds))
}

fn parse_recurrence(
    fields: &RecurrenceFields,
    window: &Window,
    event_zone: &Zone,
    faults: &mut Faults,
) -> Option<Recurrence> {
    let (zone, first) = match window {
        Window::Absolute { start, .. } => {
            let zone = match fields.zone.as_deref() {
                Some(name) => faults.take("recurrence.zone", name.parse::<Zone>()),
                None => Some(event_zone.clone()),
            };
            let first = zone.as_ref().unwrap_or(event_zone).wall_clock(*start);
            (zone, first)
        }
        Window::RegionLocal { start, .. } => {
            if fields.zone.is_some() {
                faults.add(
                    "recurrence.zone",
                    "must be left out: a regionLocal rule is each region's",
                );
            }
            (None, *start)
        }
    };
    let rule = faults.require("recurrence.rule", fields.rule.as_deref());
    let rule = rule.and_then(|text| faults.take("recurrence.rule", Rule::new(text, first)));
    let duration = faults.require("recurrence.duration", fields.duration.as_deref());
    let duration = duration.and_then(|text| {
        let span = text
            .parse::<jiff::Span>()
            .ok()
            .filter(|span| span.is_positive());
        let span = span.ok_or("must be a positive ISO 8601 duration such as PT48H");
        faults.take("recurrence.duration", span)
    });
    if fields.except.len() > limits::MAX_EXCEPTIONS {
        faults.add(
            "recurrence.except",
            format!("must have at most {}", limits::MAX_EXCEPTIONS),
        );
    }
    let mut except = BTreeSet::new();
    for (index, text) in fields.except.iter().enumerate() {
        let date = text
            .parse::<Date>()
            .map_err(|_| "must be a date such as 2026-12-25");
        except.extend(faults.take(&format!("recurrence.except[{index}]"), date));
    }
    let rule_zone = zone.as_ref().unwrap_or(event_zone);
    let until = match fields.until.as_deref() {
        Some(text) => Some(faults.take("recurrence.until", timing::wall_clock(text, rule_zone))?),
        None => None,
    };
    if until.is_some_and(|until| until < first) {
        faults.add("recurrence.until", "must not be before startTime");
    }
    Some(Recurrence {
        rule: rule?,
        zone,
        duration: duration?.fieldwise(),
        except,
        until,
    })
}

fn recurrence_fields(recurrence: &Recurrence) -> RecurrenceFields {
    RecurrenceFields {
        rule: Some(recurrence.rule.to_string()),
        zone: recurrence.zone.as_ref().map(Zone::to_string),
        duration: Some(recurrence.duration.0.to_string()),
        except: recurrence.except.iter().map(Date::to_string).collect(),
        until: recurrence.until.map(|until| until.to_string()),
    }
}

#[cfg(test)]
mod tests;
