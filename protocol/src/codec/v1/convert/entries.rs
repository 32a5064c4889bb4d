//! Entries between wire and domain.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{id, invalid, time};
use crate::build::Build;
use crate::codec::DecodeError;
use crate::codec::v1::list::{Apart, List};
use crate::codec::v1::{
    WireAssignment, WireCandidate, WireConditions, WireContent, WireDemands, WireEntry,
    WireEventType, WireLocalization, WireSegmented, WireStamped,
};
use crate::conditions::{Patience, Requires, WhenStale};
use crate::entry::{Entry, EntryKey, Stamped, Value};
use crate::id::SegmentId;
use crate::json_text::JsonText;
use crate::model::{Assignment, BucketBy, Candidate, Content, EventType, Localization, Suspension};
use crate::schedule::{Occurrence, Schedule};
use crate::version::{BasisPoints, Revision, Version};

fn json(field: &'static str, text: String) -> Result<JsonText, DecodeError> {
    JsonText::new(text).map_err(|error| invalid(field, error))
}

fn build(field: &'static str, text: Option<String>) -> Result<Option<Build>, DecodeError> {
    text.map(|text| id(field, &text)).transpose()
}

impl From<&Stamped> for WireStamped {
    fn from(stamped: &Stamped) -> Self {
        Self {
            version: stamped.version.0,
            entry: (&stamped.entry).into(),
        }
    }
}

impl TryFrom<WireStamped> for Stamped {
    type Error = DecodeError;

    fn try_from(wire: WireStamped) -> Result<Self, DecodeError> {
        Ok(Self {
            version: Version(wire.version),
            entry: wire.entry.try_into()?,
        })
    }
}

impl From<&Entry> for WireEntry {
    fn from(entry: &Entry) -> Self {
        match entry {
            Entry::Put(Value::Segment(segment)) => Self::Segment(Apart::new((&**segment).into())),
            Entry::Put(Value::Content(content)) => Self::Content(Apart::new((&**content).into())),
            Entry::Put(Value::Assignment(assignment)) => Self::Assignment((&**assignment).into()),
            Entry::Removal(EntryKey::Segment(segment)) => Self::RemoveSegment {
                segment: segment.to_string(),
            },
            Entry::Removal(EntryKey::Content(event, revision)) => Self::RemoveContent {
                event: event.to_string(),
                revision: revision.0,
            },
            Entry::Removal(EntryKey::Assignment(event)) => Self::RemoveAssignment {
                event: event.to_string(),
            },
        }
    }
}

impl TryFrom<WireEntry> for Entry {
    type Error = DecodeError;

    fn try_from(wire: WireEntry) -> Result<Self, DecodeError> {
        Ok(match wire {
            WireEntry::Segment(segment) => {
                Self::Put(Value::Segment(Arc::new(segment.into_inner().try_into()?)))
            }
            WireEntry::RemoveSegment { segment } => {
                Self::Removal(EntryKey::Segment(id("segment", &segment)?))
            }
            WireEntry::Content(content) => {
                Self::Put(Value::Content(Arc::new(content.into_inner().try_into()?)))
            }
            WireEntry::Assignment(assignment) => {
                Self::Put(Value::Assignment(Arc::new(assignment.try_into()?)))
            }
            WireEntry::RemoveContent { event, revision } => {
                Self::Removal(EntryKey::Content(id("event", &event)?, Revision(revision)))
            }
            WireEntry::RemoveAssignment { event } => {
                Self::Removal(EntryKey::Assignment(id("event", &event)?))
            }
        })
    }
}

impl From<&Content> for WireContent {
    fn from(content: &Content) -> Self {
        Self {
            event: content.event_id.to_string(),
            revision: content.revision.0,
            event_type: content.event_type.into(),
            display_name: content.display_name.clone(),
            description: content.description.clone(),
            category: content.category.clone(),
            priority: content.priority,
            tags: content.tags.iter().cloned().collect(),
            localizations: content
                .localizations
                .iter()
                .map(|(language, texts)| WireLocalization {
                    language: language.clone(),
                    display_name: texts.display_name.clone(),
                    description: texts.description.clone(),
                    custom_fields: texts.custom_fields.as_ref().map(|j| j.as_str().to_owned()),
                })
                .collect(),
            conditions: content.into(),
            configuration: content.configuration.as_str().to_owned(),
        }
    }
}

impl From<&Content> for WireConditions {
    fn from(content: &Content) -> Self {
        let demands = WireDemands {
            min_build: content.requires.min_build.map(|build| build.to_string()),
            max_build: content.requires.max_build.map(|build| build.to_string()),
            hide_after: match content.when_stale {
                WhenStale::Keep => None,
                WhenStale::HideAfter(patience) => Some(patience.seconds()),
            },
        };
        let names = |segments: &[SegmentId]| segments.iter().map(ToString::to_string).collect();
        if !content.target_segments.is_empty() || !content.exclude_segments.is_empty() {
            Self::Segmented(Box::new(WireSegmented {
                demands,
                targets: names(&content.target_segments),
                excludes: names(&content.exclude_segments),
            }))
        } else if demands.min_build.is_some()
            || demands.max_build.is_some()
            || demands.hide_after.is_some()
        {
            Self::Plain(Box::new(demands))
        } else {
            Self::None
        }
    }
}

/// All that decides who is shown a content.
#[derive(Default)]
struct Conditions {
    requires: Requires,
    when_stale: WhenStale,
    targets: Vec<SegmentId>,
    excludes: Vec<SegmentId>,
}

