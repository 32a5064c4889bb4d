//! The path that everything else is built on: what is decided by REST is held by the game servers of the regions it
//! is for, shown to exactly the players it is meant for, and by nobody else; and whoever decided sees who has it.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::cluster::{Cluster, Edge};
use common::eventually;
use common::game_server::GameServer;
use common::rest::Rest;
use liveevents_protocol::bucketing::bucket;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Where the event goes, and where it does not.
const REGIONS: [&str; 2] = ["us-east", "eu-west"];
const ELSEWHERE: &str = "ap-northeast";
const EVENT: &str = "winter-lights";
const PLAYERS: usize = 200;

struct Scene {
    cluster: Cluster,
    rest: Rest,
    /// Of `REGIONS`, then of the region elsewhere.
    edges: Vec<Edge>,
    game_servers: Vec<GameServer>,
    tokens: Vec<String>,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let rest = cluster.rest().await;
        let (mut edges, mut game_servers, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for region in [REGIONS[0], REGIONS[1], ELSEWHERE] {
            let edge = cluster.edge(&format!("{region}-1"), region).await;
            let token = rest.token("GameServer", &[region]).await;
            game_servers.push(GameServer::connect(region, region, &edge.ws(), &token));
            edges.push(edge);
            tokens.push(token);
        }
        let epoch = cluster.epoch();
        for server in &game_servers {
            server.reaches(&epoch, 0).await;
        }
        Self {
            cluster,
            rest,
            edges,
            game_servers,
            tokens,
        }
    }

    fn players() -> impl Iterator<Item = String> {
        (0..PLAYERS).map(|n| format!("player-{n}"))
    }

    /// The bucket of a player, by the salt that the game servers hold.
    fn bucket(&self, player: &str) -> u16 {
        let state = self.game_servers[0].state();
        bucket(
            &state.assignment(&EVENT.parse().unwrap()).unwrap().salt,
            player,
        )
    }

