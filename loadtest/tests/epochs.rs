//! Guarantees 2 and 7: a database that has lost history. Whatever way it was lost, the origin notices by
//! itself, edges and game servers take over what the restored database says, and nobody mixes the two
//! histories, although their versions are the same numbers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::Command;

use common::cluster::{Cluster, Edge};
use common::database::{Database, postgres};
use common::eventually;
use common::rest::Rest;
use common::server::Server;
use liveevents_client::{Client, ClientConfig, Token};

const REGION: &str = "us-east";

/// An installation with one edge and one game server, all at the same version.
struct Scene {
    cluster: Cluster,
    rest: Rest,
    edge: Edge,
    game_server: Client,
}

impl Scene {
    async fn on(database: Database) -> Self {
        let cluster = Cluster::start_on(database).await;
        let rest = cluster.rest().await;
        rest.event("sale").await;
        rest.deploy("sale", &[REGION], 100).await;
        let edge = cluster.edge("us-east-1", REGION).await;
        let token = rest.token("GameServer", &[REGION]).await;
        let config = ClientConfig::new(
            REGION.parse().unwrap(),
            vec![edge.ws().parse().unwrap()],
            Token::fixed(token),
        );
        let game_server = Client::connect(config).unwrap();
        let scene = Self {
            cluster,
            rest,
            edge,
            game_server,
        };
        scene.converge().await;
        scene
    }

    /// Changes the exposure until the log has come to a version.
    async fn go_on_to(&self, version: u64, exposure: u32) {
        while self.cluster.head(REGION) < version {
            let percentage = exposure + u32::from(self.cluster.head(REGION).is_multiple_of(2));
            self.rest.deploy("sale", &[REGION], percentage).await;
        }
        assert_eq!(self.cluster.head(REGION), version);
    }

    /// Waits until edge and game server hold what the database says.
    async fn converge(&self) {
        self.cluster.converge(&self.rest, &[&self.edge]).await;
        let (epoch, head) = (self.cluster.epoch(), self.cluster.head(REGION));
        let exposure = self.cluster.database.number(
            "SELECT coalesce(exposure, 10000) FROM assignments WHERE region_id = 'us-east'",
        );
        eventually("the game server holds what the database says", || async {
            let state = self.game_server.state()?;
            let assignment = state.assignment(&"sale".parse().unwrap())?;
            let held = assignment
                .candidate
                .as_ref()
                .map_or(10_000, |c| c.exposure.value().into());
            let same =
                state.epoch().to_string() == epoch && state.version().0 == head && held == exposure;
            same.then_some(())
        })
        .await;
    }

    /// After the database was exchanged: everybody has taken over, under a later epoch.
    async fn assert_taken_over(&self, old_epoch: &str) {
        eventually("a later epoch was minted", || async {
            (self.cluster.epoch().as_str() > old_epoch).then_some(())
        })
        .await;
        self.converge().await;
        // And it is no standstill: the restored history goes on.
        self.rest.deploy("sale", &[REGION], 77).await;
        self.converge().await;
        self.cluster.database.assert_logs_are_whole();
    }
}

fn dump(of: &Database) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = postgres("pg_dump")
        .args(["-Fc", &of.url])
        .stdout(file.reopen().unwrap())
        .output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    file.into_temp_path()
}

fn restore(dump: &tempfile::TempPath, into: &Database, clean: bool) {
    let mut command: Command = postgres("pg_restore");
    command
        .args(["-d", &into.url])
        .stdin(std::fs::File::open(dump).unwrap());
    if clean {
        command.args(["--clean", "--if-exists"]);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_into_a_new_database() {
    let mut scene = Scene::on(Database::create()).await;
    scene.go_on_to(6, 10).await;
    let dump = dump(&scene.cluster.database);
    scene.go_on_to(9, 40).await;
    scene.converge().await;
    let old_epoch = scene.cluster.epoch();

    scene.cluster.kill_origin();
    let restored = Database::create();
    restore(&dump, &restored, false);
    scene.cluster.database = restored;
    scene.cluster.start_origin().await;
    scene.assert_taken_over(&old_epoch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_into_the_same_database_under_a_running_origin() {
    let scene = Scene::on(Database::create()).await;
    scene.go_on_to(6, 10).await;
    let dump = dump(&scene.cluster.database);
    scene.go_on_to(9, 40).await;
    scene.converge().await;
    let old_epoch = scene.cluster.epoch();

    restore(&dump, &scene.cluster.database, true);
    scene.assert_taken_over(&old_epoch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_copied_back_and_gone_on_with_other_content() {
    let server = Server::start_new();
    let mut scene = Scene::on(Database::create_on(&server.url())).await;
    scene.go_on_to(60, 10).await;
    scene.cluster.kill_origin();
    server.stop("fast");
    let copy = server.copy();
    server.start();
    scene.cluster.start_origin().await;
    scene.rest = scene.cluster.rest().await;
    scene.go_on_to(100, 40).await;
    scene.converge().await;
    let old_epoch = scene.cluster.epoch();

    // Nothing tells this database from the one before but what receivers hold: same identifiers, same
    // timeline, and a log that has passed the receivers' versions by the time that they are back.
    scene.edge.process.kill();
    scene.cluster.kill_origin();
    server.stop("fast");
    server.put_back(&copy);
    server.start();
    scene.cluster.start_origin().await;
    scene.rest = scene.cluster.rest().await;
    assert_eq!(scene.cluster.head(REGION), 60);
    scene.go_on_to(105, 20).await;
    assert_eq!(
        scene.cluster.epoch(),
        old_epoch,
        "there is nothing to notice yet"
    );
    scene.edge.restart(scene.cluster.dir.path()).await;
    scene.assert_taken_over(&old_epoch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_copied_back_under_a_running_origin() {
    let server = Server::start_new();
    let scene = Scene::on(Database::create_on(&server.url())).await;
    scene.go_on_to(6, 10).await;
    server.stop("immediate");
    let copy = server.copy();
    server.start();
    eventually("the origin works again", || async {
        let body = serde_json::json!({ "eventId": "sale", "regions": [REGION], "percentage": 30 });
        let answer = scene
            .rest
            .send(reqwest::Method::POST, "/deployments", Some(body))
            .await;
        answer.ok().filter(|(status, _)| status.is_success())
    })
    .await;
    scene.go_on_to(9, 40).await;
    scene.converge().await;
    let old_epoch = scene.cluster.epoch();

    server.stop("immediate");
    server.put_back(&copy);
    server.start();
    scene.assert_taken_over(&old_epoch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_lagged() {
    let primary = Server::start_new();
    let mut scene = Scene::on(Database::create_on(&primary.url())).await;
    scene.go_on_to(6, 10).await;
    let standby = primary.standby();
    let there = standby.database(&scene.cluster.database);
    eventually("the standby has caught up", || async {
        let sql = "SELECT version FROM region_heads WHERE region_id = 'us-east'";
        (there.number(sql) == 6).then_some(())
    })
    .await;
    standby.stop("fast");
    scene.go_on_to(9, 40).await;
    scene.converge().await;
    let old_epoch = scene.cluster.epoch();

    scene.cluster.kill_origin();
    primary.stop("immediate");
    standby.start();
    standby.promote();
    scene.cluster.database = there;
    scene.cluster.start_origin().await;
    assert_eq!(scene.cluster.head(REGION), 6);
    scene.rest = scene.cluster.rest().await;
    scene.assert_taken_over(&old_epoch).await;
}
