//! Guarantee: what a real edge says to game servers is what the published schemas say, to the last member: also what it
//! puts together from ready-made pieces, which no test of the protocol's own printing sees.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;
#[path = "../../protocol/tests/wire/document/published.rs"]
#[allow(dead_code, reason = "the protocol's tests use all of it")]
mod published;

use std::collections::BTreeSet;
use std::time::Duration;

use common::LIMIT;
use common::cluster::{Cluster, Edge};
use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_protocol::message::{SUBPROTOCOL, SUBSCRIBE_PATH, TOKEN_SUBPROTOCOL};
use published::Schemas;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const REGION: &str = "us-east";

/// A game server that knows nothing but JSON.
struct Plain<'a> {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    schemas: &'a Schemas,
    heard: &'a mut BTreeSet<String>,
}

impl<'a> Plain<'a> {
    async fn connect(
        edge: &Edge,
        token: &str,
        schemas: &'a Schemas,
        heard: &'a mut BTreeSet<String>,
    ) -> Self {
        let url = format!("{}{SUBSCRIBE_PATH}", edge.ws());
        let mut request = url.into_client_request().unwrap();
        let offered = format!("{SUBPROTOCOL}, {TOKEN_SUBPROTOCOL}{token}");
        let headers = request.headers_mut();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offered.parse().unwrap());
        let (socket, answer) = connect_async(request).await.unwrap();
        assert_eq!(answer.headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
        Self {
            socket,
            schemas,
            heard,
        }
    }

    async fn says(&mut self, message: Value) {
        self.schemas.assert_documented(&message);
        self.says_anything(message).await;
    }

    async fn says_anything(&mut self, message: Value) {
        let message = Message::text(message.to_string());
        self.socket.send(message).await.unwrap();
    }

    /// The next message of this type. Every one on the way has to be as documented.
    async fn hears(&mut self, kind: &str) -> Value {
        let heard = async {
            loop {
                let Message::Text(text) = self.socket.next().await.unwrap().unwrap() else {
                    continue;
                };
                let message: Value = serde_json::from_str(&text).unwrap();
                self.schemas.assert_documented(&message);
                self.heard
                    .insert(message["type"].as_str().unwrap().to_owned());
                if message["type"] == kind {
                    return message;
                }
            }
        };
        let limit: Duration = LIMIT;
        timeout(limit, heard)
            .await
            .unwrap_or_else(|_| panic!("no {kind} within {limit:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_an_edge_is_as_documented() {
    let cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    let whole = json!({
        "description": "Half price.", "category": "sales", "tags": ["sale", "xp"], "priority": 7,
        "localizations": {"de": {"displayName": "Blitzverkauf", "customFields": {"cta": "Los!"}}},
        "requires": {"minBuild": "1.2", "maxBuild": "3"}, "whenStale": {"hideAfter": "PT10M"},
    });
    rest.create("sale", whole).await;
    rest.approve("sale").await;
    rest.deploy("sale", &[REGION], 100).await;
    rest.event("tournament").await;
    rest.deploy("tournament", &[REGION], 100).await;
    let edge = cluster.edge("us-east-1", REGION).await;
    // It expires soon enough to be warned of at once.
    let (_, token) = rest.token_for("GameServer", &[REGION], "PT2M").await;
    let newer = rest.token("GameServer", &[REGION]).await;
    let schemas = Schemas::load();
    let mut heard = BTreeSet::new();

    let mut region = Plain::connect(&edge, &token, &schemas, &mut heard).await;
    region
        .says(json!({"type": "hello", "region": REGION, "level": "Region"}))
        .await;
    let welcome = region.hears("welcome").await;
    let snapshot = region.hears("snapshot").await;
    assert_eq!(snapshot["to"], welcome["position"]["version"]);
    assert_eq!(snapshot["contents"].as_array().unwrap().len(), 2);
    region.hears("tokenExpiring").await;
    region.says(json!({"type": "token", "token": newer})).await;
    region.hears("tokenRenewed").await;
    rest.revise("sale", json!({ "priority": 9 })).await;
    rest.deploy("sale", &[REGION], 100).await;
    let delta = region.hears("delta").await;
    assert_eq!(delta["from"], snapshot["to"]);
    rest.post("/stop", json!({ "all": true, "reason": "tested" }))
        .await;
    region.hears("deactivated").await;
    rest.post("/resume", json!({ "all": true, "reason": "tested" }))
        .await;
    region.hears("activated").await;
    let epoch = &delta["epoch"];
    region
        .says(json!({"type": "ack", "epoch": epoch, "version": delta["to"], "status": "Applied"}))
        .await;

    let mut ahead = Plain::connect(&edge, &token, &schemas, &mut heard).await;
    let position = json!({"epoch": epoch, "version": 9_999});
    ahead
        .says(json!({"type": "hello", "region": REGION, "level": "Local", "position": position}))
        .await;
    ahead.hears("ahead").await;

    let mut watch = Plain::connect(&edge, &token, &schemas, &mut heard).await;
    watch
        .says(json!({"type": "hello", "region": REGION, "level": "Watch", "build": "1.2.3", "language": "de"}))
        .await;
    let players =
        json!([{"player": "p-1"}, {"player": "p-2", "build": "1.1", "attributes": {"vip": true}}]);
    watch
        .says(json!({"type": "watch", "players": players}))
        .await;
    let mut shown = Vec::new();
    for _ in 0..2 {
        let told = watch.hears("player").await;
        shown.push((
            told["player"].clone(),
            told["events"].as_array().unwrap().len(),
        ));
    }
    shown.sort_by_key(|(player, _)| player.to_string());
    assert_eq!(shown, [(json!("p-1"), 2), (json!("p-2"), 1)]);
    watch.hears("current").await;
    watch
        .says(json!({"type": "query", "id": "lobby", "players": players}))
        .await;
    let result = watch.hears("result").await;
    assert_eq!(
        result["players"][0]["events"][0]["displayName"],
        "Blitzverkauf"
    );
    watch
        .says(json!({"type": "query", "id": "nobody", "players": []}))
        .await;
    assert_eq!(watch.hears("refused").await["id"], "nobody");
    let session = "0190b5a2-0000-7000-8000-000000000001";
    let reports = json!([
        {"kind": "Participation", "eventId": "sale", "player": "p-1"},
        {"kind": "Purchase", "eventId": "sale", "player": "p-1", "amount": "4.99", "currency": "XXX", "revision": 1},
    ]);
    let batch = |n| json!({"type": "reports", "session": session, "batch": n, "reports": reports});
    watch.says(batch(1)).await;
    let counted = watch.hears("counted").await;
    assert_eq!(
        (&counted["batch"], &counted["refused"][0]["index"]),
        (&json!(1), &json!(1))
    );
    watch.says(batch(3)).await;
    assert_eq!(watch.hears("resend").await["from"], 2);
    watch.says_anything(json!({"type": "hello"})).await;
    watch.hears("error").await;

    // All that an edge says, but what takes an edge that ends, or an origin that is away.
    let said = [
        "activated",
        "ahead",
        "counted",
        "current",
        "deactivated",
        "delta",
        "error",
        "player",
        "refused",
        "resend",
        "result",
        "snapshot",
        "tokenExpiring",
        "tokenRenewed",
        "welcome",
    ];
    assert_eq!(
        heard.iter().collect::<Vec<_>>(),
        said.iter().collect::<Vec<_>>()
    );
}
