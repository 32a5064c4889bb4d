//! A snapshot's entries, and the state that they tell.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{decode_stamped, encode_chunks, encode_stamped};
use liveevents_protocol::entry::Snapshot;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};
use uuid::Uuid;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = decode_stamped(bytes) else {
        return;
    };
    let encoded = encode_stamped(&entries).expect("what was decoded is within the limits");
    assert_eq!(decode_stamped(&encoded).as_ref(), Ok(&entries));

    let chunks = encode_chunks(&entries).expect("what was decoded is within the limits");
    let pieces = chunks
        .iter()
        .flat_map(|chunk| decode_stamped(chunk).expect("its own chunk"));
    assert!(pieces.eq(entries.iter().cloned()));

    for version in [Version(300), Version(u64::MAX)] {
        let told = RegionState::from_snapshot(Snapshot {
            epoch: Epoch(Uuid::nil()),
            version,
            floor: Version::ZERO,
            entries: entries.clone(),
        });
        let Ok(state) = told else { continue };
        let again = RegionState::from_snapshot(state.snapshot()).expect("its own snapshot");
        assert_eq!(again.snapshot(), state.snapshot());
        let all = state.since(state.floor()).expect("from the floor on");
        assert!(all.entries.len() <= entries.len());
        assert!(state.apply(&all).expect("its own delta").same_as(&state));
    }
});
