//! The entries of a log row, and the delta that they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{decode_entries, encode_entries};
use liveevents_protocol::entry::Delta;
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};
use uuid::Uuid;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = decode_entries(FORMAT_V1, bytes) else {
        return;
    };
    let encoded = encode_entries(&entries).expect("what was decoded is within the limits");
    assert_eq!(decode_entries(FORMAT_V1, &encoded).as_ref(), Ok(&entries));

    let epoch = Epoch(Uuid::nil());
    let row = Delta::of_row(epoch, Version(1), entries);
    let state = RegionState::empty(epoch)
        .apply(&row)
        .expect("a first row applies");
    for assignment in state.assignments() {
        let _ = state.check(&assignment.event_id);
    }
});
