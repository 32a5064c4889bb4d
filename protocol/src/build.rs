//! A game's build: dotted numbers, ordered number by number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most numbers that a build has: `major.minor.patch.build` and two to spare.
const PARTS: usize = 6;

/// Dotted numbers such as `4.12.0`. What is not written is 0: `4.12` is `4.12.0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Build([u32; PARTS]);

/// A text that is no build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {PARTS} numbers with dots between, such as 4.12.0, is {text:?}")]
pub struct NotABuild {
    text: String,
}

impl FromStr for Build {
    type Err = NotABuild;

    fn from_str(text: &str) -> Result<Self, NotABuild> {
        // A message may be told what it said, but not at any length.
        let refuse = || NotABuild {
            text: text.chars().take(40).collect(),
        };
        let mut parts = [0; PARTS];
        let mut slots = parts.iter_mut();
        for number in text.split('.') {
            let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| plain).ok_or_else(refuse)?;
            *slots.next().ok_or_else(refuse)? = number;
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, rest @ ..] = self.0;
        write!(f, "{major}.{minor}")?;
        let last = rest.iter().rposition(|&part| part != 0);
        let shown = last.map_or(0, |last| last.saturating_add(1));
        rest.iter()
            .take(shown)
            .try_for_each(|part| write!(f, ".{part}"))
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Build {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(text: &str) -> Build {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_count_not_letters() {
        let ascending = ["0", "0.1", "1", "1.0.1", "1.2", "1.10", "2.0.0.0.0.1"];
        assert!(ascending.map(build).is_sorted_by(|a, b| a < b));
        assert_eq!(build("4.12"), build("4.12.0.0"));
        assert_eq!(build("04.012"), build("4.12"));
    }

    #[test]
    fn prints_what_it_reads() {
        for (text, printed) in [("4", "4.0"), ("4.12.0", "4.12"), ("1.0.0.7", "1.0.0.7")] {
            assert_eq!(build(text).to_string(), printed);
            assert_eq!(build(printed), build(text));
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "v1",
            "1.2-rc",
            "-1",
            "+1",
            "4294967296",
            "1.2.3.4.5.6.7",
        ] {
            assert!(text.parse::<Build>().is_err(), "{text}");
        }
    }
}
