//! What a revision demands before it is shown: a game build, and news that are fresh enough.
//!
//! A rule that is not known here admits nobody: a client or edge older than the rule must not show what the rule
//! might hide.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::build::Build;

/// Which game builds a revision is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requires {
    /// The first build, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_build: Option<Build>,
    /// The last build, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_build: Option<Build>,
    /// Whether more is demanded than is known here. Admits nobody, here and wherever it is passed on to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

impl Requires {
    /// Whether anything is demanded.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it admits a build. Who does not say a build is admitted where nothing is demanded.
    #[must_use]
    pub fn admits(&self, build: Option<Build>) -> bool {
        match build {
            _ if self.unknown => false,
            None => self.is_nothing(),
            Some(build) => {
                self.min_build.is_none_or(|least| build >= least)
                    && self.max_build.is_none_or(|most| build <= most)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Requires {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Known {
            min_build: Option<Build>,
            max_build: Option<Build>,
            #[serde(flatten)]
            others: BTreeMap<String, IgnoredAny>,
        }

        let known = Known::deserialize(deserializer)?;
        Ok(Self {
            min_build: known.min_build,
            max_build: known.max_build,
            unknown: !known.others.is_empty(),
        })
    }
}

/// What becomes of a revision while nothing fresh is heard from the origin. JSON: `"Keep"`, or
/// `{"hideAfter": "PT10M"}`. A rule that is not known here hides as soon as news are stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum WhenStale {
    /// It is shown on.
    #[default]
    Keep,
    /// It is not shown once nothing was heard for so long.
    #[serde(rename = "hideAfter")]
    HideAfter(Patience),
}

/// How long without news: whole seconds, from one to [`Patience::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Patience(u32);

/// A duration outside 1 s to 30 days, or not in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whole seconds from PT1S to PT720H")]
pub struct OutOfRange;

impl Patience {
    /// 30 days: beyond, nothing is hidden in practice.
    pub const MAX: u32 = 30 * 24 * 60 * 60;

    /// So many seconds.
    ///
    /// # Errors
    /// If it is 0, or above [`Patience::MAX`].
    pub fn from_seconds(seconds: u32) -> Result<Self, OutOfRange> {
        match seconds {
            1..=Self::MAX => Ok(Self(seconds)),
            _ => Err(OutOfRange),
        }
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for WhenStale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Rule)
    }
}

struct Rule;

impl<'de> Visitor<'de> for Rule {
    type Value = WhenStale;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#""Keep" or {"hideAfter": "PT10M"}"#)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WhenStale, E> {
        Ok(match text {
            "Keep" => WhenStale::Keep,
            _ => WhenStale::UNKNOWN,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<WhenStale, A::Error> {
        let mut rule = WhenStale::UNKNOWN;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == "hideAfter" {
                rule = WhenStale::HideAfter(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(rule)
    }
}

impl Serialize for Patience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SignedDuration::from_secs(i64::from(self.0)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Patience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let duration = SignedDuration::deserialize(deserializer)?;
        let whole = duration.subsec_nanos() == 0;
        u32::try_from(duration.as_secs())
            .ok()
            .filter(|_| whole)
            .and_then(|seconds| Self::from_seconds(seconds).ok())
            .ok_or_else(|| D::Error::custom(OutOfRange))
    }
}

impl WhenStale {
    /// What stands for a rule that is not known: as long as news count as fresh.
    const UNKNOWN: Self = Self::HideAfter(Patience(15));

    /// Whether a revision is still shown when the last news are this old.
    #[must_use]
    pub fn keeps(self, age: Duration) -> bool {
        self.limit().is_none_or(|limit| age < limit)
    }

    /// The age from which on it is hidden.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::Keep => None,
            Self::HideAfter(patience) => Some(Duration::from_secs(u64::from(patience.0))),
        }
    }

    pub(crate) fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let requires = |text: &str| serde_json::from_str::<Requires>(text).unwrap();
        let build = |text: &str| Some(text.parse::<Build>().unwrap());
        let both = requires(r#"{"minBuild":"1.2","maxBuild":"1.4"}"#);
        for (text, admitted) in [
            ("1.1.9", false),
            ("1.2", true),
            ("1.4.0", true),
            ("1.4.1", false),
        ] {
            assert_eq!(both.admits(build(text)), admitted, "{text}");
        }
        assert!(!both.admits(None), "nobody knows");
        assert!(requires("{}").admits(None));
        assert!(requires(r#"{"minBuild":"1.2"}"#).admits(build("99")));
        assert!(requires(r#"{"maxBuild":"1.2"}"#).admits(build("0")));
    }

    #[test]
    fn a_rule_that_is_not_known_admits_nobody() {
        let requires: Requires = serde_json::from_str(r#"{"minBuild":"1","shader":5}"#).unwrap();
        assert!(!requires.admits("2".parse().ok()));
        assert!(!requires.is_nothing());
    }

    #[test]
    fn hides_at_the_very_age() {
        let hide: WhenStale = serde_json::from_str(r#"{"hideAfter":"PT1M"}"#).unwrap();
        assert!(hide.keeps(Duration::from_millis(59_999)));
        assert!(!hide.keeps(Duration::from_mins(1)));
        assert_eq!(
            serde_json::to_string(&hide).unwrap(),
            r#"{"hideAfter":"PT1M"}"#
        );
        assert_eq!(
            serde_json::from_str::<WhenStale>(r#""Keep""#).unwrap(),
            WhenStale::Keep
        );
        assert!(WhenStale::Keep.keeps(Duration::MAX));
        for newer in [r#""Later""#, r#"{"dimAfter":"PT1H"}"#] {
            let rule: WhenStale = serde_json::from_str(newer).unwrap();
            assert!(!rule.keeps(crate::limits::LIVE_WITHIN), "{newer}");
        }
    }

    #[test]
    fn refuses_other_durations() {
        for text in ["PT0S", "-PT1S", "PT1.5S", "PT721H", "soon"] {
            let json = format!(r#"{{"hideAfter":"{text}"}}"#);
            assert!(serde_json::from_str::<WhenStale>(&json).is_err(), "{text}");
        }
    }
}
