//! Opening and closing by the edge's own clock: for who asks and who is told at the same instant, whatever the clock and
//! the origin do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::Edge;
use common::game_server::GameServer;
use common::history::{content, put};
use common::timetable::{Place, minute, scheduled};
use common::{eventually, start};
use jiff::SignedDuration;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::conditions::{Patience, WhenStale};
use liveevents_protocol::entry::Entry;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::{Cause, Notice, ServerMessage};
use liveevents_protocol::model::Content;

/// The next notice: whether something began, and what.
async fn notice(server: &mut GameServer) -> (bool, Notice) {
    loop {
        match server.receive_any().await {
            ServerMessage::Activated(notice) => return (true, notice),
            ServerMessage::Deactivated(notice) => return (false, notice),
            ServerMessage::Delta(_) | ServerMessage::Contact(_) => {}
            other => panic!("instead of a notice: {other:?}"),
        }
    }
}

/// The same in short: begun, event, the minute that it was due.
async fn told(server: &mut GameServer) -> (bool, String, i64, Cause) {
    let (begun, notice) = notice(server).await;
    let due = notice.at.duration_since(start()).as_mins();
    (begun, notice.event_id.to_string(), due, notice.cause)
}

/// A game server that has all there is.
async fn follower(world: &Place, edge: &Edge) -> GameServer {
    let mut server = GameServer::subscribe(edge, &world.token(), None).await;
    server.update().await;
    server
}

fn event(name: &str, occurrences: &[(i64, i64)]) -> Vec<Entry> {
    vec![content(name, 1).into(), scheduled(name, occurrences).into()]
}

#[tokio::test]
async fn events_begin_and_end_by_the_clock_for_who_asks_and_who_is_told() {
    let mut world = Place::new();
    world
        .history
        .commit(event("cup", &[(10, 20), (20, 30), (50, 60)]), start());
    let (edge, _link) = world.edge().await;
    let mut server = follower(&world, &edge).await;
    let cause = Cause::Schedule;
    assert_eq!(world.shown(&edge).await, ["sale"]);
    world.hand.set(minute(10) - SignedDuration::from_micros(1));
    assert_eq!(world.shown(&edge).await, ["sale"]);

    world.hand.set(minute(10));
    assert_eq!(
        world.shown(&edge).await,
        ["cup", "sale"],
        "at the very moment"
    );
    let (begun, first) = notice(&mut server).await;
    assert!(begun);
    assert_eq!((first.event_id.as_str(), first.cause), ("cup", cause));
    assert_eq!((first.at, first.time), (minute(10), minute(10)));
    assert_eq!(
        (first.opens, first.closes),
        (Some(minute(10)), Some(minute(20)))
    );
    assert_eq!(first.version.0, 2);

    // One occurrence follows at once on the other.
    world.hand.set(minute(20));
    assert_eq!(
        told(&mut server).await,
        (false, "cup".to_owned(), 20, cause)
    );
    assert_eq!(told(&mut server).await, (true, "cup".to_owned(), 20, cause));
    world.hand.set(minute(30));
    assert_eq!(world.shown(&edge).await, ["sale"]);
    let (begun, last) = notice(&mut server).await;
    assert!(!begun);
    assert_eq!(
        (last.opens, last.closes),
        (Some(minute(50)), Some(minute(60))),
        "the next"
    );
    assert!(edge.metric("liveevents_schedule_switches_total").await >= Some(4.0));
    assert!(
        edge.metric("liveevents_activation_duration_seconds_count")
            .await
            >= Some(4.0)
    );
}

#[tokio::test]
async fn a_clock_that_is_set_closes_nothing_too_early_and_opens_nothing_twice() {
    let mut world = Place::new();
    world
        .history
        .commit(event("cup", &[(10, 20), (90, 100)]), start());
    let (edge, _link) = world.edge().await;
    let mut server = follower(&world, &edge).await;
    let cause = Cause::Schedule;
    world.hand.set(minute(10));
    assert_eq!(told(&mut server).await, (true, "cup".to_owned(), 10, cause));

    // Set back by an hour: what has begun goes on, and ends when the clock gets there.
    world.hand.set(minute(-50));
    eventually("the edge has noticed", async || {
        (edge.metric("liveevents_clock_held_seconds").await > Some(3599.0)).then_some(())
    })
    .await;
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
    world.hand.set(minute(9));
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
    world.hand.set(minute(20));
    assert_eq!(
        told(&mut server).await,
        (false, "cup".to_owned(), 20, cause),
        "and no more"
    );

    // Forwards into the next occurrence.
    world.hand.set(minute(95));
    assert_eq!(told(&mut server).await, (true, "cup".to_owned(), 90, cause));

    // Wrong by more than a day, and back: it is followed, aloud.
    world.hand.advance(SignedDuration::from_hours(48));
    assert_eq!(
        told(&mut server).await,
        (false, "cup".to_owned(), 100, cause)
    );
    world.hand.set(minute(95));
    assert_eq!(told(&mut server).await, (true, "cup".to_owned(), 90, cause));
    assert_eq!(
        edge.metric("liveevents_clock_followed_back_total").await,
        Some(1.0)
    );
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
}

