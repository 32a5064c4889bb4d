//! Reports of game servers are counted once each, whatever is killed and wherever they are sent again, and shown at once.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, Edge};
use common::game_server::GameServer;
use common::{Random, eventually, seed};
use liveevents_client::{Happening, Report, Seen};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

const REGION: &str = "us-east";
const EVENT: &str = "gifts";

/// Whoever sends batches, one after another.
struct Sender {
    session: Uuid,
    token: String,
    http: reqwest::Client,
}

impl Sender {
    fn new(token: &str) -> Self {
        Self {
            session: Uuid::now_v7(),
            token: token.to_owned(),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(20))
                .build()
                .unwrap(),
        }
    }

    /// Sends a batch once; `None` if the edge is away.
    async fn send(&self, edge: &str, batch: u64, reports: &[Value]) -> Option<(StatusCode, Value)> {
        let url = format!("{edge}/api/v1/reports?region={REGION}");
        let body = json!({ "session": self.session, "batch": batch, "reports": reports });
        let request = self.http.post(url).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        Some((status, answer.json().await.ok()?))
    }
}

fn report(player: &str, more: Value) -> Value {
    let mut report = json!({ "eventId": EVENT, "player": player, "revision": 1 });
    for (name, value) in more.as_object().unwrap() {
        report[name] = value.clone();
    }
    report
}

