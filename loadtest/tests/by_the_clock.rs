//! Events open and close by the edges' clock, whether the origin is there or not; its record follows.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::cluster::Cluster;
use common::eventually;
use common::game_server::GameServer;
use common::rest::Rest;
use jiff::Timestamp;
use serde_json::{Value, json};

const REGION: &str = "us-east";

fn now() -> Timestamp {
    jiff::Zoned::now().timestamp()
}

/// A whole second some seconds from now.
fn second(after: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + after).unwrap()
}

async fn deployed(rest: &Rest, event: &str, start: Timestamp, end: Timestamp) {
    let times = json!({ "startTime": start.to_string(), "endTime": end.to_string() });
    rest.create(event, times).await;
    rest.approve(event).await;
    rest.deploy(event, &[REGION], 100).await;
}

/// Waits until a game server shows the event, or shows it no more; tells when that was.
async fn shown(server: &GameServer, event: &str, shown: bool) -> Timestamp {
    eventually(&format!("{event} was shown: {shown}"), || async {
        let events = server.shown_to("player-1");
        let there = events.iter().any(|(id, _)| id == event);
        (there == shown).then(now)
    })
    .await
}

async fn becomes(rest: &Rest, event: &str, state: &str) {
    eventually(&format!("{event} was {state}"), || async {
        let told = rest.get(&format!("/events/{event}")).await;
        (told["state"] == state).then_some(())
    })
    .await;
}

/// What the scheduler has written down, and the moments at which it was due.
async fn recorded(rest: &Rest, event: &str) -> Vec<(String, String)> {
    let listed = rest
        .get(&format!("/audit?subject={event}&actor=scheduler"))
        .await;
    let rows = listed["entries"].as_array().unwrap().iter().rev();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.map(|row| (text(&row["action"]), text(&row["after"]["dueAt"])))
        .collect()
}

fn both(start: Timestamp, end: Timestamp) -> [(String, String); 2] {
    [
        ("event.open".to_owned(), start.to_string()),
        ("event.complete".to_owned(), end.to_string()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_opens_and_closes_at_its_second_with_the_origin_there_or_away() {
    let mut cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    let edge = cluster.edge("us-east-1", REGION).await;
    let token = rest.token("GameServer", &[REGION]).await;
    let server = GameServer::connect(REGION, REGION, &edge.ws(), &token);
    server.reaches(&cluster.epoch(), 0).await;

    let (start, end) = (second(4), second(7));
    deployed(&rest, "flash", start, end).await;
    server.reaches(&cluster.epoch(), 1).await;
    assert!(shown(&server, "flash", true).await >= start);
    becomes(&rest, "flash", "Active").await;
    assert_eq!(cluster.head(REGION), 1, "nobody had to be told");
    assert!(shown(&server, "flash", false).await >= end);
    becomes(&rest, "flash", "Completed").await;
    // Once it is over it goes out of the region, by one change.
    server.reaches(&cluster.epoch(), 2).await;
    assert_eq!(server.state().values().count(), 0);
    assert_eq!(recorded(&rest, "flash").await, both(start, end));

    let (start, end) = (second(5), second(8));
    deployed(&rest, "night", start, end).await;
    server.reaches(&cluster.epoch(), 3).await;
    cluster.kill_origin();
    assert!(shown(&server, "night", true).await >= start);
    assert!(shown(&server, "night", false).await >= end);
    cluster.start_origin().await;
    let rest = cluster.rest().await;
    becomes(&rest, "night", "Completed").await;
    assert_eq!(recorded(&rest, "night").await, both(start, end));
    server.reaches(&cluster.epoch(), 4).await;
    assert_eq!(server.state().values().count(), 0);

    // And by hand: what is to last for a week is over as soon as somebody says so.
    rest.event("week").await;
    rest.deploy("week", &[REGION], 100).await;
    shown(&server, "week", true).await;
    let paused = rest.post("/events/week/pause", json!({})).await;
    assert_eq!(paused["regions"], json!({ REGION: 6 }));
    shown(&server, "week", false).await;
    rest.post("/events/week/resume", json!({})).await;
    shown(&server, "week", true).await;
    let reason = json!({ "reason": "enough" });
    rest.post("/events/week/deactivate", reason).await;
    shown(&server, "week", false).await;
    server.reaches(&cluster.epoch(), 8).await;
    server.assert_only_went_forward(|_| true);
    cluster.database.assert_logs_are_whole();
}