#[tokio::test]
async fn what_is_on_at_the_start_is_state_and_what_changes_is_told_as_a_change() {
    let mut world = Place::new();
    world.history.commit(event("cup", &[(-10, 20)]), start());
    let (edge, mut link) = world.edge().await;
    let mut server = follower(&world, &edge).await;
    // The first notice is of what comes, not of what is on.
    world.change(&mut link, put("race", 1)).await;
    let (begun, race) = notice(&mut server).await;
    assert!(begun);
    assert_eq!(
        (race.event_id.as_str(), race.cause),
        ("race", Cause::Change)
    );
    assert_eq!((race.version.0, race.at), (3, start()));
    // Who comes later is told nothing of it.
    let mut later = follower(&world, &edge).await;
    world.hand.set(minute(20));
    let ended = (false, "cup".to_owned(), 20, Cause::Schedule);
    assert_eq!(told(&mut server).await, ended);
    assert_eq!(told(&mut later).await, ended);

    // Nor does a restart tell of what was on before.
    drop((server, later));
    edge.stop().await;
    let (edge, mut link) = world.edge().await;
    let mut again = follower(&world, &edge).await;
    let longer = vec![scheduled("cup", &[(-10, 30)]).into()];
    world.change(&mut link, longer).await;
    assert_eq!(
        told(&mut again).await,
        (true, "cup".to_owned(), 20, Cause::Change)
    );
}

#[tokio::test]
async fn who_wants_some_events_is_told_of_those() {
    let mut world = Place::new();
    world.history.commit(event("cup", &[(10, 20)]), start());
    world.history.commit(event("race", &[(10, 30)]), start());
    let (edge, _link) = world.edge().await;
    let mut server = GameServer::connect(&edge, &world.token()).await;
    let filter = Filter {
        event_ids: ["race".parse().unwrap()].into(),
        ..Filter::default()
    };
    server.introduce("us-east", None, filter).await;
    assert!(matches!(server.receive().await, ServerMessage::Welcome(_)));
    server.update().await;
    world.hand.set(minute(10));
    assert_eq!(told(&mut server).await.1, "race");
    world.hand.set(minute(20));
    world.hand.set(minute(30));
    assert_eq!(told(&mut server).await.1, "race");
}

#[tokio::test]
async fn what_hides_when_stale_hides_once_the_origin_is_lost_and_not_by_a_jump_of_the_clock() {
    let mut world = Place::new();
    let patience = Patience::from_seconds(600).unwrap();
    let content = Content {
        when_stale: WhenStale::HideAfter(patience),
        ..content("cup", 1)
    };
    let entries = vec![content.into(), scheduled("cup", &[(0, 1_000)]).into()];
    world.history.commit(entries, start());
    let (edge, link) = world.edge().await;
    let mut server = follower(&world, &edge).await;
    // The clock jumps while the origin is there.
    world.hand.set(minute(60));
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
    edge.until("the origin is heard by the new time", |report| {
        let age = report["regions"][0]["holds"]["ageMs"].as_u64();
        age.is_some_and(|age| age < 1_000)
    })
    .await;
    link.close(CloseReason::GoingAway);
    edge.until("the origin is lost", |report| {
        report["uplink"]["state"] == "Waiting"
    })
    .await;
    world.hand.set(minute(70) - SignedDuration::from_secs(1));
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
    world.hand.set(minute(70) + SignedDuration::from_secs(1));
    assert_eq!(world.shown(&edge).await, ["sale"]);
    let (begun, hidden) = notice(&mut server).await;
    assert!(!begun);
    assert_eq!(
        (hidden.event_id.as_str(), hidden.cause),
        ("cup", Cause::Stale)
    );
    assert_eq!(hidden.at, minute(70), "ten minutes after it was last heard");

    let _link = world.origin.welcome().await;
    let back = told(&mut server).await;
    assert_eq!((back.0, &*back.1, back.3), (true, "cup", Cause::Stale));
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
}
