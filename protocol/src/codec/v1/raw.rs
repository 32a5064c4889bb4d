//! Entries one by one, for a receiver that sets aside the one that it cannot apply and takes the others.
use super::{WireEntry, WireStamped, list};
use crate::codec::{DecodeError, EncodeError};
use crate::entry::{Entry, EntryKey};
use crate::version::{Revision, Version};

use super::convert::id;

/// An entry as it lies on the wire: whole, and not looked into.
pub struct RawEntry(WireEntry);

impl RawEntry {
    /// What it changes.
    ///
    /// # Errors
    /// If its identifiers are none.
    pub fn key(&self) -> Result<EntryKey, DecodeError> {
        let (event, revision) = match &self.0 {
            WireEntry::Segment(segment) => {
                return Ok(EntryKey::Segment(id("segment", segment.get().id())?));
            }
            WireEntry::RemoveSegment { segment } => {
                return Ok(EntryKey::Segment(id("segment", segment)?));
            }
            WireEntry::Content(content) => (&content.get().event, Some(content.get().revision)),
            WireEntry::RemoveContent { event, revision } => (event, Some(*revision)),
            WireEntry::Assignment(assignment) => (&assignment.event, None),
            WireEntry::RemoveAssignment { event } => (event, None),
        };
        let event = id("event", event)?;
        Ok(match revision {
            Some(revision) => EntryKey::Content(event, Revision(revision)),
            None => EntryKey::Assignment(event),
        })
    }

    /// The entry.
    ///
    /// # Errors
    /// If a field is not what it should be.
    pub fn decode(self) -> Result<Entry, DecodeError> {
        self.0.try_into()
    }

    /// The bytes of a row of this entry alone.
    ///
    /// # Errors
    /// If they are more than a row may have.
    pub fn into_row(self) -> Result<Vec<u8>, EncodeError> {
        list::write_one(self.0)
    }
}

impl std::fmt::Debug for RawEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RawEntry").field(&self.key().ok()).finish()
    }
}

impl TryFrom<WireEntry> for RawEntry {
    type Error = DecodeError;

    fn try_from(wire: WireEntry) -> Result<Self, DecodeError> {
        Ok(Self(wire))
    }
}

/// An entry and its stamp.
struct RawStamped(Version, RawEntry);

impl TryFrom<WireStamped> for RawStamped {
    type Error = DecodeError;

    fn try_from(wire: WireStamped) -> Result<Self, DecodeError> {
        Ok(Self(Version(wire.version), RawEntry(wire.entry)))
    }
}

pub(super) fn entries(bytes: &[u8]) -> Result<Vec<RawEntry>, DecodeError> {
    list::read::<WireEntry, _>(bytes)
}

pub(super) fn stamped(bytes: &[u8]) -> Result<Vec<(Version, RawEntry)>, DecodeError> {
    let list = list::read::<WireStamped, RawStamped>(bytes)?;
    Ok(list
        .into_iter()
        .map(|RawStamped(version, raw)| (version, raw))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::codec::{decode_entries, decode_stamped, encode_entries, encode_stamped};
    use crate::entry::Stamped;
    use crate::frame::FORMAT_V1;
    use crate::id::EventId;
    use crate::json_text::JsonText;
    use crate::model::{Content, EventType};

    fn content(revision: u32) -> Entry {
        Content {
            event_id: EventId::new("sale").unwrap(),
            revision: Revision(revision),
            event_type: EventType::ContentRelease,
            display_name: "Sale".to_owned(),
            description: String::new(),
            category: None,
            priority: 0,
            tags: Vec::new(),
            localizations: BTreeMap::new(),
            requires: Default::default(),
            when_stale: Default::default(),
            target_segments: Vec::new(),
            exclude_segments: Vec::new(),
            configuration: JsonText::new(r#"{"prize":12345}"#.to_owned()).unwrap(),
        }
        .into()
    }

    /// The bytes, with the first configuration's digits turned into no JSON.
    fn spoilt(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let at = bytes.windows(5).position(|w| w == b"12345").unwrap();
        bytes[at] = b'x';
        bytes
    }

    #[test]
    fn one_bad_entry_leaves_the_others_readable() {
        let removal = Entry::Removal(EntryKey::Assignment(EventId::new("cup").unwrap()));
        let entries = [content(1), content(2), removal];
        let bytes = encode_entries(&entries).unwrap();
        let bad = spoilt(&bytes);
        assert!(decode_entries(FORMAT_V1, &bad).is_err());
        for (bytes, readable) in [(&bytes, [true, true, true]), (&bad, [false, true, true])] {
            let raws = super::entries(bytes).unwrap();
            for ((raw, entry), readable) in raws.into_iter().zip(&entries).zip(readable) {
                assert_eq!(raw.key().unwrap(), entry.key());
                assert_eq!(raw.decode().ok(), readable.then(|| entry.clone()));
            }
        }

        let stamped = [Stamped {
            version: Version(7),
            entry: content(1),
        }];
        let bad = spoilt(&encode_stamped(&stamped).unwrap());
        assert!(decode_stamped(&bad).is_err());
        let (version, raw) = super::stamped(&bad).unwrap().remove(0);
        assert_eq!(
            (version, raw.key().unwrap()),
            (Version(7), content(1).key())
        );
        // Kept as it is, to be tried again.
        let row = raw.into_row().unwrap();
        assert!(super::entries(&row).unwrap().remove(0).decode().is_err());
    }

    #[test]
    fn what_has_no_key_is_nobodys_entry() {
        let mut bytes = encode_entries(&[content(1)]).unwrap();
        let at = bytes.windows(4).position(|w| w == b"sale").unwrap();
        bytes[at] = b'/';
        assert!(super::entries(&bytes).unwrap().remove(0).key().is_err());
    }
}
