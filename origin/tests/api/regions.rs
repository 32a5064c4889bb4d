//! Regions are made and corrected by admins, and a zone never changes under what was scheduled by it.

use liveevents_service::token::Role;
use serde_json::json;
use sqlx::PgPool;

use crate::common::Origin;

#[sqlx::test(migrations = "../migrations")]
async fn an_admin_makes_a_region_and_corrects_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let nepal =
        json!({ "regionId": "ap-nepal", "displayName": "Nepal", "timezone": "Asia/Katmandu" });
    let made = admin.post("/regions", nepal.clone()).await.must(201);
    assert_eq!(made["version"], 0);
    assert_eq!(made["health"], "Unserved");
    admin.post("/regions", nepal).await.refused(409, "CONFLICT");

    let edit = json!({ "timezone": "Asia/Kathmandu", "countries": ["NP"] });
    let edited = admin.put("/regions/ap-nepal", edit).await.must(200);
    assert_eq!(edited["displayName"], "Nepal");
    assert_eq!(edited["timezone"], "Asia/Kathmandu");
    assert_eq!(edited["countries"], json!(["NP"]));
    assert_eq!(admin.get("/regions/ap-nepal").await.must(200), edited);
    let listed = admin.get("/regions").await.must(200);
    assert_eq!(listed["regions"].as_array().unwrap().len(), 11);

    // The first change there is the first of its log.
    admin.approved_event("dashain", json!({})).await;
    let deployed = admin.deploy("dashain", &["ap-nepal"], 100.0).await;
    assert_eq!(deployed["regionVersions"]["ap-nepal"], 1);

    let audit = admin.get("/audit?limit=100").await.must(200);
    let audit = audit["entries"].as_array().unwrap();
    let of = |action: &str| {
        audit
            .iter()
            .find(|entry| entry["action"] == action)
            .unwrap()
    };
    assert_eq!(of("region.create")["subject"], "ap-nepal");
    assert_eq!(of("region.edit")["before"]["timezone"], "Asia/Katmandu");
    assert_eq!(of("region.edit")["after"]["timezone"], "Asia/Kathmandu");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_wrong_with_a_region_is_told_at_once(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let wrong = json!({
        "regionId": "Not A Slug", "displayName": "", "timezone": "Europe/Atlantis", "countries": ["xx"],
    });
    let fields = admin.post("/regions", wrong).await;
    let fields = fields.refused(400, "VALIDATION_ERROR");
    assert_eq!(
        fields,
        ["regionId", "displayName", "timezone", "countries[0]"]
    );
    let nothing = admin.post("/regions", json!({})).await;
    let nothing = nothing.refused(400, "VALIDATION_ERROR");
    assert_eq!(nothing, ["regionId", "displayName", "timezone"]);
    admin
        .post("/regions", json!({ "colour": "red" }))
        .await
        .refused(400, "VALIDATION_ERROR");
    admin
        .put("/regions/us-east", json!({ "regionId": "us-west" }))
        .await
        .refused(400, "VALIDATION_ERROR");
    admin
        .put("/regions/atlantis", json!({}))
        .await
        .refused(404, "NOT_FOUND");
    for role in [
        Role::Operator,
        Role::GameDesigner,
        Role::Developer,
        Role::GameServer,
    ] {
        let caller = origin.caller(role, &["us-east"]);
        let edit = caller.put("/regions/us-east", json!({ "displayName": "x" }));
        edit.await.refused(403, "FORBIDDEN");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_zone_stays_while_events_are_scheduled_by_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let local = json!({
        "regionLocal": true, "startTime": "2026-07-01T10:00:00", "endTime": "2026-07-15T10:00:00",
    });
    admin.approved_event("local", local).await;
    admin.approved_event("absolute", json!({})).await;
    admin.deploy("local", &["us-east"], 100.0).await;
    admin.deploy("absolute", &["us-west"], 100.0).await;

    let zone = json!({ "timezone": "America/Toronto" });
    let refused = admin.put("/regions/us-east", zone.clone()).await;
    assert!(refused.message().contains("local"), "{}", refused.text);
    refused.refused(409, "CONFLICT");
    // Everything else may change, and so may the zone where only absolute times are held.
    let name = json!({ "displayName": "Eastern US", "timezone": "America/New_York" });
    admin.put("/regions/us-east", name).await.must(200);
    admin.put("/regions/us-west", zone).await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deployment_and_a_new_zone_at_once_agree(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    for round in 0..12 {
        let (id, region) = (format!("local-{round}"), format!("region-{round}"));
        let made = json!({ "regionId": region, "displayName": "R", "timezone": "Europe/Berlin" });
        admin.post("/regions", made).await.must(201);
        let local = json!({
            "regionLocal": true, "startTime": "2026-07-01T10:00:00", "endTime": "2026-07-15T10:00:00",
        });
        admin.approved_event(&id, local).await;
        let body = json!({ "eventId": id, "regions": [region], "percentage": 100 });
        let path = format!("/regions/{region}");
        let (deployed, moved) = tokio::join!(
            admin.post("/deployments", body),
            admin.put(&path, json!({ "timezone": "Asia/Tokyo" })),
        );
        deployed.must(201);
        let opens: String =
            sqlx::query_scalar("SELECT schedule->0->>'opens' FROM assignments WHERE event_id = $1")
                .bind(&id)
                .fetch_one(&pool)
                .await
                .unwrap();
        // Either the zone had changed before, or it must not.
        let expected = match moved.status.as_u16() {
            200 => "2026-07-01T01:00:00Z",
            409 => "2026-07-01T08:00:00Z",
            other => panic!("{other}: {}", moved.text),
        };
        assert_eq!(opens, expected);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_region_serves_is_told_as_an_edge_would(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let empty = admin.get("/regions/us-east/events").await.must(200);
    assert_eq!(
        (&empty["version"], &empty["contents"]),
        (&json!(0), &json!([]))
    );
    admin.approved_event("fest", json!({})).await;
    admin.deploy("fest", &["us-east"], 10.0).await;
    let game_server = origin.caller(Role::GameServer, &["us-east"]);
    let served = game_server.get("/regions/us-east/events").await.must(200);
    assert_eq!(served["version"], 1);
    assert_eq!(
        (&served["ageMs"], &served["stale"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(served["contents"][0]["eventId"], "fest");
    assert_eq!(served["assignments"][0]["candidate"]["exposure"], 1_000);

    game_server
        .get("/regions/us-west/events")
        .await
        .refused(403, "FORBIDDEN");
    admin
        .get("/regions/atlantis/events")
        .await
        .refused(404, "NOT_FOUND");
    let player = origin.caller(Role::Player, &["us-east"]);
    player
        .get("/regions/us-east/events")
        .await
        .refused(403, "FORBIDDEN");
}
