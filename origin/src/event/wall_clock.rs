//! From wall-clock time to an instant, and zones by name.
//!
//! Twice a year a wall clock lies: a time that daylight saving skips is taken for the end of the gap,
//! a time that comes twice for its first occurrence. So whatever is announced for a wall-clock time
//! happens exactly once, and never before the clock on the wall says so.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

/// A time zone with an IANA name.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    tz: TimeZone,
}

/// A name that the time zone database does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is {0:?}, not an IANA time zone such as Europe/Berlin")]
pub struct UnknownZone(String);

/// An instant or span beyond what can be represented.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a time is out of range")]
pub struct OutOfRange(#[source] pub jiff::Error);

impl Zone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            tz: TimeZone::UTC,
        }
    }

    /// Its IANA name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What the wall clock shows at an instant.
    #[must_use]
    pub fn wall_clock(&self, at: Timestamp) -> DateTime {
        self.tz.to_datetime(at)
    }

    /// The instant at which the wall clock shows a time.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn instant(&self, wall: DateTime) -> Result<Timestamp, OutOfRange> {
        match self.tz.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall),
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset, a skipped time lies before the transition, so the next
                // transition is the end of this gap.
                after.to_timestamp(wall).map(|earlier| {
                    let transition = self.tz.following(earlier).next();
                    transition.map_or(earlier, |transition| transition.timestamp())
                })
            }
        }
        .map_err(OutOfRange)
    }

    /// The instant a span after another. Days and longer are the wall clock's here, and what they come to is read
    /// as any wall-clock time; hours and shorter are exact.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn after(&self, at: Timestamp, span: Span) -> Result<Timestamp, OutOfRange> {
        let days = Span::new()
            .years(span.get_years())
            .months(span.get_months())
            .weeks(span.get_weeks())
            .days(span.get_days());
        let from = if days.is_zero() {
            at
        } else {
            let wall = self.wall_clock(at).checked_add(days).map_err(OutOfRange)?;
            self.instant(wall)?
        };
        let exact = span.years(0).months(0).weeks(0).days(0);
        from.checked_add(exact).map_err(OutOfRange)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        let unknown = || UnknownZone(name.to_owned());
        let tz = TimeZone::get(name).map_err(|_| unknown())?;
        let name = tz.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, tz })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_time_is_the_end_of_the_gap_and_a_repeated_one_its_first_occurrence() {
        let table = [
            (
                "Europe/Berlin",
                "2026-07-01T18:00:00",
                "2026-07-01T16:00:00Z",
            ),
            // Skipped: 02:00 to 03:00 on 29 March.
            (
                "Europe/Berlin",
                "2026-03-29T01:59:59",
                "2026-03-29T00:59:59Z",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T02:00:00",
                "2026-03-29T01:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T02:30:00",
                "2026-03-29T01:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T02:59:59",
                "2026-03-29T01:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T03:00:00",
                "2026-03-29T01:00:00Z",
            ),
            // Repeated: 02:00 to 03:00 on 25 October.
            (
                "Europe/Berlin",
                "2026-10-25T02:30:00",
                "2026-10-25T00:30:00Z",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T03:00:00",
                "2026-10-25T02:00:00Z",
            ),
            (
                "America/New_York",
                "2026-03-08T02:30:00",
                "2026-03-08T07:00:00Z",
            ),
            (
                "America/New_York",
                "2026-11-01T01:30:00",
                "2026-11-01T05:30:00Z",
            ),
            // Half an hour only, and a day that did not happen at all.
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:15:00",
                "2026-10-03T15:30:00Z",
            ),
            (
                "Pacific/Apia",
                "2011-12-30T12:00:00",
                "2011-12-30T10:00:00Z",
            ),
        ];
        for (zone, wall, expected) in table {
            let zone: Zone = zone.parse().unwrap();
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(
                zone.instant(wall.parse().unwrap()).unwrap(),
                expected,
                "{zone} {wall}"
            );
        }
    }

    #[test]
    fn days_are_calendar_days_and_hours_are_exact() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let saturday = zone
            .instant("2026-03-28T12:00:00".parse().unwrap())
            .unwrap();
        let after = |span: &str| {
            let at = zone.after(saturday, span.parse().unwrap()).unwrap();
            zone.wall_clock(at).to_string()
        };
        assert_eq!(after("P1D"), "2026-03-29T12:00:00");
        assert_eq!(after("PT24H"), "2026-03-29T13:00:00");
    }

    #[test]
    fn names_are_checked_and_spelled_as_the_database_does() {
        let zone: Zone = "europe/berlin".parse().unwrap();
        assert_eq!(zone.as_str(), "Europe/Berlin");
        assert!("Mars/Olympus".parse::<Zone>().is_err());
        assert!("+02:00".parse::<Zone>().is_err());
        assert_eq!("UTC".parse(), Ok(Zone::utc()));
    }
}
