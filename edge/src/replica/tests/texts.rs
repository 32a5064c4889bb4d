//! The frames that receivers get: right, one for all, and encoded once.

use bytes::Bytes;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::message::{Cursor, DeltaMessage, ServerMessage, SnapshotMessage};
use liveevents_protocol::state::RegionState;
use prometheus::IntCounter;

use super::super::history::{assignment, content};
use super::super::{Encodings, Press, Selection, Step, Told};
use super::*;
use crate::limits::{DELTAS_KEPT, SNAPSHOT_PIECE, SNAPSHOT_SERVES, SPARED};

/// What a client puts together of a frame, or of several one after the other.
fn message(mut frame: &[u8]) -> ServerMessage {
    let mut text = Vec::new();
    loop {
        let (length, rest) = match frame[1] {
            126 => (
                usize::from(u16::from_be_bytes([frame[2], frame[3]])),
                &frame[4..],
            ),
            127 => {
                let length = u64::from_be_bytes(frame[2..10].try_into().unwrap());
                (usize::try_from(length).unwrap(), &frame[10..])
            }
            short => (usize::from(short), &frame[2..]),
        };
        text.extend(&rest[..length]);
        if frame[0] & 0x80 != 0 {
            assert_eq!(rest.len(), length);
            return ServerMessage::parse(str::from_utf8(&text).unwrap()).unwrap();
        }
        frame = &rest[length..];
    }
}

