//! Lists whose members are read one by one, so that what cannot be read costs itself and not the message.
//!
//! An edge may be newer than its game server: an event's type, or whatever else has a closed set of values, may be one
//! that is not known here. Such a member is set aside and told, with the event that it belongs to. Its reader keeps
//! what it held of that event, goes on, and nacks it; it never guesses what the value might mean.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::entry::{EntryMessage, Members};
use crate::id::EventId;
use crate::limits::{MAX_COMPLAINTS, MAX_REASON};
use crate::version::Revision;

/// A member of a message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The event that it belongs to, if that can be told.
    pub event: Option<EventId>,
    /// The revision that it is, if it is one.
    pub revision: Option<Revision>,
    /// What could not be read, for people. Empty after the first hundred of a message.
    pub reason: String,
}

/// What was read of a list, and what was not.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) read: Vec<T>,
    pub(super) unread: Vec<Unread>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            unread: Vec::new(),
        }
    }
}

impl<'de, T: Member> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

/// A member of a list.
pub(super) trait Member: Sized {
    /// Reads it; `None` if it is of a kind that is not known and not missed.
    fn read(text: &str) -> Result<Option<Self>, serde_json::Error>;

    /// The object that says which event it belongs to.
    fn subject(text: &str) -> &str;
}

/// A content or an assignment by itself.
impl<T: DeserializeOwned> Member for T {
    fn read(text: &str) -> Result<Option<Self>, serde_json::Error> {
        serde_json::from_str(text).map(Some)
    }

    fn subject(text: &str) -> &str {
        text
    }
}

impl Member for EntryMessage {
    fn read(text: &str) -> Result<Option<Self>, serde_json::Error> {
        let members: Members = serde_json::from_str(text)?;
        Ok(members.known())
    }

    fn subject(text: &str) -> &str {
        let only: Result<Only<'_>, _> = serde_json::from_str(text);
        only.ok().and_then(|only| only.0).unwrap_or(text)
    }
}

/// The value of an object's first member.
struct Only<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Only<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;

        impl<'de> Visitor<'de> for First {
            type Value = Only<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<Self::Value, A::Error> {
                let mut first = None;
                while members.next_key::<serde::de::IgnoredAny>()?.is_some() {
                    let value: &'de RawValue = members.next_value()?;
                    first.get_or_insert(value.get());
                }
                Ok(Only(first))
            }
        }

        deserializer.deserialize_map(First)
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Member> Visitor<'de> for Reader<T> {
    type Value = Listed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    /// Keeps only what is known, so that a list of nothing takes nothing.
    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        while let Some(text) = members.next_element::<&RawValue>()? {
            match T::read(text.get()) {
                Ok(member) => read.extend(member),
                Err(error) => set_aside(&mut unread, T::subject(text.get()), &error),
            }
        }
        Ok(Listed { read, unread })
    }
}

fn set_aside(unread: &mut Vec<Unread>, subject: &str, error: &serde_json::Error) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Whose<'a> {
        #[serde(borrow)]
        event_id: Option<&'a RawValue>,
        #[serde(borrow)]
        revision: Option<&'a RawValue>,
    }

    fn read<T: DeserializeOwned>(text: Option<&RawValue>) -> Option<T> {
        serde_json::from_str(text?.get()).ok()
    }

    let whose: Option<Whose<'_>> = serde_json::from_str(subject).ok();
    let event = whose.as_ref().and_then(|whose| read(whose.event_id));
    let revision = whose.as_ref().and_then(|whose| read(whose.revision));
    let is_told = unread.len() < MAX_COMPLAINTS;
    if event.is_some() || is_told {
        let reason = is_told.then(|| cut(error.to_string()));
        unread.push(Unread {
            event,
            revision,
            reason: reason.unwrap_or_default(),
        });
    }
}

/// The first [`MAX_REASON`] bytes, or a little less.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text.shrink_to_fit();
    text
}
