//! An installation at work, whose witnesses notice whatever goes wrong for them.

use std::path::PathBuf;

use liveevents_client::Link;
use liveevents_protocol::frame::Hello;
use liveevents_protocol::id::BootId;
use tokio::sync::watch;

use crate::common::cluster::{Cluster, Edge};
use crate::common::game_server::GameServer;
use crate::common::metric;
use crate::common::rest::Rest;

pub(crate) const REGIONS: [&str; 2] = ["us-east", "eu-west"];

/// An installation at work: two edges, and a game server with each.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) rest: Rest,
    pub(crate) edges: Vec<Edge>,
    pub(crate) witnesses: Vec<GameServer>,
    /// How the witnesses stand; nothing new since they connected.
    links: Vec<watch::Receiver<Link>>,
    percentage: u32,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::start().await;
        let rest = cluster.rest().await;
        rest.event("sale").await;
        let (mut edges, mut witnesses) = (Vec::new(), Vec::new());
        for region in REGIONS {
            let edge = cluster.edge(&format!("{region}-1"), region).await;
            let token = rest.token("GameServer", &[region]).await;
            witnesses.push(GameServer::connect(region, region, &edge.ws(), &token));
            edges.push(edge);
        }
        let mut scene = Self {
            cluster,
            rest,
            edges,
            witnesses,
            links: Vec::new(),
            percentage: 0,
        };
        scene.assert_unharmed().await;
        scene.links = scene.witnesses.iter().map(|w| w.client.link()).collect();
        scene
    }

    /// The next change reaches everybody over the connections that they had.
    pub(crate) async fn assert_unharmed(&mut self) {
        self.percentage += 1;
        self.rest.deploy("sale", &REGIONS, self.percentage).await;
        for (edge, witness) in self.edges.iter().zip(&self.witnesses) {
            witness
                .reaches(&self.cluster.epoch(), self.cluster.head(&edge.region))
                .await;
            witness.assert_only_went_forward(|_| true);
            assert!(witness.is_connected_to(&edge.name));
            assert_eq!(
                edge.metric("uplink_connections_total").await,
                1.0,
                "{}",
                edge.name
            );
            assert_eq!(edge.metric("uplink_connected").await, 1.0, "{}", edge.name);
        }
        for (link, witness) in self.links.iter().zip(&self.witnesses) {
            assert!(
                !link.has_changed().unwrap(),
                "{} lost its connection",
                witness.name
            );
        }
    }

    /// A metric of the origin.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(&format!("http://{}", self.cluster.http), name).await
    }

    /// Whether the origin has logged a line with all of this.
    pub(crate) fn logged(&self, parts: &[&str]) -> bool {
        logged(&self.cluster.origin.as_ref().unwrap().log(), parts)
    }

    /// What the origin wrote for edges.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.cluster.dir.path().join("origin").join(name)
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            installation: self.cluster.installation.parse().unwrap(),
            edge: "intruder".parse().unwrap(),
            boot: BootId(uuid::Uuid::new_v4()),
            token: std::fs::read_to_string(self.file("edge-token"))
                .unwrap()
                .trim()
                .to_owned(),
            build: "0".to_owned(),
            capabilities: Vec::new(),
            address: "http://127.0.0.1:1".to_owned(),
            regions: vec![("us-east".parse().unwrap(), None)],
        }
    }
}

pub(crate) fn logged(log: &str, parts: &[&str]) -> bool {
    log.lines()
        .any(|line| parts.iter().all(|part| line.contains(part)))
}
