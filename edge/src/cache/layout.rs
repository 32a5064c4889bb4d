//! How a region lies in Redis: one hash, a field for each entry (removals too) and a few for the position. Pure.
//!
//! Values are the codec's; a field's name repeats the entry's key. What is read back counts only as a whole: one
//! field that is not what it should be, and all of it is rubbish. What the edge that wrote it could not apply, and so
//! is not in it, is named in it.

use std::collections::HashMap;

use jiff::Timestamp;
use liveevents_protocol::codec::{self, DecodeError, EncodeError};
use liveevents_protocol::entry::Stamped;
use liveevents_protocol::frame::Quarantined;
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::limits::MAX_COMPLAINTS;
use liveevents_protocol::position::{Digest, Position, SealedPosition};
use liveevents_protocol::version::{Epoch, Version};

use crate::replica::{Published, Quarantine, Refused, entry_name, entry_of, whole_state};

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
const ASIDE: &str = "aside";

/// How many there are.
pub(super) const POSITION_FIELDS: usize = 7;

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
    /// It is not a hash.
    #[error("it is no hash")]
    NoHash,
    /// Above what a region may be.
    #[error("it has {0} bytes")]
    TooLarge(usize),
    /// A fault of this program.
    #[error("this edge failed at it")]
    Panicked,
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

/// Entries as fields and values, one after the other.
///
/// # Errors
/// If an entry cannot be encoded, which none that was decoded can.
pub(super) fn entry_fields(entries: Vec<Stamped>) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut fields = Vec::with_capacity(entries.len().saturating_mul(2));
    for stamped in entries {
        fields.push(entry_name(&stamped.entry.key()).into_bytes());
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

/// What is not in a state since it could not be applied, as text; empty if that is nothing.
///
/// # Errors
/// Never: it is all text and numbers.
pub(super) fn aside(quarantine: &Quarantine) -> Result<String, serde_json::Error> {
    if quarantine.is_empty() {
        return Ok(String::new());
    }
    let told = quarantine.told().into_iter();
    let rows = told.map(|entry| (entry_name(&entry.key), entry.version.0, entry.reason));
    serde_json::to_string(&rows.collect::<Vec<_>>())
}

fn set_aside(fields: &Fields) -> Result<Vec<Quarantined>, Rubbish> {
    let text = match fields.get(ASIDE) {
        Some(_) => text(fields, ASIDE)?,
        None => "",
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let malformed = || Rubbish::Malformed(ASIDE.to_owned());
    let rows: Vec<(String, u64, String)> = serde_json::from_str(text).map_err(|_| malformed())?;
    if rows.len() > MAX_COMPLAINTS {
        return Err(malformed());
    }
    let entry = |(name, version, reason): (String, u64, String)| {
        let key = entry_of(&name).ok_or_else(malformed)?;
        Ok(Quarantined {
            key,
            version: Version(version),
            reason,
        })
    };
    rows.into_iter().map(entry).collect()
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
            Ok([stamped]) if entry_name(&stamped.entry.key()) == *name => entries.push(stamped),
            _ => return Err(Rubbish::Malformed(name.clone())),
        }
    }
    let state = whole_state(&sealed, floor, entries).map_err(Rubbish::State)?;
    Ok(Some(Stored {
        published: Published::from_cache(state, sealed, committed_at)
            .without(Quarantine::remembered(set_aside(fields)?)),
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