    /// Waits until the change is where it belongs and nowhere else; then every player is shown the revision that
    /// `expected` says for their bucket, by the game servers and by the edges alike.
    async fn assert_shown(&self, answer: &Value, expected: impl Fn(u16) -> Option<u32>) {
        let change = answer["changeId"].as_str().unwrap();
        let versions = answer.get("regionVersions").unwrap_or(&answer["regions"]);
        assert_eq!(
            versions.as_object().unwrap().len(),
            REGIONS.len(),
            "{answer}"
        );
        let epoch = self.cluster.epoch();
        for (server, region) in self.game_servers.iter().zip(REGIONS) {
            assert_eq!(versions[region], self.cluster.head(region));
            server
                .reaches(&epoch, versions[region].as_u64().unwrap())
                .await;
        }
        let http = reqwest::Client::new();
        for player in Self::players() {
            let revision = expected(self.bucket(&player));
            let expected: Vec<(String, u32)> = revision
                .map(|revision| (EVENT.to_owned(), revision))
                .into_iter()
                .collect();
            for at in 0..REGIONS.len() {
                let shown = self.game_servers[at].shown_to(&player);
                assert_eq!(shown, expected, "{player} in {}", REGIONS[at]);
                let url = format!(
                    "{}/api/v1/players/{player}/events?region={}",
                    self.edges[at].http, REGIONS[at]
                );
                let answer = http
                    .get(url)
                    .bearer_auth(&self.tokens[at])
                    .send()
                    .await
                    .unwrap();
                let answer: Value = answer.json().await.unwrap();
                let told: Vec<(String, u32)> = answer["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|event| {
                        let revision = event["revision"].as_u64().unwrap();
                        (
                            event["eventId"].as_str().unwrap().to_owned(),
                            revision.try_into().unwrap(),
                        )
                    })
                    .collect();
                assert_eq!(
                    told, expected,
                    "{player} by the edge of {}: {answer}",
                    REGIONS[at]
                );
                assert_eq!(answer["version"], versions[REGIONS[at]]);
            }
        }
        self.assert_nothing_elsewhere().await;
        self.assert_acked(change, versions).await;
    }

    async fn assert_nothing_elsewhere(&self) {
        let [.., server] = &self.game_servers[..] else {
            unreachable!()
        };
        assert_eq!((server.version(), server.state().values().count()), (0, 0));
        let served = self.rest.served(&self.edges[2]).await.unwrap();
        assert_eq!(
            (&served["version"], &served["assignments"]),
            (&json!(0), &json!([]))
        );
    }

    /// Whoever asks about the change is told that every edge concerned has it, and how long that took.
    async fn assert_acked(&self, change: &str, versions: &Value) {
        let told = eventually(&format!("change {change} was everywhere"), || async {
            let told = self.rest.get(&format!("/changes/{change}")).await;
            (told["converged"] == true).then_some(told)
        })
        .await;
        assert_eq!(
            told["regions"].as_object().unwrap().len(),
            REGIONS.len(),
            "{told}"
        );
        for region in REGIONS {
            let region_told = &told["regions"][region];
            assert_eq!(region_told["version"], versions[region], "{told}");
            assert_eq!(region_told["epoch"], self.cluster.epoch().as_str());
            assert_eq!(
                region_told["edges"],
                json!({ "verdict": "Converged", "applied": 1, "of": 1, "stragglers": [], "awaited": [] })
            );
            let took = |name: &str| region_told["milliseconds"]["edges"][name].as_f64().unwrap();
            let (p50, p99, last) = (took("p50"), took("p99"), took("last"));
            assert!(
                0.0 <= p50 && p50 <= p99 && p99 <= last && last < 60_000.0,
                "{told}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_created_approved_deployed_stopped_and_taken_back() {
    let scene = Scene::start().await;
    let rest = &scene.rest;
    let details = json!({
        "displayName": "Winter Lights",
        "description": "# Lights\nEverywhere.",
        "category": "season",
        "priority": 50,
        "tags": ["winter", "lights"],
        "localizations": { "de": { "displayName": "Winterlichter" } },
        "configuration": {
            "rewards": { "dailyLoginBonus": 100, "items": [{ "itemId": "lantern", "amount": 1 }] },
            "customParameters": { "big": 12345678901234567890_u64, "ratio": 1.10 }
        },
    });
    rest.create(EVENT, details).await;

    // Nothing goes anywhere before it is approved.
    let body = json!({ "eventId": EVENT, "regions": REGIONS, "percentage": 10 });
    let (status, refused) = rest
        .send(Method::POST, "/deployments", Some(body))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    scene.assert_nothing_elsewhere().await;
    rest.approve(EVENT).await;

    // A tenth get it, and who they are is known beforehand.
    let tenth = rest.deploy(EVENT, &REGIONS, 10).await;
    scene
        .assert_shown(&tenth, |bucket| (bucket < 1_000).then_some(1))
        .await;
    let exposed = Scene::players()
        .filter(|player| scene.bucket(player) < 1_000)
        .count();
    assert!(
        (5..50).contains(&exposed),
        "{exposed} of {PLAYERS} players are no tenth"
    );
    let state = scene.game_servers[0].state();
    let content = state
        .content(
            &EVENT.parse().unwrap(),
            liveevents_protocol::version::Revision(1),
        )
        .unwrap();
    assert_eq!(
        content.localizations["de"].display_name.as_deref(),
        Some("Winterlichter")
    );
    let configuration: Value = serde_json::from_str(content.configuration.as_str()).unwrap();
    assert_eq!(configuration["rewards"]["items"][0]["itemId"], "lantern");
    assert!(
        content
            .configuration
            .as_str()
            .contains("12345678901234567890"),
        "{configuration}"
    );

    let everybody = rest.deploy(EVENT, &REGIONS, 100).await;
    scene.assert_shown(&everybody, |_| Some(1)).await;

    // A second revision for a quarter; the others keep the first.
    rest.revise(EVENT, json!({ "displayName": "Winter Lights, brighter" }))
        .await;
    let quarter = rest.deploy(EVENT, &REGIONS, 25).await;
    let quarter_by_bucket = |bucket: u16| Some(if bucket < 2_500 { 2 } else { 1 });
    scene.assert_shown(&quarter, quarter_by_bucket).await;

    // Stopped is nothing for anybody; resumed is as it was.
    let order = json!({ "events": [EVENT], "reason": "it blinks" });
    let stopped = rest.post("/stop", order.clone()).await;
    scene.assert_shown(&stopped, |_| None).await;
    let resumed = rest.post("/resume", order).await;
    scene.assert_shown(&resumed, quarter_by_bucket).await;

    // Taken back one after the other, newest first; the order is kept.
    let roll_back = |deployment: &Value| {
        let id = deployment["deploymentId"].as_str().unwrap();
        let path = format!("/deployments/{id}/rollback");
        async move {
            rest.send(Method::POST, &path, Some(json!({ "reason": "it blinks" })))
                .await
                .unwrap()
        }
    };
    let (status, refused) = roll_back(&everybody).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        refused
            .to_string()
            .contains(quarter["deploymentId"].as_str().unwrap()),
        "{refused}"
    );
    let (_, back) = roll_back(&quarter).await;
    scene.assert_shown(&back, |_| Some(1)).await;
    let (_, back) = roll_back(&everybody).await;
    scene
        .assert_shown(&back, |bucket| (bucket < 1_000).then_some(1))
        .await;
    let (status, back) = roll_back(&tenth).await;
    assert_eq!(status, StatusCode::OK, "{back}");
    for (server, region) in scene.game_servers.iter().zip(REGIONS) {
        server
            .reaches(
                &scene.cluster.epoch(),
                back["regions"][region].as_u64().unwrap(),
            )
            .await;
        assert_eq!(server.state().values().count(), 0, "nothing is left behind");
    }

    for server in &scene.game_servers {
        server.assert_only_went_forward(|_| true);
    }
    scene.cluster.database.assert_logs_are_whole();
    let audit = rest.get("/audit?limit=100").await.to_string();
    for action in ["deployment.create", "deployment.rollback", "stop", "resume"] {
        assert!(
            audit.contains(&format!("\"{action}\"")),
            "{action} is not in the audit log"
        );
    }
}
