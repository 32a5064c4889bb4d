//! What is in a state file: a line with the format's number and a checksum of all that follows, then one JSON object
//! with whose events these are, when they were current, and the snapshot as an edge would send it. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::id::{EventId, Installation, RegionId};
use liveevents_protocol::message::SnapshotMessage;
use liveevents_protocol::state::RegionState;
use serde::{Deserialize, Serialize};

use super::StateFileError;

const MAGIC: &str = "liveevents-state/";
const FORMAT: u32 = 1;

/// What a file says.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) installation: Installation,
    pub(super) region: RegionId,
    pub(super) filter: Filter,
    pub(super) current_at: Option<Timestamp>,
    /// Events that are not as the edge told them.
    pub(super) unread: BTreeSet<EventId>,
    /// Whether it lacks what the edge that told it could not use.
    pub(super) degraded: bool,
    pub(super) state: RegionState,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    installation: Installation,
    region: RegionId,
    #[serde(default, skip_serializing_if = "Filter::is_everything")]
    filter: Filter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    unread: BTreeSet<EventId>,
    snapshot: SnapshotMessage,
}

pub(super) fn write(saved: &Saved) -> Result<Vec<u8>, serde_json::Error> {
    let time = saved.current_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let body = Body {
        installation: saved.installation.clone(),
        region: saved.region.clone(),
        filter: saved.filter.clone(),
        current_at: saved.current_at,
        unread: saved.unread.clone(),
        snapshot: SnapshotMessage {
            degraded: saved.degraded,
            ..SnapshotMessage::new(saved.state.snapshot(), time, None)
        },
    };
    let body = serde_json::to_vec(&body)?;
    let mut bytes = format!("{MAGIC}{FORMAT} {}\n", checksum(&body)).into_bytes();
    bytes.extend(body);
    Ok(bytes)
}

pub(super) fn read(bytes: &[u8]) -> Result<Saved, StateFileError> {
    let damaged = |what: &str| StateFileError::Damaged(what.to_owned());
    if bytes.is_empty() {
        return Err(damaged("it is empty"));
    }
    let rest = bytes
        .strip_prefix(MAGIC.as_bytes())
        .ok_or(StateFileError::SomethingElse)?;
    let end = rest.iter().position(|&byte| byte == b'\n');
    let (line, body) = end
        .and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)))
        .ok_or_else(|| damaged("its first line is not whole"))?;
    let line = std::str::from_utf8(line).map_err(|_| damaged("its first line is no text"))?;
    let (format, sum) = line.split_once(' ').unwrap_or((line, ""));
    match format.parse() {
        Ok(FORMAT) => {}
        Ok(newer) if newer > FORMAT => return Err(StateFileError::Newer(newer)),
        _ => return Err(damaged("its format is no number that ever was")),
    }
    if sum != checksum(body) {
        return Err(damaged("its checksum is another"));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| damaged(&error.to_string()))?;
    // What an earlier program wrote is read by a later one, and the other way round within a format.
    let mut unread = body.unread;
    unread.extend(body.snapshot.unread.iter().filter_map(|u| u.event.clone()));
    let degraded = body.snapshot.degraded;
    let state = RegionState::from_snapshot(body.snapshot.into_snapshot())
        .map_err(|error| damaged(&error.to_string()))?;
    Ok(Saved {
        installation: body.installation,
        region: body.region,
        filter: body.filter,
        current_at: body.current_at,
        unread,
        degraded,
        state,
    })
}

/// 128 bits are enough to find damage; it keeps nobody out.
fn checksum(bytes: &[u8]) -> String {
    let (first, second) = mur3::murmurhash3_x64_128(bytes, 0);
    format!("{first:016x}{second:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use liveevents_protocol::entry::Delta;
    use liveevents_protocol::segment::{Criteria, Range, Segment};
    use liveevents_protocol::version::{Epoch, Revision, Version};
    use uuid::Uuid;

    fn saved() -> Saved {
        let epoch = Epoch(Uuid::from_u128(7));
        let segment = Segment {
            id: "vip".parse().unwrap(),
            revision: Revision(3),
            criteria: Criteria {
                level_range: Range::new(Some(10.into()), None).ok(),
                ..Criteria::default()
            },
        };
        let row = Delta::of_row(epoch, Version(1), vec![segment.into()]);
        Saved {
            installation: "game-test".parse().unwrap(),
            region: "us-east".parse().unwrap(),
            filter: Filter::default(),
            current_at: Timestamp::from_second(1_000).ok(),
            unread: BTreeSet::new(),
            degraded: false,
            state: RegionState::empty(epoch).apply(&row).unwrap(),
        }
    }

    #[test]
    fn says_again_what_was_said() {
        let bytes = write(&saved()).unwrap();
        let again = read(&bytes).unwrap();
        assert!(again.state.same_as(&saved().state));
        assert_eq!(again.current_at, saved().current_at);
        assert_eq!(
            (again.installation, again.region),
            (saved().installation, saved().region)
        );
    }

    #[test]
    fn any_damage_is_found() {
        let bytes = write(&saved()).unwrap();
        for len in 0..bytes.len() {
            read(&bytes[..len]).unwrap_err();
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            read(&flipped).unwrap_err();
        }
        let longer = [bytes.as_slice(), b" "].concat();
        assert!(matches!(read(&longer), Err(StateFileError::Damaged(_))));
    }

    #[test]
    fn a_newer_format_and_another_file_are_told_apart_from_damage() {
        let text = String::from_utf8(write(&saved()).unwrap()).unwrap();
        let newer = text.replacen("liveevents-state/1", "liveevents-state/2", 1);
        assert!(matches!(
            read(newer.as_bytes()),
            Err(StateFileError::Newer(2))
        ));
        let other = read(b"#!/bin/sh\n");
        assert!(matches!(other, Err(StateFileError::SomethingElse)));
    }
}
