//! The command line.

pub mod bench;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;

use crate::address::{EdgeAddress, HttpBase};
use crate::conform::{Level, Rule, Settings};
use crate::failure::Failure;
use crate::limits;
use crate::rest::Rest;

/// Load on a LiveEvents installation, and a demonstration of it.
#[derive(Debug, Parser)]
#[command(name = "liveevents-loadtest", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Opens game servers, makes changes through REST, and measures until the last one holds each.
    ///
    /// Ends with status 1 if any change did not arrive everywhere.
    Subscribe(Subscribe),
    /// Shows a rollout: creates events, deploys them, and prints what game servers receive.
    Demo(Demo),
    /// Measures an edge.
    #[command(flatten)]
    Bench(bench::Scenario),
    /// The limit that benchmarks are held against, as they start it: a loop that writes frames to plain sockets.
    Bare(bench::Bare),
    /// Plays an edge, and tries on the client that connects whether it keeps the protocol.
    ///
    /// Ends with status 1 if it breaks a rule.
    Conform(Conform),
}

/// Where the installation is, and as whom to use it.
#[derive(Debug, Args)]
pub struct Target {
    /// The origin's REST API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub origin: HttpBase,
    /// An edge, once for each: its region and where it is.
    #[arg(long = "edge", value_name = "REGION=URL", required = true)]
    pub edges: Vec<EdgeAddress>,
    /// An admin.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub username: String,
    /// The admin's password; the default is the one known to everybody that Development has.
    #[arg(long, value_name = "TEXT", default_value = "development-only")]
    pub password: String,
    /// File with the password, which other users of this machine cannot see as they can arguments.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub password_file: Option<PathBuf>,
}

/// Arguments of `subscribe`.
#[derive(Debug, Args)]
pub struct Subscribe {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields say it")]
    pub target: Target,
    /// Game servers, spread evenly over the edges.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub servers: u32,
    /// Changes to make.
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=9_999))]
    pub changes: u32,
    /// Changes a second, as far as the origin answers as fast.
    #[arg(long, value_name = "R", default_value_t = 10.0, value_parser = rate)]
    pub rate: f64,
    /// How long to wait for a change to arrive before it is lost; ISO 8601.
    #[arg(long, value_name = "DURATION", default_value = "PT15S")]
    pub wait: SignedDuration,
    /// Writes the report to this file as well.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields say it")]
    pub target: Target,
    /// Folder with one JSON file an event; `{{now}}`, `{{now-PT1M}}`, `{{today+P3D}}` stand for times.
    #[arg(long, value_name = "DIR")]
    pub events: PathBuf,
    /// Game servers in each region.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub servers: u32,
    /// Ends after the show instead of staying until Ctrl-C.
    #[arg(long)]
    pub exit: bool,
}

/// Arguments of `conform`.
#[derive(Debug, Args)]
pub struct Conform {
    /// Where the client will connect to.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8099")]
    pub listen: SocketAddr,
    /// What the client has to say that it is; if not given, whatever it says.
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<Level>,
    /// Tries this rule only; may be repeated.
    #[arg(long = "rule", value_name = "NAME")]
    pub only: Vec<Rule>,
    /// How long to wait for the client; ISO 8601.
    #[arg(long, value_name = "DURATION", default_value = "PT60S")]
    pub wait: SignedDuration,
    /// How long a client has to stay away that should try again only rarely; ISO 8601.
    #[arg(long, value_name = "DURATION", default_value = "PT10S")]
    pub quiet: SignedDuration,
    /// Writes the report to this file as well.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Conform {
    /// How it is done.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            level: self.level,
            wait: self.wait.unsigned_abs(),
            patience: limits::CONFORM_PATIENCE,
            quiet: self.quiet.unsigned_abs(),
        }
    }

    /// What to try.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let wanted = |rule: &Rule| self.only.is_empty() || self.only.contains(rule);
        Rule::ALL.into_iter().filter(wanted).collect()
    }
}

