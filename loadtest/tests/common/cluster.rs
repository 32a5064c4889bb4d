//! An installation: a database, one origin, some edges.

use std::net::{TcpListener, UdpSocket};

use serde_json::Value;
use tempfile::TempDir;

use super::database::Database;
use super::process::Process;
use super::rest::Rest;
use super::{Random, eventually, metric, unique, variable};

const SECRET: &str = "a secret that only this test's installation knows";
const PASSWORD: &str = "correct horse battery staple";

/// An installation under test.
pub struct Cluster {
    /// Dropped before the folder, from which a failed test shows its log.
    pub origin: Option<Process>,
    pub dir: TempDir,
    pub database: Database,
    pub installation: String,
    pub http: String,
    pub quic: String,
}

/// An edge under test.
pub struct Edge {
    pub process: Process,
    pub name: String,
    pub region: String,
    pub http: String,
    settings: Vec<(&'static str, String)>,
}

/// An address that stays free while a process restarts: below the ports that the kernel gives to connections.
fn free(bound: impl Fn(&str) -> bool) -> String {
    let mut random = Random(uuid::Uuid::new_v4().as_u64_pair().0);
    let addresses =
        std::iter::repeat_with(|| format!("127.0.0.1:{}", 20_000 + random.below(12_000)));
    addresses
        .take(1_000)
        .find(|address| bound(address))
        .unwrap()
}

fn free_tcp() -> String {
    free(|address| TcpListener::bind(address).is_ok())
}

fn free_udp() -> String {
    free(|address| UdpSocket::bind(address).is_ok())
}

impl Cluster {
    /// An origin on an empty database.
    pub async fn start() -> Self {
        Self::start_on(Database::create()).await
    }

    /// An origin on a given database.
    pub async fn start_on(database: Database) -> Self {
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            database,
            installation: unique("test"),
            origin: None,
            http: free_tcp(),
            quic: free_udp(),
        };
        cluster.start_origin().await;
        cluster
    }

    /// Starts the origin, at the addresses that it had.
    pub async fn start_origin(&mut self) {
        let settings = [
            ("ENVIRONMENT", "Development".to_owned()),
            ("INSTALLATION", self.installation.clone()),
            ("HTTP_LISTEN", self.http.clone()),
            ("QUIC_LISTEN", self.quic.clone()),
            ("DATABASE_URL", self.database.url.clone()),
            (
                "DATA_DIR",
                self.dir.path().join("origin").display().to_string(),
            ),
            ("JWT_SECRET", SECRET.to_owned()),
            ("ADMIN_PASSWORD", PASSWORD.to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            // A test asks for more in a minute than a person does.
            ("RATE_LIMITING_ENABLED", "false".to_owned()),
        ];
        let mut origin = Process::start("liveevents-origin", "origin", self.dir.path(), &settings);
        origin.address("http").await;
        self.origin = Some(origin);
    }

    /// Ends the origin as a power cut would.
    pub fn kill_origin(&mut self) {
        self.origin.take().unwrap().kill();
    }

    /// The REST API, as the first admin.
    pub async fn rest(&self) -> Rest {
        Rest::log_in(&format!("http://{}", self.http), "admin", PASSWORD).await
    }

    /// Starts an edge and waits until it serves its region.
    pub async fn edge(&self, name: &str, region: &str) -> Edge {
        let edge = self.edge_not_awaited(name, region, &[]).await;
        edge.synced().await;
        edge
    }

    /// Starts an edge with some settings of the test's, ready or not. An empty one is not set.
    pub async fn edge_not_awaited(
        &self,
        name: &str,
        region: &str,
        more: &[(&'static str, String)],
    ) -> Edge {
        let origin = self.dir.path().join("origin");
        let mut settings = vec![
            ("ENVIRONMENT", "Development".to_owned()),
            ("INSTALLATION", self.installation.clone()),
            ("EDGE_ID", name.to_owned()),
            ("REGION", region.to_owned()),
            ("ORIGINS", self.quic.clone()),
            ("HTTP_LISTEN", free_tcp()),
            ("REDIS_URL", variable("REDIS_URL")),
            ("CA_FILE", origin.join("tls/ca.pem").display().to_string()),
            (
                "TRUST_KEY_FILE",
                origin.join("trust-key").display().to_string(),
            ),
            (
                "ENROLMENT_TOKEN_FILE",
                origin.join("edge-token").display().to_string(),
            ),
            ("LOG_FORMAT", "json".to_owned()),
        ];
        for (key, value) in more {
            settings.retain(|(other, _)| other != key);
            settings.push((key, value.clone()));
        }
        settings.retain(|(_, value)| !value.is_empty());
        let mut process = Process::start("liveevents-edge", name, self.dir.path(), &settings);
        let http = format!("http://{}", process.address("http").await);
        Edge {
            process,
            name: name.to_owned(),
            region: region.to_owned(),
            http,
            settings,
        }
    }

    /// The newest version of a region, by the database.
    pub fn head(&self, region: &str) -> u64 {
        let sql = format!("SELECT version FROM region_heads WHERE region_id = '{region}'");
        self.database.number(&sql).try_into().unwrap()
    }

    /// The current epoch, by the database.
    pub fn epoch(&self) -> String {
        self.database.query("SELECT epoch FROM epoch")
    }

    /// Waits until every edge serves what the database has.
    pub async fn converge(&self, rest: &Rest, edges: &[&Edge]) {
        for edge in edges {
            let (epoch, head) = (self.epoch(), self.head(&edge.region));
            let what = format!("{} reached version {head} of epoch {epoch}", edge.name);
            eventually(&what, || async {
                let served = rest.served(edge).await?;
                let same = served["epoch"] == epoch.as_str() && served["version"] == head;
                same.then_some(())
            })
            .await;
        }
    }
}

impl Edge {
    /// Waits until it serves its region.
    pub async fn synced(&self) {
        let http = reqwest::Client::new();
        eventually(&format!("{} was ready", self.name), || async {
            let answer = http
                .get(format!("{}/health/ready", self.http))
                .send()
                .await
                .ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Ends it as a power cut would, and starts it again at the same address.
    pub async fn restart(&mut self, dir: &std::path::Path) {
        self.process.kill();
        self.process = Process::start("liveevents-edge", &self.name, dir, &self.settings);
        self.process.address("http").await;
    }

    /// How it says that it stands, ready or not.
    pub async fn health(&self) -> Value {
        let answer = reqwest::get(format!("{}/health", self.http)).await.unwrap();
        answer.json().await.unwrap()
    }

    /// The value of one of its metrics, such as `uplink_ends_total{reason="lost"}`.
    pub async fn metric(&self, name: &str) -> f64 {
        metric(&self.http, name).await
    }

    /// Where it listens, as `host:port`.
    pub fn listener(&self) -> &str {
        self.http.strip_prefix("http://").unwrap()
    }

    /// The address of its WebSocket endpoint's server.
    pub fn ws(&self) -> String {
        self.http.replacen("http", "ws", 1)
    }
}
