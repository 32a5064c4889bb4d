//! The edge under test: `run` as `main` calls it, with settings given as a person would.

use std::net::SocketAddr;

use liveevents_edge::config::{Config, PROGRAM};
use liveevents_edge::run::{bind, run};
use liveevents_service::clock::Clock;
use liveevents_service::config::{Sources, Start};
use liveevents_service::token::Role;
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::identity::Identity;
use super::{eventually, within};

/// Settings of an edge.
pub struct Setup {
    flags: Vec<(String, String)>,
    clock: Clock,
    // Keeps the files.
    _folder: TempDir,
}

impl Setup {
    /// An edge of `us-east` that knows these origins.
    pub fn new(identity: &Identity, clock: &Clock, origins: &[SocketAddr]) -> Self {
        let folder = TempDir::new().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &identity.authority.certificate).unwrap();
        let origins: Vec<_> = origins.iter().map(ToString::to_string).collect();
        let setup = Self {
            flags: Vec::new(),
            clock: clock.clone(),
            _folder: folder,
        };
        setup
            .with("installation", identity.installation.as_str())
            .with("edge-id", "edge-1")
            .with("region", "us-east")
            .with("origins", &origins.join(","))
            .with("ca-file", ca.to_str().unwrap())
            .with("trust-key", &identity.keys.trust_key().to_string())
            .with(
                "enrolment-token",
                &identity.token(Role::Edge, "edge-1", &["us-east"]),
            )
            .with("http-listen", "127.0.0.1:0")
            .with("shutdown-drain", "PT1S")
    }

    /// The same with another value.
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        self.flags.retain(|(known, _)| known != flag);
        self.flags.push((flag.to_owned(), value.to_owned()));
        self
    }

    /// Starts it; the setup stays, to start it again.
    pub async fn start(&self) -> Edge {
        let arguments = self
            .flags
            .iter()
            .flat_map(|(flag, value)| [format!("--{flag}"), value.clone()])
            .collect();
        let sources = Sources {
            arguments,
            environment: Vec::new(),
        };
        let config = match PROGRAM.start(&sources) {
            Ok(Start::Run(reader)) => {
                Config::read(reader).unwrap_or_else(|faults| panic!("{faults}"))
            }
            Ok(Start::Print(text)) => panic!("{text}"),
            Err(faults) => panic!("{faults}"),
        };
        let listener = bind(&config).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone().cancelled_owned();
        let clock = self.clock.clone();
        let mut task = JoinSet::new();
        task.spawn(async move { run(config, listener, clock, stop).await });
        Edge {
            address,
            shutdown,
            task,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }
}

/// A running edge. Dropped, it is killed: nobody hears a goodbye.
pub struct Edge {
    pub address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinSet<Result<(), liveevents_edge::run::RunError>>,
    http: reqwest::Client,
}

impl Edge {
    /// Ends it in order, and waits until it has.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        within("the edge to end", self.task.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// Asks it to end, while the test goes on.
    pub fn begin_stop(&self) {
        self.shutdown.cancel();
    }

    pub async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        let request = self.http.get(url).bearer_auth(token);
        let answer = within("an answer", request.send()).await.unwrap();
        let status = answer.status();
        let text = within("a body", answer.text()).await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// The report of `/health`.
    pub async fn health(&self) -> Value {
        self.get("/health", "").await.1
    }

    /// Waits until the report says so.
    pub async fn until(&self, what: &str, mut says: impl FnMut(&Value) -> bool) -> Value {
        eventually(what, async || {
            let report = self.health().await;
            says(&report).then_some(report)
        })
        .await
    }

    /// Waits until its home region is at a version.
    pub async fn at_version(&self, version: u64) {
        self.until(&format!("version {version} is served"), |report| {
            report["regions"][0]["holds"]["version"] == version
        })
        .await;
    }

    /// A metric's value, all its labels added up; `None` if it is not there.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics", "").await;
        let text = text.as_str().unwrap().to_owned();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = rest.strip_prefix(' ').or_else(|| {
                rest.strip_prefix('{')
                    .and_then(|rest| rest.split_once("} ").map(|(_, value)| value))
            })?;
            value.parse::<f64>().ok()
        });
        values.fold(None, |sum, value| Some(sum.unwrap_or_default() + value))
    }
}
