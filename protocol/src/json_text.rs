//! Free-form JSON that is carried, not understood.
//!
//! It stays the text that its author wrote: numbers keep their digits, objects their order, and
//! nothing is parsed again on its way to a player. It is checked to be JSON once, when it is made.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A piece of valid JSON.
#[derive(Clone)]
pub struct JsonText(Arc<RawValue>);

impl JsonText {
    /// Checks and takes a text.
    ///
    /// # Errors
    /// If it is not one JSON value.
    pub fn new(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(|raw| Self(Arc::from(raw)))
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
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
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(Arc::from(raw)))
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
}
