//! The fields of an event as a request names them, any of them absent: the body of POST and PUT, the
//! stored document, and the part of an answer that could be sent back.
//!
//! Texts stay texts here (a time, a type, a rule), so that [`super::document::Document::parse`] can say
//! everything that is wrong with them in one answer.

use std::collections::BTreeMap;

use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{EventType, Localization};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A field that `null` empties, while leaving it out keeps it.
pub type Clearable<T> = Option<Option<T>>;

/// Fields of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "api.md says what each is")]
pub struct EventFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    pub display_name: Option<String>,
    pub description: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = Option<EventType>)]
    pub event_type: Option<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub category: Clearable<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub timezone: Option<String>,
    pub region_local: Option<bool>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<RecurrenceFields>)]
    pub recurrence: Clearable<RecurrenceFields>,
    pub configuration: Option<JsonText>,
    pub localizations: Option<BTreeMap<String, Localization>>,
    pub priority: Option<i32>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub max_participants: Clearable<i64>,
    pub tags: Option<Vec<String>>,
    pub bucket_by: Option<String>,
    /// Left out of what is stored where nothing is required, so that an origin of the release before, which does not
    /// know it, can read all other events. So is `when_stale` where it keeps.
    #[serde(deserialize_with = "given", skip_serializing_if = "is_empty")]
    #[schema(value_type = Option<RequiresFields>)]
    pub requires: Clearable<RequiresFields>,
    #[serde(skip_serializing_if = "keeps")]
    pub when_stale: Option<Value>,
    /// Left out of what is stored where empty or false, for the same reason.
    #[serde(skip_serializing_if = "is_nothing")]
    pub target_segments: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_nothing")]
    pub exclude_segments: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_false")]
    pub allow_overlap: Option<bool>,
}

/// Fields of what a revision requires of a game.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "api.md says what each is")]
pub struct RequiresFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_build: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_build: Option<String>,
}

fn is_empty<T>(field: &Clearable<T>) -> bool {
    !matches!(field, Some(Some(_)))
}

fn is_nothing(field: &Option<Vec<String>>) -> bool {
    field.as_ref().is_none_or(Vec::is_empty)
}

fn is_false(field: &Option<bool>) -> bool {
    !matches!(field, Some(true))
}

fn keeps(field: &Option<Value>) -> bool {
    field.as_ref().is_none_or(|rule| rule == "Keep")
}

/// Fields of a recurrence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "api.md says what each is")]
pub struct RecurrenceFields {
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub duration: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// When an event happens, as the lifecycle keeps it beside the revisions. Unknown fields are of a later release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "api.md says what each is")]
pub struct TimingFields {
    pub start_time: String,
    pub end_time: String,
    pub timezone: String,
    pub region_local: bool,
    #[serde(default)]
    pub recurrence: Option<RecurrenceFields>,
}

impl TimingFields {
    /// A revision's fields with these times instead of its own.
    #[must_use]
    pub fn over(self, revision: EventFields) -> EventFields {
        EventFields {
            start_time: Some(self.start_time),
            end_time: Some(self.end_time),
            timezone: Some(self.timezone),
            region_local: Some(self.region_local),
            recurrence: Some(self.recurrence),
            ..revision
        }
    }
}

impl EventFields {
    /// These fields, and those of `base` where none is given here.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            event_id: self.event_id.or(base.event_id),
            display_name: self.display_name.or(base.display_name),
            description: self.description.or(base.description),
            event_type: self.event_type.or(base.event_type),
            category: self.category.or(base.category),
            start_time: self.start_time.or(base.start_time),
            end_time: self.end_time.or(base.end_time),
            timezone: self.timezone.or(base.timezone),
            region_local: self.region_local.or(base.region_local),
            recurrence: self.recurrence.or(base.recurrence),
            configuration: self.configuration.or(base.configuration),
            localizations: self.localizations.or(base.localizations),
            priority: self.priority.or(base.priority),
            max_participants: self.max_participants.or(base.max_participants),
            tags: self.tags.or(base.tags),
            bucket_by: self.bucket_by.or(base.bucket_by),
            requires: self.requires.or(base.requires),
            when_stale: self.when_stale.or(base.when_stale),
            target_segments: self.target_segments.or(base.target_segments),
            exclude_segments: self.exclude_segments.or(base.exclude_segments),
            allow_overlap: self.allow_overlap.or(base.allow_overlap),
        }
    }
}

/// Tells a field that is `null` from one that is absent (which `default` makes `None`).
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Clearable<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> EventFields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_given_wins_and_null_empties() {
        let base = fields(
            r#"{"displayName": "a", "category": "sale", "maxParticipants": 5, "priority": 1}"#,
        );
        let edit = fields(r#"{"displayName": "b", "category": null}"#);
        let merged = edit.over(base);
        assert_eq!(merged.display_name.as_deref(), Some("b"));
        assert_eq!(merged.category, Some(None));
        assert_eq!(merged.max_participants, Some(Some(5)));
        assert_eq!(merged.priority, Some(1));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<EventFields>(r#"{"colour": 1}"#).is_err());
        assert!(serde_json::from_str::<EventFields>(r#"{"recurrence": {"colour": 1}}"#).is_err());
        assert!(serde_json::from_str::<EventFields>(r#"{"requires": {"shader": 5}}"#).is_err());
    }
}
