//! Free-form JSON that is carried, not understood.
//!
//! It stays the text that its author wrote: numbers keep their digits, objects their order, and
//! nothing is parsed again on its way to a player. It is checked to be JSON once, when it is made, and
//! not to nest deeper than the parsers that games use will follow.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::limits::MAX_JSON_DEPTH;

/// A piece of valid JSON, nested at most [`MAX_JSON_DEPTH`] levels.
#[derive(Clone)]
pub struct JsonText(Arc<RawValue>);

impl JsonText {
    /// Checks and takes a text.
    ///
    /// # Errors
    /// If it is not one JSON value, or nests too deep.
    pub fn new(text: String) -> Result<Self, serde_json::Error> {
        Self::check(RawValue::from_string(text)?)
    }

    /// An object without members.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::from_literal("{}")
    }

    #[expect(
        clippy::expect_used,
        reason = "called with literals that a test parses"
    )]
    fn from_literal(text: &'static str) -> Self {
        Self::new(text.to_owned()).expect("a literal is JSON")
    }

    fn check<E: serde::de::Error>(raw: Box<RawValue>) -> Result<Self, E> {
        if depth(raw.get()) > MAX_JSON_DEPTH {
            return Err(E::custom(format_args!(
                "nests deeper than {MAX_JSON_DEPTH} levels"
            )));
        }
        Ok(Self(Arc::from(raw)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

/// How many objects and arrays are open at the deepest place of a valid JSON text.
fn depth(json: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'[' | b'{' if !in_string => {
                open = open.saturating_add(1);
                deepest = deepest.max(open);
            }
            b']' | b'}' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(Box::<RawValue>::deserialize(deserializer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_to_the_letter() {
        let text = r#"{"b": 1.50,  "a": 12345678901234567890123}"#;
        let json: JsonText = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        assert_eq!(JsonText::empty_object().as_str(), "{}");
        assert!(JsonText::new("{".to_owned()).is_err());
        assert!(JsonText::new("1 2".to_owned()).is_err());
    }

    #[test]
    fn nests_so_deep_and_no_deeper() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(JsonText::new(nested(MAX_JSON_DEPTH)).is_ok());
        for levels in [MAX_JSON_DEPTH + 1, 100_000] {
            let text = nested(levels);
            assert!(serde_json::from_str::<JsonText>(&text).is_err());
            assert!(JsonText::new(text).is_err());
        }
        let flat = r#"{"a": "[[[[\"[[[[\\", "b": [[], [], {}], "[{": "\\"}"#;
        assert_eq!(depth(flat), 3);
        let many = format!("[{}[]]", "[],".repeat(1_000));
        assert!(JsonText::new(many).is_ok());
        let quoted = format!("[\"{}\"]", "[".repeat(1_000));
        assert!(JsonText::new(quoted).is_ok());
    }
}