impl TryFrom<WireConditions> for Conditions {
    type Error = DecodeError;

    fn try_from(wire: WireConditions) -> Result<Self, DecodeError> {
        match wire {
            WireConditions::None => Ok(Self::default()),
            WireConditions::Plain(demands) => demands.read(),
            WireConditions::Segmented(segmented) => {
                let WireSegmented {
                    demands,
                    targets,
                    excludes,
                } = *segmented;
                Ok(Self {
                    targets: segments("targetSegments", targets)?,
                    excludes: segments("excludeSegments", excludes)?,
                    ..demands.read()?
                })
            }
        }
    }
}

fn segments(field: &'static str, names: List<String>) -> Result<Vec<SegmentId>, DecodeError> {
    let names = names.into_inner();
    names.iter().map(|name| id(field, name)).collect()
}

impl WireDemands {
    fn read(self) -> Result<Conditions, DecodeError> {
        let requires = Requires {
            min_build: build("minBuild", self.min_build)?,
            max_build: build("maxBuild", self.max_build)?,
            unknown: false,
        };
        let when_stale = match self.hide_after {
            None => WhenStale::Keep,
            Some(seconds) => WhenStale::HideAfter(
                Patience::from_seconds(seconds).map_err(|e| invalid("whenStale", e))?,
            ),
        };
        Ok(Conditions {
            requires,
            when_stale,
            ..Conditions::default()
        })
    }
}

impl TryFrom<WireContent> for Content {
    type Error = DecodeError;

    fn try_from(wire: WireContent) -> Result<Self, DecodeError> {
        let localizations = wire
            .localizations
            .into_inner()
            .into_iter()
            .map(|texts| {
                let custom_fields = texts
                    .custom_fields
                    .map(|text| json("customFields", text))
                    .transpose()?;
                let localization = Localization {
                    display_name: texts.display_name,
                    description: texts.description,
                    custom_fields,
                };
                Ok((texts.language, localization))
            })
            .collect::<Result<BTreeMap<_, _>, DecodeError>>()?;
        let conditions = Conditions::try_from(wire.conditions)?;
        Ok(Self {
            event_id: id("event", &wire.event)?,
            revision: Revision(wire.revision),
            event_type: wire.event_type.into(),
            display_name: wire.display_name,
            description: wire.description,
            category: wire.category,
            priority: wire.priority,
            tags: wire.tags.into_inner(),
            localizations,
            requires: conditions.requires,
            when_stale: conditions.when_stale,
            target_segments: conditions.targets,
            exclude_segments: conditions.excludes,
            configuration: json("configuration", wire.configuration)?,
        })
    }
}

macro_rules! same_names {
    ($wire:ident, $domain:ident: $($name:ident),*) => {
        impl From<$domain> for $wire {
            fn from(value: $domain) -> Self {
                match value { $($domain::$name => Self::$name),* }
            }
        }

        impl From<$wire> for $domain {
            fn from(value: $wire) -> Self {
                match value { $($wire::$name => Self::$name),* }
            }
        }
    };
}
same_names!(WireEventType, EventType: SeasonalPromotion, LimitedTimeOffer, CompetitiveEvent,
    ContentRelease, RetentionCampaign, ABTestVariant);

impl From<&Assignment> for WireAssignment {
    fn from(assignment: &Assignment) -> Self {
        Self {
            event: assignment.event_id.to_string(),
            salt: assignment.salt.clone(),
            live: assignment.live.map(|revision| revision.0),
            candidate: assignment
                .candidate
                .as_ref()
                .map(|candidate| WireCandidate {
                    revision: candidate.revision.0,
                    exposure: candidate.exposure.value(),
                    bucket_by: candidate.bucket_by.0.clone(),
                }),
            schedule: assignment
                .schedule
                .occurrences()
                .iter()
                .map(|o| (o.opens.as_microsecond(), o.closes.as_microsecond()))
                .collect(),
            paused: assignment.suspension.paused,
            marks: u8::from(assignment.suspension.stopped) | u8::from(assignment.full) << 1,
        }
    }
}

impl TryFrom<WireAssignment> for Assignment {
    type Error = DecodeError;

    fn try_from(wire: WireAssignment) -> Result<Self, DecodeError> {
        let occurrences = wire
            .schedule
            .into_inner()
            .into_iter()
            .map(|(opens, closes)| {
                Ok(Occurrence {
                    opens: time("opens", opens)?,
                    closes: time("closes", closes)?,
                })
            })
            .collect::<Result<Vec<_>, DecodeError>>()?;
        if wire.marks > 3 {
            return Err(invalid("marks", format!("are {}, at most 3", wire.marks)));
        }
        let candidate = wire
            .candidate
            .map(|candidate| {
                Ok::<_, DecodeError>(Candidate {
                    revision: Revision(candidate.revision),
                    exposure: BasisPoints::new(candidate.exposure)
                        .map_err(|error| invalid("exposure", error))?,
                    bucket_by: BucketBy(candidate.bucket_by),
                })
            })
            .transpose()?;
        Ok(Self {
            event_id: id("event", &wire.event)?,
            salt: wire.salt,
            live: wire.live.map(Revision),
            candidate,
            schedule: Schedule::new(occurrences).map_err(|error| invalid("schedule", error))?,
            suspension: Suspension {
                paused: wire.paused,
                stopped: wire.marks & 1 != 0,
            },
            full: wire.marks & 2 != 0,
        })
    }
}