pub(super) fn delta(told: &Told) -> (Bytes, DeltaMessage) {
    match told {
        Told::Frame(frame) => match message(frame) {
            ServerMessage::Delta(delta) => (frame.clone(), delta),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// All pieces of a snapshot, put together.
fn assembled(frames: &[Bytes]) -> SnapshotMessage {
    let mut whole: Option<SnapshotMessage> = None;
    for (index, frame) in frames.iter().enumerate() {
        let ServerMessage::Snapshot(mut piece) = message(frame) else {
            panic!("{frame:?}");
        };
        assert_eq!(usize::try_from(piece.index).unwrap(), index);
        assert_eq!(piece.last, index + 1 == frames.len());
        match &mut whole {
            None => whole = Some(piece),
            Some(whole) => {
                whole.contents.append(&mut piece.contents);
                whole.assignments.append(&mut piece.assignments);
            }
        }
    }
    whole.unwrap()
}

pub(super) fn encodings() -> Encodings {
    Encodings {
        deltas: IntCounter::new("deltas", "Deltas.").unwrap(),
        snapshots: IntCounter::new("snapshots", "Snapshots.").unwrap(),
    }
}

pub(super) fn press(encodings: &Encodings) -> Press<'_> {
    Press {
        now: NOW,
        encodings,
    }
}

fn tagged(tag: &str) -> Selection {
    let tags = [tag.to_owned()].into();
    Some(Arc::new(Filter {
        tags,
        ..Filter::default()
    }))
}

#[test]
fn a_receiver_gets_what_it_lacks() {
    let history = sample();
    let published = told(&history, 3);
    let at = |epoch_number, version| {
        Some(Cursor {
            epoch: epoch(epoch_number),
            version: Version(version),
        })
    };
    let table = [
        (None, Step::Snapshot),
        (at(5, 3), Step::Current),
        (at(5, 2), Step::Delta(Version(2))),
        (at(5, 0), Step::Delta(Version(0))),
        (at(5, 4), Step::Ahead),
        (at(6, 0), Step::Ahead),
        (at(4, 3), Step::Snapshot),
        (at(4, 9), Step::Snapshot),
    ];
    for (cursor, expected) in table {
        assert_eq!(published.step(cursor), expected, "{cursor:?}");
    }
}

#[tokio::test]
async fn every_receiver_at_one_place_is_sent_the_same_bytes() {
    let published = Arc::new(told(&sample(), 4));
    let counted = encodings();
    let press = press(&counted);
    for from in 0..3 {
        let one = published.delta(Version(from), &None, press).await.unwrap();
        let other = published.delta(Version(from), &None, press).await.unwrap();
        let (frame, delta) = delta(&one);
        assert_eq!(
            frame.as_ptr(),
            self::delta(&other).0.as_ptr(),
            "from {from}"
        );
        assert_eq!((delta.from, delta.to), (Version(from), Version(4)));
    }
    let (one, _) = published.snapshot(None, &None, press).await.unwrap();
    let (other, _) = published.snapshot(None, &None, press).await.unwrap();
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!((counted.deltas.get(), counted.snapshots.get()), (3, 1));
}

#[tokio::test]
async fn receivers_with_the_same_filter_share_what_it_lets_pass() {
    let mut history = sample();
    let mut other = content("other", 1);
    other.tags = vec!["rare".to_owned()];
    let entries = vec![other.into(), assignment("other", 1).into()];
    history.commit(entries, NOW);
    history.commit(vec![assignment("other", 1).into()], NOW);
    let counted = encodings();
    let press = press(&counted);
    let published = told(&history, 6);
    // Equal, and not the same: as if from two edges' hellos.
    for filter in [tagged("rare"), tagged("rare")] {
        let told = published.delta(Version(4), &filter, press).await.unwrap();
        assert_eq!(delta(&told).1.entries.len(), 2);
        let (pieces, _) = published.snapshot(None, &filter, press).await.unwrap();
        assert_eq!(assembled(&pieces).assignments.len(), 1);
    }
    assert_eq!((counted.deltas.get(), counted.snapshots.get()), (1, 1));
    let told = published.delta(Version(5), &tagged("sale"), press).await;
    assert_eq!(told.unwrap(), Told::Nothing);
    assert_eq!(counted.deltas.get(), 1);
}

#[tokio::test]
async fn one_for_whom_there_is_nothing_is_told_so_after_long() {
    let mut history = sample();
    for revision in 3..=u32::try_from(SPARED + 3).unwrap() {
        history.commit(put("sale", revision), NOW);
    }
    let head = history.head().0;
    let counted = encodings();
    let published = told(&history, head);
    for (from, told) in [(head - SPARED, false), (head - SPARED - 1, true)] {
        let filter = tagged("rare");
        let found = published.delta(Version(from), &filter, press(&counted));
        match found.await.unwrap() {
            Told::Nothing => assert!(!told, "from {from}"),
            found => {
                let (_, delta) = delta(&found);
                assert!(told && delta.entries.is_empty(), "from {from}");
                assert_eq!((delta.from.0, delta.to.0), (from, head));
            }
        }
    }
}

#[tokio::test]
async fn receivers_far_apart_are_served_beyond_what_is_kept() {
    let mut history = History::new("us-east", epoch(5));
    let last = DELTAS_KEPT as u64 + 3;
    history.commit(put("sale", 1), NOW);
    while history.head() < Version(last) {
        history.commit(vec![assignment("sale", 1).into()], NOW);
    }
    let published = told(&history, last);
    let counted = encodings();
    for from in 0..last {
        let told = published.delta(Version(from), &None, press(&counted)).await;
        let (_, delta) = delta(&told.unwrap());
        assert_eq!((delta.from, delta.to), (Version(from), Version(last)));
        if from % 100 == 0 || from > last - 5 {
            let state = history.state(Version(from)).apply(&delta.into_delta());
            assert!(state.unwrap().same_as(history.state(Version(last))));
        }
    }
}

#[tokio::test]
async fn a_long_snapshot_comes_in_pieces_that_are_not_long() {
    let mut history = History::new("us-east", epoch(5));
    for event in 0..40 {
        let name = format!("event-{event}");
        let mut fat = content(&name, 1);
        let padding = "ü".repeat(10 * 1024);
        fat.configuration = JsonText::new(format!("\"{padding}\"")).unwrap();
        history.commit(vec![fat.into(), assignment(&name, 1).into()], NOW);
    }
    let published = told(&history, 40);
    let counted = encodings();
    let snapshot = published.snapshot(None, &None, press(&counted));
    let (pieces, _) = snapshot.await.unwrap();
    assert!(pieces.len() > 3, "{}", pieces.len());
    let longest = pieces.iter().map(Bytes::len).max().unwrap();
    assert!(longest < SNAPSHOT_PIECE + 4 * 1024, "{longest}");
    let state = RegionState::from_snapshot(assembled(&pieces).into_snapshot());
    assert!(state.unwrap().same_as(history.state(Version(40))));
    // Nothing at all is a snapshot too.
    let empty = told(&history, 0);
    let snapshot = empty.snapshot(None, &None, press(&counted));
    let (pieces, _) = snapshot.await.unwrap();
    assert_eq!(assembled(&pieces).to, Version(0));
}

#[tokio::test]
async fn a_snapshot_serves_newcomers_through_the_changes_after_it() {
    let mut history = sample();
    let counted = encodings();
    let mut published = told(&history, 4);
    let mut bases = Vec::new();
    for _ in 0..2 * SNAPSHOT_SERVES + 2 {
        let (pieces, base) = published
            .snapshot(None, &None, press(&counted))
            .await
            .unwrap();
        let mut state = RegionState::from_snapshot(assembled(&pieces).into_snapshot()).unwrap();
        assert_eq!(state.version(), base.version);
        bases.push(base.version.0);
        if base != published.cursor() {
            let told = published.delta(base.version, &None, press(&counted)).await;
            state = state.apply(&delta(&told.unwrap()).1.into_delta()).unwrap();
        }
        assert!(state.same_as(published.state()));
        // Nobody goes back: who holds more than it is sent the newest.
        let held = Some(published.cursor());
        let own = published.snapshot(held, &None, press(&counted)).await;
        assert_eq!(Some(own.unwrap().1), held);
        history.commit(vec![assignment("sale", 2).into()], NOW);
        published = told(&history, history.head().0).continuing(Some(&published));
    }
    bases.dedup();
    let step = SNAPSHOT_SERVES + 1;
    assert_eq!(bases, [4, 4 + step]);
}

#[tokio::test]
async fn a_snapshot_that_nobody_needed_serves_nobody() {
    let mut history = sample();
    let before = told(&history, 4);
    history.commit(vec![assignment("sale", 2).into()], NOW);
    let published = told(&history, 5).continuing(Some(&before));
    let counted = encodings();
    let (_, base) = published
        .snapshot(None, &None, press(&counted))
        .await
        .unwrap();
    assert_eq!(base, published.cursor());
    // Nor does one of another history.
    let mut other = History::new("us-east", epoch(6));
    other.commit(put("new", 1), NOW);
    let restored = told(&other, 1).continuing(Some(&published));
    let (_, base) = restored
        .snapshot(None, &None, press(&counted))
        .await
        .unwrap();
    assert_eq!(base, restored.cursor());
}
