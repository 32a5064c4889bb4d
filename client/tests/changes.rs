//! Guarantee: a stream of changes tells what is different, in its time, with or without an edge, and nothing that has
//! been overtaken.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{EPOCH, Edge, Peer, assignment, config, content, within};
use jiff::{SignedDuration, Timestamp};
use liveevents_client::{Change, Changes, Client, What};
use liveevents_protocol::message::{DeltaMessage, EntryMessage, ServerMessage};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::schedule::{Occurrence, Schedule};
use liveevents_protocol::version::Version;

/// In the years in which the events of these tests are open.
fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn next(changes: &mut Changes) -> Change {
    within("a change", changes.next()).await.unwrap()
}

/// Such as `sale+`: appeared `+`, changed `~`, removed `-`, activated `!`, deactivated `.`.
fn word(change: &Change) -> String {
    let sign = match change.what {
        What::Appeared => '+',
        What::Changed => '~',
        What::Removed => '-',
        What::Activated { .. } => '!',
        What::Deactivated { .. } => '.',
    };
    format!("{}{sign}", change.event)
}

async fn words(changes: &mut Changes, count: usize) -> String {
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(word(&next(changes).await));
    }
    words.join(" ")
}

async fn send(peer: &mut Peer, from: u64, entries: Vec<EntryMessage>) {
    peer.send(&ServerMessage::Delta(DeltaMessage {
        epoch: EPOCH,
        from: Version(from),
        to: Version(from + 1),
        time: second(1_000),
        committed_at: None,
        entries,
        degraded: false,
        unread: Vec::new(),
    }))
    .await;
    peer.acked(EPOCH, from + 1).await;
}

fn open(event: &str, opens: Timestamp, closes: Timestamp) -> Assignment {
    Assignment {
        schedule: Schedule::new(vec![Occurrence { opens, closes }]).unwrap(),
        ..assignment(event, 1)
    }
}

fn removal(event: &str) -> EntryMessage {
    EntryMessage::RemovedAssignment {
        event_id: event.parse().unwrap(),
    }
}

#[tokio::test]
async fn tells_what_appears_changes_and_goes() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut changes = client.changes();
    let mut peer = edge.accept().await;
    peer.welcome("game-test", second(1_000)).await;
    peer.snapshot(EPOCH, 1, &["cup", "sale"]).await;
    peer.acked(EPOCH, 1).await;
    assert_eq!(words(&mut changes, 4).await, "cup+ cup! sale+ sale!");
    // Who comes later is told all that is there.
    let mut later = client.changes();
    assert_eq!(words(&mut later, 4).await, "cup+ cup! sale+ sale!");

    let renamed = EntryMessage::Content(liveevents_protocol::model::Content {
        display_name: "Sale!".to_owned(),
        ..content("sale", 1)
    });
    send(&mut peer, 1, vec![renamed]).await;
    let change = next(&mut changes).await;
    assert_eq!(word(&change), "sale~");
    assert_eq!(change.cursor.version, Version(2));
    let mut paused = assignment("cup", 1);
    paused.suspension.paused = true;
    send(&mut peer, 2, vec![EntryMessage::Assignment(paused)]).await;
    assert_eq!(words(&mut changes, 2).await, "cup~ cup.");
    send(&mut peer, 3, vec![removal("sale")]).await;
    assert_eq!(words(&mut changes, 2).await, "sale. sale-");

    // It ends with its client.
    within("the client's end", client.close()).await;
    assert_eq!(within("the stream's end", changes.next()).await, None);
}

#[tokio::test]
async fn a_slow_reader_skips_what_was_overtaken_and_ends_with_what_is() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome("game-test", second(1_000)).await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    peer.acked(EPOCH, 1).await;
    let mut changes = client.changes();
    assert_eq!(words(&mut changes, 2).await, "sale+ sale!");
    // While nobody reads: a hundred times there and gone again, and once there.
    for version in 1..=200 {
        let entries = match version % 2 {
            1 => vec![
                EntryMessage::Content(content("cup", 1)),
                EntryMessage::Assignment(assignment("cup", 1)),
            ],
            _ => vec![removal("cup")],
        };
        send(&mut peer, version, entries).await;
    }
    send(&mut peer, 201, vec![removal("sale")]).await;
    assert_eq!(words(&mut changes, 2).await, "sale. sale-");
    send(
        &mut peer,
        202,
        vec![EntryMessage::Assignment(assignment("cup", 1))],
    )
    .await;
    assert_eq!(words(&mut changes, 2).await, "cup+ cup!");
}

#[tokio::test]
async fn opens_and_closes_on_time_with_every_edge_away() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut changes = client.changes();
    let mut peer = edge.accept().await;
    // The edge lives in 1970: its time counts, not ours.
    peer.welcome("game-test", second(1_000)).await;
    let opens = second(1_000) + SignedDuration::from_millis(700);
    let closes = opens + SignedDuration::from_millis(300);
    peer.snapshot(EPOCH, 1, &[]).await;
    peer.acked(EPOCH, 1).await;
    let entries = vec![
        EntryMessage::Content(content("sale", 1)),
        EntryMessage::Assignment(open("sale", opens, closes)),
    ];
    send(&mut peer, 1, entries).await;
    drop((peer, edge));

    assert_eq!(words(&mut changes, 1).await, "sale+");
    let activated = next(&mut changes).await;
    assert_eq!(
        activated.what,
        What::Activated {
            closes: Some(closes)
        }
    );
    assert!(activated.at >= opens, "{}", activated.at);
    let deactivated = next(&mut changes).await;
    assert_eq!(deactivated.what, What::Deactivated { opens: None });
    assert!(deactivated.at >= closes, "{}", deactivated.at);
}

#[tokio::test]
async fn an_edge_whose_clock_is_behind_closes_nothing_again() {
    let (first, second_edge) = (Edge::start().await, Edge::start().await);
    let client = Client::connect(config(&[&first, &second_edge])).unwrap();
    let mut changes = client.changes();
    let (mut peer, other) = tokio::select! {
        peer = first.accept() => (peer, second_edge),
        peer = second_edge.accept() => (peer, first),
    };
    peer.welcome("game-test", second(1_000)).await;
    peer.snapshot(EPOCH, 1, &[]).await;
    peer.acked(EPOCH, 1).await;
    let entries = vec![
        EntryMessage::Content(content("sale", 1)),
        EntryMessage::Assignment(open("sale", second(1_000), second(2_000))),
    ];
    send(&mut peer, 1, entries).await;
    assert_eq!(words(&mut changes, 2).await, "sale+ sale!");
    drop(peer);
    // By the other edge it is two seconds to the opening.
    let mut peer = other.accept().await;
    peer.welcome("game-test", second(998)).await;
    let before = client.edge_time();
    let entries = vec![EntryMessage::Assignment(assignment("cup", 1))];
    let contents = vec![EntryMessage::Content(content("cup", 1))];
    send(&mut peer, 2, [contents, entries].concat()).await;
    assert_eq!(
        words(&mut changes, 2).await,
        "cup+ cup!",
        "and nothing of the sale"
    );
    assert!(client.edge_time() >= before);
    assert!(before >= second(1_000));
}
