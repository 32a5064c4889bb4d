//! A player's events at the origin: what an edge would answer, at any moment, and with a revision that is not served yet.

use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin};

async fn shown(caller: &Caller<'_>, query: &str) -> Vec<(String, u64)> {
    let path = format!("/players/p-1/events?region=us-east{query}");
    let answer = caller.get(&path).await.must(200);
    let events = answer["events"].as_array().unwrap().iter();
    events
        .map(|event| {
            let id = event["eventId"].as_str().unwrap().to_owned();
            (id, event["revision"].as_u64().unwrap())
        })
        .collect()
}

fn of(id: &str, revision: u64) -> (String, u64) {
    (id.to_owned(), revision)
}

/// From noon on, when tests begin.
fn open(more: Value) -> Value {
    let mut fields =
        json!({ "startTime": "2026-06-01T12:00:00Z", "endTime": "2026-06-08T12:00:00Z" });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    fields
}

#[sqlx::test(migrations = "../migrations")]
async fn shows_what_edges_show_and_says_why(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let fields = json!({
        "configuration": { "version": "1.0", "multipliers": { "xp": 2.50 } }, "priority": 5,
        "localizations": { "de": { "displayName": "Sommerfest" } },
    });
    admin.approved_event("fest", open(fields)).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    let build = open(json!({ "requires": { "minBuild": "4.0" } }));
    admin.approved_event("new-map", build).await;
    admin.deploy("new-map", &["us-east"], 100.0).await;

    assert_eq!(shown(&admin, "").await, [of("fest", 1)]);
    assert_eq!(
        shown(&admin, "&build=4.1").await,
        [of("fest", 1), of("new-map", 1)]
    );
    let path = "/players/p-1/events?region=us-east&language=de-AT&explain=true";
    let answer = admin.get(path).await.must(200);
    assert_eq!(
        (&answer["version"], &answer["ageMs"]),
        (&json!(2), &json!(0))
    );
    let event = &answer["events"][0];
    assert_eq!(event["displayName"], "Sommerfest");
    assert_eq!(event["closes"], "2026-06-08T12:00:00Z");
    assert_eq!(event["configuration"]["multipliers"]["xp"], 2.5);
    let explained = answer["explanations"].as_array().unwrap();
    let map = explained
        .iter()
        .find(|e| e["eventId"] == "new-map")
        .unwrap();
    assert_eq!(map["outcome"], "WrongBuild");
    assert_eq!(
        map["rules"].as_array().unwrap().last().unwrap()["rule"],
        "Requires"
    );
    let path = "/players/p-1/events?region=us-east&includeConfig=false";
    let answer = admin.get(path).await.must(200);
    assert_eq!(answer["events"][0].get("configuration"), None);

    admin
        .post("/stop", json!({ "events": ["fest"] }))
        .await
        .must(200);
    assert_eq!(shown(&admin, "").await, []);
}

#[sqlx::test(migrations = "../migrations")]
async fn looks_ahead_and_at_what_is_not_served_yet(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    admin
        .put("/events/fest", json!({ "priority": 9 }))
        .await
        .must(200);
    admin
        .post("/events", crate::common::event("draft", json!({})))
        .await
        .must(201);

    assert_eq!(shown(&admin, "").await, []);
    let july = "&at=2026-07-01T10:00:00Z";
    assert_eq!(shown(&admin, july).await, [of("fest", 1)]);
    assert_eq!(shown(&admin, "&at=2026-07-15T10:00:00Z").await, []);
    let next = format!("{july}&revision=fest:2");
    assert_eq!(shown(&admin, &next).await, [of("fest", 2)]);
    let draft = format!("{july}&revision=draft:1");
    assert_eq!(shown(&admin, &draft).await, [of("draft", 1), of("fest", 1)]);
    // Nothing of it has happened.
    assert_eq!(shown(&admin, july).await, [of("fest", 1)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_player_is_told_their_own_and_nothing_else_and_what_is_wrong_is_named(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let player = origin.caller(Role::Player, &["us-east"]);
    let ask = async |caller: &Caller<'_>, player: &str, query: &str| {
        caller
            .get(&format!("/players/{player}/events?{query}"))
            .await
    };
    let here = "region=us-east";
    // Whom the harness signs a player's token for.
    ask(&player, "Player", here).await.must(200);
    ask(&player, "another", here)
        .await
        .refused(403, "FORBIDDEN");
    ask(&player, "Player", "region=us-west")
        .await
        .refused(403, "FORBIDDEN");
    for more in [
        "explain=true",
        "key.match=1",
        "attributes.level=50",
        "at=2026-07-01T10:00:00Z",
        "revision=fest:1",
    ] {
        let refused = ask(&player, "Player", &format!("{here}&{more}")).await;
        refused.refused(403, "FORBIDDEN");
    }
    let developer = origin.caller(Role::Developer, &[]);
    for (query, field) in [
        ("", "region"),
        ("region=us-east&at=noon", "at"),
        ("region=us-east&at=9999-12-29T00:00:00Z", "at"),
        ("region=us-east&revision=fest", "revision"),
        ("region=us-east&revision=fest:0", "revision"),
        ("region=us-east&revision=fest:1", "revision"),
        ("region=us-east&build=x", "build"),
        ("region=us-east&colour=red", "colour"),
    ] {
        let refused = ask(&developer, "p-1", query).await;
        assert_eq!(refused.refused(400, "VALIDATION_ERROR"), [field], "{query}");
    }
    ask(&developer, "p-1", "region=atlantis")
        .await
        .refused(404, "NOT_FOUND");
    ask(
        &developer,
        "p-1",
        "region=us-east&key.match=7&attributes.level=3",
    )
    .await
    .must(200);
}
