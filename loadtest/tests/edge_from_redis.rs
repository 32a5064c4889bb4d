//! Guarantee 4: an edge that is restarted while the origin is away serves its region from Redis, and says how old that
//! is; game servers connect, scheduled starts and ends happen by the edge's own clock. With nothing in Redis either, it
//! says that it has nothing, and serves once the origin is there.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::cluster::{Cluster, Edge};
use common::eventually;
use common::game_server::GameServer;
use common::redis::stored_version;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};

const REGION: &str = "us-east";
/// From when on an answer is called stale: the protocol's `LIVE_WITHIN`.
const STALE_FROM_MS: u64 = 15_000;

fn now() -> Timestamp {
    jiff::Zoned::now().timestamp()
}

/// What a player is shown, as the edge tells somebody with this token.
async fn player_events(edge: &Edge, token: &str) -> (StatusCode, Value) {
    let url = format!("{}/api/v1/players/p-1/events?region={REGION}", edge.http);
    let answer = reqwest::Client::new()
        .get(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn time(answer: &Value, field: &str) -> Timestamp {
    answer[field].as_str().unwrap().parse().unwrap()
}

fn shows(answer: &Value, event: &str) -> bool {
    answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .any(|shown| shown["eventId"] == event)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_restarted_without_its_origin_serves_from_redis() {
    let mut cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    let mut edge = cluster.edge("us-east-1", REGION).await;
    let (_, expired_before) = rest.token_for("GameServer", &[REGION], "PT1S").await;
    let (revoked_id, revoked) = rest.token_for("GameServer", &[REGION], "PT1H").await;
    let token = rest.token("GameServer", &[REGION]).await;
    rest.revoke(&revoked_id).await;
    rest.event("always").await;
    rest.deploy("always", &[REGION], 100).await;
    for (token, reason) in [(&revoked, "revoked"), (&expired_before, "expired")] {
        eventually(&format!("the edge refused the {reason} token"), || async {
            (player_events(&edge, token).await.0 == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }
    let old = GameServer::connect("the old game server", REGION, &edge.ws(), &token);

    // What happens while the origin is away was decided before.
    let switch = Timestamp::from_second(now().as_second() + 7).unwrap();
    let week = SignedDuration::from_hours(24 * 7);
    let opening =
        json!({ "startTime": switch.to_string(), "endTime": (switch + week).to_string() });
    rest.create("opening", opening).await;
    rest.create("closing", json!({ "endTime": switch.to_string() }))
        .await;
    for event in ["opening", "closing"] {
        rest.approve(event).await;
        rest.deploy(event, &[REGION], 100).await;
    }
    let (_, expired_since) = rest.token_for("GameServer", &[REGION], "PT4S").await;
    let (epoch, head) = (cluster.epoch(), cluster.head(REGION));
    cluster.converge(&rest, &[&edge]).await;
    eventually("redis had what the edge serves", || async {
        (stored_version(&cluster.installation, REGION)? == head).then_some(())
    })
    .await;
    old.reaches(&epoch, head).await;

    cluster.kill_origin();
    edge.restart(cluster.dir.path()).await;

    let (status, first) = player_events(&edge, &token).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(
        (&first["epoch"], &first["version"]),
        (&json!(epoch), &json!(head))
    );
    let health = edge.health().await;
    assert_eq!(health["status"], "Ready", "{health}");
    assert_eq!(
        health["regions"][0]["holds"]["confirmed"], false,
        "{health}"
    );
    // The answers get older by exactly the time that passes, say when they are stale, and open and close on time.
    let mut switched_live = false;
    loop {
        let (status, answer) = player_events(&edge, &token).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let at = time(&answer, "time");
        let age = answer["ageMs"].as_u64().unwrap();
        let passed = at.duration_since(time(&first, "time")).as_millis() as u64;
        let aged = age - first["ageMs"].as_u64().unwrap();
        assert!(
            aged.abs_diff(passed) <= 1,
            "{aged} ms older after {passed} ms"
        );
        assert_eq!(answer["stale"], age > STALE_FROM_MS, "{answer}");
        assert!(shows(&answer, "always"));
        assert_eq!(shows(&answer, "opening"), at >= switch, "{answer}");
        assert_eq!(shows(&answer, "closing"), at < switch, "{answer}");
        switched_live |= at < switch;
        if answer["stale"] == true {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    println!("the switch was seen happening: {switched_live}");

    // Whoever was good when the origin went away still is; whoever was not is not.
    let (status, _) = player_events(&edge, &expired_since).await;
    assert_eq!(status, StatusCode::OK, "nobody could renew it");
    let newcomer = GameServer::connect(
        "one with an expired token",
        REGION,
        &edge.ws(),
        &expired_since,
    );
    newcomer.reaches(&epoch, head).await;
    old.is_with("us-east-1").await;
    assert!(newcomer.state().same_as(&old.state()));
    let events: Vec<String> = newcomer
        .shown_to("p-1")
        .into_iter()
        .map(|(event, _)| event)
        .collect();
    assert_eq!(events, ["always", "opening"]);
    let refused = GameServer::connect("one with a revoked token", REGION, &edge.ws(), &revoked);
    let refusal = refused.refusal().await;
    assert!(
        refusal.contains("HTTP 401") && refusal.contains("revoked"),
        "{refusal}"
    );
    let (status, answer) = player_events(&edge, &expired_before).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");

    // The origin comes back, and all goes on.
    cluster.start_origin().await;
    let rest = cluster.rest().await;
    rest.deploy("always", &[REGION], 30).await;
    cluster.converge(&rest, &[&edge]).await;
    let head = cluster.head(REGION);
    for server in [&old, &newcomer] {
        server.reaches(&epoch, head).await;
        server.assert_only_went_forward(|_| true);
    }
    assert!(newcomer.state().same_as(&old.state()));
    eventually("the edge was fresh again", || async {
        let (status, answer) = player_events(&edge, &token).await;
        (status == StatusCode::OK && answer["stale"] == false).then_some(())
    })
    .await;
    assert_eq!(
        edge.health().await["regions"][0]["holds"]["confirmed"],
        true
    );
    eventually("expired was expired again", || async {
        (player_events(&edge, &expired_since).await.0 == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_with_neither_origin_nor_anything_in_redis_says_so_until_the_origin_comes() {
    let mut cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    rest.event("sale").await;
    rest.deploy("sale", &[REGION], 100).await;
    let token = rest.token("GameServer", &[REGION]).await;
    cluster.kill_origin();
    let edge = cluster.edge_not_awaited("us-east-1", REGION, &[]).await;

    let ready = reqwest::get(format!("{}/health/ready", edge.http))
        .await
        .unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let report: Value = ready.json().await.unwrap();
    assert_eq!(
        (&report["status"], &report["regions"][0]["ready"]),
        (&json!("NotReady"), &json!(false))
    );
    let live = reqwest::get(format!("{}/health/live", edge.http))
        .await
        .unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    // It knows no keys: that says nothing about the token.
    let (status, answer) = player_events(&edge, &token).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE"))
    );
    let game_server = GameServer::connect("a game server", REGION, &edge.ws(), &token);
    let refusal = game_server.refusal().await;
    assert!(refusal.contains("HTTP 503"), "{refusal}");

    cluster.start_origin().await;
    edge.synced().await;
    let (status, answer) = player_events(&edge, &token).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(shows(&answer, "sale"));
    game_server
        .reaches(&cluster.epoch(), cluster.head(REGION))
        .await;
}
