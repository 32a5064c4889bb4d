//! Every metric of the control plane moves.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::common::{Origin, PASSWORD};

#[sqlx::test(migrations = "../migrations")]
async fn every_metric_moves(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let person = json!({ "username": "ada", "password": PASSWORD, "role": "Admin" });
    admin.post("/users", person).await.must(201);
    origin.log_in("ada", PASSWORD).await;
    let wrong = json!({ "username": "ada", "password": "wrong horse battery" });
    origin
        .post("/api/v1/authentication/login", wrong)
        .await
        .refused(401, "UNAUTHORIZED");
    admin.post("/stop", json!({ "all": true })).await.must(200);
    admin
        .approved_event("fest", json!({ "type": "ContentRelease" }))
        .await;
    admin.deploy("fest", &["us-east"], 100.0).await;
    let back = json!({ "reason": "as they said" });
    admin
        .post("/events/fest/rollback", back.clone())
        .await
        .must(200);
    let deployed = admin.deploy("fest", &["us-east"], 50.0).await;
    let path = format!(
        "/deployments/{}/rollback",
        deployed["deploymentId"].as_str().unwrap()
    );
    admin.post(&path, back).await.must(200);
    let new = json!({ "role": "Developer", "subject": "x", "expiresIn": "PT1H" });
    let token = admin.post("/tokens", new).await.must(201);
    admin
        .delete(&format!("/tokens/{}", token["tokenId"].as_str().unwrap()))
        .await
        .must(204);
    // The key of RFC 8037, appendix A.2.
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "k-1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let issuer = json!({
        "issuer": "https://id.studio.example", "audience": "starfall", "algorithms": ["EdDSA"],
        "keys": [key], "regions": ["us-east"],
    });
    admin.put("/issuers/studio", issuer).await;
    let scrape = || origin.send(Request::get("/metrics").body(Body::empty()).unwrap());
    let limit = std::time::Duration::from_secs(30);
    // A connection is idle again a moment after the answer that it was for.
    let idle = async {
        loop {
            let text = scrape().await.text;
            if !text.contains("liveevents_database_connections_idle 0\n") {
                break text;
            }
            tokio::task::yield_now().await;
        }
    };
    let connected = tokio::time::timeout(limit, idle).await.unwrap();

    // The keeper notices that the database has gone.
    pool.close().await;
    let stop = CancellationToken::new();
    let failures = async {
        while scrape()
            .await
            .text
            .contains("liveevents_trust_failures_total 0\n")
        {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let kept = origin.trust.clone().run(stop.clone());
    tokio::time::timeout(limit, async { tokio::join!(kept, failures) })
        .await
        .unwrap();

    // Whoever asks what needs it hears of an error of ours.
    admin.get("/events").await.refused(503, "UNAVAILABLE");

    let text = connected + &scrape().await.text;
    for line in [
        "liveevents_deployments_total{outcome=\"Completed\",type=\"ContentRelease\"} 2",
        "liveevents_deployments_total{outcome=\"RolledBack\",type=\"ContentRelease\"} 2",
        "liveevents_rollbacks_total{cause=\"manual\",kind=\"event\"} 1",
        "liveevents_rollbacks_total{cause=\"manual\",kind=\"deployment\"} 1",
        "liveevents_rollbacks_total{cause=\"automatic\",kind=\"deployment\"} 0",
        "liveevents_errors_total{source=\"http\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let names: std::collections::BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    assert!(names.len() > 5, "{text}");
    // Need a listener, or an issuer's server, and are proved where there is one.
    let elsewhere = [
        "liveevents_http_malformed_total",
        "liveevents_issuer_key_set_failures_total",
    ];
    for name in names.into_iter().filter(|name| !elsewhere.contains(name)) {
        let moved = |line: &str| line.starts_with(name) && !line.ends_with(" 0");
        assert!(text.lines().any(moved), "{name} has not moved");
    }
}
