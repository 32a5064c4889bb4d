//! What is held of players, and forgetting them.

use jiff::SignedDuration;
use liveevents_origin::store::erasures::{self, Confirmation};
use liveevents_protocol::frame::FORGET;
use liveevents_protocol::id::ErasureId;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::edges::connect;
use crate::common::{Caller, Origin};

/// Says that an edge has forgotten, over a connection of it.
async fn confirm(origin: &Origin, edge: &str, claim: u64, erasures: &[&Value]) {
    let of = |id: &Value| Confirmation {
        edge: edge.parse().unwrap(),
        claim,
        erasure: id.as_str().unwrap().parse::<ErasureId>().unwrap(),
    };
    let all: Vec<_> = erasures.iter().map(|id| of(id)).collect();
    let mut tx = origin.pool.begin().await.unwrap();
    erasures::confirm(&mut tx, &all, origin.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// A token of a player, as shown once.
async fn token(admin: &Caller<'_>, player: &str, more: Value) -> String {
    let mut new = json!({
        "role": "Player", "subject": player, "regions": ["us-east"], "expiresIn": "P30D",
        "claims": { "attributes": { "level": 7 }, "keys": { "guild": "ravens" } },
    });
    for (name, value) in more.as_object().unwrap() {
        new[name] = value.clone();
    }
    let made = admin.post("/tokens", new).await.must(201);
    made["token"].as_str().unwrap().to_owned()
}

async fn data(admin: &Caller<'_>, player: &str) -> Value {
    admin
        .get(&format!("/players/{player}/data"))
        .await
        .must(200)
}

/// The tables in which a text is found, as text or as bytes.
async fn tables_with(origin: &Origin, text: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1",
    )
    .fetch_all(&origin.pool)
    .await
    .unwrap();
    let bytes: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let mut found = Vec::new();
    for table in tables {
        let sql = format!(
            "SELECT count(*) FROM {table} t WHERE position($1 IN t::text) > 0 OR position($2 IN t::text) > 0"
        );
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(text)
            .bind(&bytes)
            .fetch_one(&origin.pool)
            .await
            .unwrap();
        if rows > 0 {
            found.push(table);
        }
    }
    found
}

#[sqlx::test(migrations = "../migrations")]
async fn a_player_is_forgotten_once_every_edge_has_confirmed(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let zoe = origin.bearing(token(&admin, "zoe-17", json!({})).await);
    let max = origin.bearing(token(&admin, "max", json!({})).await);
    let headers = [("Idempotency-Key", "token-of-zoe-17")];
    let new = json!({ "role": "Player", "subject": "zoe-17", "regions": ["us-east"], "expiresIn": "PT1H" });
    let made = admin
        .call(
            axum::http::Method::POST,
            "/tokens",
            &headers,
            new.to_string(),
        )
        .await;
    let second = made.must(201)["tokenId"].clone();
    admin
        .delete(&format!("/tokens/{}", second.as_str().unwrap()))
        .await
        .must(204);
    // A script that happens to be called the same is no player.
    let script = json!({ "role": "Developer", "subject": "zoe-17", "expiresIn": "P1D" });
    admin.post("/tokens", script).await.must(201);
    connect(&origin, "a", 1, &[FORGET]).await;
    connect(&origin, "b", 1, &[FORGET]).await;

    let held = data(&admin, "zoe-17").await;
    assert_eq!(held["totalTokens"], 2);
    assert_eq!(held["tokens"][0]["claims"]["keys"]["guild"], "ravens");
    assert_eq!(
        (&held["erasures"], &held["segments"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(
        tables_with(&origin, "ravens").await,
        ["tokens"],
        "the audit log keeps nothing of a player"
    );

    let path = "/players/zoe-17/events?region=us-east";
    zoe.get(path).await.must(200);
    let asked = admin.delete("/players/zoe-17").await;
    let location = asked.headers["location"].to_str().unwrap().to_owned();
    let erasure = asked.must(202);
    let id = &erasure["erasureId"];
    assert_eq!(
        location,
        format!("/api/v1/erasures/{}", id.as_str().unwrap())
    );
    let now = json!(origin.now());
    let waiting =
        |edge: &str| json!({ "edgeId": edge, "since": now, "because": "Told", "lastSeen": now });
    assert_eq!(
        erasure,
        json!({
            "erasureId": id, "state": "Pending", "requestedBy": "Admin", "requestedAt": now, "doneAt": null,
            "tokensRevoked": 1, "listedIn": [], "waitingFor": [waiting("a"), waiting("b")],
            "confirmedBy": [], "dropped": [],
        })
    );
    zoe.get(path).await.refused(401, "UNAUTHORIZED");
    max.get("/players/max/events?region=us-east")
        .await
        .must(200);
    let held = data(&admin, "zoe-17").await;
    assert_eq!(
        (&held["totalTokens"], &held["erasures"]),
        (&json!(0), &json!([erasure]))
    );

    // Asked again it is the same, and takes what has come since.
    let late = origin.bearing(token(&admin, "zoe-17", json!({})).await);
    let again = admin.delete("/players/zoe-17").await.must(202);
    assert_eq!(
        (&again["erasureId"], &again["tokensRevoked"]),
        (id, &json!(2))
    );
    late.get(path).await.refused(401, "UNAUTHORIZED");

    confirm(&origin, "a", 1, &[id]).await;
    let shown = admin.get(&location["/api/v1".len()..]).await.must(200);
    assert_eq!(shown["confirmedBy"], json!([{ "edgeId": "a", "at": now }]));
    assert_eq!(shown["waitingFor"], json!([waiting("b")]));
    // Neither twice, nor by a stranger, nor over another connection, nor of what nobody asked for.
    confirm(&origin, "a", 1, &[id]).await;
    confirm(&origin, "c", 1, &[id]).await;
    confirm(&origin, "b", 2, &[id]).await;
    confirm(
        &origin,
        "b",
        1,
        &[&json!("01a00000-0000-7000-8000-000000000000")],
    )
    .await;
    assert_eq!(
        admin.get(&location["/api/v1".len()..]).await.must(200),
        shown
    );

    origin.clock.advance(SignedDuration::from_secs(5));
    confirm(&origin, "b", 1, &[id]).await;
    let done = data(&admin, "zoe-17").await["erasures"][0].clone();
    assert_eq!(
        (&done["state"], &done["doneAt"]),
        (&json!("Done"), &json!(origin.now()))
    );
    assert_eq!(done["waitingFor"], json!([]));
    let deeds = admin.deeds(id.as_str().unwrap()).await;
    let after = |tokens| json!({ "tokensRevoked": tokens, "listedIn": [], "edges": 2 });
    let deed = |tokens| ("Admin".to_owned(), "player.erase".to_owned(), after(tokens));
    assert_eq!(deeds, [deed(1), deed(1)]);

    // The script's token is a script's. Nothing else has the name.
    assert_eq!(
        tables_with(&origin, "zoe-17").await,
        ["audit_log", "tokens"]
    );
    let script = admin.get("/tokens?subject=zoe-17").await.must(200);
    assert_eq!(script["total"], 1);

    // A player who comes back can be forgotten again.
    let next = admin.delete("/players/zoe-17").await.must(202);
    assert_ne!(&next["erasureId"], id);
    let told = data(&admin, "zoe-17").await["erasures"].clone();
    assert_eq!(told, json!([next, done]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_name_is_in_no_table_once_it_is_forgotten(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let name = "quetzal-4711";
    let headers = [("Idempotency-Key", "once-for-quetzal-4711")];
    let new =
        json!({ "role": "Player", "subject": name, "regions": ["us-east"], "expiresIn": "P1D" });
    let made = admin
        .call(
            axum::http::Method::POST,
            "/tokens",
            &headers,
            new.to_string(),
        )
        .await
        .must(201);
    let revoked = token(
        &admin,
        name,
        json!({ "claims": { "keys": { "clan": "quetzal-4711s" } } }),
    )
    .await;
    assert!(!revoked.is_empty());
    let id = made["tokenId"].as_str().unwrap();
    admin.delete(&format!("/tokens/{id}")).await.must(204);
    connect(&origin, "a", 1, &[FORGET]).await;
    assert_eq!(tables_with(&origin, name).await, ["tokens"]);
    let erasure = admin.delete(&format!("/players/{name}")).await.must(202);
    assert_eq!(tables_with(&origin, name).await, ["erasures"]);
    confirm(&origin, "a", 1, &[&erasure["erasureId"]]).await;
    assert_eq!(tables_with(&origin, name).await, [""; 0]);
    assert_eq!(data(&admin, name).await["erasures"][0]["state"], "Done");
}

#[sqlx::test(migrations = "../migrations")]
async fn edges_that_cannot_be_told_or_are_away_are_waited_for_until_they_are_forgotten(
    pool: PgPool,
) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    connect(&origin, "away", 1, &[FORGET]).await;
    connect(&origin, "old", 1, &[]).await;
    origin.clock.advance(SignedDuration::from_secs(16));
    connect(&origin, "here", 1, &[FORGET]).await;
    let erasure = admin.delete("/players/p-1").await.must(202);
    let id = &erasure["erasureId"];
    let because = |erasure: &Value| {
        let waiting = erasure["waitingFor"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        waiting
            .map(|edge| (text(&edge["edgeId"]), text(&edge["because"])))
            .collect::<Vec<_>>()
    };
    let pair = |edge: &str, why: &str| (edge.to_owned(), why.to_owned());
    assert_eq!(
        because(&erasure),
        [
            pair("away", "Away"),
            pair("here", "Told"),
            pair("old", "TooOld")
        ]
    );
    // One that comes later has nothing to forget, and is not waited for.
    connect(&origin, "new", 1, &[FORGET]).await;
    confirm(&origin, "here", 1, &[id]).await;
    let path = format!("/erasures/{}", id.as_str().unwrap());
    for (edge, left) in [("away", 1), ("old", 0)] {
        admin.delete(&format!("/edges/{edge}")).await.must(204);
        let shown = admin.get(&path).await.must(200);
        assert_eq!(
            shown["waitingFor"].as_array().unwrap().len(),
            left,
            "{edge}"
        );
    }
    let done = admin.get(&path).await.must(200);
    assert_eq!(
        (&done["state"], &done["dropped"]),
        (&json!("Done"), &json!(["away", "old"]))
    );
    // An edge of that name that comes after all has nothing to confirm.
    connect(&origin, "away", 2, &[FORGET]).await;
    confirm(&origin, "away", 1, &[id]).await;
    assert_eq!(admin.get(&path).await.must(200), done);
}

#[sqlx::test(migrations = "../migrations")]
async fn with_no_edge_at_all_it_is_done_at_once(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let erasure = admin.delete("/players/p-1").await.must(202);
    assert_eq!(
        (&erasure["state"], &erasure["doneAt"]),
        (&json!("Done"), &json!(origin.now()))
    );
    assert_eq!(tables_with(&origin, "p-1").await, [""; 0]);
    admin
        .get("/erasures/01a00000-0000-7000-8000-000000000000")
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_asks_or_answers_at_the_same_moment_there_is_one_record_and_it_is_done(
    pool: PgPool,
) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let edges = ["a", "b", "c", "d"];
    for round in 0..5 {
        for edge in edges {
            connect(&origin, edge, 1, &[FORGET]).await;
        }
        let claim = round + 1;
        let path = format!("/players/p-{round}");
        let asked = futures_util::future::join_all((0..4).map(|_| admin.delete(&path))).await;
        let ids: Vec<Value> = asked
            .into_iter()
            .map(|answer| answer.must(202)["erasureId"].clone())
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let forgotten = [&ids[0]];
        let answers = edges.map(|edge| confirm(&origin, edge, claim, &forgotten));
        futures_util::future::join_all(answers).await;
        let done = admin
            .get(&format!("/erasures/{}", ids[0].as_str().unwrap()))
            .await;
        assert_eq!(done.must(200)["state"], "Done");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edge_forgotten_at_the_same_moment_is_never_waited_for_forever(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for round in 0..10 {
        connect(&origin, "gone", 1, &[FORGET]).await;
        origin.clock.advance(SignedDuration::from_secs(16));
        let path = format!("/players/p-{round}");
        let (asked, forgotten) = tokio::join!(admin.delete(&path), admin.delete("/edges/gone"));
        forgotten.must(204);
        let id = asked.must(202)["erasureId"].clone();
        let done = admin
            .get(&format!("/erasures/{}", id.as_str().unwrap()))
            .await;
        assert_eq!(done.must(200)["state"], "Done");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn segments_that_list_a_player_are_told_and_left(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let create = |id: &str, include: &[&str], exclude: &[&str]| json!({ "segmentId": id, "displayName": id, "criteria": { "include": include, "exclude": exclude } });
    let quoted = "zoe \"the owl\" \\ ü";
    admin
        .post("/segments", create("friends", &["zoe", quoted], &[]))
        .await
        .must(201);
    admin
        .post("/segments", create("banned", &["max"], &["zoe"]))
        .await
        .must(201);
    // Not of that name, though it is written in it.
    admin
        .post("/segments", create("others", &["x\"zoe", "zoe2"], &[]))
        .await
        .must(201);
    admin
        .post("/segments/friends/publish", json!({ "reason": "so" }))
        .await
        .must(200);
    let edit = json!({ "criteria": { "include": ["max"] } });
    admin.put("/segments/friends", edit).await.must(200);

    let listed = |segment: &str, included: bool, in_effect: bool, newest: bool| {
        json!({ "segmentId": segment, "revision": 1, "included": included, "excluded": !included,
            "inEffect": in_effect, "newest": newest })
    };
    let expected = json!([
        listed("banned", false, false, true),
        listed("friends", true, true, false)
    ]);
    assert_eq!(data(&admin, "zoe").await["segments"], expected);
    let path = format!("/players/{}/data", encoded(quoted));
    assert_eq!(
        admin.get(&path).await.must(200)["segments"][0]["segmentId"],
        "friends"
    );
    let erasure = admin.delete("/players/zoe").await.must(202);
    assert_eq!(erasure["listedIn"], json!(["banned", "friends"]));
    assert_eq!(erasure["state"], "Done");
    assert_eq!(data(&admin, "zoe").await["segments"], expected);
    let kinds = data(&admin, "zoe").await["elsewhere"].clone();
    let kinds: Vec<_> = kinds
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].clone())
        .collect();
    assert!(
        kinds.contains(&json!("DistinctCounts"))
            && kinds.contains(&json!("Participants"))
            && kinds.contains(&json!("WatchedPlayers"))
    );
}

/// Every byte of a part of a path.
fn encoded(part: &str) -> String {
    part.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn whatever_a_player_is_called_only_that_one_is_forgotten(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    connect(&origin, "a", 1, &[FORGET]).await;
    let bystander = origin.bearing(token(&admin, "bystander", json!({})).await);
    let longest = "ü".repeat(100);
    let names = [
        "%",
        "_",
        "*",
        "../admin",
        "a/b",
        "'; DROP TABLE erasures; --",
        "\"",
        "\\",
        "NULL",
        "null",
        "bystander ",
        "BYSTANDER",
        "zoë \u{1f600}",
        "\u{202e}eoz",
        "{id}",
        "<script>",
        "a\nb",
        longest.as_str(),
    ];
    for name in names {
        let path = format!("/players/{}", encoded(name));
        let erasure = admin.delete(&path).await.must(202);
        assert_eq!(erasure["tokensRevoked"], 0, "{name}");
        let told = admin.get(&format!("{path}/data")).await.must(200);
        assert_eq!(told["playerId"], name);
        assert_eq!(told["erasures"], json!([erasure]), "{name}");
        confirm(&origin, "a", 1, &[&erasure["erasureId"]]).await;
        let told = admin.get(&format!("{path}/data")).await.must(200);
        assert_eq!(told["erasures"][0]["state"], "Done", "{name}");
    }
    bystander
        .get("/players/bystander/events?region=us-east")
        .await
        .must(200);
    assert_eq!(data(&admin, "bystander").await["totalTokens"], 1);
    for refused in [encoded(&"x".repeat(201)), encoded("a\0b"), "%FF".to_owned()] {
        let path = format!("/players/{refused}");
        admin.delete(&path).await.refused(400, "VALIDATION_ERROR");
        admin
            .get(&format!("{path}/data"))
            .await
            .refused(400, "VALIDATION_ERROR");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_admin_asks_and_erases(pool: PgPool) {
    let origin = Origin::start(pool).await;
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        let caller = origin.caller(role, &["us-east"]);
        caller
            .delete("/players/p-1")
            .await
            .refused(403, "FORBIDDEN");
        caller
            .get("/players/p-1/data")
            .await
            .refused(403, "FORBIDDEN");
        let path = "/erasures/01a00000-0000-7000-8000-000000000000";
        caller.get(path).await.refused(403, "FORBIDDEN");
    }
}
