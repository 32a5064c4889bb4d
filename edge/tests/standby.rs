//! An edge that stands by for another region: it replicates it, and takes over its game servers as they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, redis_url, start};
use liveevents_protocol::frame::OriginFrame;
use liveevents_protocol::message::{AckStatus, Cursor};
use liveevents_protocol::version::Version;
use liveevents_service::token::Role;

struct World {
    identity: Identity,
    origin: Origin,
    america: History,
    europe: History,
}

impl World {
    fn new() -> Self {
        let identity = Identity::new();
        let origin = Origin::start(&identity, &clock().clock());
        let (mut america, mut europe) = (
            History::new("us-east", epoch(5)),
            History::new("eu-west", epoch(5)),
        );
        america.commit(put("sale", 1), start());
        europe.commit(put("cup", 1), start());
        europe.commit(put("cup", 2), start());
        Self {
            identity,
            origin,
            america,
            europe,
        }
    }

    /// Of `us-east`, standing by for `eu-west`.
    fn standby(&self) -> Setup {
        let token = self
            .identity
            .token(Role::Edge, "edge-1", &["us-east", "eu-west"]);
        Setup::new(&self.identity, &clock().clock(), &[self.origin.address])
            .with("standby-for", "eu-west")
            .with("enrolment-token", &token)
    }

    /// Of `eu-west` itself.
    async fn native(&self) -> (Edge, Link) {
        let token = self.identity.token(Role::Edge, "edge-eu", &["eu-west"]);
        let edge = Setup::new(&self.identity, &clock().clock(), &[self.origin.address])
            .with("edge-id", "edge-eu")
            .with("region", "eu-west")
            .with("enrolment-token", &token)
            .start()
            .await;
        let link = self.origin.serve(&[&self.europe]).await;
        (edge, link)
    }

    fn token(&self) -> String {
        self.identity.game_server(&["eu-west"])
    }

    fn at(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.europe.epoch,
            version: Version(version),
        }
    }
}

#[tokio::test]
async fn it_takes_over_the_other_regions_game_servers_where_they_are() {
    let mut world = World::new();
    let standby = world.standby().start().await;
    let mut link = world.origin.serve(&[&world.america, &world.europe]).await;
    assert_eq!(standby.get("/health/ready", "").await.0, 200);

    let (native, to_native) = world.native().await;
    let mut server = GameServer::subscribe_to(&native, &world.token(), "eu-west", None).await;
    server.until(world.at(2)).await;
    // The region's own edges are gone.
    native.stop().await;
    drop(to_native);

    // It is sent nothing that it has, and the next change.
    let held = server.state.take();
    let mut server =
        GameServer::subscribe_to(&standby, &world.token(), "eu-west", Some(world.at(2))).await;
    server.state = held;
    world.europe.commit(put("cup", 3), start());
    link.rows(&world.europe, 2, 3).await;
    link.acked(&world.europe, Version(3)).await;
    assert_eq!(server.update().await, world.at(3));
    assert!(
        server
            .state
            .as_ref()
            .unwrap()
            .same_as(world.europe.state(Version(3)))
    );
    server.ack(world.at(3), AckStatus::Applied).await;
    // The origin hears of it as of that region.
    let told = link
        .reported(|delivery| delivery.region.as_str() == "eu-west" && !delivery.arrivals.is_empty())
        .await;
    assert_eq!((told.connected, told.standings[0].applied), (1, 1));
    // Players of either region are answered, and nobody is told of the other's events.
    let token = world.identity.game_server(&["us-east", "eu-west"]);
    for (region, event) in [("us-east", "sale"), ("eu-west", "cup")] {
        let path = format!("/api/v1/players/p/events?region={region}");
        let (status, body) = standby.get(&path, &token).await;
        let events: Vec<_> = body["events"].as_array().unwrap().iter().collect();
        assert_eq!((status.as_u16(), events.len()), (200, 1), "{region}");
        assert_eq!(events[0]["eventId"], event);
    }
    assert_eq!(standby.health().await["regions"][1]["gameServers"], 1);
}

#[tokio::test]
async fn it_takes_them_over_with_the_origin_away_too_and_after_a_restart() {
    let world = World::new();
    let setup = world.standby().with("redis-url", &redis_url());
    let standby = setup.start().await;
    let _link = world.origin.serve(&[&world.america, &world.europe]).await;
    standby.stop().await;
    world.origin.cut_off();
    let standby = setup.start().await;
    assert_eq!(standby.get("/health/ready", "").await.0, 200);
    let mut server =
        GameServer::subscribe_to(&standby, &world.token(), "eu-west", Some(world.at(1))).await;
    server.state = Some(world.europe.state(Version(1)).clone());
    assert_eq!(server.update().await, world.at(2));
    assert!(
        server
            .state
            .unwrap()
            .same_as(world.europe.state(Version(2)))
    );
}

#[tokio::test]
async fn others_are_sent_to_it_for_either_region() {
    let world = World::new();
    let (native, link) = world.native().await;
    let addresses = vec!["http://10.0.0.1:8090".to_owned()];
    let directory = vec![("us-east".parse().unwrap(), addresses.clone())];
    link.send(&OriginFrame::Directory(directory)).await;
    let token = world.identity.game_server(&["us-east", "eu-west"]);
    common::eventually("the directory is known", async || {
        let path = "/api/v1/players/p/events?region=us-east";
        let (status, body) = native.get(path, &token).await;
        assert_eq!(status, 421);
        body.to_string().contains(&addresses[0]).then_some(())
    })
    .await;
}
