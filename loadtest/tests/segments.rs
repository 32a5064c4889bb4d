//! An event for a segment, from the designer to the player: shown to those who belong to it, by edges and game servers of
//! every level alike; following what is published and rolled back; and still so after a restart with the origin away.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::collections::BTreeMap;

use common::cluster::{Cluster, Edge};
use common::eventually;
use common::game_server::GameServer;
use common::rest::Rest;
use liveevents_client::{
    Asker, Attribute, Attributes, ClientConfig, Keys, PlayerMessage, Token, WatchClient,
};
use serde_json::{Value, json};

const REGION: &str = "us-east";
const ELSEWHERE: &str = "eu-west";
const EVENT: &str = "gifts";
const SEGMENT: &str = "vip-tier-1";
/// Players by what they have spent: who is in from 100 on, from 50 on, and never.
const SPENT: [(&str, u32); 3] = [("whale", 120), ("fish", 60), ("plankton", 1)];

struct Scene {
    cluster: Cluster,
    rest: Rest,
    edge: Edge,
    local: GameServer,
    watch: WatchClient,
    token: String,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let rest = cluster.rest().await;
        let edge = cluster.edge("us-east-1", REGION).await;
        let token = rest.token("GameServer", &[REGION]).await;
        let local = GameServer::connect("local", REGION, &edge.ws(), &token);
        let addresses = vec![edge.ws().parse().unwrap()];
        let config = ClientConfig::new(REGION.parse().unwrap(), addresses, Token::fixed(&token));
        let watch = WatchClient::connect(config).unwrap();
        let players = SPENT.map(|(player, spent)| PlayerMessage {
            player: player.to_owned(),
            keys: BTreeMap::new(),
            attributes: attributes(spent),
            language: None,
            platform: None,
            build: None,
        });
        watch.watch(players).unwrap();
        Self {
            cluster,
            rest,
            edge,
            local,
            watch,
            token,
        }
    }

    /// Waits until the event is shown to these and to nobody else: by the edge, by a game server that evaluates itself,
    /// and by what a watching one was told.
    async fn shows(&self, expected: &[&str]) {
        eventually(&format!("{EVENT} was shown to {expected:?}"), || async {
            let same = self.by_edge().await? == expected
                && self.by_local() == expected
                && self.by_watch() == expected;
            same.then_some(())
        })
        .await;
    }

    async fn by_edge(&self) -> Option<Vec<&'static str>> {
        let http = reqwest::Client::new();
        let mut shown = Vec::new();
        for (player, spent) in SPENT {
            let url = format!(
                "{}/api/v1/players/{player}/events?region={REGION}&attributes.lifetimeSpend={spent}",
                self.edge.http
            );
            let answer = http.get(url).bearer_auth(&self.token).send().await.ok()?;
            let answer: Value = answer.json().await.ok()?;
            if !answer["events"].as_array()?.is_empty() {
                shown.push(player);
            }
        }
        Some(shown)
    }

    fn by_local(&self) -> Vec<&'static str> {
        let shown = |(player, spent): &(&'static str, u32)| {
            let attributes = attributes(*spent);
            let keys = [("player", *player)];
            let asker = Asker {
                keys: Keys(&keys),
                attributes: Attributes::new(&attributes),
                build: None,
            };
            !self.local.client.shown(asker).is_empty()
        };
        let shown = SPENT.iter().filter(|player| shown(player));
        shown.map(|(player, _)| *player).collect()
    }

    fn by_watch(&self) -> Vec<&'static str> {
        let shown = |player: &str| {
            let told = self.watch.events(player);
            told.is_some_and(|told| !told.events.is_empty())
        };
        let players = SPENT.iter().map(|(player, _)| *player);
        players.filter(|player| shown(player)).collect()
    }

    async fn is_everywhere(&self, done: &Value) {
        let path = format!("/changes/{}", done["changeId"].as_str().unwrap());
        eventually("the change was everywhere", || async {
            let told = self.rest.get(&path).await;
            (told["converged"] == true).then_some(())
        })
        .await;
    }
}

fn attributes(spent: u32) -> BTreeMap<String, Attribute> {
    let spent = Attribute::Number(spent.into());
    [("lifetimeSpend".to_owned(), spent)].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_a_segment_is_shown_to_who_belongs_to_what_is_published() {
    let mut scene = Scene::start().await;
    let rest = scene.rest.clone();
    let event = json!({ "targetSegments": [SEGMENT], "excludeSegments": ["at-risk"] });
    rest.create(EVENT, event).await;
    rest.approve(EVENT).await;
    rest.deploy(EVENT, &[REGION], 100).await;
    scene.shows(&["whale"]).await;

    // Designers edit, and nobody notices; an admin publishes, and everybody does.
    let path = format!("/segments/{SEGMENT}");
    let criteria = json!({ "criteria": { "lifetimeSpend": [50, null], "exclude": ["cheater"] } });
    rest.put(&path, criteria).await;
    let sample = json!({ "players": SPENT.map(|(player, spent)| json!({
        "playerId": player, "attributes": { "lifetimeSpend": spent },
    })) });
    let preview = rest.post(&format!("{path}/preview"), sample).await;
    assert_eq!(
        (&preview["joins"], &preview["stays"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(preview["usedBy"]["regions"], json!([REGION]));
    let order = json!({ "reason": "more of them" });
    let done = rest.post(&format!("{path}/publish"), order).await;
    assert_eq!(done["regions"], json!({ REGION: 2 }));
    scene.shows(&["whale", "fish"]).await;
    scene.is_everywhere(&done).await;

    // With the origin away and the edge restarted it is as it was.
    scene.cluster.kill_origin();
    scene.edge.restart(scene.cluster.dir.path()).await;
    scene.edge.synced().await;
    scene.shows(&["whale", "fish"]).await;

    scene.cluster.start_origin().await;
    let back = rest.post(&format!("{path}/rollback"), json!({})).await;
    assert_eq!(back["revision"], 1);
    scene.shows(&["whale"]).await;
    scene.is_everywhere(&back).await;

    // A region that comes later gets what is in effect with it; when nothing names the segment any more it is gone.
    let edge = scene.cluster.edge("eu-west-1", ELSEWHERE).await;
    rest.deploy(EVENT, &[ELSEWHERE], 100).await;
    let held = async |edge: &Edge| {
        let served = rest.served(edge).await.unwrap();
        let segments = served["segments"].as_array().cloned().unwrap_or_default();
        let names = segments.iter().map(|segment| segment["segmentId"].clone());
        names.collect::<Vec<_>>()
    };
    scene.cluster.converge(&rest, &[&edge, &scene.edge]).await;
    assert_eq!(held(&edge).await, ["at-risk", SEGMENT]);
    rest.revise(EVENT, json!({ "targetSegments": [] })).await;
    rest.deploy(EVENT, &[REGION, ELSEWHERE], 100).await;
    scene.shows(&["whale", "fish", "plankton"]).await;
    scene.cluster.converge(&rest, &[&edge, &scene.edge]).await;
    assert_eq!(held(&edge).await, ["at-risk"]);
    assert_eq!(held(&scene.edge).await, ["at-risk"]);
}
