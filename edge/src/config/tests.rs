//! What is asked of a configuration, and what it is told.

use liveevents_service::config::{Sources, Start, section, settings_markdown};
use liveevents_service::keys::Keys;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;

/// A folder with what files are named in the settings, and settings that suffice.
struct Given {
    folder: TempDir,
    flags: Vec<(String, String)>,
}

impl Given {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        let trust = Keys::derive(&"secret".repeat(8).into())
            .unwrap()
            .trust_key();
        let given = Self {
            folder,
            flags: Vec::new(),
        };
        let ca = given.file("ca.pem", &certificate);
        let trust = given.file("trust-key", &format!("{trust}\n"));
        let token = given.file("edge-token", "t0ken\n");
        given
            .with("edge-id", "edge-1")
            .with("region", "us-east")
            .with("origins", "origin:4433, [::1]:4433")
            .with("ca-file", &ca)
            .with("trust-key-file", &trust)
            .with("enrolment-token-file", &token)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn with(mut self, flag: &str, value: &str) -> Self {
        self.flags.retain(|(known, _)| known != flag);
        self.flags.push((flag.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, flag: &str) -> Self {
        self.flags.retain(|(known, _)| known != flag);
        self
    }

    fn read(&self) -> Result<Config, String> {
        let flags = self.flags.iter();
        let sources = Sources {
            arguments: flags
                .flat_map(|(flag, value)| [format!("--{flag}"), value.clone()])
                .collect(),
            environment: Vec::new(),
        };
        match PROGRAM.start(&sources) {
            Ok(Start::Run(reader)) => Config::read(reader).map_err(|faults| faults.to_string()),
            Ok(Start::Print(text)) => panic!("{text}"),
            Err(faults) => Err(faults.to_string()),
        }
    }

    fn faults(&self) -> String {
        self.read().err().expect("a fault")
    }
}

#[test]
fn what_suffices_is_taken() {
    let config = Given::new().read().unwrap();
    assert_eq!(config.region.as_str(), "us-east");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8090");
    let origins: Vec<_> = config
        .uplink
        .origins
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(origins, ["origin:4433", "[::1]:4433"]);
    assert_eq!(config.uplink.token.expose_secret(), "t0ken");
    assert_eq!(config.uplink.roots.len(), 1);
    assert!(config.standby_for.is_empty() && config.redis.is_none() && config.address.is_none());
}

#[test]
fn everything_that_is_wrong_is_named_at_once_and_no_secret_shown() {
    let given = Given::new()
        .with("edge-id", "no spaces, please")
        .with("standby-for", "us-east,eu-west")
        .with("origins", "origin:4433,origin")
        .with("ca-file", "/nowhere/ca.pem")
        .with("address", "edge.example.com")
        .with("game-servers-connections", "0")
        .with("reports-deadline", "PT21S")
        .with("redis-url", "http://:hunter2@redis/0");
    let faults = given.faults();
    for key in [
        "edge_id",
        "standby_for",
        "origins",
        "ca_file",
        "address",
        "game_servers.connections",
        "reports.deadline",
        "redis.url",
    ] {
        assert!(faults.contains(key), "{key} is not in:\n{faults}");
    }
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn the_values_themselves_do_instead_of_files_but_not_beside_them() {
    let key = Keys::derive(&"secret".repeat(8).into())
        .unwrap()
        .trust_key()
        .to_string();
    let given = Given::new()
        .without("trust-key-file")
        .without("enrolment-token-file")
        .with("trust-key", &key)
        .with("enrolment-token", "t0ken");
    assert_eq!(given.read().unwrap().uplink.trust_key.to_string(), key);
    let twice = Given::new()
        .with("trust-key", &key)
        .with("enrolment-token", "t0ken")
        .faults();
    assert!(
        twice.contains("trust_key_file") && twice.contains("enrolment_token_file"),
        "{twice}"
    );
    let neither = Given::new()
        .without("trust-key-file")
        .without("enrolment-token-file")
        .faults();
    assert!(
        neither.contains("trust_key") && neither.contains("enrolment_token"),
        "{neither}"
    );
}

#[test]
fn files_must_hold_what_they_are_said_to() {
    let given = Given::new();
    let empty = given.file("empty", "\n");
    let given = given
        .with("ca-file", &empty)
        .with("trust-key-file", &empty)
        .with("enrolment-token-file", &empty);
    let faults = given.faults();
    for key in ["ca_file", "trust_key_file", "enrolment_token_file"] {
        assert!(faults.contains(key), "{key} is not in:\n{faults}");
    }
}

#[test]
fn outside_development_the_installation_is_named() {
    let faults = Given::new().with("environment", "Production").faults();
    assert!(faults.contains("installation"), "{faults}");
    let named = Given::new()
        .with("environment", "Production")
        .with("installation", "starfall");
    assert!(named.read().is_ok());
}

#[test]
fn the_documentation_has_this_very_table() {
    let document = include_str!("../../../docs/configuration.md");
    assert_eq!(
        section(document, "edge"),
        Some(settings_markdown(SETTINGS).as_str())
    );
}
