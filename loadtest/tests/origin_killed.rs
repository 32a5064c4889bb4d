//! Guarantees 1 and 7: the origin is killed at random moments in a series of deployments over several
//! regions. Nothing that was answered is lost, no version is missing or repeated, no change is half
//! there, and every edge converges by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::cluster::Cluster;
use common::rest::Rest;
use common::{Random, seed};
use reqwest::Method;
use serde_json::{Value, json};

const REGIONS: [&str; 4] = ["us-east", "eu-west", "ap-northeast", "sa-east"];
const KILLS: usize = 6;

/// Deploys at percentages that never come twice, so that each deployment changes all its regions, until
/// the origin goes away. Gives what was answered.
async fn deploy_until_killed(rest: Rest, mut random: Random, round: usize) -> Vec<Value> {
    let mut answered = Vec::new();
    for attempt in 0..1_000_u16 {
        let first = random.below(4) as usize;
        let regions: Vec<&str> = REGIONS
            .iter()
            .cycle()
            .skip(first)
            .take(3)
            .copied()
            .collect();
        let percentage = (10.0 * f64::from(attempt) + round as f64 + 1.0) / 100.0;
        let body = json!({ "eventId": "sale", "regions": regions, "percentage": percentage });
        match rest.send(Method::POST, "/deployments", Some(body)).await {
            Ok((status, answer)) if status.is_success() => answered.push(answer),
            Ok((status, answer)) if status.is_server_error() => {
                println!("refused while dying: {status} {answer}");
            }
            Ok((status, answer)) => panic!("{status} {answer}"),
            Err(_) => break,
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_origin_loses_and_repeats_nothing() {
    let mut random = Random(seed());
    let mut cluster = Cluster::start().await;
    let mut rest = cluster.rest().await;
    rest.event("sale").await;
    let edges = [
        cluster.edge("us-east-1", "us-east").await,
        cluster.edge("us-east-2", "us-east").await,
        cluster.edge("eu-west-1", "eu-west").await,
    ];
    let mut answered = Vec::new();
    for round in 0..KILLS {
        let deploying = deploy_until_killed(rest.clone(), Random(random.next()), round);
        // The one wait that is for time to pass: the kill has to fall at a moment nobody chose.
        let killing = async {
            tokio::time::sleep(Duration::from_millis(20 + random.below(400))).await;
            cluster.kill_origin();
        };
        let (deployed, ()) = tokio::join!(deploying, killing);
        answered.extend(deployed);
        cluster.start_origin().await;
        rest = cluster.rest().await;
    }
    println!("{} deployments answered over {KILLS} kills", answered.len());
    assert!(
        answered.len() > KILLS,
        "the origin hardly worked between the kills"
    );

    cluster.database.assert_logs_are_whole();
    for deployment in &answered {
        let change = deployment["changeId"].as_str().unwrap();
        let told = rest.get(&format!("/changes/{change}")).await;
        for (region, version) in deployment["regionVersions"].as_object().unwrap() {
            let sql = format!(
                "SELECT version FROM change_regions WHERE change_id = '{change}' AND region_id = '{region}'"
            );
            assert_eq!(
                Value::from(cluster.database.number(&sql)),
                *version,
                "{change} in {region}"
            );
        }
        assert_eq!(told["changeId"], change);
    }
    let epochs = cluster
        .database
        .number("SELECT count(*) FROM epoch_history");
    assert_eq!(epochs, 1, "a kill is no loss of history");

    cluster
        .converge(&rest, &edges.iter().collect::<Vec<_>>())
        .await;
    for edge in &edges {
        let served = rest.served(edge).await.unwrap();
        let sql = format!(
            "SELECT coalesce(exposure, 10000) FROM assignments WHERE region_id = '{}'",
            edge.region
        );
        let assignment = &served["assignments"][0];
        let exposure = assignment["candidate"]["exposure"]
            .as_i64()
            .unwrap_or(10_000);
        assert_eq!(
            exposure,
            cluster.database.number(&sql),
            "{}: {served}",
            edge.name
        );
    }
}
