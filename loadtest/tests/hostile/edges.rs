//! Edges whose token, installation or region is not right.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::close::CloseReason;
use reqwest::StatusCode;

use crate::common::cluster::Cluster;
use crate::common::eventually;
use crate::scene::{REGIONS, Scene, logged};

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_may_not_replicate_know_why_and_leave_the_origin_alone() {
    let mut scene = Scene::start().await;
    let other = Cluster::start().await;
    let rest = &scene.rest;
    let (revoked_id, revoked) = rest.token_for("Edge", &["us-east"], "PT1H").await;
    let (_, expired) = rest.token_for("Edge", &["us-east"], "PT1S").await;
    rest.revoke(&revoked_id).await;
    let http = reqwest::Client::new();
    eventually("the token has expired", || async {
        let url = format!("http://{}/api/v1/events", scene.cluster.http);
        let answer = http.get(url).bearer_auth(&expired).send().await.unwrap();
        (answer.status() == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let foreign = other.rest().await.token("Edge", &["us-east"]).await;
    let token = |text: String| {
        vec![
            ("ENROLMENT_TOKEN_FILE", String::new()),
            ("ENROLMENT_TOKEN", text),
        ]
    };
    let elsewhere = vec![("INSTALLATION", other.installation.clone())];
    let table = [
        (
            token("rubbish".to_owned()),
            "us-east",
            CloseReason::TokenInvalid,
        ),
        (token(expired), "us-east", CloseReason::TokenExpired),
        (token(revoked), "us-east", CloseReason::TokenRevoked),
        (token(foreign), "us-east", CloseReason::ForeignInstallation),
        (elsewhere, "us-east", CloseReason::ForeignInstallation),
        (
            token(rest.token("GameServer", &["us-east"]).await),
            "us-east",
            CloseReason::RoleNotAllowed,
        ),
        (
            token(rest.token("Edge", &["us-east"]).await),
            "eu-west",
            CloseReason::RegionNotAllowed,
        ),
        (Vec::new(), "atlantis", CloseReason::RegionNotAllowed),
    ];
    let refused = table
        .iter()
        .enumerate()
        .map(|(at, (more, region, reason))| {
            let scene = &scene;
            async move {
                let name = format!("intruder-{at}");
                // Without Redis, from which it might serve what others put there.
                let mut more = more.clone();
                more.push(("REDIS_URL", String::new()));
                let edge = scene.cluster.edge_not_awaited(&name, region, &more).await;
                let reason = reason.as_str();
                eventually(&format!("{name} was refused as {reason}"), || async {
                    let uplink = edge.health().await["uplink"].clone();
                    let waits = uplink["state"] == "Waiting" && uplink["reason"] == reason;
                    let until: Timestamp = uplink["until"].as_str()?.parse().unwrap();
                    let patience = until.duration_since(jiff::Zoned::now().timestamp());
                    (waits && patience > SignedDuration::from_secs(20)).then_some(())
                })
                .await;
                assert!(
                    logged(
                        &edge.process.log(),
                        &["no connection to the origin", reason]
                    ),
                    "{name}"
                );
                assert!(
                    scene.logged(&["closed an edge's connection", &name, reason]),
                    "{name}"
                );
                let ready = reqwest::get(format!("{}/health/ready", edge.http))
                    .await
                    .unwrap();
                assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
                let counted = format!("uplink_ends_total{{reason=\"{reason}\"}}");
                assert_eq!(
                    edge.metric(&counted).await,
                    1.0,
                    "{name} tries again and again"
                );
            }
        });
    join_all(refused).await;
    let known = scene.rest.get("/edges").await;
    assert_eq!(
        known["edges"].as_array().unwrap().len(),
        REGIONS.len(),
        "{known}"
    );
    scene.assert_unharmed().await;
}
