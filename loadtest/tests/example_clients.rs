//! Guarantee: the example clients, each in its language, do what the protocol's page says that game servers of level
//! Watch do: against the whole system, and against the conformance script.
//!
//! `make test` builds them and names their folder in `TEST_EXAMPLE_CLIENTS`.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::cluster::Cluster;
use common::process::Process;
use common::{eventually, variable};
use liveevents_loadtest::conform::{Level, Rule, Settings, conform};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const LANGUAGES: [&str; 2] = ["go", "python"];
const REGION: &str = "us-east";
const PLAYERS: [&str; 2] = ["p-1", "p-2"];

/// An example client, running.
struct Example {
    process: Process,
    /// How many lines of its log were looked at.
    seen: usize,
}

impl Example {
    fn start(language: &str, edge: &str, token: &str, dir: &Path) -> Self {
        let token_file = dir.join(format!("{language}.token"));
        std::fs::write(&token_file, token).unwrap();
        let program = Path::new(&variable("TEST_EXAMPLE_CLIENTS")).join(language);
        let mut command = Command::new(program);
        command
            .args(["--edge", edge, "--region", REGION, "--token-file"])
            .arg(token_file)
            .args(PLAYERS);
        Self {
            process: Process::spawn(command, language, dir),
            seen: 0,
        }
    }

    /// Waits until it has printed, for every player and since last time, that it is shown this.
    async fn shows(&mut self, events: &str) {
        for player in PLAYERS {
            let line = format!("{player} is shown {events}");
            let (process, seen) = (&self.process, self.seen);
            eventually(&format!("it printed: {line}"), || {
                let log = process.log();
                let printed = log.lines().skip(seen).any(|l| l.ends_with(&line));
                async move { printed.then_some(()) }
            })
            .await;
        }
        self.seen = self.process.log().lines().count();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_shown_what_was_decided_whatever_restarts() {
    let cluster = Cluster::start().await;
    let rest = cluster.rest().await;
    rest.event("sale").await;
    rest.deploy("sale", &[REGION], 100).await;
    let mut edge = cluster.edge("us-east-1", REGION).await;
    let token = rest.token("GameServer", &[REGION]).await;
    let dir = cluster.dir.path();
    let mut examples = LANGUAGES.map(|language| Example::start(language, &edge.ws(), &token, dir));
    for example in &mut examples {
        example.shows("sale/1").await;
    }

    rest.revise("sale", json!({ "priority": 7 })).await;
    let changed = rest.deploy("sale", &[REGION], 100).await;
    for example in &mut examples {
        example.shows("sale/2").await;
    }
    let change = format!("/changes/{}", changed["changeId"].as_str().unwrap());
    eventually("the origin knew that both had applied it", || async {
        let told = rest.get(&change).await;
        let servers = &told["regions"][REGION]["gameServers"];
        (servers["applied"] == 2 && servers["of"] == 2).then_some(())
    })
    .await;

    rest.post("/stop", json!({ "all": true, "reason": "tested" }))
        .await;
    for example in &mut examples {
        example.shows("nothing").await;
    }

    edge.restart(dir).await;
    edge.synced().await;
    rest.post("/resume", json!({ "all": true, "reason": "tested" }))
        .await;
    for example in &mut examples {
        example.shows("sale/2").await;
    }

    for example in &mut examples {
        assert_eq!(example.process.terminate().await, Some(0));
    }
    eventually("the edge knew that they had left", || async {
        (edge.metric("game_servers{region=\"us-east\"}").await == 0.0).then_some(())
    })
    .await;
}

/// Runs every example client against the conformance script.
async fn assert_keeps(rules: Vec<Rule>, quiet: Duration) {
    let settings = Settings {
        level: Some(Level::Watch),
        wait: Duration::from_secs(60),
        patience: Duration::from_secs(20),
        quiet,
    };
    let mut tries = JoinSet::new();
    for language in LANGUAGES {
        let rules = rules.clone();
        tries.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let edge = format!("ws://{}", listener.local_addr().unwrap());
            let dir = TempDir::new().unwrap();
            let _example = Example::start(language, &edge, "a token", dir.path());
            let report = conform(listener, settings, &rules, |_| {}).await;
            let rows: Vec<_> = report.rows.iter().map(ToString::to_string).collect();
            assert!(report.is_good(), "{language}:\n{}", rows.join("\n"));
        });
    }
    tries.join_all().await;
}

/// Those after which a client has to stay away for half a minute.
const RESTS: [Rule; 4] = [
    Rule::Unauthorized,
    Rule::TokenExpired,
    Rule::Fix,
    Rule::RateLimited,
];

#[tokio::test(flavor = "multi_thread")]
async fn they_keep_the_protocol() {
    let mut rules = Rule::ALL.to_vec();
    rules.retain(|rule| !RESTS.contains(rule));
    assert_keeps(rules, Duration::from_millis(600)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for minutes: make example-clients"]
async fn they_keep_away_when_they_are_told_to() {
    assert_keeps(RESTS.to_vec(), Duration::from_secs(10)).await;
}
