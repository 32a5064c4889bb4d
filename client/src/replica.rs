//! What to do with a snapshot or a delta, given what is held. Pure.
//!
//! - A later epoch replaces whatever is held, and only by a snapshot.
//! - An earlier epoch is refused: that edge has not heard of the new history yet.
//! - Within an epoch nothing goes back: what is older, or the same, changes nothing.
//! - A delta that starts beyond what is held would leave a gap, and is refused.
//! - An event of which something cannot be read, or whose contents are not there, stays as it was, and is told.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use liveevents_protocol::entry::{Entry, Stamped};
use liveevents_protocol::id::EventId;
use liveevents_protocol::message::{DeltaMessage, SnapshotMessage, Unread};
use liveevents_protocol::state::{ApplyError, RegionState};
use liveevents_protocol::version::{Epoch, Version};

use crate::disconnected::Disconnected;

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The client is somewhere else now.
    Forward(Forward),
    /// It held all that already.
    Nothing,
}

/// Where the client is now.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Where a delta started, none for a snapshot.
    pub(crate) from: Option<Version>,
    pub(crate) state: Arc<RegionState>,
    /// What could not be read, or used.
    pub(crate) unread: Vec<Unread>,
    /// The events that are as the edge told them now; `None` for all but those above.
    pub(crate) read: Option<BTreeSet<EventId>>,
    /// Whether the edge said that it lacks something itself.
    pub(crate) degraded: bool,
}

/// Takes a snapshot. `anew` is whether what is held lacks something, so that the same version is taken again.
pub(crate) fn snapshot(
    held: Option<&RegionState>,
    anew: bool,
    message: SnapshotMessage,
) -> Result<Taken, Disconnected> {
    if let Some(held) = held {
        let order = message.epoch.cmp(&held.epoch());
        match order.then(message.to.cmp(&held.version())) {
            _ if order == Ordering::Less => return Err(earlier(held, message.epoch)),
            Ordering::Less => return Ok(Taken::Nothing),
            Ordering::Equal if !anew => return Ok(Taken::Nothing),
            Ordering::Equal | Ordering::Greater => {}
        }
    }
    let mut message = message;
    let degraded = message.degraded;
    let mut unread = std::mem::take(&mut message.unread);
    let whole = message.into_snapshot();
    loop {
        let mut kept = whole.clone();
        let aside = events(&unread);
        let is_aside = |stamped: &Stamped| belongs_to(stamped, &aside);
        kept.entries.retain(|stamped| !is_aside(stamped));
        if let Some(held) = held.filter(|_| !aside.is_empty()) {
            let before = held.snapshot().entries.into_iter();
            let version = whole.version;
            kept.entries.extend(
                before
                    .filter(|stamped| matches!(stamped.entry, Entry::Put(_)) && is_aside(stamped))
                    .map(|stamped| Stamped { version, ..stamped }),
            );
        }
        let state = RegionState::from_snapshot(kept).map_err(malformed)?;
        let told: BTreeSet<_> = state.assignments().map(|a| a.event_id.clone()).collect();
        if complain(&state, told.difference(&aside), &mut unread) {
            continue;
        }
        return Ok(Taken::Forward(Forward {
            from: None,
            state: Arc::new(state),
            unread,
            read: None,
            degraded,
        }));
    }
}

/// Takes a delta.
pub(crate) fn delta(
    held: Option<&RegionState>,
    mut message: DeltaMessage,
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
    let degraded = message.degraded;
    let mut unread = std::mem::take(&mut message.unread);
    let mut delta = message.into_delta();
    loop {
        let aside = events(&unread);
        delta.entries.retain(|stamped| !belongs_to(stamped, &aside));
        let state = held.apply(&delta).map_err(|error| match error {
            ApplyError::Gap { version, from } => Disconnected::Gap {
                held: Some(version),
                from,
            },
            error => malformed(error),
        })?;
        let read: BTreeSet<_> = delta
            .entries
            .iter()
            .filter_map(|stamped| stamped.entry.key().event().cloned())
            .collect();
        if complain(&state, read.iter(), &mut unread) {
            continue;
        }
        return Ok(Taken::Forward(Forward {
            from: Some(from),
            state: Arc::new(state),
            unread,
            read: Some(read),
            degraded,
        }));
    }
}

fn belongs_to(stamped: &Stamped, events: &BTreeSet<EventId>) -> bool {
    let key = stamped.entry.key();
    key.event().is_some_and(|event| events.contains(event))
}

fn events(unread: &[Unread]) -> BTreeSet<EventId> {
    unread.iter().filter_map(|u| u.event.clone()).collect()
}

