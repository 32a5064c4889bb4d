//! Filters: what comes into view is told whole, what leaves it is removed, and what is for nobody is sent to nobody.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::eventually;
use common::game_server::GameServer;
use common::history::{assignment, content, from_level, put, put_for, remove};
use common::world::World;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::entry::{Entry, EntryKey};
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::{AckStatus, Cursor, ServerMessage};
use liveevents_protocol::state::RegionState;
use tokio_tungstenite::tungstenite::Message;

fn tagged(tag: &str) -> Filter {
    Filter {
        tags: [tag.to_owned()].into(),
        ..Filter::default()
    }
}

fn named(event: &str) -> Filter {
    Filter {
        event_ids: [event.parse().unwrap()].into(),
        ..Filter::default()
    }
}

/// A revision with a tag, made live.
fn put_tagged(event: &str, revision: u32, tag: &str) -> Vec<Entry> {
    let mut content = content(event, revision);
    content.tags = vec![tag.to_owned()];
    vec![content.into(), assignment(event, revision).into()]
}

/// Whether a game server with a filter holds what it would have been told at once.
fn assert_holds(world: &World, server: &GameServer, filter: &Filter) {
    let held = server.state.as_ref().unwrap();
    let whole = world.history.state(held.version());
    let expected = RegionState::from_snapshot(whole.snapshot_for(filter)).unwrap();
    assert!(held.values().eq(expected.values()), "{filter:?}");
}

async fn subscribe(world: &World, position: Option<Cursor>, filter: &Filter) -> GameServer {
    let mut server = GameServer::connect(&world.edge, &world.token()).await;
    server.introduce("us-east", position, filter.clone()).await;
    let welcome = server.receive().await;
    assert!(matches!(welcome, ServerMessage::Welcome(_)));
    server
}

#[tokio::test]
async fn what_enters_a_filter_is_told_whole_and_what_leaves_it_is_removed() {
    let mut world = World::new().await;
    let filter = tagged("rare");
    let mut server = subscribe(&world, None, &filter).await;
    server.update().await;
    assert!(server.state.as_ref().unwrap().values().next().is_none());
    let steps = [
        put_tagged("cup", 1, "rare"),
        put_tagged("sale", 2, "rare"),
        put_tagged("cup", 2, "common"),
        put_tagged("cup", 3, "rare"),
        remove("sale", 2),
    ];
    for step in steps {
        let at = world.change(step).await;
        server.until(at).await;
        assert_holds(&world, &server, &filter);
    }
}

/// What a segment says is wanted wherever an event may come into view that names it.
#[tokio::test]
async fn segments_are_told_whatever_the_filter() {
    let mut world = World::new().await;
    let first = vec![from_level("veterans", 1, 10)];
    world.change(first).await;
    let filter = tagged("rare");
    let mut server = subscribe(&world, None, &filter).await;
    server.update().await;
    assert_eq!(server.state.as_ref().unwrap().values().count(), 1);
    let mut reunion = put_for("reunion", 1, "veterans");
    reunion.push(from_level("newcomers", 1, 0));
    let gone = Entry::Removal(EntryKey::Segment("veterans".parse().unwrap()));
    for step in [vec![from_level("veterans", 2, 20)], reunion, vec![gone]] {
        let at = world.change(step).await;
        server.until(at).await;
        assert_holds(&world, &server, &filter);
    }
    let held = server.state.as_ref().unwrap();
    let names: Vec<_> = held.segments().iter().map(|s| s.id.as_str()).collect();
    assert_eq!(names, ["newcomers"]);
}

#[tokio::test]
async fn what_is_not_for_it_is_not_sent_and_counts_as_acked() {
    let mut world = World::new().await;
    let mut server = subscribe(&world, None, &named("cup")).await;
    let at = server.update().await;
    server.ack(at, AckStatus::Applied).await;
    let mut last = at;
    for revision in 2..6 {
        last = world.change(put("sale", revision)).await;
    }
    world.edge.at_version(last.version.0).await;
    world
        .edge
        .until("it counts as current", |report| {
            report["regions"][0]["currentGameServers"] == 1
        })
        .await;
    // The next that is for it starts where it is.
    let next = world.change(put("cup", 1)).await;
    let ServerMessage::Delta(delta) = server.receive().await else {
        panic!("not a delta");
    };
    assert_eq!((delta.from, delta.to), (at.version, next.version));
    assert_eq!(delta.entries.len(), 2);
    eventually("what was spared is counted", async || {
        let spared = world.edge.metric("liveevents_game_server_spared_total");
        (spared.await >= Some(1.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_change_is_encoded_once_for_each_filter_however_many_want_it() {
    let mut world = World::new().await;
    let filters = [Filter::default(), named("sale"), tagged("sale")];
    let mut servers = Vec::new();
    for filter in &filters {
        for _ in 0..4 {
            let mut server = subscribe(&world, None, filter).await;
            let at = server.update().await;
            server.ack(at, AckStatus::Applied).await;
            servers.push(server);
        }
    }
    let encoded = async |world: &World| {
        let encoded = world.edge.metric("liveevents_encodings_total");
        encoded.await.unwrap()
    };
    // A snapshot for each.
    assert_eq!(encoded(&world).await, 3.0);
    for revision in 2..5 {
        let at = world.change(put("sale", revision)).await;
        for server in &mut servers {
            assert_eq!(server.update().await, at);
        }
        assert_eq!(encoded(&world).await, f64::from(revision) * 3.0);
    }
}

#[tokio::test]
async fn a_game_server_that_returns_with_its_filter_ends_as_one_that_never_left() {
    let mut world = World::new().await;
    let filter = tagged("rare");
    let mut stays = subscribe(&world, None, &filter).await;
    let held = stays.update().await;
    let state = stays.state.clone();
    let tags = ["rare", "common"];
    for revision in 2..20 {
        let event = ["sale", "cup", "raid"][usize::try_from(revision).unwrap() % 3];
        let tag = tags[usize::try_from(revision).unwrap() / 3 % 2];
        world.change(put_tagged(event, revision, tag)).await;
    }
    let last = world.change(put_tagged("sale", 20, "rare")).await;
    stays.until(last).await;
    assert_holds(&world, &stays, &filter);
    let mut returns = subscribe(&world, Some(held), &filter).await;
    returns.state = state;
    assert_eq!(returns.update().await, last);
    assert!(returns.state.unwrap().same_as(&stays.state.unwrap()));
}

#[tokio::test]
async fn a_filter_above_its_limits_is_refused() {
    let world = World::new().await;
    let mut server = GameServer::connect(&world.edge, &world.token()).await;
    let tags: Vec<_> = (0..101).map(|tag| format!("\"t{tag}\"")).collect();
    let hello = format!(
        r#"{{"type":"hello","region":"us-east","level":"Region","filter":{{"tags":[{}]}}}}"#,
        tags.join(",")
    );
    server.send(Message::text(hello)).await;
    let (_, code) = server.closed().await;
    assert_eq!(code, CloseReason::Malformed.code());
}
