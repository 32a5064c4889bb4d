//! Guarantee: a game server starts from its last known state with every edge away, goes on from there when one is
//! back, and no file that it cannot use is taken for one or lost.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{EPOCH, Edge, assignment, config, content, within};
use jiff::Timestamp;
use liveevents_client::{
    Client, ClientConfig, Clock, Keys, Ready, Source, StateFile, StateFileError,
};
use liveevents_protocol::conditions::{Patience, WhenStale};
use liveevents_protocol::message::{Cursor, ServerMessage, SnapshotMessage};
use liveevents_protocol::model::Content;
use liveevents_protocol::version::Version;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Writes often, so that tests need not wait.
fn keeping(edges: &[&Edge], file: &Path) -> ClientConfig {
    let mut config = config(edges);
    config.state_file = Some(file.to_owned());
    config.timing.state_file_every = Duration::from_millis(1);
    config
}

/// A clock that stands still.
fn still(at: i64) -> Clock {
    Clock::new(move || second(at))
}

/// A client that has been told these events at second 1,000, and has written them down.
async fn written(file: &Path, version: u64, events: &[&str]) {
    let edge = Edge::start().await;
    let client = Client::connect(keeping(&[&edge], file)).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome_with("game-test", second(1_000), |welcome| {
        welcome.contact_at = Some(second(999));
    })
    .await;
    peer.snapshot(EPOCH, version, events).await;
    peer.acked(EPOCH, version).await;
    within("the client's end", client.close()).await;
}

fn shown(client: &Client) -> Vec<String> {
    let shown = client.shown(Keys(&[("player", "p")])).into_iter();
    shown.map(|s| s.content.event_id.to_string()).collect()
}

fn cursor(version: u64) -> Cursor {
    Cursor {
        epoch: EPOCH,
        version: Version(version),
    }
}

#[tokio::test]
async fn starts_with_every_edge_away_and_goes_on_when_one_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    written(&file, 7, &["sale", "cup"]).await;

    let edge = Edge::start().await;
    let address = edge.address;
    let mut config = keeping(&[&edge], &file);
    config.clock = still(2_000);
    drop(edge);
    let client = Client::connect(config).unwrap();
    // At once, nothing is waited for.
    assert_eq!(shown(&client), ["cup", "sale"]);
    let ready = within("readiness", client.ready()).await;
    let Source::StateFile { current_at } = ready.source else {
        panic!("{ready:?}");
    };
    assert_eq!(ready.cursor, cursor(7));
    let current_at = current_at.unwrap();
    assert!(
        (second(1_000)..second(1_030)).contains(&current_at),
        "{current_at}"
    );
    assert!(matches!(client.state_file(), StateFile::Loaded { .. }));

    // The edge is back: told from where the file is.
    let edge = Edge::start_at(address).await;
    let mut peer = edge.accept().await;
    assert_eq!(peer.position(), Some((EPOCH, 7)));
    peer.welcome("game-test", second(2_000)).await;
    peer.delta(EPOCH, 7, 8, &["fest"]).await;
    peer.acked(EPOCH, 8).await;
    within("being synced", client.synced()).await;
    let source = Source::Edge;
    assert_eq!(
        client.ready().await,
        Ready {
            cursor: cursor(8),
            source
        }
    );
    within("the client's end", client.close()).await;

    // And that is in the file now.
    let edge = Edge::start().await;
    let _client = Client::connect(keeping(&[&edge], &file)).unwrap();
    assert_eq!(edge.accept().await.position(), Some((EPOCH, 8)));
}

#[tokio::test]
async fn an_edge_that_has_nothing_newer_makes_it_current() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    written(&file, 7, &["sale"]).await;
    let edge = Edge::start().await;
    let client = Client::connect(keeping(&[&edge], &file)).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome_with("game-test", second(2_000), |welcome| {
        welcome.position = Some(cursor(7));
    })
    .await;
    // Nothing is sent, and the edge is told how far it is all the same.
    peer.acked(EPOCH, 7).await;
    within("being synced", client.synced()).await;
}

#[tokio::test]
async fn an_empty_region_is_a_state_like_any() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    written(&file, 0, &[]).await;
    let edge = Edge::start().await;
    let client = Client::connect(keeping(&[&edge], &file)).unwrap();
    assert_eq!(within("readiness", client.ready()).await.cursor, cursor(0));
    assert_eq!(edge.accept().await.position(), Some((EPOCH, 0)));
}

