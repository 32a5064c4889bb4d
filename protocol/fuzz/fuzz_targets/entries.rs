//! The entries of a log row, all at once and one by one, and the delta that they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{decode_entries, encode_entries, read_entries};
use liveevents_protocol::entry::Delta;
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};
use uuid::Uuid;

fuzz_target!(|bytes: &[u8]| {
    let one_by_one = read_entries(FORMAT_V1, bytes).and_then(|raws| {
        let decoded = raws.into_iter().map(|raw| {
            let key = raw.key();
            let entry = raw.decode()?;
            assert_eq!(key.as_ref(), Ok(&entry.key()));
            Ok(entry)
        });
        decoded.collect::<Result<Vec<_>, _>>()
    });
    for raw in read_entries(FORMAT_V1, bytes).unwrap_or_default() {
        let key = raw.key();
        let row = raw.into_row().expect("an entry of a row is a row");
        let again = read_entries(FORMAT_V1, &row).expect("its own row");
        assert_eq!(again.iter().map(|raw| raw.key()).collect::<Vec<_>>(), [key]);
    }
    let all_at_once = decode_entries(FORMAT_V1, bytes);
    assert_eq!(one_by_one.is_ok(), all_at_once.is_ok());
    let Ok(entries) = all_at_once else {
        return;
    };
    assert_eq!(one_by_one.as_ref(), Ok(&entries));
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