async fn deployed(cluster: &Cluster, edges: &[&Edge]) -> (common::rest::Rest, String) {
    let rest = cluster.rest().await;
    rest.event(EVENT).await;
    rest.deploy(EVENT, &[REGION], 100).await;
    cluster.converge(&rest, edges).await;
    let token = rest.token("GameServer", &[REGION]).await;
    (rest, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_is_counted_once_and_shown() {
    let cluster = Cluster::start().await;
    let first = cluster.edge("us-east-1", REGION).await;
    let second = cluster.edge("us-east-2", REGION).await;
    let (rest, token) = deployed(&cluster, &[&first, &second]).await;
    let sender = Sender::new(&token);
    let reports = [
        report("a", json!({ "kind": "SessionStart" })),
        report("b", json!({ "kind": "SessionStart" })),
        report("a", json!({ "kind": "Participation" })),
        report("a", json!({ "kind": "Dance" })),
        report("a", json!({ "kind": "Completion" })),
        report(
            "a",
            json!({ "kind": "Purchase", "amount": "4.99", "currency": "USD" }),
        ),
        report(
            "a",
            json!({ "kind": "Purchase", "amount": "4.99", "currency": "XXX" }),
        ),
        report(
            "b",
            json!({ "kind": "Feedback", "sentiment": "Positive", "score": 9 }),
        ),
        report(
            "b",
            json!({ "kind": "Feedback", "sentiment": "Negative", "score": 11 }),
        ),
        report("a", json!({ "kind": "SessionEnd", "seconds": 90 })),
        report("b", json!({ "kind": "Error" })),
    ];
    let (status, answer) = sender.send(&first.http, 1, &reports).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let refused: Vec<u64> = answer["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["index"].as_u64().unwrap())
        .collect();
    assert_eq!(refused, [3, 6, 8], "{answer}");

    let metrics = async || {
        rest.get(&format!("/events/{EVENT}/metrics?region={REGION}"))
            .await
    };
    let expected = metrics().await;
    let engagement = &expected["engagement"];
    assert_eq!(
        (
            &engagement["activePlayers"],
            &engagement["participants"],
            &engagement["sessions"]
        ),
        (&json!(2), &json!(1), &json!(2)),
        "{expected}"
    );
    assert_eq!(engagement["averageSessionSeconds"], 90.0);
    assert_eq!(
        (&engagement["completions"], &engagement["errors"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(expected["revenue"]["total"], 4.99);
    assert_eq!(expected["sentiment"]["positive"], 1);

    // Sent again to it and to another edge, it changes nothing; the next one may go anywhere.
    for edge in [&first, &second, &first] {
        assert_eq!(
            sender.send(&edge.http, 1, &reports).await.unwrap().0,
            StatusCode::OK
        );
    }
    assert_eq!(metrics().await["engagement"], expected["engagement"]);
    let (status, answer) = sender.send(&second.http, 3, &reports).await.unwrap();
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let purchase = [report(
        "c",
        json!({ "kind": "Purchase", "amount": 0.01, "currency": "USD" }),
    )];
    assert_eq!(
        sender.send(&second.http, 2, &purchase).await.unwrap().0,
        StatusCode::OK
    );
    let revenue = rest
        .get(&format!(
            "/events/{EVENT}/metrics/revenue?window=PT10M&step=PT1M"
        ))
        .await;
    assert_eq!(
        (&revenue["total"], &revenue["purchases"]),
        (&json!(5.0), &json!(2))
    );
    let series = revenue["series"].as_array().unwrap();
    let sum: u64 = series
        .iter()
        .map(|step| step["purchases"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 2, "{revenue}");

    // Players are in no table.
    let found = cluster.database.query(
        "SELECT count(*) FROM engagement WHERE position('a'::bytea in active) > 0 AND octet_length(active) < 8",
    );
    assert_eq!(found, "0");
}

/// From a game server's reports to what players are shown, through all of the system.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_event_says_so_to_game_servers_and_players() {
    let cluster = Cluster::start().await;
    let edge = cluster.edge("us-east-1", REGION).await;
    let rest = cluster.rest().await;
    rest.create(EVENT, json!({ "maxParticipants": 2 })).await;
    rest.approve(EVENT).await;
    rest.deploy(EVENT, &[REGION], 100).await;
    cluster.converge(&rest, &[&edge]).await;
    let token = rest.token("GameServer", &[REGION]).await;
    let server = GameServer::connect("game server", REGION, &edge.ws(), &token);
    server.client.synced().await;
    let shown = async || {
        let url = format!("{}/api/v1/players/p-9/events?region={REGION}", edge.http);
        let request = reqwest::Client::new().get(url).bearer_auth(&token);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["events"][0]["full"].clone()
    };
    assert_eq!(shown().await, Value::Null);
    for player in ["p-1", "p-2"] {
        let report = Report {
            event_id: EVENT.parse().unwrap(),
            player: player.to_owned(),
            happening: Happening::Participation,
            seen: Seen::default(),
            attributes: Default::default(),
            platform: None,
        };
        server.client.report(report).unwrap();
    }
    let event = EVENT.parse().unwrap();
    eventually("the event was full", || async {
        let full = server.state().assignment(&event)?.full;
        (full && shown().await == true).then_some(())
    })
    .await;
    assert_eq!(server.client.reported().borrow().counted, 2);
    let whole = rest.get(&format!("/events/{EVENT}")).await;
    assert_eq!(whole["currentParticipants"], 2);
    // What they saw was found out from what the game server held.
    let seen = "SELECT DISTINCT revision || cohort FROM engagement";
    assert_eq!(cluster.database.query(seen), "1Everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_origin_nothing_is_said_to_be_counted() {
    let mut cluster = Cluster::start().await;
    // However long senders wait, what they are told is true.
    let soon = [("REPORTS_DEADLINE", "PT0.2S".to_owned())];
    let edge = cluster.edge_not_awaited("us-east-1", REGION, &soon).await;
    edge.synced().await;
    let (_, token) = deployed(&cluster, &[&edge]).await;
    let sender = Sender::new(&token);
    let one = [report("a", json!({ "kind": "Participation" }))];
    eventually("the first batch was counted", || async {
        let (status, _) = sender.send(&edge.http, 1, &one).await?;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    cluster.kill_origin();
    let (status, answer) = sender.send(&edge.http, 2, &one).await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    cluster.start_origin().await;
    eventually("the batch was counted", || async {
        let (status, _) = sender.send(&edge.http, 2, &one).await?;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    let sum = "SELECT sum(participations) FROM engagement WHERE grain = 'Minute'";
    assert_eq!(cluster.database.number(sum), 2);
}

/// Game servers that go from edge to edge in the middle of their batches, while edges and the origin are killed.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_each_batch_counts_once() {
    const SENDERS: usize = 6;
    const BATCHES: u64 = 25;
    let mut random = Random(seed());
    let mut cluster = Cluster::start().await;
    let mut edges = [
        cluster.edge("us-east-1", REGION).await,
        cluster.edge("us-east-2", REGION).await,
    ];
    let (_, token) = deployed(&cluster, &[&edges[0], &edges[1]]).await;
    let addresses = [edges[0].http.clone(), edges[1].http.clone()];
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..SENDERS {
        let (sender, addresses) = (Sender::new(&token), addresses.clone());
        let mut random = Random(random.below(u64::MAX));
        senders.spawn(async move {
            let one = [report(
                &format!("player-{n}"),
                json!({ "kind": "Participation" }),
            )];
            for batch in 1..=BATCHES {
                // Until it is acknowledged, at either edge.
                for attempt in 0.. {
                    assert!(
                        attempt < 400,
                        "batch {batch} of sender {n} was never counted"
                    );
                    let edge = &addresses[usize::try_from(random.below(2)).unwrap()];
                    match sender.send(edge, batch, &one).await {
                        Some((StatusCode::OK, _)) => break,
                        _ => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            }
        });
    }
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(200 + random.below(400))).await;
        match random.below(3) {
            0 => {
                cluster.kill_origin();
                cluster.start_origin().await;
            }
            edge => {
                let edge = &mut edges[usize::try_from(edge - 1).unwrap()];
                edge.restart(cluster.dir.path()).await;
            }
        }
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let batches = i64::try_from(SENDERS).unwrap() * i64::try_from(BATCHES).unwrap();
    for grain in ["Minute", "Hour"] {
        let sum = format!("SELECT sum(participations) FROM engagement WHERE grain = '{grain}'");
        assert_eq!(cluster.database.number(&sum), batches, "{grain}");
    }
}
