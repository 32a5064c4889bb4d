//! Reads over HTTP: what players and game servers are told, and who may ask.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::history::{History, assignment, content, epoch, put, try_on_all};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, start};
use jiff::SignedDuration;
use liveevents_protocol::model::Suspension;
use liveevents_service::clock::ManualClock;
use liveevents_service::token::Role;
use serde_json::{Value, json};

struct World {
    identity: Identity,
    edge: Edge,
    hand: ManualClock,
    history: History,
    _link: Link,
    _origin: Origin,
}

impl World {
    /// Three events: one with a candidate for whoever names a match, one more important, one stopped.
    async fn new() -> Self {
        let (identity, hand) = (Identity::new(), clock());
        let origin = Origin::start(&identity, &hand.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        history.commit(try_on_all("sale", 1, 2, "match"), start());
        let mut important = content("cup", 1);
        important.priority = 9;
        history.commit(vec![important.into(), assignment("cup", 1).into()], start());
        let mut stopped = assignment("broken", 1);
        stopped.suspension = Suspension {
            paused: false,
            stopped: true,
        };
        history.commit(vec![content("broken", 1).into(), stopped.into()], start());
        let edge = Setup::new(&identity, &hand.clock(), &[origin.address])
            .start()
            .await;
        let link = origin.serve(&[&history]).await;
        Self {
            identity,
            edge,
            hand,
            history,
            _link: link,
            _origin: origin,
        }
    }

    fn player(&self, id: &str) -> String {
        self.identity.token(Role::Player, id, &["us-east"])
    }

    fn server(&self) -> String {
        self.identity.game_server(&["us-east"])
    }

    async fn ask(&self, path: &str, token: &str) -> Value {
        let (status, body) = self.edge.get(path, token).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn refused(&self, path: &str, token: &str) -> (u16, String) {
        let (status, body) = self.edge.get(path, token).await;
        (
            status.as_u16(),
            body["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

fn shown(body: &Value) -> Vec<(&str, i64)> {
    let events = body["events"].as_array().unwrap().iter();
    events
        .map(|e| {
            (
                e["eventId"].as_str().unwrap(),
                e["revision"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_player_is_told_what_is_shown_to_them_and_nothing_of_candidates() {
    let world = World::new().await;
    let body = world
        .ask(
            "/api/v1/players/p-1/events?region=us-east",
            &world.player("p-1"),
        )
        .await;
    assert_eq!(shown(&body), [("cup", 1), ("sale", 1)]);
    assert_eq!(body["region"], "us-east");
    assert_eq!(body["epoch"], epoch(5).to_string());
    assert_eq!(
        (&body["version"], &body["ageMs"], &body["stale"]),
        (&json!(4), &json!(0), &json!(false))
    );
    assert_eq!(
        body["events"][1],
        json!({
            "eventId": "sale", "revision": 1, "type": "LimitedTimeOffer", "displayName": "sale 1",
            "description": "Twice as much.", "tags": ["sale"], "priority": 0,
            "closes": "2100-01-01T00:00:00Z", "configuration": {"multipliers": {"xp": 1}},
        })
    );
    let path = "/api/v1/players/p-1/events?region=us-east&includeConfig=false";
    let body = world.ask(path, &world.player("p-1")).await;
    assert!(body["events"][0].get("configuration").is_none());
}

#[tokio::test]
async fn a_game_server_may_name_what_is_bucketed_by() {
    let world = World::new().await;
    let path = "/api/v1/players/p-1/events?region=us-east&key.match=m-17";
    assert_eq!(
        shown(&world.ask(path, &world.server()).await),
        [("cup", 1), ("sale", 2)]
    );
    let (status, code) = world.refused(path, &world.player("p-1")).await;
    assert_eq!((status, code.as_str()), (403, "FORBIDDEN"));
}

#[tokio::test]
async fn texts_come_in_the_language_asked_for() {
    let world = World::new().await;
    for (language, expected) in [("de-AT", "cup auf Deutsch"), ("fr", "cup 1")] {
        let path = format!("/api/v1/players/p-1/events?region=us-east&language={language}");
        let body = world.ask(&path, &world.server()).await;
        assert_eq!(body["events"][0]["displayName"], expected);
        assert_eq!(body["events"][0]["description"], "Twice as much.");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_so() {
    let world = World::new().await;
    let identity = &world.identity;
    let own = "/api/v1/players/p-1/events?region=us-east";
    let region = "/api/v1/regions/us-east/events";
    let elsewhere = identity.token(Role::GameServer, "gs", &["eu-west"]);
    let table = [
        (own, String::new(), 401),
        (own, "garbage".to_owned(), 401),
        (own, world.player("p-2"), 403),
        (own, elsewhere.clone(), 403),
        (own, identity.token(Role::Player, "p-1", &["eu-west"]), 403),
        (own, identity.token(Role::Player, "p-1", &[]), 403),
        (own, identity.token(Role::Edge, "e", &["us-east"]), 403),
        (own, identity.token(Role::Developer, "eve", &[]), 200),
        (own, identity.token(Role::Admin, "root", &["us-east"]), 200),
        (own, identity.token(Role::Admin, "root", &["eu-west"]), 403),
        (region, world.player("p-1"), 403),
        (region, identity.token(Role::Edge, "e", &["us-east"]), 403),
        (region, elsewhere, 403),
        (region, world.server(), 200),
        (region, identity.token(Role::GameDesigner, "dee", &[]), 200),
        (region, identity.token(Role::Operator, "op", &[]), 200),
    ];
    for (at, (path, token, expected)) in table.into_iter().enumerate() {
        assert_eq!(world.edge.get(path, &token).await.0, expected, "row {at}");
    }
}

#[tokio::test]
async fn other_regions_are_misdirected_and_bad_queries_named() {
    let world = World::new().await;
    let token = world.identity.token(Role::Developer, "eve", &[]);
    for path in [
        "/api/v1/players/p/events?region=eu-west",
        "/api/v1/regions/eu-west/events",
    ] {
        let (status, body) = world.edge.get(path, &token).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_str()),
            (421, Some("MISDIRECTED"))
        );
        assert!(
            body["error"]["message"]
                .as_str()
                .unwrap()
                .contains("us-east"),
            "{body}"
        );
    }
    for path in [
        "/api/v1/players/p/events",
        "/api/v1/players/p/events?region=us-east&limit=1",
        "/api/v1/regions/US/events",
    ] {
        let refused = world.refused(path, &token).await;
        assert_eq!(refused, (400, "VALIDATION_ERROR".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_region_is_told_whole() {
    let world = World::new().await;
    let body = world
        .ask("/api/v1/regions/us-east/events", &world.server())
        .await;
    assert_eq!(body["version"], 4);
    assert_eq!(body["contents"].as_array().unwrap().len(), 4);
    let state = world.history.state(world.history.head());
    let expected: Vec<_> = state
        .assignments()
        .map(|a| serde_json::to_value(a).unwrap())
        .collect();
    assert_eq!(body["assignments"], Value::Array(expected));
}

#[tokio::test]
async fn schedules_open_and_close_by_the_edges_own_clock() {
    let world = World::new().await;
    let path = "/api/v1/players/p-1/events?region=us-east";
    // A token that lasts: the clock is about to be moved far.
    let mut claims = world.identity.claims(Role::GameServer, "gs", &["us-east"]);
    claims.expires_at = "2200-01-01T00:00:00Z".parse().unwrap();
    let token = world.identity.sign(&claims);
    assert_eq!(shown(&world.ask(path, &token).await).len(), 2);
    world
        .hand
        .set("2099-12-31T23:59:59.999999Z".parse().unwrap());
    assert_eq!(shown(&world.ask(path, &token).await).len(), 2);
    world.hand.advance(SignedDuration::from_micros(1));
    assert_eq!(shown(&world.ask(path, &token).await).len(), 0);
}

#[tokio::test]
async fn before_the_first_state_nothing_is_told() {
    let (identity, hand) = (Identity::new(), clock());
    let origin = Origin::start(&identity, &hand.clock());
    let edge = Setup::new(&identity, &hand.clock(), &[origin.address])
        .start()
        .await;
    let _link = origin.welcome().await;
    edge.until("the origin is connected", |report| {
        report["uplink"]["state"] == "Connected"
    })
    .await;
    let token = identity.game_server(&["us-east"]);
    let (status, body) = edge.get("/api/v1/regions/us-east/events", &token).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_str()),
        (503, Some("UNAVAILABLE"))
    );
    let (status, report) = edge.get("/health/ready", "").await;
    assert_eq!(
        (status.as_u16(), report["status"].as_str()),
        (503, Some("NotReady"))
    );
    assert_eq!(edge.get("/health", "").await.0, 200);
    assert_eq!(edge.get("/health/live", "").await.0, 200);
}