impl Target {
    /// The origin's API, as the admin.
    ///
    /// # Errors
    /// If the password cannot be read, or is not accepted.
    pub async fn log_in(&self) -> Result<Rest, Failure> {
        let password = self.password()?;
        let origin = Rest::new(&self.origin)?;
        Ok(origin.login(&self.username, &password).await?)
    }

    /// The password given, or that in the file, without the line break at its end.
    fn password(&self) -> Result<String, Failure> {
        let Some(file) = &self.password_file else {
            return Ok(self.password.clone());
        };
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(text.trim_end().to_owned()),
            Err(source) => Err(Failure::File {
                path: file.clone(),
                source,
            }),
        }
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    text.parse()
        .ok()
        .filter(|rate| (0.01..=10_000.0).contains(rate))
        .ok_or("must be a number from 0.01 to 10000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
        let arguments = [&["liveevents-loadtest"], arguments].concat();
        Arguments::try_parse_from(arguments).map(|arguments| arguments.command)
    }

    #[test]
    fn is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn reads_subscribe() {
        let command = parse(&[
            "subscribe",
            "--servers",
            "1000",
            "--origin",
            "http://origin:1/",
            "--edge",
            "us-east=http://a:2",
            "--edge",
            "eu-west=http://b:3",
            "--changes",
            "5",
            "--rate",
            "2.5",
            "--wait",
            "PT2S",
            "--json",
            "out.json",
        ]);
        let Ok(Command::Subscribe(subscribe)) = command else {
            panic!("{command:?}");
        };
        assert_eq!(subscribe.servers, 1000);
        assert_eq!(subscribe.changes, 5);
        assert_eq!(subscribe.wait, SignedDuration::from_secs(2));
        assert_eq!(subscribe.target.origin.to_string(), "http://origin:1");
        assert_eq!(subscribe.target.edges.len(), 2);
        assert_eq!(subscribe.target.password().unwrap(), "development-only");
    }

    #[test]
    fn reads_demo() {
        let command = parse(&[
            "demo",
            "--edge",
            "us-east=http://a:2",
            "--events",
            "dir",
            "--exit",
        ]);
        assert!(matches!(command, Ok(Command::Demo(demo)) if demo.exit && demo.servers == 3));
    }

    #[test]
    fn reads_conform() {
        let command = parse(&[
            "conform", "--level", "Watch", "--rule", "gap", "--rule", "hello",
        ]);
        let Ok(Command::Conform(conform)) = command else {
            panic!("{command:?}");
        };
        assert_eq!(conform.level, Some(Level::Watch));
        // In the order in which they are tried.
        assert_eq!(conform.rules(), [Rule::Hello, Rule::Gap]);
        let all = parse(&["conform"]);
        assert!(matches!(all, Ok(Command::Conform(all)) if all.rules() == Rule::ALL));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let edge = ["--edge", "us-east=http://a:2"];
        let table: [(&[&str], &str); 7] = [
            (
                &["conform", "--rule", "no-such"],
                "must be one of upgrade, hello",
            ),
            (&["subscribe"], "--edge"),
            (&["subscribe", "--edge", "us-east"], "must be REGION=URL"),
            (
                &["subscribe", edge[0], edge[1], "--servers", "0"],
                "--servers",
            ),
            (
                &["subscribe", edge[0], edge[1], "--rate", "NaN"],
                "must be a number from 0.01",
            ),
            (&["subscribe", edge[0], edge[1], "--wait", "soon"], "--wait"),
            (&["demo", edge[0], edge[1]], "--events"),
        ];
        for (arguments, named) in table {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(error.contains(named), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn takes_the_password_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret words\n").unwrap();
        let path = file.path().to_str().unwrap();
        let edge = "us-east=http://a:2";
        let command = parse(&["subscribe", "--edge", edge, "--password-file", path]);
        let Ok(Command::Subscribe(subscribe)) = command else {
            panic!("{command:?}");
        };
        assert_eq!(subscribe.target.password().unwrap(), "s3cret words");
    }
}
