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
use common::history::{History, epoch, event, put};
use common::identity::Identity;
use common::origin::Origin;
use common::redis::Redis;
use common::{clock, eventually, start};
use jiff::SignedDuration;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::filter::Filter;
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
    let cache = Redis::start().await;
    let setup =
        || Setup::new(&identity, &hand.clock(), &[origin.address]).with("redis-url", &cache.url());
    let key = format!("liveevent:{{{}:us-east}}:v1:state", identity.installation);
    let mut redis = cache.connection().await;

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
    // Redis says no: it is full.
    cache.command("CONFIG SET maxmemory 1").await;
    history.commit(put("sale", 4), start());
    link.rows(&history, 3, 4).await;
    eventually("redis has failed", async || {
        (edge.metric("liveevents_cache_failures_total").await > Some(0.0)).then_some(())
    })
    .await;
    cache.command("CONFIG SET maxmemory 0").await;
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
    // A change of which an entry cannot be applied, and which is applied later; one that a filter leaves out; a player.
    history.commit_spoilt(put("cup", 7), 7, start());
    link.rows(&history, 4, 5).await;
    let at = server.update().await;
    server.ack(at, AckStatus::Deferred).await;
    let mut choosy = GameServer::connect(&edge, &token).await;
    let filter = Filter {
        event_ids: [event("cup")].into(),
        ..Filter::default()
    };
    choosy.introduce("us-east", Some(at), filter).await;
    choosy.receive().await;
    history.commit(put("sale", 6), start());
    link.rows(&history, 5, 6).await;
    let at = server.update().await;
    server.ack(at, AckStatus::Deferred).await;
    link.reported(|delivery| {
        delivery
            .standings
            .iter()
            .any(|standing| standing.deferred > 0)
    })
    .await;
    // Nobody counts what is reported.
    let url = format!("http://{}/api/v1/reports?region=us-east", edge.address);
    let batch = serde_json::json!({ "session": uuid::Uuid::nil(), "batch": 1, "reports": [] });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = client.post(url).bearer_auth(&token).json(&batch).send();
    assert_eq!(sent.await.unwrap().status(), 503);
    let path = "/api/v1/players/p/events?region=us-east";
    assert_eq!(edge.get(path, &token).await.0, 200);
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
    // A clock that is set back by more than a day is followed, and one by less is waited for.
    for hours in [48, -47, 1, -1] {
        hand.advance(SignedDuration::from_hours(hours));
        edge.health().await;
    }
    eventually("the clock is waited for", async || {
        (edge.metric("liveevents_clock_held_seconds").await > Some(0.0)).then_some(())
    })
    .await;
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
    for source in ["cache", "uplink", "http"] {
        let line = format!("liveevents_errors_total{{source=\"{source}\"}} ");
        let counted = |found: &str| found.starts_with(&line) && !found.ends_with(" 0");
        assert!(text.as_str().unwrap().lines().any(counted), "{line}");
    }
    let expected = [
        "activation_duration_seconds",
        "activation_failures_total",
        "cache_failures_total",
        "cache_hit_rate",
        "cache_loads_total",
        "cache_replacements_total",
        "cache_rubbish_total",
        "cache_working",
        "cache_writes_total",
        "clock_followed_back_total",
        "clock_held_seconds",
        "delivery_reports_total",
        "encodings_total",
        "engagement_aggregates_total",
        "engagement_answer_seconds",
        "engagement_batches_total",
        "engagement_reports_total",
        "errors_total",
        "game_server_catch_ups_total",
        "game_server_closes_total",
        "game_server_connections_total",
        "game_server_messages_received_total",
        "game_server_messages_sent_total",
        "game_server_sent_bytes_total",
        "game_server_shard_writes_total",
        "game_server_spared_total",
        "game_servers",
        "game_servers_current",
        "game_servers_deferred",
        "game_servers_received",
        "http_malformed_total",
        "http_refusals_total",
        "http_request_duration_seconds",
        "player_queries_total",
        "quarantined_total",
        "query_duration_seconds",
        "region_age_seconds",
        "region_quarantined_entries",
        "region_stale",
        "region_stale_since_seconds",
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
    // By the manual clock no time passes between a heartbeat and its answer; the origin has been left. That events are
    // opened, laggards caught up with and reports added up is counted in the tests of schedules, of slow receivers and of
    // reports.
    let still: Vec<_> = moved
        .iter()
        .filter(|(_, moved)| !**moved)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        still,
        [
            "liveevents_activation_duration_seconds",
            "liveevents_engagement_aggregates_total",
            "liveevents_engagement_answer_seconds",
            "liveevents_engagement_reports_total",
            "liveevents_game_server_catch_ups_total",
            "liveevents_uplink_connected",
            "liveevents_uplink_round_trip_seconds"
        ]
    );
}
