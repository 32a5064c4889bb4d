//! Whose history the log is.
//!
//! A restore, a point-in-time recovery, a promoted standby or an older copy of the data folder takes
//! versions back that receivers already have; the same numbers then come again with other content.
//! Nobody has to remember to say so: the next *epoch* is minted as soon as the database's fingerprint
//! is not the one that the epoch was minted under, or somebody shows an authentic position that the
//! log does not know. Receivers of an earlier epoch are then brought over by snapshot.
//!
//! Pure; the reading and writing is in `store::epoch`.

use jiff::Timestamp;
use liveevents_protocol::position::Position;
use liveevents_protocol::version::Epoch;
use serde::{Deserialize, Serialize};

/// What tells one database from another. What a managed server hides is left out (`None`) and then
/// tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprint {
    /// Of the cluster, from `initdb`; the same on standbys and copies.
    pub system_identifier: Option<String>,
    /// Of the WAL being written; a promotion or a recovery begins the next.
    pub timeline: Option<String>,
    /// Of this database; another after a restore into a new one.
    pub database: i64,
    /// Of the table `region_log`; another after a restore that drops and creates it.
    pub region_log: i64,
}

impl Fingerprint {
    /// Whether both can be of one database: they disagree in nothing that both know.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        fn agree(a: Option<&String>, b: Option<&String>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        self.database == other.database
            && self.region_log == other.region_log
            && agree(
                self.system_identifier.as_ref(),
                other.system_identifier.as_ref(),
            )
            && agree(self.timeline.as_ref(), other.timeline.as_ref())
    }
}

/// Why the next epoch is minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// There has been none.
    First,
    /// The database is another than the one that the epoch was minted under.
    Database,
    /// Somebody holds a position that this log never reached, or reached with other content.
    Unknown(Position),
}

impl Cause {
    /// For the history of epochs, and the log.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::First => "first epoch of this installation".to_owned(),
            Self::Database => "the database is not the one the epoch was minted under".to_owned(),
            Self::Unknown(position) => format!(
                "position {} of epoch {} is authentic, but not in the log",
                position.version, position.epoch
            ),
        }
    }
}

/// The epoch after all that were seen: a UUIDv7 of `now`, or of the millisecond after the latest seen
/// where the clock is behind it.
#[must_use]
pub fn after(seen: Option<Epoch>, now: Timestamp, random: [u8; 10]) -> Epoch {
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let millis = match seen.map(|seen| millis_of(seen) + 1) {
        Some(later) => now.max(later),
        None => now,
    };
    Epoch(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// The first 48 bits of a UUIDv7 are its milliseconds since 1970 (RFC 9562, section 5.7).
fn millis_of(epoch: Epoch) -> u64 {
    u64::try_from(epoch.0.as_u128() >> 80).unwrap_or(u64::MAX >> 16)
}

/// What the log says of an authentic position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is a place in this history.
    Known,
    /// It belongs to an earlier one; its holder needs a snapshot.
    Earlier,
    /// It proves that this database has lost history.
    Unknown,
}

/// Judges an authentic position by what one transaction read: the current epoch, the head, and the row
/// at the position's version, if it is kept.
#[must_use]
pub fn judge(position: &Position, head: &Position, row: Option<&Position>) -> Judgement {
    match position.epoch.cmp(&head.epoch) {
        std::cmp::Ordering::Less => Judgement::Earlier,
        std::cmp::Ordering::Greater => Judgement::Unknown,
        std::cmp::Ordering::Equal if position.version > head.version => Judgement::Unknown,
        std::cmp::Ordering::Equal => match row {
            Some(row) if row.digest != position.digest => Judgement::Unknown,
            // Without the row, it lies below what is kept, and its holder gets a snapshot.
            _ => Judgement::Known,
        },
    }
}

#[cfg(test)]
mod tests;
