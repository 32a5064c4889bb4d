//! What to do with a snapshot or a delta, given what is held. Pure.
//!
//! - A later epoch replaces whatever is held, and only by a snapshot.
//! - An earlier epoch is refused: that edge has not heard of the new history yet.
//! - Within an epoch nothing goes back: what is older, or the same, changes nothing.
//! - A delta that starts beyond what is held would leave a gap, and is refused.

use std::cmp::Ordering;
use std::sync::Arc;

use liveevents_protocol::message::{DeltaMessage, SnapshotMessage};
use liveevents_protocol::state::{ApplyError, RegionState};
use liveevents_protocol::version::{Epoch, Version};

use crate::disconnected::Disconnected;

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The client is at this state now; `from` is where a delta started, none for a snapshot.
    Forward {
        from: Option<Version>,
        state: Arc<RegionState>,
    },
    /// It held all that already.
    Nothing,
}

/// Takes a snapshot.
pub(crate) fn snapshot(
    held: Option<&RegionState>,
    message: SnapshotMessage,
) -> Result<Taken, Disconnected> {
    if let Some(held) = held {
        match message.epoch.cmp(&held.epoch()) {
            Ordering::Less => return Err(earlier(held, message.epoch)),
            Ordering::Equal if message.to <= held.version() => return Ok(Taken::Nothing),
            Ordering::Equal | Ordering::Greater => {}
        }
    }
    let state = RegionState::from_snapshot(message.into_snapshot()).map_err(malformed)?;
    Ok(Taken::Forward {
        from: None,
        state: Arc::new(state),
    })
}

/// Takes a delta.
pub(crate) fn delta(
    held: Option<&RegionState>,
    message: DeltaMessage,
) -> Result<Taken, Disconnected> {
    let from = message.from;
    let Some(held) = held else {
        return Err(Disconnected::Gap { held: None, from });
    };
    match message.epoch.cmp(&held.epoch()) {
        Ordering::Less => return Err(earlier(held, message.epoch)),
        Ordering::Greater => {
            return Err(Disconnected::OtherEpoch {
                ours: held.epoch(),
                theirs: message.epoch,
            });
        }
        Ordering::Equal if message.to <= held.version() => return Ok(Taken::Nothing),
        Ordering::Equal => {}
    }
    let state = held
        .apply(&message.into_delta())
        .map_err(|error| match error {
            ApplyError::Gap { version, from } => Disconnected::Gap {
                held: Some(version),
                from,
            },
            error => malformed(error),
        })?;
    Ok(Taken::Forward {
        from: Some(from),
        state: Arc::new(state),
    })
}

fn earlier(held: &RegionState, theirs: Epoch) -> Disconnected {
    Disconnected::EarlierEpoch {
        ours: held.epoch(),
        theirs,
    }
}

fn malformed(error: ApplyError) -> Disconnected {
    Disconnected::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use liveevents_protocol::entry::{Delta, Snapshot};
    use uuid::Uuid;

    const EARLIER: Epoch = Epoch(Uuid::from_u128(1));
    const OURS: Epoch = Epoch(Uuid::from_u128(2));
    const LATER: Epoch = Epoch(Uuid::from_u128(3));

    fn whole(epoch: Epoch, to: u64) -> SnapshotMessage {
        let (version, floor) = (Version(to), Version(0));
        let snapshot = Snapshot {
            epoch,
            version,
            floor,
            entries: Vec::new(),
        };
        SnapshotMessage::new(snapshot, Timestamp::UNIX_EPOCH, None)
    }

    fn part(epoch: Epoch, from: u64, to: u64) -> DeltaMessage {
        let (from, to) = (Version(from), Version(to));
        let delta = Delta {
            epoch,
            from,
            to,
            entries: Vec::new(),
        };
        DeltaMessage::new(delta, Timestamp::UNIX_EPOCH, None)
    }

    fn held() -> RegionState {
        match snapshot(None, whole(OURS, 5)) {
            Ok(Taken::Forward { from: None, state }) => (*state).clone(),
            other => panic!("{other:?}"),
        }
    }

    /// `5`, `nothing`, or why not.
    fn verdict(taken: Result<Taken, Disconnected>) -> String {
        match taken {
            Ok(Taken::Forward { from, state }) => match from {
                Some(from) => format!("{from} to {}", state.version()),
                None => format!("at {}", state.version()),
            },
            Ok(Taken::Nothing) => "nothing".to_owned(),
            Err(Disconnected::Gap { .. }) => "gap".to_owned(),
            Err(Disconnected::EarlierEpoch { .. }) => "earlier".to_owned(),
            Err(Disconnected::OtherEpoch { .. }) => "other".to_owned(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn never_goes_back_and_leaves_no_gap() {
        let held = held();
        let snapshots = [
            (EARLIER, 9, "earlier"),
            (OURS, 4, "nothing"),
            (OURS, 5, "nothing"),
            (OURS, 6, "at 6"),
            (LATER, 1, "at 1"),
        ];
        for (epoch, to, expected) in snapshots {
            assert_eq!(verdict(snapshot(Some(&held), whole(epoch, to))), expected);
        }
        let deltas = [
            (EARLIER, 5, 6, "earlier"),
            (OURS, 2, 4, "nothing"),
            (OURS, 4, 5, "nothing"),
            (OURS, 4, 7, "4 to 7"),
            (OURS, 5, 6, "5 to 6"),
            (OURS, 6, 7, "gap"),
            (LATER, 5, 6, "other"),
        ];
        for (epoch, from, to, expected) in deltas {
            assert_eq!(verdict(delta(Some(&held), part(epoch, from, to))), expected);
        }
        assert_eq!(verdict(delta(None, part(OURS, 0, 1))), "gap");
    }
}
