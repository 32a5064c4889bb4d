//! How a region lies in Redis: one hash, a field for each entry (removals too) and a few for the position. Pure.
//!
//! Values are the codec's; a field's name repeats the entry's key. What is read back counts only as a whole: one
//! field that is not what it should be, and all of it is rubbish.

use std::collections::HashMap;

use jiff::Timestamp;
use liveevents_protocol::codec::{self, DecodeError, EncodeError};
use liveevents_protocol::entry::{EntryKey, Stamped};
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::position::{Digest, Position, SealedPosition};
use liveevents_protocol::version::{Epoch, Version};

use crate::replica::{Published, Refused, whole_state};

/// The key of a region's hash. The braces keep it on one node of a cluster, as scripts demand.
pub(super) fn region_key(installation: &Installation, region: &RegionId) -> String {
    format!("liveevent:{{{installation}:{region}}}:v1:state")
}

/// The key of the trust bundle.
pub(super) fn trust_key(installation: &Installation) -> String {
    format!("liveevent:{{{installation}}}:v1:trust")
}

/// Fields that are not entries.
const EPOCH: &str = "epoch";
const VERSION: &str = "version";
const FLOOR: &str = "floor";
const SEAL: &str = "seal";
const COMMITTED: &str = "committed";
const CONTACT: &str = "contact";

/// How many there are.
pub(super) const POSITION_FIELDS: usize = 6;

/// A hash as Redis gives it.
pub(super) type Fields = HashMap<String, Vec<u8>>;

/// Why a hash is not a region.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rubbish {
    /// A field is missing.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field is not what it should be.
    #[error("field {0} is malformed")]
    Malformed(String),
    /// An entry that is none.
    #[error("field {field} is no entry")]
    Entry {
        /// Which.
        field: String,
        /// Why not.
        #[source]
        why: DecodeError,
    },
    /// The entries are no state.
    #[error("the entries are no state")]
    State(#[source] Refused),
}

/// What Redis held of a region.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) published: Published,
    /// When the edge that wrote it had last heard the origin.
    pub(super) contact: Timestamp,
    /// Fields of the hash.
    pub(super) fields: usize,
}

/// The field of a key.
fn field(key: &EntryKey) -> String {
    match key {
        EntryKey::Content(event, revision) => format!("content:{event}:{revision}"),
        EntryKey::Assignment(event) => format!("assignment:{event}"),
    }
}

/// Entries as fields and values, one after the other.
///
/// # Errors
/// If an entry cannot be encoded, which none that was decoded can.
pub(super) fn entry_fields(entries: Vec<Stamped>) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut fields = Vec::with_capacity(entries.len().saturating_mul(2));
    for stamped in entries {
        fields.push(field(&stamped.entry.key()).into_bytes());
        fields.push(codec::encode_stamped(&[stamped])?);
    }
    Ok(fields)
}

/// Digest and MAC as one value.
pub(super) fn seal(sealed: &SealedPosition) -> Vec<u8> {
    [sealed.position.digest.0.as_slice(), sealed.mac.as_slice()].concat()
}

/// A time that may be unknown, as text.
pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.as_microsecond().to_string())
        .unwrap_or_default()
}

/// Reads a hash; `None` if there is none.
///
/// # Errors
/// If any of it is not what it should be.
pub(super) fn read(fields: &Fields) -> Result<Option<Stored>, Rubbish> {
    if fields.is_empty() {
        return Ok(None);
    }
    let (digest, mac) = fields
        .get(SEAL)
        .and_then(|seal| seal.split_first_chunk::<32>())
        .and_then(|(digest, mac)| Some((*digest, <[u8; 16]>::try_from(mac).ok()?)))
        .ok_or_else(|| Rubbish::Malformed(SEAL.to_owned()))?;
    let sealed = SealedPosition {
        position: Position {
            epoch: parsed::<Epoch>(fields, EPOCH)?,
            version: Version(parsed(fields, VERSION)?),
            digest: Digest(digest),
        },
        mac,
    };
    let floor = Version(parsed(fields, FLOOR)?);
    let contact = timestamp(CONTACT, text(fields, CONTACT)?)?;
    let committed_at = match text(fields, COMMITTED)? {
        "" => None,
        micros => Some(timestamp(COMMITTED, micros)?),
    };
    let mut entries = Vec::with_capacity(fields.len().saturating_sub(POSITION_FIELDS));
    for (name, value) in fields.iter().filter(|(name, _)| name.contains(':')) {
        let decoded = codec::decode_stamped(value).map_err(|why| Rubbish::Entry {
            field: name.clone(),
            why,
        })?;
        match <[Stamped; 1]>::try_from(decoded) {
            Ok([stamped]) if field(&stamped.entry.key()) == *name => entries.push(stamped),
            _ => return Err(Rubbish::Malformed(name.clone())),
        }
    }
    let state = whole_state(&sealed, floor, entries).map_err(Rubbish::State)?;
    Ok(Some(Stored {
        published: Published::from_cache(state, sealed, committed_at),
        contact,
        fields: fields.len(),
    }))
}

/// Epoch and version as they stand there, whatever they are: what a later removal has to find again.
pub(super) fn place(fields: &Fields) -> [Vec<u8>; 2] {
    [EPOCH, VERSION].map(|name| fields.get(name).cloned().unwrap_or_default())
}

fn text<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, Rubbish> {
    let bytes = fields.get(name).ok_or(Rubbish::Missing(name))?;
    str::from_utf8(bytes).map_err(|_| Rubbish::Malformed(name.to_owned()))
}

fn parsed<T: std::str::FromStr>(fields: &Fields, name: &'static str) -> Result<T, Rubbish> {
    text(fields, name)?
        .parse()
        .map_err(|_| Rubbish::Malformed(name.to_owned()))
}

fn timestamp(name: &'static str, micros: &str) -> Result<Timestamp, Rubbish> {
    micros
        .parse()
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .ok_or_else(|| Rubbish::Malformed(name.to_owned()))
}

#[cfg(test)]
mod tests;
