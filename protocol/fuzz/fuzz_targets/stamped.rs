//! A snapshot's entries, all at once and one by one, and the state that they tell.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{decode_stamped, encode_chunks, encode_stamped, read_stamped};
use liveevents_protocol::entry::{Snapshot, Stamped};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};
use uuid::Uuid;

fuzz_target!(|bytes: &[u8]| {
    let one_by_one = read_stamped(bytes).and_then(|raws| {
        let decoded = raws.into_iter().map(|(version, raw)| {
            let entry = raw.decode()?;
            Ok(Stamped { version, entry })
        });
        decoded.collect::<Result<Vec<_>, _>>()
    });
    let all_at_once = decode_stamped(bytes);
    assert_eq!(one_by_one.is_ok(), all_at_once.is_ok());
    let Ok(entries) = all_at_once else {
        return;
    };
    assert_eq!(one_by_one.as_ref(), Ok(&entries));
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
