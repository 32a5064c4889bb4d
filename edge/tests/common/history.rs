//! An origin's log of one region, kept in memory: rows chained as the origin chains them, and snapshots of any version.
//! Used by unit tests and by the scripted origin alike.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared between test crates; each uses a part"
)]

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::codec;
use liveevents_protocol::entry::{Delta, Entry, EntryKey};
use liveevents_protocol::frame::{FORMAT_V1, Row, Rows, SnapshotChunk};
use liveevents_protocol::id::{ChangeId, EventId, RegionId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{
    Assignment, BucketBy, Candidate, Content, EventType, Localization, Suspension,
};
use liveevents_protocol::position::{Digest, Position, SealedPosition};
use liveevents_protocol::schedule::{Occurrence, Schedule};
use liveevents_protocol::segment::{Criteria, Range, Segment};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};
use uuid::Uuid;

/// A region's history from its beginning.
#[derive(Clone)]
pub struct History {
    pub region: RegionId,
    pub epoch: Epoch,
    rows: Vec<Row>,
    /// After each version, from 0.
    digests: Vec<Digest>,
    states: Vec<RegionState>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} up to {} of {}: ",
            self.region,
            self.head(),
            self.epoch
        )?;
        let entries = self
            .rows
            .iter()
            .map(|row| codec::decode_entries(FORMAT_V1, &row.entries));
        f.debug_list()
            .entries(
                entries
                    .flatten()
                    .map(|row| row.iter().map(Entry::key).collect::<Vec<_>>()),
            )
            .finish()
    }
}

/// An epoch that orders by its number.
pub fn epoch(number: u128) -> Epoch {
    Epoch(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 | number,
    ))
}

pub fn event(name: &str) -> EventId {
    name.parse().unwrap()
}

