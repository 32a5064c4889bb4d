//! The texts that receivers get: right, and one for all.

use liveevents_protocol::message::{Cursor, ServerMessage};

use super::super::Step;
use super::*;
use crate::limits::MERGED_DELTAS;

fn message(text: &bytes::Bytes) -> ServerMessage {
    ServerMessage::parse(str::from_utf8(text).unwrap()).unwrap()
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
    for from in 0..3 {
        let one = published.delta(Version(from), NOW).await.unwrap();
        let other = published.delta(Version(from), NOW).await.unwrap();
        assert_eq!(one.as_ptr(), other.as_ptr(), "from {from}");
        let ServerMessage::Delta(delta) = message(&one) else {
            panic!("{one:?}");
        };
        assert_eq!((delta.from, delta.to), (Version(from), Version(4)));
    }
    let one = published.snapshot(NOW).await.unwrap();
    let other = published.snapshot(NOW).await.unwrap();
    assert_eq!(one.as_ptr(), other.as_ptr());
    assert!(matches!(message(&one), ServerMessage::Snapshot(_)));
}

#[tokio::test]
async fn receivers_far_apart_are_served_beyond_what_is_kept() {
    let mut history = History::new("us-east", epoch(5));
    let last = MERGED_DELTAS as u64 + 3;
    for version in 1..=last {
        history.commit(put("sale", u32::try_from(version).unwrap()), NOW);
    }
    let published = Arc::new(told(&history, last));
    for from in 0..last {
        let text = published.delta(Version(from), NOW).await.unwrap();
        let ServerMessage::Delta(delta) = message(&text) else {
            panic!("{text:?}");
        };
        assert_eq!((delta.from, delta.to), (Version(from), Version(last)));
        let state = history
            .state(Version(from))
            .apply(&delta.into_delta())
            .unwrap();
        assert!(state.same_as(history.state(Version(last))));
    }
}
