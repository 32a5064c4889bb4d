//! A new event made of another's content.

use super::document::Document;
use super::fields::EventFields;
use super::timing::{self, Window};

/// What the new one has of its own.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "api.md says what each is")]
pub struct Changes {
    pub event_id: Option<String>,
    pub display_name: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

/// The fields of the new event, which are judged like anybody's. Given a start alone it lasts as long as the other does.
#[must_use]
pub fn fields(source: &Document, changes: Changes) -> EventFields {
    let moved = match (&changes.start_time, &changes.end_time) {
        (Some(start), None) => end(source, start),
        _ => None,
    };
    let own = EventFields {
        event_id: changes.event_id,
        display_name: changes.display_name,
        start_time: changes.start_time,
        end_time: changes.end_time.or(moved),
        ..EventFields::default()
    };
    own.over(source.to_fields())
}

/// The end that keeps the length; `None` where the start is none, which whoever judges it says.
fn end(source: &Document, start: &str) -> Option<String> {
    match &source.timing.window {
        Window::Absolute { start: first, end } => {
            let start = timing::instant(start).ok()?;
            let end = start.checked_add(end.duration_since(*first)).ok()?;
            Some(end.to_string())
        }
        Window::RegionLocal { start: first, end } => {
            let start = timing::wall_clock(start, &source.timing.zone).ok()?;
            let end = start.checked_add(end.duration_since(*first)).ok()?;
            Some(end.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn source(more: Value) -> Document {
        let mut event = json!({
            "displayName": "Fest", "type": "SeasonalPromotion", "priority": 7, "tags": ["a"],
            "startTime": "2026-07-01T10:00:00Z", "endTime": "2026-07-15T10:00:00Z",
        });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        Document::parse(&serde_json::from_str(&event.to_string()).unwrap()).unwrap()
    }

    fn times(source: &Document, start: Option<&str>, end: Option<&str>) -> (String, String) {
        let changes = Changes {
            start_time: start.map(str::to_owned),
            end_time: end.map(str::to_owned),
            ..Changes::default()
        };
        let fields = fields(source, changes);
        (fields.start_time.unwrap(), fields.end_time.unwrap())
    }

    #[test]
    fn all_that_is_not_given_is_the_others() {
        let source = source(json!({}));
        let changes = Changes {
            display_name: Some("Second Fest".to_owned()),
            ..Changes::default()
        };
        let copied = fields(&source, changes);
        assert_eq!(copied.event_id, None);
        let document = Document::parse(&copied).unwrap();
        let expected = Document {
            display_name: "Second Fest".to_owned(),
            ..source
        };
        assert_eq!(document, expected);
    }

    #[test]
    fn a_start_alone_moves_the_end_along() {
        let absolute = source(json!({}));
        let both = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        let later = "2026-08-01T00:00:00+02:00";
        assert_eq!(
            times(&absolute, Some(later), None),
            both(later, "2026-08-14T22:00:00Z")
        );
        let end = "2026-09-01T00:00:00Z";
        assert_eq!(times(&absolute, Some(later), Some(end)), both(later, end));
        assert_eq!(
            times(&absolute, Some("soon"), None),
            both("soon", "2026-07-15T10:00:00Z")
        );
        let local = source(json!({
            "regionLocal": true, "startTime": "2026-07-01T18:00:00", "endTime": "2026-07-03T18:00:00",
        }));
        let start = "2026-10-24T18:00:00";
        assert_eq!(
            times(&local, Some(start), None),
            both(start, "2026-10-26T18:00:00")
        );
    }
}
