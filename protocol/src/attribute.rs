//! What is known of a player: named values that segments look at.
//!
//! Their names are those of [`names`] and whatever else the studio defines. Who may say them is decided where they come
//! in: a game server may, a player's own client may not.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The attributes that have a criterion of their own.
pub mod names {
    /// A number.
    pub const LEVEL: &str = "level";
    /// A number: days since the account was made.
    pub const ACCOUNT_AGE_DAYS: &str = "accountAgeDays";
    /// A number, in the studio's currency.
    pub const LIFETIME_SPEND: &str = "lifetimeSpend";
    /// A number.
    pub const DAYS_SINCE_LAST_LOGIN: &str = "daysSinceLastLogin";
    /// A number: sessions of late, as the studio counts them.
    pub const RECENT_SESSION_COUNT: &str = "recentSessionCount";
    /// A text: ISO 3166-1, two letters.
    pub const COUNTRY: &str = "country";
    /// A text.
    pub const PLATFORM: &str = "platform";
}

/// A number: finite, and compared as what it is, so that 1 is 1.0 and 0 is -0. It is a double:
/// 15 digits are kept, more may not be.
#[derive(Clone, Copy, PartialEq)]
pub struct Number(f64);

/// Not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a finite number")]
pub struct NotFinite;

impl Number {
    /// Checks and takes a number.
    ///
    /// # Errors
    /// If it is infinite, or none.
    pub fn new(value: f64) -> Result<Self, NotFinite> {
        match value.is_finite() {
            // Adding 0 makes 0 of -0.
            true => Ok(Self(value + 0.0)),
            false => Err(NotFinite),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// As an integer, if it is one that a double holds exactly.
    fn as_integer(self) -> Option<i64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number of at most 2^53"
        )]
        let whole = (self.0.fract() == 0.0 && self.0.abs() <= EXACT).then_some(self.0 as i64);
        whole
    }
}

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self(value.into())
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl TryFrom<&serde_json::Number> for Number {
    type Error = NotFinite;

    fn try_from(number: &serde_json::Number) -> Result<Self, NotFinite> {
        Self::new(number.as_f64().ok_or(NotFinite)?)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A whole number is written without a point.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_integer() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A value that a rule may look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
}

impl Attribute {
    /// To look at.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        match self {
            Self::Flag(flag) => Seen::Flag(*flag),
            Self::Number(number) => Seen::Number(*number),
            Self::Text(text) => Seen::Text(text),
        }
    }
}

/// An attribute that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Seen<'a> {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(&'a str),
}

/// All that is known of one player.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    said: Option<&'a BTreeMap<String, Attribute>>,
    platform: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// What was said by who may say it.
    #[must_use]
    pub fn new(said: &'a BTreeMap<String, Attribute>) -> Self {
        Self {
            said: Some(said),
            platform: None,
        }
    }

    /// The same, with the platform that was said beside them: it is the attribute `platform` where none of that name was
    /// given.
    #[must_use]
    pub fn on(self, platform: Option<&'a str>) -> Self {
        Self { platform, ..self }
    }

    /// The value of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Seen<'a>> {
        let said = self.said.and_then(|said| said.get(name));
        let platform = || self.platform.filter(|_| name == names::PLATFORM);
        said.map(Attribute::seen)
            .or_else(|| platform().map(Seen::Text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_they_are_however_they_are_written() {
        let read = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        assert_eq!(read("1"), read("1.0"));
        assert_eq!(read("0"), read("-0.0"));
        assert_eq!(read("1e2"), Number::from(100));
        assert!(read("-2") < read("-1.5") && read("9") < read("10"));
        for text in ["1", "-7", "1.5", "9007199254740992", "1e300"] {
            let back = serde_json::to_string(&read(text)).unwrap();
            assert_eq!(read(&back), read(text), "{text}");
        }
        assert_eq!(serde_json::to_string(&read("4.0")).unwrap(), "4");
        for text in ["1e999", "null", "\"1\"", "true"] {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
        assert!(Number::new(f64::NAN).is_err());
    }

    #[test]
    fn the_platform_is_an_attribute_unless_there_is_one_of_that_name() {
        let none = BTreeMap::new();
        let said = [("platform".to_owned(), Attribute::Text("pc".to_owned()))].into();
        let find = |attributes: Attributes<'static>| attributes.find("platform").map(|_| ());
        assert_eq!(find(Attributes::default()), None);
        let beside = Attributes::new(&none).on(Some("ps5"));
        assert_eq!(beside.find("platform"), Some(Seen::Text("ps5")));
        assert_eq!(beside.find("level"), None);
        let both = Attributes::new(&said).on(Some("ps5"));
        assert_eq!(both.find("platform"), Some(Seen::Text("pc")));
    }
}
