//! When an event happens, as its author says it.
//!
//! Absolute times are instants, the same everywhere. Region-local ones are wall-clock times, read in
//! each region's own zone. An instant given for a region-local event is taken for what the wall clock
//! of the event's zone shows then, so switching an event to region-local keeps its announced hours.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;

use super::recurrence::Recurrence;
use super::wall_clock::{OutOfRange, Zone};
use crate::limits;

/// From when to when, the end excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// The same instants everywhere.
    Absolute {
        /// First instant.
        start: Timestamp,
        /// First instant after.
        end: Timestamp,
    },
    /// The same wall-clock times in every region.
    RegionLocal {
        /// First moment.
        start: DateTime,
        /// First moment after.
        end: DateTime,
    },
}

/// When an event happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From when to when.
    pub window: Window,
    /// The event's own zone.
    pub zone: Zone,
    /// Within the window, the occurrences; without, the window is the only one.
    pub recurrence: Option<Recurrence>,
}

/// A text that is no time, or no time for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not an instant.
    #[error("must be a time with offset, such as 2026-12-24T18:00:00Z")]
    NotAnInstant,
    /// Neither a wall-clock time nor an instant.
    #[error("must be a wall-clock time such as 2026-12-24T18:00:00")]
    NotAWallClock,
    /// Events start and end on the second.
    #[error("must be in whole seconds")]
    Fraction,
    /// Outside [`limits::YEARS`].
    #[error("must lie in the years {} to {}", limits::YEARS.start(), limits::YEARS.end())]
    Year,
}

impl Window {
    /// Start and end as instants, wall clock being that of a zone.
    ///
    /// # Errors
    /// If they are out of range.
    pub fn within(&self, zone: &Zone) -> Result<(Timestamp, Timestamp), OutOfRange> {
        match self {
            Self::Absolute { start, end } => Ok((*start, *end)),
            Self::RegionLocal { start, end } => Ok((zone.instant(*start)?, zone.instant(*end)?)),
        }
    }
}

impl Timing {
    /// Whether start and end are wall clock in each region.
    #[must_use]
    pub fn is_region_local(&self) -> bool {
        matches!(self.window, Window::RegionLocal { .. })
    }
}

/// Reads an instant.
///
/// # Errors
/// If it has no offset, a fraction of a second or an absurd year.
pub fn instant(text: &str) -> Result<Timestamp, TimeError> {
    let at = moment(text)?;
    if at.subsec_nanosecond() != 0 {
        return Err(TimeError::Fraction);
    }
    Ok(at)
}

/// Reads an instant that need not be in whole seconds.
///
/// # Errors
/// If it has no offset or an absurd year.
pub fn moment(text: &str) -> Result<Timestamp, TimeError> {
    let at: Timestamp = text.parse().map_err(|_| {
        // Some of the last days that a calendar can name are no instants any more.
        let shape = Pieces::parse(text)
            .ok()
            .filter(|pieces| pieces.offset().is_some());
        shape.map_or(TimeError::NotAnInstant, |_| TimeError::Year)
    })?;
    in_years(Zone::utc().wall_clock(at))?;
    Ok(at)
}

/// Reads a wall-clock time, or an instant as the wall clock of a zone shows it.
///
/// # Errors
/// If it is neither, has a fraction of a second or an absurd year.
pub fn wall_clock(text: &str, zone: &Zone) -> Result<DateTime, TimeError> {
    // An instant first: read as a wall-clock time, its offset would be dropped without a word.
    let wall = match text.parse::<Timestamp>() {
        Ok(at) => zone.wall_clock(at),
        Err(_) => text.parse().map_err(|_| TimeError::NotAWallClock)?,
    };
    in_years(wall)?;
    if wall.subsec_nanosecond() != 0 {
        return Err(TimeError::Fraction);
    }
    Ok(wall)
}

/// The last whole second until a moment.
#[must_use]
pub fn second_of(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The first whole second after a moment.
#[must_use]
pub fn second_after(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_add(1)).unwrap_or(at)
}

fn in_years(wall: DateTime) -> Result<(), TimeError> {
    if limits::YEARS.contains(&wall.year()) {
        Ok(())
    } else {
        Err(TimeError::Year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_instants() {
        let at = |text| instant(text).map(|at| at.to_string());
        assert_eq!(
            at("2026-12-24T18:00:00Z"),
            Ok("2026-12-24T18:00:00Z".to_owned())
        );
        assert_eq!(
            at("2026-12-24T18:00:00.000+01:00"),
            Ok("2026-12-24T17:00:00Z".to_owned())
        );
        assert_eq!(at("2026-12-24T18:00:00"), Err(TimeError::NotAnInstant));
        assert_eq!(at("tomorrow"), Err(TimeError::NotAnInstant));
        assert_eq!(at("2026-12-24T18:00:00.5Z"), Err(TimeError::Fraction));
        // Before the first year, after the last, and where instants themselves end.
        for absurd in [
            "1999-12-31T23:59:59Z",
            "0001-01-01T00:00:00Z",
            "-009999-01-01T00:00:00Z",
            "2201-01-01T00:00:00Z",
            "9998-12-24T18:00:00Z",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59-12:00",
        ] {
            assert_eq!(at(absurd), Err(TimeError::Year), "{absurd}");
        }
        for nonsense in ["2026-02-30T00:00:00Z", "10000-01-01T00:00:00Z", "", "2026"] {
            assert_eq!(at(nonsense), Err(TimeError::NotAnInstant), "{nonsense:?}");
        }
        assert_eq!(
            moment("2026-12-24T18:00:00.5Z").map(|at| at.to_string()),
            Ok("2026-12-24T18:00:00.5Z".to_owned())
        );
    }

    #[test]
    fn reads_wall_clock_times() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let wall = |text| wall_clock(text, &berlin).map(|at| at.to_string());
        assert_eq!(
            wall("2026-12-24T18:00:00"),
            Ok("2026-12-24T18:00:00".to_owned())
        );
        assert_eq!(wall("2026-12-24"), Ok("2026-12-24T00:00:00".to_owned()));
        assert_eq!(
            wall("2026-12-24T17:00:00Z"),
            Ok("2026-12-24T18:00:00".to_owned())
        );
        assert_eq!(
            wall("2026-12-24T12:00:00-05:00"),
            Ok("2026-12-24T18:00:00".to_owned())
        );
        assert_eq!(wall("six o'clock"), Err(TimeError::NotAWallClock));
        for absurd in [
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(wall(absurd), Err(TimeError::Year), "{absurd}");
        }
    }
}
