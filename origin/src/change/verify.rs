//! Before a change is committed, the edge's own code applies and evaluates it, from the bytes that edges
//! will get. What could not be applied never becomes a version.

use liveevents_protocol::codec;
use liveevents_protocol::entry::{Delta, Entry, Snapshot, Stamped};
use liveevents_protocol::evaluate::{Keys, evaluate};
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::BucketBy;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};

use super::{ChangeError, Edit, Held};

const BEFORE: Version = Version(1);
const AFTER: Version = Version(2);

/// Applies the encoded entries to what the region holds of the touched events, and looks at the result.
pub(super) fn verify(
    region: &RegionId,
    epoch: Epoch,
    held: &Held,
    encoded: &[u8],
    edits: &[Edit],
) -> Result<(), ChangeError> {
    let unappliable = |problem: String| ChangeError::Unappliable {
        region: region.clone(),
        problem,
    };
    let entries = codec::decode_entries(FORMAT_V1, encoded)
        .map_err(|error| unappliable(error.to_string()))?;
    let brought: Vec<_> = entries.iter().map(Entry::key).collect();
    let before = RegionState::from_snapshot(Snapshot {
        epoch,
        version: BEFORE,
        floor: BEFORE,
        entries: held
            .assignments
            .values()
            .map(|a| Stamped {
                version: BEFORE,
                entry: a.clone().into(),
            })
            .collect(),
    });
    let after = before
        .and_then(|state| state.apply(&Delta::of_row(epoch, AFTER, entries)))
        .map_err(|error| unappliable(error.to_string()))?;
    for edit in edits {
        let Some(assignment) = after.assignment(edit.event()) else {
            continue;
        };
        let event = &assignment.event_id;
        for revision in assignment.revisions() {
            let key = liveevents_protocol::entry::EntryKey::Content(event.clone(), revision);
            let held = held.contents.contains(&(event.clone(), revision));
            if held == brought.contains(&key) {
                return Err(unappliable(format!(
                    "revision {revision} of {event} is not there"
                )));
            }
        }
        let keys = [(BucketBy::PLAYER, "verification")];
        for occurrence in assignment.schedule.occurrences().iter().take(1) {
            let outcome = evaluate(assignment, Keys(&keys), occurrence.opens);
            if outcome
                .revision()
                .is_some_and(|r| !assignment.revisions().any(|of| of == r))
            {
                return Err(unappliable(format!(
                    "{event} shows a revision it does not name"
                )));
            }
        }
    }
    Ok(())
}
