//! What is written is read back: every frame, entry, bundle and message.

use liveevents_protocol::codec::{self, EncodeError};
use liveevents_protocol::entry::{Entry, EntryKey, Stamped};
use liveevents_protocol::frame::{FORMAT_V1, OriginFrame, Row, Rows};
use liveevents_protocol::id::ChangeId;
use liveevents_protocol::limits::{CHUNK_ENTRIES, MAX_BODY, MAX_ROW, SNAPSHOT_CHUNK};
use liveevents_protocol::position::{Digest, Position, SealedPosition};
use liveevents_protocol::version::{Epoch, Revision, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::generate::{self, client_message, edge_frame, origin_frame, server_message};
use super::sample::Value;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        edge_frame().prop_map(Value::Edge),
        origin_frame().prop_map(Value::Origin),
        vec(generate::entry(), 0..4).prop_map(Value::Entries),
        vec(generate::stamped(), 0..4).prop_map(Value::Stamped),
        generate::trust().prop_map(Value::Trust),
        client_message().prop_map(Value::Client),
        server_message().prop_map(Value::Server),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_value_comes_back(value in value()) {
        let bytes = value.encode();
        prop_assert_eq!(value.decoder().decode(&bytes), Ok(value.clone()));
        prop_assert_eq!(value.encode(), bytes, "the same bytes each time");
    }
}

proptest! {
    #[test]
    fn chunks_are_the_snapshot_in_pieces(entries in vec(generate::stamped(), 0..20)) {
        let chunks = codec::encode_chunks(&entries).unwrap();
        prop_assert!(!chunks.is_empty());
        let told: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| codec::decode_stamped(chunk).unwrap())
            .collect();
        prop_assert_eq!(told, entries);
    }
}

fn removals(count: u32) -> Vec<Stamped> {
    let event: liveevents_protocol::id::EventId = "e".parse().unwrap();
    (0..count)
        .map(|revision| Stamped {
            version: Version(1),
            entry: Entry::Removal(EntryKey::Content(event.clone(), Revision(revision))),
        })
        .collect()
}

#[test]
fn chunks_are_bounded_in_bytes_and_entries() {
    let mut entries = removals(25_000);
    let large = "x".repeat(SNAPSHOT_CHUNK / 2);
    for revision in 0..5 {
        let content = super::samples::all()
            .into_iter()
            .find_map(|sample| match sample.value {
                Value::Stamped(mut stamped) => Some(stamped.remove(0)),
                _ => None,
            });
        let Some(Stamped {
            version,
            entry: Entry::Put(liveevents_protocol::entry::Value::Content(content)),
        }) = content
        else {
            panic!("the sample begins with a content");
        };
        let mut content = (*content).clone();
        content.revision = Revision(revision);
        content.description = large.clone();
        entries.push(Stamped {
            version,
            entry: content.into(),
        });
    }
    let chunks = codec::encode_chunks(&entries).unwrap();
    let decoded: Vec<_> = chunks
        .iter()
        .map(|c| codec::decode_stamped(c).unwrap())
        .collect();
    let counts: Vec<_> = decoded.iter().map(Vec::len).collect();
    assert_eq!(counts, [CHUNK_ENTRIES, CHUNK_ENTRIES, 5_001, 1, 1, 1, 1]);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.len() <= SNAPSHOT_CHUNK + 10)
    );
    assert_eq!(decoded.concat(), entries);
    assert_eq!(codec::encode_chunks(&[]).unwrap().len(), 1);
}

#[test]
fn what_is_written_can_be_read_up_to_the_limits() {
    let fits: Vec<_> = removals(70_000).into_iter().map(|s| s.entry).collect();
    let bytes = codec::encode_entries(&fits).unwrap();
    assert_eq!(codec::decode_entries(FORMAT_V1, &bytes).unwrap(), fits);

    let too_many: Vec<_> = removals(200_000).into_iter().map(|s| s.entry).collect();
    assert!(matches!(
        codec::encode_entries(&too_many),
        Err(EncodeError::Unencodable(_))
    ));
}

/// A gap inside a frame would go unseen by a receiver that looks at its ends.
#[test]
fn rows_follow_each_other_and_end_at_the_position() {
    let decode = |versions: &[u64], end: u64| {
        let frame = OriginFrame::Rows(rows(end, versions.iter().map(|&v| (v, 0))));
        let bytes = codec::encode_origin_frame(&frame).unwrap();
        Value::Origin(frame).decoder().decode(&bytes).is_ok()
    };
    assert!(decode(&[7], 7));
    assert!(decode(&[6, 7], 7));
    assert!(decode(&[u64::MAX - 1, u64::MAX], u64::MAX));
    let refused: [(&[u64], u64); 7] = [
        (&[], 7),
        (&[6], 7),
        (&[8], 7),
        (&[5, 7], 7),
        (&[7, 7], 7),
        (&[7, 6], 6),
        (&[u64::MAX, 0], 0),
    ];
    for (versions, end) in refused {
        assert!(!decode(versions, end), "{versions:?} up to {end}");
    }
}

fn rows(end: u64, rows: impl IntoIterator<Item = (u64, usize)>) -> Rows {
    let row = |(version, len)| Row {
        version: Version(version),
        change: ChangeId(Uuid::nil()),
        committed_at: jiff::Timestamp::UNIX_EPOCH,
        entries: vec![0; len],
    };
    Rows {
        region: "us-east".parse().unwrap(),
        position: SealedPosition {
            position: Position {
                epoch: Epoch(Uuid::nil()),
                version: Version(end),
                digest: Digest::START,
            },
            mac: [0; 16],
        },
        rows: rows.into_iter().map(row).collect(),
    }
}

#[test]
fn the_largest_row_fits_a_frame_and_nothing_larger_does() {
    let frame = |len| OriginFrame::Rows(rows(1, [(1, len)]));
    let largest = Value::Origin(frame(MAX_ROW));
    assert_eq!(
        largest.decoder().decode(&largest.encode()),
        Ok(largest.clone())
    );
    assert!(matches!(
        codec::encode_origin_frame(&frame(MAX_BODY)),
        Err(EncodeError::TooLarge {
            limit: MAX_BODY,
            ..
        })
    ));
}
