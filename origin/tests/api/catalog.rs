//! What events are judged by beside themselves: the item catalogue and the studio's schemas.

use axum::http::Method;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Origin, event};

fn giving(items: &[&str]) -> Value {
    json!({ "configuration": { "rewards": { "items": items, "cosmetics": ["crown"] } } })
}

fn catalogue(items: &[&str]) -> Value {
    let items: Vec<_> = items.iter().map(|id| json!({ "itemId": id })).collect();
    json!({ "items": items })
}

#[sqlx::test(migrations = "../migrations")]
async fn the_catalogue_is_replaced_whole_and_listed_in_pages(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let empty = admin.get("/catalog/items").await.must(200);
    assert_eq!((&empty["items"], &empty["total"]), (&json!([]), &json!(0)));
    assert_eq!(empty["updatedAt"], Value::Null);

    let named = json!({ "items": [{ "itemId": "b", "displayName": "Bee" }, { "itemId": "a" }, { "itemId": "c" }] });
    let replaced = admin.put("/catalog/items", named).await.must(200);
    assert_eq!(replaced["total"], 3);
    assert_eq!(replaced["updatedBy"], "Admin");
    let page = admin.get("/catalog/items?limit=1&offset=1").await.must(200);
    assert_eq!(
        page["items"],
        json!([{ "itemId": "b", "displayName": "Bee" }])
    );
    assert_eq!(page["total"], 3);

    admin
        .put("/catalog/items", catalogue(&["d"]))
        .await
        .must(200);
    let listed = admin.get("/catalog/items").await.must(200);
    assert_eq!(listed["items"], json!([{ "itemId": "d" }]));
    let log = admin.get("/audit?action=catalog.replace").await.must(200);
    assert_eq!(log["entries"][0]["before"], json!({ "items": 3 }));
    assert_eq!(log["entries"][0]["after"], json!({ "items": 1 }));

    let operator = origin.caller(Role::Operator, &[]);
    operator.get("/catalog/items").await.must(200);
    operator
        .put("/catalog/items", catalogue(&[]))
        .await
        .refused(403, "FORBIDDEN");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_catalogue_says_all_that_is_wrong_with_it_and_changes_nothing(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .put("/catalog/items", catalogue(&["a"]))
        .await
        .must(200);
    let bad = json!({ "items": [
        { "itemId": "a" }, { "itemId": "" }, { "itemId": "a" }, { "itemId": "n\0l" },
        { "itemId": "x".repeat(201) }, { "itemId": "b", "displayName": "" },
    ] });
    let fields = admin
        .put("/catalog/items", bad)
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(
        fields,
        [
            "items[1].itemId",
            "items[2].itemId",
            "items[3].itemId",
            "items[4].itemId",
            "items[5].displayName"
        ]
    );
    let many: Vec<String> = (0..20_001).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let fields = admin
        .put("/catalog/items", catalogue(&many))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["items"]);
    let unknown = json!({ "items": [{ "itemId": "a", "colour": "red" }] });
    admin
        .put("/catalog/items", unknown)
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(admin.get("/catalog/items").await.must(200)["total"], 1);
    admin
        .put("/catalog/items", catalogue(&many[..20_000]))
        .await
        .must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn replacing_at_once_leaves_one_of_them_whole(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let (one, other): (Vec<String>, Vec<String>) = (0..500)
        .map(|n| (format!("one-{n}"), format!("other-{n}")))
        .unzip();
    let body = |items: &[String]| catalogue(&items.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..5 {
        let (first, second) = tokio::join!(
            admin.put("/catalog/items", body(&one)),
            admin.put("/catalog/items", body(&other))
        );
        first.must(200);
        second.must(200);
        let listed = admin.get("/catalog/items?limit=1").await.must(200);
        assert_eq!(listed["total"], 500);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn items_are_looked_up_once_there_is_a_catalogue(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.approved_event("before", giving(&["lantern"])).await;
    admin
        .put("/catalog/items", catalogue(&["sword", "crown"]))
        .await
        .must(200);
    let fields = admin
        .post(
            "/events",
            event("after", giving(&["sword", "lantern", "x\0y"])),
        )
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["configuration", "configuration.rewards.items[1]"]);
    admin
        .post("/events", event("after", giving(&["sword"])))
        .await
        .must(201);
    let edit = giving(&["sword", "ghost"]);
    let fields = admin
        .put("/events/after", edit)
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["configuration.rewards.items[1]"]);

    // What was accepted before is reported, and not deployed.
    let report = admin
        .post("/events/before/validate", json!({}))
        .await
        .must(200);
    assert_eq!(report["valid"], false);
    assert_eq!(
        report["errors"][0]["field"],
        "configuration.rewards.items[0]"
    );
    let deployment = json!({ "eventId": "before", "regions": ["us-east"] });
    let refused = admin.post("/deployments", deployment.clone()).await;
    assert!(
        refused.message().contains("configuration.rewards.items[0]"),
        "{}",
        refused.text
    );
    refused.refused(409, "CONFLICT");
    admin.put("/catalog/items", catalogue(&[])).await.must(200);
    admin.post("/deployments", deployment).await.must(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_schema_is_put_shown_listed_and_deleted(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let text = r#"{"type": "object", "properties": {"b": {"maximum": 1.50}, "a": {}}}"#;
    let body = format!(r#"{{"schema": {text}}}"#);
    let put = admin
        .call(Method::PUT, "/schemas/summer%20sale", &[], body)
        .await;
    assert!(put.text.contains(text), "{}", put.text);
    let put = put.must(200);
    assert_eq!(put["name"], "summer sale");
    assert_eq!(put["draft"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(admin.get("/schemas/summer%20sale").await.must(200), put);
    let listed = admin.get("/schemas").await.must(200);
    assert_eq!(listed["schemas"][0]["name"], "summer sale");

    origin
        .caller(Role::Operator, &[])
        .delete("/schemas/summer%20sale")
        .await
        .refused(403, "FORBIDDEN");
    assert_eq!(admin.delete("/schemas/summer%20sale").await.status, 204);
    admin
        .delete("/schemas/summer%20sale")
        .await
        .refused(404, "NOT_FOUND");
    admin
        .get("/schemas/summer%20sale")
        .await
        .refused(404, "NOT_FOUND");
    let log = admin.get("/audit?action=schema").await.must(200);
    assert_eq!(log["total"], 2);
    assert_eq!(log["entries"][0]["before"]["type"], "object");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_no_schema_is_refused_by_field(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for (schema, field) in [
        (
            json!({ "schema": { "properties": { "a": { "type": "thing" } } } }),
            "schema.properties.a.type",
        ),
        (
            json!({ "schema": { "$ref": "https://example.com/s.json" } }),
            "schema.$ref",
        ),
        (json!({ "schema": { "pattern": "(a" } }), "schema.pattern"),
        (json!({ "schema": "no" }), "schema"),
        (json!({}), "schema"),
    ] {
        let fields = admin
            .put("/schemas/sale", schema)
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(fields, [field]);
    }
    let nul = json!({ "schema": { "title": "\0" } });
    admin
        .put("/schemas/sale", nul)
        .await
        .refused(400, "VALIDATION_ERROR");
    for name in ["%00", "a%0Ab", &"x".repeat(65)] {
        let path = format!("/schemas/{name}");
        admin
            .put(&path, json!({ "schema": {} }))
            .await
            .refused(400, "VALIDATION_ERROR");
        admin.get(&path).await.refused(400, "VALIDATION_ERROR");
    }
    assert_eq!(admin.get("/schemas").await.must(200)["schemas"], json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn schemas_of_type_and_category_are_both_applied(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let rounds = json!({ "schema": { "properties": { "customParameters": { "properties": {
        "rounds": { "type": "integer", "minimum": 1 } } } } } });
    let versioned = json!({ "schema": { "required": ["version"] } });
    admin
        .put("/schemas/CompetitiveEvent", rounds)
        .await
        .must(200);
    admin.put("/schemas/esports", versioned).await.must(200);
    let cup = |kind: &str, category: &str| {
        let configuration = json!({ "customParameters": { "rounds": 0 } });
        json!({ "type": kind, "category": category, "configuration": configuration })
    };
    let both = event("cup", cup("CompetitiveEvent", "esports"));
    let mut fields = admin
        .post("/events", both)
        .await
        .refused(400, "VALIDATION_ERROR");
    fields.sort();
    assert_eq!(
        fields,
        ["configuration", "configuration.customParameters.rounds"]
    );
    let other = event("other", cup("ContentRelease", "season"));
    admin.post("/events", other).await.must(201);
    // An edit that brings it under a schema is judged by it, and the event stays as it was.
    let fields = admin
        .put("/events/other", json!({ "category": "esports" }))
        .await;
    assert_eq!(fields.refused(400, "VALIDATION_ERROR"), ["configuration"]);
    assert_eq!(admin.get("/events/other").await.must(200)["revision"], 1);
    admin.delete("/schemas/esports").await;
    admin
        .put("/events/other", json!({ "category": "esports" }))
        .await
        .must(200);
}
