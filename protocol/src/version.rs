//! Numbers that must not be mixed up: revision, version, epoch, basis points.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of an event's content: 1 for the first, one more for each accepted edit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u32);

/// A place in a region log. 0 is the empty region before its first change. Compared only within one
/// [`Epoch`]; see [`crate::position::Position::order`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// Before the first change.
    pub const ZERO: Self = Self(0);

    /// The version after this one. Stays at the end of the range, which is 10^11 years of 100
    /// changes a second away.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Identity of the history that versions belong to: a UUIDv7, ordered by its bytes, so that a later
/// epoch is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub Uuid);

impl FromStr for Epoch {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// A share in hundredths of a percent, 0 to 10,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct BasisPoints(u16);

/// A share outside 0 to 10,000 basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 0 to 10000 basis points, is {0}")]
pub struct OutOfRange(pub u64);

impl BasisPoints {
    /// Nobody.
    pub const ZERO: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(10_000);

    /// Checks the range.
    ///
    /// # Errors
    /// If more than 10,000.
    pub fn new(value: u16) -> Result<Self, OutOfRange> {
        if value <= 10_000 {
            Ok(Self(value))
        } else {
            Err(OutOfRange(u64::from(value)))
        }
    }

    /// The number, 0 to 10,000.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for BasisPoints {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

macro_rules! display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
display!(Revision, Version, Epoch, BasisPoints);
