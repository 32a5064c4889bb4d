//! Recurring events: a subset of RFC 5545 rules, expanded in wall-clock time.
//!
//! A rule says "Fridays at six", so it is expanded as wall-clock times, without any zone, and each is
//! then read in the zone that applies ([`super::wall_clock`]): one place decides what daylight saving
//! does. The subset leaves out what opens more than [`limits::MAX_OPENINGS_A_DAY`] times a day (hourly
//! and finer) and UNTIL, which our own `until` says in the event's words.
//!
//! An event that began years ago is not followed from its beginning: where a rule repeats itself exactly
//! after so many periods, it is expanded from a later start that gives the same times.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanFieldwise, Timestamp};
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
    /// Longer than any rule of the subset need be.
    #[error("must have at most {} characters", limits::MAX_RULE)]
    TooLong,
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
    /// More openings than are followed.
    #[error("must have a COUNT of at most {}", limits::MAX_OPENINGS)]
    Count,
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
        if text.len() > limits::MAX_RULE {
            return Err(RuleError::TooLong);
        }
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
                "COUNT"
                    if value
                        .parse::<usize>()
                        .is_ok_and(|count| count > limits::MAX_OPENINGS) =>
                {
                    return Err(RuleError::Count);
                }
                "BYHOUR" if value.split(',').count() > limits::MAX_OPENINGS_A_DAY => {
                    return Err(RuleError::TooOften);
                }
                // RFC 5545 counts from 1, or from -1 backwards; who expands it takes 0 for a day that never comes.
                "BYMONTHDAY" | "BYDAY" | "BYSETPOS" if value.split(',').any(counts_from_zero) => {
                    return Err(RuleError::Invalid(format!("{name} counts from 1, not 0")));
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

    /// The wall-clock times from `from` on at which it opens, having started at `start`, in order.
    ///
    /// # Errors
    /// If the rule does not go with the start, which was so when the rule was made.
    pub fn openings(
        &self,
        start: DateTime,
        from: DateTime,
    ) -> Result<impl Iterator<Item = DateTime>, RuleError> {
        let later = self.later_start(start, from).unwrap_or(start);
        let openings = self.set(later)?.limit().into_iter();
        let wall_clock =
            |at: i64| Some(TimeZone::UTC.to_datetime(Timestamp::from_second(at).ok()?));
        Ok(openings
            .map_while(move |at| wall_clock(at.timestamp()))
            .skip_while(move |at| *at < from))
    }

    /// A later start that gives the same openings from `from` on: whole periods later, and one at least before
    /// `from`, since what the first period has before the start is left out. None for a rule that counts.
    fn later_start(&self, start: DateTime, from: DateTime) -> Option<DateTime> {
        if self.part("COUNT").is_some() {
            return None;
        }
        let interval: i64 = self.part("INTERVAL").map_or(Ok(1), str::parse).ok()?;
        let days = i64::from(start.date().until(from.date()).ok()?.get_days());
        let years = i64::from(from.year()) - i64::from(start.year());
        let months = 12 * years + i64::from(from.month()) - i64::from(start.month());
        let (gone, period, in_days) = match self.part("FREQ")? {
            "DAILY" => (days, interval, true),
            "WEEKLY" => (days, interval.checked_mul(7)?, true),
            "MONTHLY" => (months, interval, false),
            _ => (months, interval.checked_mul(12)?, false),
        };
        let later = |periods: i64| {
            let span = match periods.checked_mul(period)? {
                days if in_days => Span::new().try_days(days),
                months => Span::new().try_months(months),
            };
            start.checked_add(span.ok()?).ok()
        };
        let most = gone.checked_div(period)?.checked_sub(1)?;
        // The day of the month may be part of the rule, and missing from some months. The longest way back is that
        // from 2104 to 2096, with a start on 29 February.
        (most.saturating_sub(12).max(1)..=most)
            .rev()
            .filter_map(later)
            .find(|later| in_days || later.day() == start.day())
    }

    fn part(&self, name: &str) -> Option<&str> {
        let mut parts = self.0.split(';').filter_map(|part| part.split_once('='));
        parts.find(|part| part.0 == name).map(|part| part.1)
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

/// Whether an element such as `0`, `+0` or `0FR` names the place 0.
fn counts_from_zero(element: &str) -> bool {
    let number = element.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    number.parse() == Ok(0)
}

#[cfg(test)]
mod tests;