/// Adds those events whose assignments name contents that are not there; whether there are any.
fn complain<'a>(
    state: &RegionState,
    events: impl Iterator<Item = &'a EventId>,
    unread: &mut Vec<Unread>,
) -> bool {
    let before = unread.len();
    unread.extend(events.filter_map(|event| {
        let dangling = state.check(event).err()?;
        Some(Unread {
            event: Some(event.clone()),
            revision: Some(dangling.revision),
            reason: "its content was not sent, or could not be read".to_owned(),
        })
    }));
    unread.len() > before
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
    use liveevents_protocol::message::EntryMessage;
    use liveevents_protocol::model::{Assignment, Suspension};
    use liveevents_protocol::schedule::Schedule;
    use liveevents_protocol::version::Revision;
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
        match snapshot(None, false, whole(OURS, 5)) {
            Ok(Taken::Forward(forward)) => (*forward.state).clone(),
            other => panic!("{other:?}"),
        }
    }

    /// `5`, `nothing`, or why not.
    fn verdict(taken: Result<Taken, Disconnected>) -> String {
        match taken {
            Ok(Taken::Forward(Forward { from, state, .. })) => match from {
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
            assert_eq!(
                verdict(snapshot(Some(&held), false, whole(epoch, to))),
                expected
            );
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
        // What lacks something is taken again, but no older one.
        for (to, expected) in [(4, "nothing"), (5, "at 5")] {
            assert_eq!(
                verdict(snapshot(Some(&held), true, whole(OURS, to))),
                expected
            );
        }
    }

    /// Revision of each event's assignment and of its contents, such as `a1[1]`.
    fn shape(forward: &Forward) -> String {
        let of = |assignment: &Assignment| {
            let live = assignment.live.unwrap();
            let has = forward.state.content(&assignment.event_id, live).is_some();
            format!(
                "{}{}{}",
                assignment.event_id,
                live,
                if has { "" } else { "?" }
            )
        };
        let all: Vec<_> = forward.state.assignments().map(of).collect();
        all.join(" ")
    }

    fn forward(taken: Result<Taken, Disconnected>) -> Forward {
        match taken {
            Ok(Taken::Forward(forward)) => forward,
            other => panic!("{other:?}"),
        }
    }

    fn entries(event: &str, revision: u32, with_content: bool) -> Vec<EntryMessage> {
        let assignment = Assignment {
            event_id: event.parse().unwrap(),
            salt: String::new(),
            live: Some(Revision(revision)),
            candidate: None,
            schedule: Schedule::default(),
            suspension: Suspension::default(),
            full: false,
        };
        let text = format!(
            r#"{{"eventId":"{event}","revision":{revision},"type":"ContentRelease","displayName":"","configuration":{{}}}}"#
        );
        let content = serde_json::from_str(&text).unwrap();
        let content = with_content.then_some(EntryMessage::Content(content));
        content
            .into_iter()
            .chain([EntryMessage::Assignment(assignment)])
            .collect()
    }

    fn unread(event: &str) -> Unread {
        Unread {
            event: event.parse().ok(),
            revision: None,
            reason: "MoonFestival".to_owned(),
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_stays_as_it_was_and_no_other() {
        let first = DeltaMessage {
            entries: [entries("a", 1, true), entries("b", 1, true)].concat(),
            ..part(OURS, 5, 6)
        };
        let held = forward(delta(Some(&held()), first)).state;
        // The content of a's second revision could not be read: neither is its assignment taken.
        let second = DeltaMessage {
            entries: [entries("a", 2, false), entries("b", 2, true)].concat(),
            unread: vec![unread("a")],
            ..part(OURS, 6, 7)
        };
        let taken = forward(delta(Some(&held), second));
        assert_eq!(shape(&taken), "a1 b2");
        assert_eq!(taken.state.version(), Version(7), "it goes on");
        assert_eq!(taken.unread, [unread("a")]);
        // Another one later names what was never there,
        let third = DeltaMessage {
            entries: entries("a", 2, false),
            ..part(OURS, 7, 8)
        };
        let taken = forward(delta(Some(&taken.state), third));
        assert_eq!(shape(&taken), "a1 b2");
        let complaint = taken.unread.first().unwrap();
        assert_eq!(complaint.revision, Some(Revision(2)));
        // until one can be read again.
        let fourth = DeltaMessage {
            entries: entries("a", 3, true),
            ..part(OURS, 8, 9)
        };
        let taken = forward(delta(Some(&taken.state), fourth));
        assert_eq!(shape(&taken), "a3 b2");
        assert_eq!((taken.unread.len(), taken.read.unwrap().len()), (0, 1));
    }

    #[test]
    fn a_snapshot_keeps_what_was_held_of_an_event_that_it_cannot_tell() {
        let first = DeltaMessage {
            entries: [entries("a", 1, true), entries("b", 1, true)].concat(),
            ..part(OURS, 5, 6)
        };
        let held = forward(delta(Some(&held()), first)).state;
        let mut later = whole(LATER, 2);
        let (all, b) = (entries("a", 4, false), entries("b", 5, true));
        for entry in all.into_iter().chain(b) {
            match entry {
                EntryMessage::Content(content) => later.contents.push(content),
                EntryMessage::Assignment(assignment) => later.assignments.push(assignment),
                other => panic!("{other:?}"),
            }
        }
        for told in [Vec::new(), vec![unread("a")]] {
            let message = SnapshotMessage {
                unread: told,
                ..later.clone()
            };
            let taken = forward(snapshot(Some(&held), false, message));
            assert_eq!(shape(&taken), "a1 b5");
            assert_eq!(taken.unread.len(), 1);
            // Without anything held there is nothing to keep.
            let taken = forward(snapshot(None, false, later.clone()));
            assert_eq!(shape(&taken), "b5");
        }
    }
}