#[tokio::test]
async fn what_hides_when_stale_is_judged_by_the_files_age() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let edge = Edge::start().await;
    let mut config = keeping(&[&edge], &file);
    config.clock = still(1_000);
    let client = Client::connect(config).unwrap();
    let mut peer = edge.accept().await;
    peer.welcome_with("game-test", second(1_000), |welcome| {
        welcome.contact_at = Some(second(998));
    })
    .await;
    let hiding = Content {
        when_stale: WhenStale::HideAfter(Patience::from_seconds(60).unwrap()),
        ..content("sale", 1)
    };
    peer.send(&ServerMessage::Snapshot(SnapshotMessage {
        epoch: EPOCH,
        to: Version(1),
        time: second(1_000),
        committed_at: None,
        index: 0,
        last: true,
        segments: Vec::new(),
        contents: vec![hiding, content("cup", 1)],
        assignments: vec![assignment("sale", 1), assignment("cup", 1)],
        degraded: false,
        unread: Vec::new(),
    }))
    .await;
    peer.acked(EPOCH, 1).await;
    within("the client's end", client.close()).await;
    drop((peer, edge));

    let edge = Edge::start().await;
    for (now, expected) in [
        (1_059, ["cup", "sale"].as_slice()),
        (1_060, &["cup"]),
        // A clock set back has no say.
        (900, &["cup", "sale"]),
    ] {
        let mut config = keeping(&[&edge], &file);
        config.clock = still(now);
        let client = Client::connect(config).unwrap();
        assert_eq!(shown(&client), expected, "at {now}");
    }
}

/// Why a file is refused, and what is in its place after a client has come and gone.
async fn refused(file: &Path, change: impl FnOnce(&mut ClientConfig)) -> (String, Vec<u8>) {
    let edge = Edge::start().await;
    let mut config = keeping(&[&edge], file);
    change(&mut config);
    let client = Client::connect(config).unwrap();
    assert!(client.state().is_none(), "nothing of it is used");
    let StateFile::Refused(why) = client.state_file() else {
        panic!("{:?}", client.state_file());
    };
    let why = why.to_string();
    // The client works all the same.
    let mut peer = edge.accept().await;
    assert_eq!(peer.position(), None);
    peer.welcome("game-test", second(1_000)).await;
    peer.snapshot(EPOCH, 9, &["fest"]).await;
    peer.acked(EPOCH, 9).await;
    within("the client's end", client.close()).await;
    (why, fs::read(file).unwrap())
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    written(&file, 7, &["sale"]).await;
    let mut damaged = fs::read(&file).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let (why, now) = refused(&file, |_| {}).await;
    assert_eq!(why, "the state file is damaged: its checksum is another");
    assert!(String::from_utf8(now).unwrap().contains("fest"));
    assert_eq!(
        fs::read(folder.path().join("state.damaged")).unwrap(),
        damaged
    );
}

#[tokio::test]
async fn what_is_not_its_own_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    written(&file, 7, &["sale"]).await;
    let ours = fs::read(&file).unwrap();

    let (why, now) = refused(&file, |config| {
        config.filter.tags.insert("sale".to_owned());
    })
    .await;
    assert!(why.contains("game-test in us-east"), "{why}");
    assert_eq!(now, ours);

    let newer = String::from_utf8(ours).unwrap();
    let newer = newer.replacen("liveevents-state/1", "liveevents-state/9", 1);
    fs::write(&file, &newer).unwrap();
    let (why, now) = refused(&file, |_| {}).await;
    assert_eq!(
        why,
        "the state file has format 9, newer than this program knows"
    );
    assert_eq!(now, newer.as_bytes());

    fs::write(&file, "precious").unwrap();
    let (why, now) = refused(&file, |_| {}).await;
    assert_eq!(why, "the file at the state file's place is something else");
    assert_eq!(now, b"precious");
}

#[tokio::test]
async fn the_file_of_another_installation_is_no_ones_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    written(&file, 7, &["sale"]).await;
    let edge = Edge::start().await;
    let mut expecting = keeping(&[&edge], &file);
    expecting.installation = Some("game-live".parse().unwrap());
    let client = Client::connect(expecting).unwrap();
    assert!(matches!(
        client.state_file(),
        StateFile::Refused(StateFileError::Foreign { .. })
    ));
    drop(client);
    // Where none is expected, the file says whose events these are, and another's edge is refused.
    let client = Client::connect(keeping(&[&edge], &file)).unwrap();
    let mut peer = loop {
        let peer = edge.accept().await;
        if peer.position().is_some() {
            break peer;
        }
    };
    peer.welcome("game-live", second(1_000)).await;
    peer.left().await;
    assert_eq!(client.state().unwrap().version(), Version(7));
}

#[tokio::test]
async fn the_file_is_written_while_the_client_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let edge = Edge::start().await;
    let client = Client::connect(keeping(&[&edge], &file)).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    peer.acked(EPOCH, 1).await;
    for version in 1..=50 {
        peer.delta(EPOCH, version, version + 1, &["cup"]).await;
        peer.acked(EPOCH, version + 1).await;
    }
    // Killed, not closed: the newest is there, or gets there.
    let newest = async {
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if text.contains(r#""to":51"#) {
                break text;
            }
            tokio::task::yield_now().await;
        }
    };
    let text = within("the newest state in the file", newest).await;
    assert!(text.starts_with("liveevents-state/1 "), "{text}");
    drop(client);
}
