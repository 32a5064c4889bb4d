//! Identifiers: a newtype for whatever could be swapped with something else.
//!
//! Slugs are checked when they are made, so a value of one of these types is always well formed and
//! can be put into a key, a log line or a URL without another look.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, or longer than the limit.
    #[error("must have 1 to {max} characters, has {len}")]
    Length {
        /// Characters given.
        len: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A character outside the alphabet.
    #[error("has {found:?}; {allowed} are allowed")]
    Character {
        /// The first character that does not belong.
        found: char,
        /// The alphabet in words.
        allowed: &'static str,
    },
}

fn check(
    text: &str,
    max: usize,
    allowed: &'static str,
    ok: fn(char) -> bool,
) -> Result<Arc<str>, IdError> {
    let len = text.chars().take(max.saturating_add(1)).count();
    if len == 0 || len > max {
        return Err(IdError::Length { len, max });
    }
    match text.chars().find(|&c| !ok(c)) {
        Some(found) => Err(IdError::Character { found, allowed }),
        None => Ok(Arc::from(text)),
    }
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest identifier, in characters.
            pub const MAX: usize = $max;

            /// Checks and takes a text.
            ///
            /// # Errors
            /// If it is empty, too long, or has a character outside the alphabet.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check(text, $max, $allowed, $ok).map(Self)
            }

            /// The text as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn slug_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

slug!(
    /// A live event, such as `summer-fest-2025`.
    EventId, 100, "lower-case letters, digits and hyphens", slug_char
);
slug!(
    /// A segment of players, such as `vip-tier-1`.
    SegmentId, 100, "lower-case letters, digits and hyphens", slug_char
);
slug!(
    /// A region, such as `us-east`.
    RegionId, 64, "lower-case letters, digits and hyphens", slug_char
);
slug!(
    /// An edge, such as `us-east-1.dc3`.
    EdgeId, 100, "letters, digits, hyphens, underscores and dots", name_char
);
slug!(
    /// An installation: one title in one environment, such as `starfall-production`.
    Installation, 64, "lower-case letters, digits and hyphens", slug_char
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One decision, in one or several regions.
    ChangeId
);
uuid_id!(
    /// One deployment.
    DeploymentId
);
uuid_id!(
    /// One run of an edge process, so that a restart is told from a reconnect.
    BootId
);
uuid_id!(
    /// One token (its `jti` claim).
    TokenId
);
uuid_id!(
    /// One erasure of a player.
    ErasureId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_a_slug_of_at_most_100_characters() {
        assert!(EventId::new("summer-fest-2025").is_ok());
        assert!(EventId::new(&"a".repeat(100)).is_ok());
        assert_eq!(
            EventId::new(&"a".repeat(1000)),
            Err(IdError::Length { len: 101, max: 100 })
        );
        assert!(matches!(
            EventId::new("Summer"),
            Err(IdError::Character { found: 'S', .. })
        ));
        assert!(EventId::new("").is_err());
        assert!(EventId::new("a b").is_err());
    }

    #[test]
    fn reading_json_checks_too() {
        assert!(serde_json::from_str::<EventId>("\"a\\u0041\"").is_err());
        let id: EventId = serde_json::from_str("\"a\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"a\"");
    }
}
