//! The calendar as iCalendar text (RFC 5545), for the calendars that people have open anyway.
//!
//! Pure. All times are UTC. An entry's UID is made of event, region and opening, so that a calendar which subscribes
//! knows an occurrence again; whatever has another opening is another occurrence. A deployment is an entry without
//! duration (RFC 5545, 3.6.1: such an event takes no time).

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Entry;
use crate::event::lifecycle::State;
use crate::rollout::deployment::Deployment;

/// Octets of a line, its break excluded (RFC 5545, 3.1).
const LINE: usize = 75;

/// The text.
#[must_use]
pub fn write(
    installation: &str,
    entries: &[Entry],
    deployments: &[Deployment],
    now: Timestamp,
) -> String {
    let mut text = Text::default();
    text.line("BEGIN:VCALENDAR");
    text.line("VERSION:2.0");
    text.line("PRODID:-//LiveEvents//Calendar//EN");
    text.line("CALSCALE:GREGORIAN");
    text.property("X-WR-CALNAME", &format!("LiveEvents {installation}"));
    for entry in entries {
        let region = entry.region.as_ref().map_or("planned", |r| r.as_str());
        let opens = utc(entry.opens);
        text.line("BEGIN:VEVENT");
        text.line(&format!(
            "UID:{}.{region}.{opens}@{installation}",
            entry.event_id
        ));
        text.line(&format!("DTSTAMP:{}", utc(now)));
        text.line(&format!("DTSTART:{opens}"));
        text.line(&format!("DTEND:{}", utc(entry.closes)));
        text.property("SUMMARY", &format!("{} ({region})", entry.display_name));
        if let Some(category) = &entry.category {
            text.property("CATEGORIES", category);
        }
        text.property("LOCATION", region);
        let suspended = if entry.suspended { ", suspended" } else { "" };
        let description = format!("{}, {}{suspended}", entry.event_id, entry.state);
        text.property("DESCRIPTION", &description);
        text.line(match (entry.state, entry.suspended) {
            (State::Draft, _) | (_, true) => "STATUS:TENTATIVE",
            (_, false) => "STATUS:CONFIRMED",
        });
        text.line("TRANSP:TRANSPARENT");
        text.line("END:VEVENT");
    }
    for deployment in deployments {
        text.line("BEGIN:VEVENT");
        text.line(&format!("UID:{}@{installation}", deployment.id));
        text.line(&format!("DTSTAMP:{}", utc(now)));
        text.line(&format!("DTSTART:{}", utc(deployment.created_at)));
        let regions: Vec<&str> = deployment.regions.iter().map(|r| r.as_str()).collect();
        let summary = format!(
            "Deployment of {} revision {}",
            deployment.event, deployment.revision
        );
        text.property("SUMMARY", &summary);
        text.property("LOCATION", &regions.join(", "));
        let description = format!("{} by {}", deployment.status, deployment.created_by);
        text.property("DESCRIPTION", &description);
        text.line("TRANSP:TRANSPARENT");
        text.line("END:VEVENT");
    }
    text.line("END:VCALENDAR");
    text.0
}

/// Date and time in the basic form.
fn utc(at: Timestamp) -> String {
    let civil = TimeZone::UTC.to_datetime(at);
    civil.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[derive(Default)]
struct Text(String);

impl Text {
    /// A property whose value is text, with what separates made harmless (RFC 5545, 3.3.11).
    fn property(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for c in value.chars() {
            match c {
                '\\' | ';' | ',' => {
                    line.push('\\');
                    line.push(c);
                }
                '\n' => line.push_str("\\n"),
                other if other.is_control() => {}
                other => line.push(other),
            }
        }
        self.line(&line);
    }

    /// A line, folded between characters where it is too long.
    fn line(&mut self, line: &str) {
        let mut room = LINE;
        for c in line.chars() {
            if c.len_utf8() > room {
                self.0.push_str("\r\n ");
                room = LINE - 1;
            }
            room -= c.len_utf8();
            // Writing to a String does not fail.
            let _ = self.0.write_char(c);
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, region: Option<&str>) -> Entry {
        Entry {
            event_id: "sale".parse().unwrap(),
            display_name: name.to_owned(),
            category: Some("sales, seasonal".to_owned()),
            state: State::Scheduled,
            region: region.map(|region| region.parse().unwrap()),
            opens: "2026-07-01T10:00:00Z".parse().unwrap(),
            closes: "2026-07-02T10:00:00.25Z".parse().unwrap(),
            suspended: false,
            allow_overlap: false,
        }
    }

    fn text(entry: Entry) -> String {
        write("title-test", &[entry], &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn is_a_calendar() {
        let expected = "\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//LiveEvents//Calendar//EN
CALSCALE:GREGORIAN
X-WR-CALNAME:LiveEvents title-test
BEGIN:VEVENT
UID:sale.us-east.20260701T100000Z@title-test
DTSTAMP:19700101T000000Z
DTSTART:20260701T100000Z
DTEND:20260702T100000Z
SUMMARY:Sale (us-east)
CATEGORIES:sales\\, seasonal
LOCATION:us-east
DESCRIPTION:sale\\, Scheduled
STATUS:CONFIRMED
TRANSP:TRANSPARENT
END:VEVENT
END:VCALENDAR
";
        let expected = expected.replace('\n', "\r\n");
        assert_eq!(text(entry("Sale", Some("us-east"))), expected);
    }

    #[test]
    fn what_is_planned_or_suspended_is_tentative() {
        assert!(
            text(Entry {
                state: State::Draft,
                ..entry("x", None)
            })
            .contains("STATUS:TENTATIVE")
        );
        let suspended = Entry {
            suspended: true,
            ..entry("x", Some("us-east"))
        };
        assert!(text(suspended).contains("sale\\, Scheduled\\, suspended\r\nSTATUS:TENTATIVE"));
    }

    #[test]
    fn no_line_is_too_long_and_none_begins_but_where_we_begin_it() {
        let name = "ünïcödé; \\ näme,\r\nBEGIN:VEVENT \u{7}".repeat(20);
        let text = text(entry(&name, Some("us-east")));
        for line in text.split("\r\n") {
            assert!(line.len() <= LINE, "{line}");
            assert!(!line.contains(['\r', '\n', '\u{7}']), "{line}");
        }
        assert_eq!(text.matches("\r\nBEGIN:VEVENT").count(), 1);
        // Unfolded and unescaped it is what was said, but for control characters.
        let unfolded = text.replace("\r\n ", "");
        let summary = unfolded
            .split("\r\n")
            .find_map(|line| line.strip_prefix("SUMMARY:"));
        let said = summary.unwrap().replace("\\n", "\n").replace("\\;", ";");
        let said = said.replace("\\,", ",").replace("\\\\", "\\");
        assert_eq!(
            said,
            format!("{} (us-east)", name.replace(['\r', '\u{7}'], ""))
        );
    }
}
