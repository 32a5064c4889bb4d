//! Recurring events: a subset of RFC 5545 rules, expanded in wall-clock time.
//!
//! A rule says "Fridays at six", so it is expanded as wall-clock times, without any zone, and each is
//! then read in the zone that applies ([`super::wall_clock`]): one place decides what daylight saving
//! does. The subset leaves out what opens more than [`limits::MAX_OPENINGS_A_DAY`] times a day (hourly
//! and finer) and UNTIL, which our own `until` says in the event's words.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SpanFieldwise, Timestamp};
use rrule::RRuleSet;

use super::wall_clock::Zone;
use crate::limits;

/// The occurrences within an event's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    /// When they open.
    pub rule: Rule,
    /// Whose wall clock the rule is read by; none for a region-local event, which is each region's.
    pub zone: Option<Zone>,
    /// How long each lasts.
    pub duration: SpanFieldwise,
    /// Dates on which none opens.
    pub except: BTreeSet<Date>,
    /// The last wall-clock time at which one may open.
    pub until: Option<DateTime>,
}

/// A rule, checked to be of the subset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule(String);

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not `NAME=value;...`.
    #[error("must be an RFC 5545 rule such as FREQ=WEEKLY;BYDAY=FR")]
    Shape,
    /// A part outside the subset.
    #[error(
        "has {0}; allowed are FREQ, INTERVAL, COUNT, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS, BYHOUR and WKST"
    )]
    Part(String),
    /// A part said twice.
    #[error("has {0} twice")]
    Twice(String),
    /// Too often, or no frequency at all.
    #[error("must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY")]
    Frequency,
    /// Too many hours.
    #[error("must open at most {} times a day", limits::MAX_OPENINGS_A_DAY)]
    TooOften,
    /// Well formed, but not a rule after all.
    #[error("is not a rule: {0}")]
    Invalid(String),
    /// It never opens.
    #[error("never opens")]
    Never,
}

const PARTS: [&str; 9] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "BYDAY",
    "BYMONTHDAY",
    "BYMONTH",
    "BYSETPOS",
    "BYHOUR",
    "WKST",
];

