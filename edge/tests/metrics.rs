//! Every metric is there, and moves: one that stays at zero through all of this measures nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::collections::BTreeMap;

use common::edge::Setup;
use common::game_server::GameServer;
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::Origin;
use common::{clock, eventually, redis_url, start};
use jiff::SignedDuration;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::message::{AckStatus, Cursor};
use liveevents_protocol::version::Version;
use redis::AsyncCommands as _;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn every_metric_is_moved_by_what_it_counts() {
    let (identity, hand) = (Identity::new(), clock());
    let origin_hand = clock();
    origin_hand.advance(SignedDuration::from_secs(3));
    let origin = Origin::start(&identity, &origin_hand.clock());
    let mut history = History::new("us-east", epoch(5));
    history.commit(put("sale", 1), start());
    let setup =
        || Setup::new(&identity, &hand.clock(), &[origin.address]).with("redis-url", &redis_url());
    let key = format!("liveevent:{{{}:us-east}}:v1:state", identity.installation);
    let client = redis::Client::open(redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();

    // Redis holds a state, and rubbish for keys.
    let edge = setup().start().await;
    let link = origin.serve(&[&history]).await;
    eventually("redis holds the state", async || {
        redis
            .hexists(&key, "version")
            .await
            .unwrap_or(false)
            .then_some(())
    })
    .await;
    edge.stop().await;
    drop(link);
    let trust = format!("liveevent:{{{}}}:v1:trust", identity.installation);
    let _: () = redis.hset(&trust, "bytes", "rubbish").await.unwrap();
    let edge = setup().start().await;

    // A connection that is refused something and made again; a change; a game server that stays and one that errs.
    let link = origin.welcome().await;
    let mut other = History::new("us-east", epoch(5));
    other.commit(put("other", 1), start());
    other.commit(put("other", 2), start());
    link.rows(&other, 1, 2).await;
    assert_eq!(link.closed().await, Some(CloseReason::BrokenChain));
    history.commit(put("sale", 2), start());
    let mut link = origin.serve(&[&history]).await;
    history.commit(put("sale", 3), start());
    link.rows(&history, 2, 3).await;
    link.acked(&history, Version(3)).await;
    let token = identity.game_server(&["us-east"]);
    let mut server = GameServer::subscribe(&edge, &token, None).await;
    server.update().await;
    server
        .ack(
            Cursor {
                epoch: epoch(5),
                version: Version(3),
            },
            AckStatus::Applied,
        )
        .await;
    let mut wrong = GameServer::connect(&edge, &token).await;
    wrong.send(Message::text("garbage")).await;
    wrong.closed().await;
    edge.get("/api/v1/nothing", "").await;
    let mut stream = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    stream
        .write_all(b"\x16\x03\x01 is not HTTP\r\n\r\n")
        .await
        .unwrap();
    // Redis says no: the key is none of ours.
    let _: () = redis.del(&key).await.unwrap();
    let _: () = redis.set(&key, "not a hash").await.unwrap();
    history.commit(put("sale", 4), start());
    link.rows(&history, 3, 4).await;
    eventually("redis has failed", async || {
        (edge.metric("liveevents_cache_failures_total").await > Some(0.0)).then_some(())
    })
    .await;
    let _: () = redis.del(&key).await.unwrap();
    edge.until("redis does its work", |report| {
        report["cache"]["state"] == "Working"
    })
    .await;
    server.update().await;
    server
        .ack(
            Cursor {
                epoch: epoch(5),
                version: Version(4),
            },
            AckStatus::Applied,
        )
        .await;
    eventually("the garbage was counted", async || {
        (edge.metric("liveevents_http_malformed_total").await > Some(0.0)).then_some(())
    })
    .await;
    // The origin's clock is three seconds ahead.
    eventually("a heartbeat was answered", async || {
        (edge.metric("liveevents_uplink_clock_offset_seconds").await > Some(0.0)).then_some(())
    })
    .await;
    link.close(CloseReason::Superseded);
    edge.until("the edge waits", |report| {
        report["uplink"]["state"] == "Waiting"
    })
    .await;
    hand.advance(SignedDuration::from_hours(1));
    // What is shown only while it lasts.
    let connected = edge.metric("liveevents_uplink_connected").await;
    assert_eq!(connected, Some(0.0));

    let (_, text) = edge.get("/metrics", "").await;
    let mut moved: BTreeMap<String, bool> = BTreeMap::new();
    for line in text
        .as_str()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.split('{').next().unwrap();
        let name = name
            .strip_suffix("_bucket")
            .or_else(|| name.strip_suffix("_sum"))
            .unwrap_or(name);
        let name = name.strip_suffix("_count").unwrap_or(name);
        *moved.entry(name.to_owned()).or_default() |= value.parse::<f64>().unwrap() != 0.0;
    }
    let expected = [
        "cache_failures_total",
        "cache_loads_total",
        "cache_replacements_total",
        "cache_rubbish_total",
        "cache_working",
        "cache_writes_total",
        "game_server_closes_total",
        "game_server_connections_total",
        "game_server_messages_received_total",
        "game_server_messages_sent_total",
        "game_server_sent_bytes_total",
        "game_servers",
        "game_servers_current",
        "http_malformed_total",
        "http_refusals_total",
        "http_request_duration_seconds",
        "region_age_seconds",
        "region_version",
        "uplink_acks_total",
        "uplink_clock_offset_seconds",
        "uplink_connected",
        "uplink_connections_total",
        "uplink_ends_total",
        "uplink_refused_total",
        "uplink_round_trip_seconds",
        "uplink_rows_total",
        "uplink_snapshot_chunks_total",
    ];
    let names: Vec<_> = moved
        .keys()
        .map(|name| name.strip_prefix("liveevents_").unwrap())
        .collect();
    assert_eq!(names, expected);
    // By the manual clock no time passes between a heartbeat and its answer; the origin has been left.
    let still: Vec<_> = moved
        .iter()
        .filter(|(_, moved)| !**moved)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        still,
        [
            "liveevents_uplink_connected",
            "liveevents_uplink_round_trip_seconds"
        ]
    );
}
