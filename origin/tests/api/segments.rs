//! Segments as people describe, try, publish, roll back and delete them.

use axum::http::Method;
use futures_util::future::join_all;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin, event};

fn whales(least: u32) -> Value {
    json!({
        "segmentId": "whales", "displayName": "Whales", "description": "Big spenders.",
        "criteria": { "lifetimeSpend": [least, null] },
    })
}

async fn edit(caller: &Caller<'_>, least: u32) -> Value {
    let fields = json!({ "criteria": { "lifetimeSpend": [least, null] } });
    caller.put("/segments/whales", fields).await.must(200)
}

async fn publish(caller: &Caller<'_>, order: Value) -> Value {
    let answer = caller.post("/segments/whales/publish", order).await;
    answer.must(200)
}

#[sqlx::test(migrations = "../migrations")]
async fn the_usual_ones_are_there_and_in_effect(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let developer = origin.caller(Role::Developer, &[]);
    let listed = developer.get("/segments").await.must(200);
    assert_eq!(listed["total"], 7);
    let segments = listed["segments"].as_array().unwrap();
    let names: Vec<&str> = segments
        .iter()
        .map(|segment| segment["segmentId"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "at-risk",
            "high-engagement",
            "inactive-players",
            "new-players",
            "vip-tier-1",
            "vip-tier-2",
            "vip-tier-3",
        ]
    );
    for segment in segments {
        assert_eq!(segment["revision"], 1);
        assert_eq!(segment["published"]["revision"], 1, "{segment}");
        assert_ne!(segment["criteria"], json!({}), "{segment}");
    }
    let page = developer.get("/segments?q=VIP&limit=2&offset=1").await;
    let page = page.must(200);
    assert_eq!((&page["total"], &page["limit"]), (&json!(3), &json!(2)));
    assert_eq!(page["segments"][0]["segmentId"], "vip-tier-2");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edit_makes_a_revision_and_nothing_takes_effect_by_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let designer = origin.caller(Role::GameDesigner, &[]);
    let created = designer.post("/segments", whales(1000)).await;
    assert_eq!(created.headers["location"], "/api/v1/segments/whales");
    assert_eq!(created.headers["etag"], "\"1\"");
    let created = created.must(201);
    assert_eq!(created["published"], Value::Null);
    assert_eq!(
        created["criteria"],
        json!({ "lifetimeSpend": [1000, null] })
    );
    let nowhere = json!({ "regions": [], "events": [] });
    assert_eq!(created["usedBy"], nowhere);

    assert_eq!(edit(&designer, 500).await["revision"], 2);
    assert_eq!(edit(&designer, 500).await["revision"], 2, "nothing new");
    let body = json!({ "description": "Spenders." }).to_string();
    let put = async |tag| {
        let headers = [("if-match", tag)];
        designer
            .call(Method::PUT, "/segments/whales", &headers, body.clone())
            .await
    };
    put("\"1\"").await.refused(412, "PRECONDITION_FAILED");
    let edited = put("\"2\"").await.must(200);
    assert_eq!(
        (&edited["revision"], &edited["displayName"]),
        (&json!(3), &json!("Whales"))
    );
    assert_eq!(edited["criteria"], json!({ "lifetimeSpend": [500, null] }));

    let history = designer.get("/segments/whales/revisions").await.must(200);
    assert_eq!(history["total"], 3);
    let told: Vec<&Value> = history["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| &revision["criteria"]["lifetimeSpend"][0])
        .collect();
    assert_eq!(told, [500, 500, 1000]);
    let none = designer.get("/segments/whales/publications").await;
    assert_eq!(none.must(200)["total"], 0);
    let actions = origin.admin().deeds("whales").await;
    let actions: Vec<&str> = actions
        .iter()
        .map(|(_, action, _)| action.as_str())
        .collect();
    assert_eq!(actions, ["segment.create", "segment.edit", "segment.edit"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_wrong_is_named_and_changes_nothing(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let create = async |body: Value| admin.post("/segments", body).await;
    let with =
        |criteria: Value| json!({ "segmentId": "s", "displayName": "S", "criteria": criteria });
    for (body, fields) in [
        (json!({}), &["segmentId", "displayName", "criteria"][..]),
        (
            json!({ "segmentId": "A B", "displayName": "S", "criteria": {} }),
            &["segmentId"],
        ),
        (with(json!({ "level": [1, 2] })), &["criteria.level"]),
        (
            with(json!({ "levelRange": [2, 1] })),
            &["criteria.levelRange"],
        ),
        (with(json!({ "levelRange": [1] })), &["criteria.levelRange"]),
        (
            with(json!({ "levelRange": "all" })),
            &["criteria.levelRange"],
        ),
        (
            with(json!({ "countryCodes": ["Germany"] })),
            &["criteria.countryCodes"],
        ),
        (
            with(json!({ "customCriteria": { "clan": { "like": "red" } } })),
            &["criteria.customCriteria.clan"],
        ),
        (with(json!({ "include": [""] })), &["criteria.include"]),
    ] {
        let refused = create(body.clone()).await.refused(400, "VALIDATION_ERROR");
        assert_eq!(refused, fields, "{body}");
    }
    create(whales(1)).await.must(201);
    create(whales(1)).await.refused(409, "CONFLICT");
    let missing = admin.get("/segments/ghosts").await;
    missing.refused(404, "NOT_FOUND");
    let unknown = json!({ "revision": 9 });
    for path in ["/segments/whales/publish", "/segments/whales/preview"] {
        let refused = admin.post(path, unknown.clone()).await;
        assert_eq!(refused.refused(400, "VALIDATION_ERROR"), ["revision"]);
    }
    let nothing = admin.post("/segments/whales/rollback", json!({})).await;
    nothing.refused(409, "CONFLICT");
    assert_eq!(admin.get("/segments").await.must(200)["total"], 8);
}

#[sqlx::test(migrations = "../migrations")]
async fn publications_pile_up_and_are_taken_off_again(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.post("/segments", whales(1000)).await.must(201);
    let first = publish(&admin, json!({})).await;
    assert_eq!(
        (&first["revision"], &first["previousRevision"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(first["regions"], json!({}), "used nowhere");
    let change = admin
        .get(&format!("/changes/{}", first["changeId"].as_str().unwrap()))
        .await;
    assert_eq!(change.must(200)["kind"], "SegmentPublication");
    let again = admin.post("/segments/whales/publish", json!({})).await;
    again.refused(409, "CONFLICT");
    for least in [500, 100] {
        edit(&admin, least).await;
    }
    publish(&admin, json!({ "revision": 2, "reason": "carefully" })).await;
    publish(&admin, json!({})).await;

    let back = async || {
        admin
            .post("/segments/whales/rollback", json!({ "reason": "too many" }))
            .await
    };
    let in_effect = async || {
        let segment = admin.get("/segments/whales").await.must(200);
        segment["published"]["revision"].clone()
    };
    assert_eq!(in_effect().await, 3);
    let done = back().await.must(200);
    assert_eq!(
        (&done["revision"], &done["previousRevision"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(back().await.must(200)["revision"], 1);
    back().await.refused(409, "CONFLICT");
    // An earlier revision is published like any other, and taken off likewise.
    publish(&admin, json!({ "revision": 3 })).await;
    assert_eq!(back().await.must(200)["revision"], 1);
    assert_eq!(in_effect().await, 1);
    let history = admin
        .get("/segments/whales/publications?limit=3")
        .await
        .must(200);
    assert_eq!(history["total"], 7);
    let told: Vec<(u64, bool)> = history["publications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["revision"].as_u64().unwrap(),
                one["rollback"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(1, true), (3, false), (1, true)]);
    assert_eq!(history["publications"][0]["reason"], "too many");
    assert_eq!(admin.deeds("whales").await.len(), 10);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_admins_and_operators_publish(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let designer = origin.caller(Role::GameDesigner, &[]);
    designer.post("/segments", whales(1000)).await.must(201);
    for path in ["/segments/whales/publish", "/segments/whales/rollback"] {
        designer
            .post(path, json!({}))
            .await
            .refused(403, "FORBIDDEN");
    }
    let developer = origin.caller(Role::Developer, &[]);
    let refused = developer.put("/segments/whales", json!({})).await;
    refused.refused(403, "FORBIDDEN");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_preview_says_who_of_a_sample_moves(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let designer = origin.caller(Role::GameDesigner, &[]);
    designer.post("/segments", whales(1000)).await.must(201);
    publish(&origin.admin(), json!({})).await;
    let fields = json!({ "criteria": { "lifetimeSpend": [500, 2000], "exclude": ["cheater"] } });
    designer.put("/segments/whales", fields).await.must(200);
    let player =
        |id: &str, spent: u32| json!({ "playerId": id, "attributes": { "lifetimeSpend": spent } });
    let sample = json!({ "players": [
        player("a", 700), player("b", 1500), player("c", 5000), player("cheater", 1500),
        { "playerId": "unknown" },
    ] });
    let told = designer
        .post("/segments/whales/preview", sample)
        .await
        .must(200);
    assert_eq!(
        (&told["publishedRevision"], &told["revision"]),
        (&json!(1), &json!(2))
    );
    let moves: Vec<&str> = told["players"]
        .as_array()
        .unwrap()
        .iter()
        .map(|player| player["move"].as_str().unwrap())
        .collect();
    assert_eq!(moves, ["Joins", "Stays", "Leaves", "Leaves", "Outside"]);
    let counts = ["joins", "stays", "leaves", "outside"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 2, 1]);
    assert_eq!(told["players"][3]["after"], "Excluded");
    assert_eq!(told["players"][4]["before"], "Fails");

    let many: Vec<Value> = (0..1001).map(|n| player(&format!("p-{n}"), 1)).collect();
    for (players, field) in [
        (json!(many), "players"),
        (json!([{ "playerId": "" }]), "players[0].playerId"),
        (
            json!([{ "playerId": "p", "attributes": { "": 1 } }]),
            "players[0].attributes",
        ),
    ] {
        let body = json!({ "players": players });
        let refused = designer.post("/segments/whales/preview", body).await;
        assert_eq!(refused.refused(400, "VALIDATION_ERROR"), [field]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_nothing_uses_is_deleted_and_its_name_stays_taken(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.post("/segments", whales(1000)).await.must(201);
    let fields = json!({ "targetSegments": ["whales"] });
    admin.post("/events", event("fest", fields)).await.must(201);
    let refused = admin.delete("/segments/whales").await;
    assert!(refused.message().contains("fest"), "{}", refused.text);
    refused.refused(409, "CONFLICT");
    let used = admin.get("/segments/whales").await.must(200);
    assert_eq!(used["usedBy"]["events"], json!(["fest"]));

    let fields = json!({ "targetSegments": [] });
    admin.put("/events/fest", fields).await.must(200);
    let stale = [("if-match", "\"7\"")];
    let refused = admin
        .call(Method::DELETE, "/segments/whales", &stale, "")
        .await;
    refused.refused(412, "PRECONDITION_FAILED");
    admin.delete("/segments/whales").await.must(204);
    admin
        .get("/segments/whales")
        .await
        .refused(404, "NOT_FOUND");
    admin
        .delete("/segments/whales")
        .await
        .refused(404, "NOT_FOUND");
    let again = admin.post("/segments", whales(1)).await;
    again.refused(409, "CONFLICT");
    let fields = json!({ "targetSegments": ["whales"] });
    let refused = admin.put("/events/fest", fields).await;
    assert_eq!(
        refused.refused(400, "VALIDATION_ERROR"),
        ["targetSegments[0]"]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_at_once_none_is_lost(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let created = join_all((0..4).map(|n| admin.post("/segments", whales(n)))).await;
    let made = created.iter().filter(|answer| answer.status == 201);
    assert_eq!(made.count(), 1);
    let edits = join_all((10..16).map(|least| edit(&admin, least))).await;
    let mut revisions: Vec<u64> = edits
        .iter()
        .map(|one| one["revision"].as_u64().unwrap())
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [2, 3, 4, 5, 6, 7]);
    let orders = (1..=7)
        .map(|revision| admin.post("/segments/whales/publish", json!({ "revision": revision })));
    for answer in join_all(orders).await {
        answer.must(200);
    }
    let backs = join_all((0..6).map(|_| admin.post("/segments/whales/rollback", json!({})))).await;
    for answer in backs {
        answer.must(200);
    }
    let history = admin
        .get("/segments/whales/publications?limit=100")
        .await
        .must(200);
    let history = history["publications"].as_array().unwrap();
    assert_eq!(history.len(), 13);
    // Each rollback uncovered the one below: the first that was published is in effect.
    assert_eq!(history[0]["revision"], history[12]["revision"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_is_assigned_to_segments_one_by_one(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let designer = origin.caller(Role::GameDesigner, &[]);
    designer
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let path = |segment: &str, deed: &str| format!("/events/fest/segments/{segment}/{deed}");
    let assign =
        async |segment: &str, body: Value| designer.post(&path(segment, "assign"), body).await;
    let remove = async |segment: &str| designer.delete(&path(segment, "remove")).await;

    let first = assign("vip-tier-1", json!({})).await;
    assert_eq!(first.headers["etag"], "\"2\"");
    assert_eq!(first.must(200)["targetSegments"], json!(["vip-tier-1"]));
    let event = assign("at-risk", json!({ "exclude": true }))
        .await
        .must(200);
    assert_eq!(event["excludeSegments"], json!(["at-risk"]));
    assert_eq!(
        (&event["revision"], &event["approvalStatus"]),
        (&json!(3), &json!("Pending"))
    );
    let same = assign("vip-tier-1", json!({})).await.must(200);
    assert_eq!(same["revision"], 3, "it is so already");
    assign("at-risk", json!({})).await.refused(409, "CONFLICT");
    let unknown = assign("ghosts", json!({})).await;
    assert_eq!(
        unknown.refused(400, "VALIDATION_ERROR"),
        ["targetSegments[1]"]
    );
    let event = remove("at-risk").await.must(200);
    assert_eq!(
        (&event["revision"], &event["excludeSegments"]),
        (&json!(4), &Value::Null)
    );
    remove("at-risk").await.refused(404, "NOT_FOUND");
    let stale = [("if-match", "\"1\"")];
    let refused = designer
        .call(Method::DELETE, &path("vip-tier-1", "remove"), &stale, "")
        .await;
    refused.refused(412, "PRECONDITION_FAILED");
    let both =
        join_all(["vip-tier-2", "vip-tier-3"].map(|segment| assign(segment, json!({})))).await;
    for answer in both {
        answer.must(200);
    }
    let event = designer.get("/events/fest").await.must(200);
    let named: Vec<Value> = event["targetSegments"].as_array().unwrap().clone();
    assert_eq!((named.len(), &event["revision"]), (3, &json!(6)));
}

#[sqlx::test(migrations = "../migrations")]
async fn validation_warns_of_what_is_not_published(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.post("/segments", whales(1000)).await.must(201);
    let fields = json!({ "targetSegments": ["vip-tier-1", "whales"] });
    admin.post("/events", event("fest", fields)).await.must(201);
    let warned = async || {
        let report = admin
            .post("/events/fest/validate", json!({}))
            .await
            .must(200);
        assert_eq!(report["valid"], true);
        let warnings = report["warnings"].as_array().unwrap().clone();
        let named = warnings.iter().filter(|one| {
            let field = one["field"].as_str().unwrap();
            field == "targetSegments[1]"
        });
        named.count()
    };
    assert_eq!(warned().await, 1);
    publish(&admin, json!({})).await;
    assert_eq!(warned().await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_events_audit_log_is_not_a_segments_of_the_same_name(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.post("/segments", whales(1000)).await.must(201);
    admin
        .post("/events", event("whales", json!({})))
        .await
        .must(201);
    let audit = admin.get("/events/whales/audit").await.must(200);
    assert_eq!(audit["total"], 1);
    assert_eq!(audit["entries"][0]["action"], "event.create");
}