impl Rule {
    /// Checks and takes a rule that is to start at a time.
    ///
    /// # Errors
    /// If it is outside the subset, or never opens.
    pub fn new(text: &str, start: DateTime) -> Result<Self, RuleError> {
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_prefix("RRULE:").unwrap_or(&text);
        let mut seen = HashSet::new();
        for part in text.split(';') {
            let (name, value) = part.split_once('=').ok_or(RuleError::Shape)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ',' | '+' | '-');
            if value.is_empty() || !value.chars().all(plain) {
                return Err(RuleError::Shape);
            }
            if !PARTS.contains(&name) {
                return Err(RuleError::Part(name.to_owned()));
            }
            if !seen.insert(name) {
                return Err(RuleError::Twice(name.to_owned()));
            }
            match name {
                "FREQ" if !["DAILY", "WEEKLY", "MONTHLY", "YEARLY"].contains(&value) => {
                    return Err(RuleError::Frequency);
                }
                "BYHOUR" if value.split(',').count() > limits::MAX_OPENINGS_A_DAY => {
                    return Err(RuleError::TooOften);
                }
                _ => {}
            }
        }
        if !seen.contains("FREQ") {
            return Err(RuleError::Frequency);
        }
        let rule = Self(text.to_owned());
        if rule.set(start)?.limit().into_iter().next().is_none() {
            return Err(RuleError::Never);
        }
        Ok(rule)
    }

    /// Its text, in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The wall-clock times at which it opens, from a start on, in order.
    ///
    /// # Errors
    /// If the rule does not go with the start, which was so when the rule was made.
    pub fn openings(&self, start: DateTime) -> Result<impl Iterator<Item = DateTime>, RuleError> {
        let openings = self.set(start)?.limit().into_iter();
        Ok(openings.map_while(|at| {
            let at = Timestamp::from_second(at.timestamp()).ok()?;
            Some(TimeZone::UTC.to_datetime(at))
        }))
    }

    /// For the rule's own arithmetic wall clock is called UTC, which has no gaps and no repetitions.
    fn set(&self, start: DateTime) -> Result<RRuleSet, RuleError> {
        format!(
            "DTSTART:{}\nRRULE:{}",
            start.strftime("%Y%m%dT%H%M%SZ"),
            self.0
        )
        .parse()
        .map_err(|error: rrule::RRuleError| RuleError::Invalid(error.to_string()))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime {
        "2026-01-02T18:00:00".parse().unwrap() // a Friday
    }

    #[test]
    fn expands_wall_clock_times() {
        let table = [
            (
                "FREQ=WEEKLY",
                [
                    "2026-01-02T18:00:00",
                    "2026-01-09T18:00:00",
                    "2026-01-16T18:00:00",
                ],
            ),
            (
                "freq=weekly;byday=sa",
                [
                    "2026-01-03T18:00:00",
                    "2026-01-10T18:00:00",
                    "2026-01-17T18:00:00",
                ],
            ),
            (
                "RRULE:FREQ=DAILY;INTERVAL=2",
                [
                    "2026-01-02T18:00:00",
                    "2026-01-04T18:00:00",
                    "2026-01-06T18:00:00",
                ],
            ),
            (
                "FREQ=DAILY;BYHOUR=12,20",
                [
                    "2026-01-02T20:00:00",
                    "2026-01-03T12:00:00",
                    "2026-01-03T20:00:00",
                ],
            ),
            (
                "FREQ=MONTHLY;BYDAY=-1SU",
                [
                    "2026-01-25T18:00:00",
                    "2026-02-22T18:00:00",
                    "2026-03-29T18:00:00",
                ],
            ),
            (
                "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24",
                [
                    "2026-12-24T18:00:00",
                    "2027-12-24T18:00:00",
                    "2028-12-24T18:00:00",
                ],
            ),
        ];
        for (rule, expected) in table {
            let openings: Vec<String> = Rule::new(rule, start())
                .unwrap()
                .openings(start())
                .unwrap()
                .take(3)
                .map(|at| at.to_string())
                .collect();
            assert_eq!(openings, expected, "{rule}");
        }
    }

    #[test]
    fn counts() {
        let rule = Rule::new("FREQ=DAILY;COUNT=4", start()).unwrap();
        assert_eq!(rule.openings(start()).unwrap().count(), 4);
    }

    #[test]
    fn refuses_what_is_outside_the_subset() {
        let table = [
            ("every friday", RuleError::Shape),
            ("", RuleError::Shape),
            ("FREQ=", RuleError::Shape),
            ("FREQ=WEEKLY;BYDAY=FR\nEXDATE:20260101", RuleError::Shape),
            ("FREQ=HOURLY", RuleError::Frequency),
            ("FREQ=SECONDLY", RuleError::Frequency),
            ("INTERVAL=2", RuleError::Frequency),
            (
                "FREQ=DAILY;UNTIL=20270101T000000Z",
                RuleError::Part("UNTIL".to_owned()),
            ),
            (
                "FREQ=DAILY;BYMINUTE=1,2,3",
                RuleError::Part("BYMINUTE".to_owned()),
            ),
            (
                "FREQ=DAILY;FREQ=WEEKLY",
                RuleError::Twice("FREQ".to_owned()),
            ),
            (
                "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
                RuleError::TooOften,
            ),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", RuleError::Never),
        ];
        for (rule, expected) in table {
            assert_eq!(Rule::new(rule, start()), Err(expected), "{rule}");
        }
        for rule in [
            "FREQ=WEEKLY;BYDAY=XX",
            "FREQ=DAILY;BYHOUR=99",
            "FREQ=DAILY;INTERVAL=-1",
        ] {
            assert!(
                matches!(Rule::new(rule, start()), Err(RuleError::Invalid(_))),
                "{rule}"
            );
        }
    }
}
