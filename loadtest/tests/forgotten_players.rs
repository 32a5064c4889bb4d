//! A player is forgotten by a whole installation: one request, every edge, also one that was away, and no log that says who.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::cluster::{Cluster, Edge};
use common::eventually;
use common::rest::Rest;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const REGION: &str = "us-east";

async fn ask(edge: &Edge, player: &str, token: &str) -> StatusCode {
    let url = format!(
        "{}/api/v1/players/{player}/events?region={REGION}",
        edge.http
    );
    let request = reqwest::Client::new().get(url).bearer_auth(token);
    request.send().await.unwrap().status()
}

async fn erase(rest: &Rest, player: &str) -> String {
    let path = format!("/players/{player}");
    let (status, erasure) = rest.send(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{erasure}");
    erasure["erasureId"].as_str().unwrap().to_owned()
}

async fn until_done(rest: &Rest, erasure: &str) -> Value {
    eventually("the player was forgotten", || async {
        let told = rest.get(&format!("/erasures/{erasure}")).await;
        (told["state"] == "Done").then_some(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_forgotten_by_every_edge_and_no_log_says_who() {
    let cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    let first = cluster.edge("us-east-1", REGION).await;
    let mut second = cluster.edge("us-east-2", REGION).await;
    let (zoe, max) = ("zoe-quetzal", "max-quetzal");
    let new = json!({ "role": "Player", "subject": zoe, "regions": [REGION], "expiresIn": "PT1H" });
    let made = rest.post("/tokens", new).await;
    let token = made["token"].as_str().unwrap();
    for edge in [&first, &second] {
        eventually("the player was let in", || async {
            (ask(edge, zoe, token).await == StatusCode::OK).then_some(())
        })
        .await;
    }

    let done = until_done(&rest, &erase(&rest, zoe).await).await;
    assert_eq!(done["confirmedBy"].as_array().unwrap().len(), 2, "{done}");
    for edge in [&first, &second] {
        eventually("the player's token was refused", || async {
            (ask(edge, zoe, token).await == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }

    second.process.kill();
    let erasure = erase(&rest, max).await;
    eventually(
        "one edge has confirmed, and the other is waited for",
        || async {
            let told = rest.get(&format!("/players/{max}/data")).await;
            let waiting = &told["erasures"][0]["waitingFor"];
            (waiting.as_array()?.len() == 1 && waiting[0]["edgeId"] == "us-east-2").then_some(())
        },
    )
    .await;
    second.restart(cluster.dir.path()).await;
    until_done(&rest, &erasure).await;

    let origin = cluster.origin.as_ref().unwrap();
    for process in [origin, &first.process, &second.process] {
        let log = process.log();
        assert!(!log.is_empty() && !log.contains("quetzal"), "{log}");
    }
}
