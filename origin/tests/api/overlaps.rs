//! No two events of one category at the same time in the same region.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Answer, Caller, Origin};

/// An event of the category "shop" in July, from one day to another.
async fn in_july(admin: &Caller<'_>, id: &str, from: u8, to: u8, more: Value) {
    let mut fields = json!({
        "category": "shop",
        "startTime": format!("2026-07-{from:02}T00:00:00Z"),
        "endTime": format!("2026-07-{to:02}T00:00:00Z"),
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    admin.approved_event(id, fields).await;
}

async fn deploy(admin: &Caller<'_>, id: &str, region: &str) -> Answer {
    let body = json!({ "eventId": id, "regions": [region], "percentage": 100 });
    admin.post("/deployments", body).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deployment_beside_another_of_its_category_is_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    in_july(&admin, "sale", 1, 10, json!({})).await;
    deploy(&admin, "sale", "us-east").await.must(201);
    in_july(&admin, "fair", 9, 20, json!({})).await;
    // Told before, and refused when it comes to it.
    let report = admin
        .post("/events/fair/validate", json!({}))
        .await
        .must(200);
    assert_eq!(report["valid"], true);
    let warning = &report["warnings"][0];
    assert_eq!(
        (
            &warning["field"],
            report["warnings"].as_array().unwrap().len()
        ),
        (&json!("category"), 1)
    );
    assert!(
        warning["message"]
            .as_str()
            .unwrap()
            .contains("us-east beside sale"),
        "{warning}"
    );
    let refused = deploy(&admin, "fair", "us-east").await;
    let message =
        "in us-east beside sale of category shop from 2026-07-09T00:00:00Z to 2026-07-10T00:00:00Z";
    assert!(refused.message().contains(message), "{}", refused.text);
    refused.refused(409, "CONFLICT");
    assert_eq!(admin.event("fair").await["state"], "Draft");

    // Elsewhere, of another category, at another time, or with leave, it is not.
    deploy(&admin, "fair", "us-west").await.must(201);
    in_july(&admin, "cup", 1, 10, json!({ "category": "esports" })).await;
    in_july(&admin, "none", 1, 10, json!({ "category": null })).await;
    in_july(&admin, "next", 10, 20, json!({})).await;
    in_july(&admin, "always", 1, 30, json!({ "allowOverlap": true })).await;
    for id in ["cup", "none", "next", "always"] {
        deploy(&admin, id, "us-east").await.must(201);
        let report = admin
            .post(&format!("/events/{id}/validate"), json!({}))
            .await
            .must(200);
        let warnings = if id == "next" { 1 } else { 0 };
        assert_eq!(
            report["warnings"].as_array().unwrap().len(),
            warnings,
            "{id}: fair is in us-west"
        );
    }
    // Who allows it allows it to others as well: the order makes no difference.
    in_july(&admin, "flash", 25, 26, json!({})).await;
    deploy(&admin, "flash", "us-east").await.must(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_served_counts_also_while_it_is_tried_or_suspended(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    in_july(&admin, "sale", 1, 10, json!({ "category": "old" })).await;
    deploy(&admin, "sale", "us-east").await.must(201);
    // An edit is not served yet; as a candidate for few it is.
    admin
        .put("/events/sale", json!({ "category": "shop" }))
        .await
        .must(200);
    admin
        .post("/events/sale/approve", json!({}))
        .await
        .must(200);
    in_july(&admin, "fair", 5, 6, json!({})).await;
    in_july(&admin, "feast", 5, 6, json!({})).await;
    deploy(&admin, "fair", "us-west").await.must(201);
    let tried = admin.deploy("sale", &["us-east"], 5.0).await;
    deploy(&admin, "fair", "us-east")
        .await
        .refused(409, "CONFLICT");
    admin.post("/stop", json!({ "all": true })).await.must(200);
    deploy(&admin, "fair", "us-east")
        .await
        .refused(409, "CONFLICT");
    admin.command("sale", "activate").await.must(200);
    admin.command("sale", "pause").await.must(200);
    deploy(&admin, "fair", "us-east")
        .await
        .refused(409, "CONFLICT");
    // A further revision of what is there already has not to give way.
    let half = admin.deploy("sale", &["us-east"], 50.0).await;
    // Taken back, it is of the old category again.
    for deployment in [half, tried] {
        let id = deployment["deploymentId"].as_str().unwrap();
        let path = format!("/deployments/{id}/rollback");
        admin.post(&path, json!({})).await.must(200);
    }
    deploy(&admin, "fair", "us-east").await.must(201);
    // And now the other way round: the candidate would come beside fair.
    let body = json!({ "eventId": "sale", "regions": ["us-east"], "percentage": 5 });
    admin
        .post("/deployments", body.clone())
        .await
        .refused(409, "CONFLICT");
    // What is over gives way.
    admin.command("fair", "cancel").await.must(200);
    admin.post("/deployments", body).await.must(201);
    admin.command("sale", "deactivate").await.must(200);
    deploy(&admin, "feast", "us-east").await.must(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn more_time_is_refused_where_another_has_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    in_july(&admin, "sale", 1, 10, json!({})).await;
    in_july(&admin, "fair", 10, 20, json!({})).await;
    for id in ["sale", "fair"] {
        deploy(&admin, id, "us-east").await.must(201);
    }
    let later = json!({ "extendBy": "PT1S" });
    let refused = admin.extend("sale", later.clone()).await;
    assert!(
        refused.message().contains("beside fair"),
        "{}",
        refused.text
    );
    refused.refused(409, "CONFLICT");
    admin
        .extend("fair", json!({ "startTime": "2026-07-09T23:59:59Z" }))
        .await
        .refused(409, "CONFLICT");
    let refused = admin.command("fair", "activate").await;
    assert!(
        refused.message().contains("beside sale"),
        "{}",
        refused.text
    );
    refused.refused(409, "CONFLICT");
    for id in ["sale", "fair"] {
        assert_eq!(admin.event(id).await["state"], "Scheduled");
    }
    // Once one gives way the other may.
    admin
        .extend("fair", json!({ "startTime": "2026-07-12T00:00:00Z" }))
        .await
        .must(200);
    admin
        .extend("sale", json!({ "extendBy": "P2D" }))
        .await
        .must(200);
    admin.command("sale", "activate").await.must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_at_once_one_is_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for round in 0..12 {
        let category = json!({ "category": format!("round-{round}") });
        let ids = ["one", "two"].map(|name| format!("{name}-{round}"));
        for id in &ids {
            in_july(&admin, id, 1, 10, category.clone()).await;
        }
        let (a, b) = tokio::join!(
            deploy(&admin, &ids[0], "us-east"),
            deploy(&admin, &ids[1], "us-east")
        );
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", a.text, b.text);
    }
    // Likewise into the gap between them.
    for round in 0..12 {
        let category = json!({ "category": format!("gap-{round}") });
        let ids = ["early", "late"].map(|name| format!("{name}-{round}"));
        in_july(&admin, &ids[0], 1, 10, category.clone()).await;
        in_july(&admin, &ids[1], 20, 30, category.clone()).await;
        for id in &ids {
            deploy(&admin, id, "us-east").await.must(201);
        }
        let (a, b) = tokio::join!(
            admin.extend(&ids[0], json!({ "endTime": "2026-07-16T00:00:00Z" })),
            admin.extend(&ids[1], json!({ "startTime": "2026-07-15T00:00:00Z" }))
        );
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", a.text, b.text);
    }
}
