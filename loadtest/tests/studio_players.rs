//! A player with a token of the studio's own issuer, at a real edge behind a real origin: what the token says decides, and
//! nothing that the player's client says; and an edge believes it with the origin away, after a restart, and no longer once
//! the issuer is removed.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::cluster::{Cluster, Edge};
use common::eventually;
use common::redis::stored_trust;
use common::rest::Rest;
use ed25519_dalek::{Signer as _, SigningKey};
use liveevents_protocol::bucketing::bucket;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const REGION: &str = "us-east";
const ISSUER: &str = "https://id.studio.example";

/// The key pair of RFC 8037, appendix A.
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// A studio's server of keys: answers every request with the key set, and closes.
async fn key_server() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k-1", "x": PUBLIC });
    let body = json!({ "keys": [key] }).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            drop(socket.read(&mut request).await);
            drop(socket.write_all(answer.as_bytes()).await);
            drop(socket.shutdown().await);
        }
    });
    (url, server)
}

/// What the studio's own service gives a player who has logged in.
fn token(player: &str, spent: u32, guild: &str, audience: &str) -> String {
    let expires = jiff::Zoned::now().timestamp().as_second() + 3600;
    let claims = json!({
        "iss": ISSUER, "aud": audience, "sub": player, "exp": expires,
        "game": { "spent": spent }, "guild_id": guild,
    });
    let header = json!({ "alg": "EdDSA", "kid": "k-1" });
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let said = format!("{}.{}", part(&header), part(&claims));
    let seed = URL_SAFE_NO_PAD.decode(PRIVATE).unwrap();
    let key = SigningKey::from_bytes(&seed.try_into().unwrap());
    let signature = key.sign(said.as_bytes()).to_bytes();
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What an edge answers a player: the status, and the events shown.
async fn ask(edge: &Edge, player: &str, token: &str, more: &str) -> (u16, Vec<String>) {
    let url = format!(
        "{}/api/v1/players/{player}/events?region={REGION}{more}",
        edge.http
    );
    let answer = reqwest::Client::new()
        .get(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let answer: Value = answer.json().await.unwrap();
    let events = answer["events"].as_array().cloned().unwrap_or_default();
    let names = events
        .iter()
        .map(|event| event["eventId"].as_str().unwrap().to_owned());
    (status, names.collect())
}

async fn describe(rest: &Rest, url: &str) {
    let issuer = json!({
        "issuer": ISSUER, "audience": "starfall", "algorithms": ["EdDSA"], "jwksUrl": url, "regions": [REGION],
        "claims": { "attributes": { "lifetimeSpend": "game.spent" }, "keys": { "guild": "guild_id" } },
    });
    rest.put("/issuers/accounts", issuer).await;
    eventually("the keys were there", || async {
        let issuer = rest.get("/issuers/accounts").await;
        (issuer["believedKeys"][0]["kid"] == "k-1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_studios_token_says_of_a_player_decides() {
    let mut cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    let mut edge = cluster.edge("us-east-1", REGION).await;
    let (url, _server) = key_server().await;
    describe(&rest, &url).await;
    rest.create("gifts", json!({ "targetSegments": ["vip-tier-1"] }))
        .await;
    rest.create("raid", json!({ "bucketBy": "guild" })).await;
    for (event, percentage) in [("gifts", 100), ("raid", 50)] {
        rest.approve(event).await;
        rest.deploy(event, &[REGION], percentage).await;
    }
    cluster.converge(&rest, &[&edge]).await;
    let served = rest.served(&edge).await.unwrap();
    let assignments = served["assignments"].as_array().unwrap();
    let raid = assignments
        .iter()
        .find(|one| one["eventId"] == "raid")
        .unwrap();
    let salt = raid["salt"].as_str().unwrap();
    let guild = |exposed: bool| {
        let mut guilds = (0..).map(|n| format!("guild-{n}"));
        guilds
            .find(|guild| (bucket(salt, guild) < 5_000) == exposed)
            .unwrap()
    };
    let (inside, outside) = (guild(true), guild(false));

    let whale = token("whale", 120, &inside, "starfall");
    eventually("the edge knew the issuer", || async {
        let (status, _) = ask(&edge, "whale", &whale, "").await;
        (status == 200).then_some(())
    })
    .await;
    let both = vec!["gifts".to_owned(), "raid".to_owned()];
    assert_eq!(ask(&edge, "whale", &whale, "").await, (200, both.clone()));
    let fish = token("fish", 60, &outside, "starfall");
    assert_eq!(ask(&edge, "fish", &fish, "").await, (200, vec![]));
    // Nothing that a player's client says counts.
    for said in ["&attributes.lifetimeSpend=120", "&key.guild=guild-0"] {
        assert_eq!(ask(&edge, "fish", &fish, said).await.0, 403, "{said}");
    }
    assert_eq!(
        ask(&edge, "whale", &fish, "").await.0,
        403,
        "another's events"
    );
    let other_game = token("whale", 120, &inside, "moonrise");
    assert_eq!(ask(&edge, "whale", &other_game, "").await.0, 401);
    // The claims of one, the signature of another.
    let (said, signed) = (
        whale.rsplit_once('.').unwrap(),
        fish.rsplit_once('.').unwrap(),
    );
    let forged = format!("{}.{}", said.0, signed.1);
    assert_eq!(ask(&edge, "whale", &forged, "").await.0, 401);

    // Restarted with the origin away, the edge knows the issuer by what it kept.
    cluster.kill_origin();
    edge.restart(cluster.dir.path()).await;
    edge.synced().await;
    assert_eq!(ask(&edge, "whale", &whale, "").await, (200, both));
    assert_eq!(ask(&edge, "whale", &other_game, "").await.0, 401);

    // Removed, it is believed no longer, within seconds and for good.
    cluster.start_origin().await;
    let (status, _) = rest
        .send(Method::DELETE, "/issuers/accounts", None)
        .await
        .unwrap();
    assert_eq!(status.as_u16(), 204);
    eventually("the edge believed the issuer no longer", || async {
        let (status, _) = ask(&edge, "whale", &whale, "").await;
        (status == 401).then_some(())
    })
    .await;
    // What the edge keeps it writes behind.
    let serial = u64::try_from(cluster.database.number("SELECT serial FROM trust")).unwrap();
    eventually("Redis held what is believed now", || async {
        (stored_trust(&cluster.installation) >= Some(serial)).then_some(())
    })
    .await;
    cluster.kill_origin();
    edge.restart(cluster.dir.path()).await;
    edge.synced().await;
    assert_eq!(ask(&edge, "whale", &whale, "").await.0, 401);
}