pub fn content(name: &str, revision: u32) -> Content {
    let german = Localization {
        display_name: Some(format!("{name} auf Deutsch")),
        description: None,
        custom_fields: None,
    };
    Content {
        event_id: event(name),
        revision: Revision(revision),
        event_type: EventType::LimitedTimeOffer,
        display_name: format!("{name} {revision}"),
        description: "Twice as much.".to_owned(),
        category: None,
        priority: 0,
        tags: vec!["sale".to_owned()],
        localizations: [("de".to_owned(), german)].into(),
        requires: Default::default(),
        when_stale: Default::default(),
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: JsonText::new(format!(r#"{{"multipliers":{{"xp":{revision}}}}}"#)).unwrap(),
    }
}

/// Live, from an hour before 1970 to the year 2100.
pub fn assignment(name: &str, live: u32) -> Assignment {
    let opens = Timestamp::UNIX_EPOCH - SignedDuration::from_hours(1);
    let closes = "2100-01-01T00:00:00Z".parse().unwrap();
    Assignment {
        event_id: event(name),
        salt: "salt".to_owned(),
        live: Some(Revision(live)),
        candidate: None,
        schedule: Schedule::new(vec![Occurrence { opens, closes }]).unwrap(),
        suspension: Suspension::default(),
        full: false,
    }
}

/// A revision made live.
pub fn put(name: &str, revision: u32) -> Vec<Entry> {
    vec![
        content(name, revision).into(),
        assignment(name, revision).into(),
    ]
}

/// A revision tried on everybody who gives the key.
pub fn try_on_all(name: &str, live: u32, candidate: u32, bucket_by: &str) -> Vec<Entry> {
    let mut assignment = assignment(name, live);
    assignment.candidate = Some(Candidate {
        revision: Revision(candidate),
        exposure: BasisPoints::ALL,
        bucket_by: BucketBy(bucket_by.to_owned()),
    });
    vec![content(name, candidate).into(), assignment.into()]
}

/// The event withdrawn, with the content it had.
pub fn remove(name: &str, revision: u32) -> Vec<Entry> {
    vec![
        Entry::Removal(EntryKey::Assignment(event(name))),
        Entry::Removal(EntryKey::Content(event(name), Revision(revision))),
    ]
}

/// A segment of players from a level on.
pub fn from_level(name: &str, revision: u32, level: u32) -> Entry {
    let criteria = Criteria {
        level_range: Range::new(Some(level.into()), None).ok(),
        ..Criteria::default()
    };
    Segment {
        id: name.parse().unwrap(),
        revision: Revision(revision),
        criteria,
    }
    .into()
}

/// A revision made live for players of one segment.
pub fn put_for(name: &str, revision: u32, segment: &str) -> Vec<Entry> {
    let content = Content {
        target_segments: vec![segment.parse().unwrap()],
        ..content(name, revision)
    };
    vec![content.into(), assignment(name, revision).into()]
}

/// Turns the configuration of a revision into no JSON, wherever it stands.
pub fn spoil(bytes: &mut [u8], revision: u32) {
    let json = format!("\"xp\":{revision}}}");
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(json.as_bytes()) {
            bytes[at] = b'?';
        }
    }
}

impl History {
    pub fn new(region: &str, epoch: Epoch) -> Self {
        Self {
            region: region.parse().unwrap(),
            epoch,
            rows: Vec::new(),
            digests: vec![Digest::START],
            states: vec![RegionState::empty(epoch)],
        }
    }

    /// Appends a change; gives its version.
    pub fn commit(&mut self, entries: Vec<Entry>, at: Timestamp) -> Version {
        self.append(entries, at, |_| {})
    }

    /// The same, but that what is sent of it has no JSON where the configuration of this revision should be.
    pub fn commit_spoilt(&mut self, entries: Vec<Entry>, revision: u32, at: Timestamp) -> Version {
        self.append(entries, at, |bytes| spoil(bytes, revision))
    }

    fn append(
        &mut self,
        entries: Vec<Entry>,
        at: Timestamp,
        edit: impl FnOnce(&mut [u8]),
    ) -> Version {
        let version = self.head().next();
        let mut bytes = codec::encode_entries(&entries).unwrap();
        edit(&mut bytes);
        let change = ChangeId(Uuid::from_u128(u128::from(version.0)));
        let digest = self
            .digest(self.head())
            .chain(version, change, FORMAT_V1, &bytes);
        let delta = Delta::of_row(self.epoch, version, entries);
        self.states
            .push(self.state(self.head()).apply(&delta).unwrap());
        self.digests.push(digest);
        self.rows.push(Row {
            version,
            change,
            committed_at: at,
            entries: bytes,
        });
        version
    }

    pub fn head(&self) -> Version {
        Version(self.rows.len() as u64)
    }

    pub fn state(&self, at: Version) -> &RegionState {
        &self.states[usize::try_from(at.0).unwrap()]
    }

    fn digest(&self, at: Version) -> Digest {
        self.digests[usize::try_from(at.0).unwrap()]
    }

    pub fn position(&self, at: Version) -> SealedPosition {
        SealedPosition {
            position: Position {
                epoch: self.epoch,
                version: at,
                digest: self.digest(at),
            },
            mac: [7; 16],
        }
    }

    /// The rows after `from` up to `to`.
    pub fn rows(&self, from: Version, to: Version) -> Rows {
        let range = usize::try_from(from.0).unwrap()..usize::try_from(to.0).unwrap();
        Rows {
            region: self.region.clone(),
            position: self.position(to),
            rows: self.rows[range].to_vec(),
        }
    }

    /// A snapshot of a version, an entry a chunk.
    pub fn chunks(&self, at: Version) -> Vec<SnapshotChunk> {
        let state = self.state(at);
        let entries = state.snapshot().entries;
        let pieces: Vec<&[_]> = if entries.is_empty() {
            vec![&[]]
        } else {
            entries.chunks(1).collect()
        };
        let last = pieces.len() - 1;
        let chunk = |(index, piece): (usize, &&[_])| SnapshotChunk {
            region: self.region.clone(),
            position: self.position(at),
            floor: state.floor(),
            index: u32::try_from(index).unwrap(),
            last: index == last,
            entries: codec::encode_stamped(piece).unwrap(),
        };
        pieces.iter().enumerate().map(chunk).collect()
    }
}
