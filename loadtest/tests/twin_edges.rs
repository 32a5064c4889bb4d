//! Two processes with one edge id: the newest connection has the id, the older one is closed as superseded and backs
//! off, so that they do not throw each other out again and again. It goes on serving what it knew; game servers of
//! neither lose anything.

mod common;

use common::cluster::Cluster;
use common::eventually;
use common::game_server::GameServer;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const REGION: &str = "us-east";
const SUPERSEDED: &str = "uplink_ends_total{reason=\"superseded\"}";

#[tokio::test(flavor = "multi_thread")]
async fn the_second_replaces_the_first_and_both_serve_on() {
    let cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    rest.event("sale").await;
    rest.deploy("sale", &[REGION], 100).await;
    let token = rest.token("GameServer", &[REGION]).await;
    // Without Redis: by it the first would hear from the second after all.
    let alone = ("REDIS_URL", String::new());
    let first = cluster
        .edge_not_awaited("twin", REGION, std::slice::from_ref(&alone))
        .await;
    first.synced().await;
    let with_first = GameServer::connect("who is with the first", REGION, &first.ws(), &token);
    let (epoch, known) = (cluster.epoch(), cluster.head(REGION));
    with_first.reaches(&epoch, known).await;
    let claim = "SELECT claim FROM edges WHERE edge_id = 'twin'";
    let claimed = cluster.database.number(claim);

    let same = [("EDGE_ID", "twin".to_owned()), alone];
    let second = cluster.edge_not_awaited("twin-again", REGION, &same).await;
    second.synced().await;
    let with_second = GameServer::connect("who is with the second", REGION, &second.ws(), &token);
    with_second.reaches(&epoch, known).await;
    eventually("the first was superseded", || async {
        (first.metric(SUPERSEDED).await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(cluster.database.number(claim), claimed + 1);
    let uplink = first.health().await["uplink"].clone();
    assert_eq!(
        (&uplink["state"], &uplink["reason"]),
        (&json!("Waiting"), &json!("superseded")),
        "{uplink}"
    );
    let until: Timestamp = uplink["until"].as_str().unwrap().parse().unwrap();
    let patience = until.duration_since(jiff::Zoned::now().timestamp());
    assert!(
        patience > SignedDuration::from_secs(20),
        "it comes back in {patience:#}"
    );

    // Changes go to the second alone, and to its game servers.
    for percentage in 10..30 {
        rest.deploy("sale", &[REGION], percentage).await;
    }
    let head = cluster.head(REGION);
    with_second.reaches(&epoch, head).await;
    let served = |edge| {
        let rest = rest.clone();
        async move {
            rest.served(edge).await.unwrap()["version"]
                .as_u64()
                .unwrap()
        }
    };
    assert_eq!((served(&first).await, served(&second).await), (known, head));
    assert!(with_first.is_connected_to("twin") && with_second.is_connected_to("twin"));
    assert_eq!(with_first.version(), known);
    assert_eq!(with_first.shown_to("p-1").len(), 1);

    // No back and forth: nobody has claimed the id since.
    assert_eq!(cluster.database.number(claim), claimed + 1);
    assert_eq!(first.metric(SUPERSEDED).await, 1.0);
    assert_eq!(second.metric(SUPERSEDED).await, 0.0);
    assert_eq!(second.metric("uplink_connected").await, 1.0);
    let log = first.process.log();
    assert!(log.contains("no connection to the origin") && log.contains("superseded"));
    let edges = rest.get("/edges").await;
    let edges = edges["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 1);
    assert_eq!(edges[0]["address"], second.http.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_comes_back_after_a_kill_has_its_id_at_once() {
    let cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    rest.event("sale").await;
    rest.deploy("sale", &[REGION], 100).await;
    let mut edge = cluster.edge("us-east-1", REGION).await;
    let token = rest.token("GameServer", &[REGION]).await;
    let game_server = GameServer::connect("a game server", REGION, &edge.ws(), &token);
    for percentage in [10, 20, 30] {
        // The origin does not know yet that the one before is gone.
        edge.restart(cluster.dir.path()).await;
        rest.deploy("sale", &[REGION], percentage).await;
        cluster.converge(&rest, &[&edge]).await;
        game_server
            .reaches(&cluster.epoch(), cluster.head(REGION))
            .await;
    }
    assert_eq!(edge.metric(SUPERSEDED).await, 0.0);
    game_server.assert_only_went_forward(|_| true);
}
