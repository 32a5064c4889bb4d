//! The demo's events: a folder of JSON files, each the body of a `POST /events`.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use serde::Deserialize;

use super::placeholders;
use crate::failure::Failure;

/// An event to create.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The whole document.
    pub(super) document: String,
    /// What the show needs to know of it.
    pub(super) outline: Outline,
}

/// Some fields of the document.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outline {
    pub(super) event_id: EventId,
    pub(super) display_name: String,
    #[serde(rename = "type")]
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) priority: i32,
    start_time: Timestamp,
    end_time: Timestamp,
    recurrence: Option<serde::de::IgnoredAny>,
}

impl Event {
    fn parse(text: &str, now: Timestamp) -> Result<Self, String> {
        let document = placeholders::expand(text, now).map_err(|error| error.to_string())?;
        let outline = serde_json::from_str(&document).map_err(|error| error.to_string())?;
        Ok(Self { document, outline })
    }

    /// Whether it is shown throughout a demo that begins now.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        let Outline {
            start_time,
            end_time,
            recurrence,
            ..
        } = &self.outline;
        recurrence.is_none() && *start_time <= now && now < *end_time
    }

    /// The same under another name.
    pub(super) fn renamed(&self, suffix: &str) -> Option<Self> {
        let old = self.outline.event_id.as_str();
        let event_id = EventId::new(&format!("{old}-{suffix}")).ok()?;
        let quoted = (format!("\"{old}\""), format!("\"{event_id}\""));
        Some(Self {
            document: self.document.replacen(&quoted.0, &quoted.1, 1),
            outline: Outline {
                event_id,
                ..self.outline.clone()
            },
        })
    }
}

/// Reads all files of the folder that end in `.json`, in order of their names.
pub(super) fn read(folder: &Path, now: Timestamp) -> Result<Vec<Event>, Failure> {
    let unreadable = |path: &Path, source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|source| unreadable(folder, source))?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    let events = files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
            Event::parse(&text, now).map_err(|problem| Failure::Content {
                path: file.clone(),
                problem,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if events.iter().any(|event| event.is_open(now)) {
        return Ok(events);
    }
    let problem = "there is no event in it that is open now".to_owned();
    Err(Failure::Content {
        path: folder.to_owned(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: &str = r#"{"eventId": "sale", "displayName": "Sale", "type": "LimitedTimeOffer",
        "startTime": "{{now-PT1M}}", "endTime": "{{now+PT1H}}", "priority": 9}"#;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn knows_what_is_open() {
        let sale = Event::parse(SALE, now()).unwrap();
        assert!(sale.is_open(now()));
        assert_eq!(sale.outline.priority, 9);
        let later = Event::parse(&SALE.replace("now-PT1M", "now+PT1M"), now()).unwrap();
        assert!(!later.is_open(now()));
        let weekly = SALE.replace(
            "\"priority\"",
            "\"recurrence\": {\"rule\": \"\"}, \"priority\"",
        );
        assert!(!Event::parse(&weekly, now()).unwrap().is_open(now()));
    }

    #[test]
    fn takes_another_name() {
        let sale = Event::parse(SALE, now()).unwrap().renamed("2").unwrap();
        assert_eq!(sale.outline.event_id.as_str(), "sale-2");
        assert!(
            sale.document
                .starts_with(r#"{"eventId": "sale-2", "displayName": "Sale""#)
        );
    }

    #[test]
    fn reads_a_folder_and_names_the_file_at_fault() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("b.json", SALE);
        write("a.json", &SALE.replace("\"sale\"", "\"cup\""));
        write("README.md", "# not an event");
        let events = read(folder.path(), now()).unwrap();
        let ids: Vec<_> = events.iter().map(|e| e.outline.event_id.as_str()).collect();
        assert_eq!(ids, ["cup", "sale"]);

        write("c.json", &SALE.replace("now-PT1M", "later"));
        let error = read(folder.path(), now()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "c.json: {{later}} is not now or today, less or plus an ISO 8601 duration"
            )
        );
        let empty = tempfile::tempdir().unwrap();
        assert!(
            read(empty.path(), now())
                .unwrap_err()
                .to_string()
                .contains("no event")
        );
    }

    #[test]
    fn the_files_of_the_repository_are_fine() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/events");
        let events = read(&folder, now()).unwrap();
        assert!(events.len() >= 5);
        assert!(events.iter().filter(|event| event.is_open(now())).count() >= 2);
    }
}
