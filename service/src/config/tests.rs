//! A small program's settings, given in every way there is, right and wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::*;

const PROGRAM: Program = Program {
    name: "sample",
    about: "A sample.",
    version: "1.2.3",
    settings: &[
        Setting::with_default("http.listen", "127.0.0.1:8080", "Where | it listens."),
        Setting::with_default("http.max-connections", "100", "How many."),
        Setting::required("jwt.secret", "What tokens are signed with.").secret(),
        Setting::optional("peers", "Others."),
        Setting::with_default("timeout", "PT5S", "How long."),
        Setting::optional("ready_file", "A file."),
    ],
};

const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

#[derive(Debug)]
struct Sample {
    listen: SocketAddr,
    connections: u16,
    secret: SecretString,
    peers: Vec<SocketAddr>,
    timeout: Duration,
    ready: Option<PathBuf>,
}

fn sample(mut reader: Reader) -> Result<Sample, Faults> {
    let listen = reader.parse("http.listen");
    let connections = reader.within("http.max-connections", 1..=1000);
    let secret = reader.secret_with("jwt.secret", |secret| {
        let long = secret.expose_secret().len() >= 32;
        long.then(|| secret.clone()).ok_or("must have 32 bytes")
    });
    let peers = reader.list("peers");
    let timeout = reader.duration("timeout");
    let ready = reader.optional("ready_file");
    reader.finish(|ok| Sample {
        listen: listen.get(ok),
        connections: connections.get(ok),
        secret: secret.get(ok),
        peers: peers.get(ok),
        timeout: timeout.get(ok),
        ready: ready.get(ok),
    })
}

/// Sources of one text each: flags by spaces, variables as `NAME=value` by spaces, the file as it is.
fn read(flags: &str, variables: &str, file: Option<&str>) -> Result<Sample, Faults> {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = Sources {
        arguments: flags.split_whitespace().map(str::to_owned).collect(),
        environment: variables
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    if let Some(text) = file {
        let path = folder.path().join("sample.toml");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        sources.arguments.extend(["--config".to_owned(), path]);
    }
    match PROGRAM.start(&sources)? {
        Start::Run(reader) => sample(reader),
        Start::Print(text) => panic!("{text}"),
    }
}

fn faults(result: Result<Sample, Faults>) -> Vec<String> {
    let faults = result.expect_err("a fault");
    let lines: Vec<_> = faults.0.iter().map(ToString::to_string).collect();
    let whole = faults.to_string();
    assert!(lines.iter().all(|line| whole.contains(line)), "{whole}");
    assert!(!whole.contains("hunter2"), "a secret is shown: {whole}");
    lines
}

#[test]
fn flags_win_over_variables_those_over_the_file_that_over_the_default() {
    let secret = format!("LIVEEVENTS_JWT_SECRET={SECRET}");
    let file = "[http]\nlisten = '1.1.1.1:3'\nmax-connections = 3\n";
    let variables = format!("{secret} LIVEEVENTS_HTTP_LISTEN=1.1.1.1:2");
    let port = |flags, variables, file| read(flags, variables, file).unwrap().listen.port();

    assert_eq!(port("", &secret, None), 8080);
    assert_eq!(port("", &secret, Some(file)), 3);
    assert_eq!(port("", &variables, Some(file)), 2);
    assert_eq!(port("--http-listen 1.1.1.1:1", &variables, Some(file)), 1);
    assert_eq!(port("--http-listen=1.1.1.1:1", &variables, Some(file)), 1);
    // One setting from above hides no other from below.
    let config = read("--http-listen 1.1.1.1:1", &variables, Some(file)).unwrap();
    assert_eq!(config.connections, 3);
    assert_eq!(config.timeout, Duration::from_secs(5));
    assert_eq!(config.secret.expose_secret(), SECRET);
    assert_eq!((config.peers.len(), config.ready), (0, None));
}

#[test]
fn every_fault_of_every_source_is_named_at_once() {
    let file =
        "colour = 'red'\ntimeout = 5\n[http]\nlisten = ['1.1.1.1:1']\nport = 80\n[peers]\na = 1\n";
    let lines = faults(read(
        "--http-max-connections 0 --colour=red stray --ready-file",
        "LIVEEVENTS_PEERS=1.1.1.1:1,nobody LIVEEVENTS_JWT_SECRT=hunter2 LIVEEVENTS_JWT_SECRET=hunter2 HOME=/",
        Some(file),
    ));
    let expected = [
        "flag --colour: is unknown; see --help",
        "argument 4 belongs to no flag",
        "environment variable LIVEEVENTS_JWT_SECRT: is unknown; see --help",
        "colour (file /",
        "http.port (file /",
        "peers.a (file /",
        "http.listen (file /",
        "http.max-connections (flag --http-max-connections): is \"0\": must be 1 to 1000",
        "jwt.secret (environment variable LIVEEVENTS_JWT_SECRET): must have 32 bytes",
        "peers (environment variable LIVEEVENTS_PEERS): has \"nobody\": invalid socket address syntax",
        "timeout (file /",
    ];
    for start in expected {
        assert!(
            lines.iter().any(|line| line.starts_with(start)),
            "{start}: {lines:#?}"
        );
    }
    // `--ready-file` is followed by `--config FILE`, so it has no value of its own.
    let needs = "flag --ready-file: needs a value";
    assert!(lines.iter().any(|line| line == needs), "{lines:#?}");
    assert_eq!(lines.len(), expected.len() + 1, "{lines:#?}");
}

#[test]
fn a_missing_value_says_how_to_give_it() {
    assert_eq!(
        faults(read("", "", None)),
        ["jwt.secret: is not set; set it in the file or by --jwt-secret or LIVEEVENTS_JWT_SECRET"]
    );
    // An empty variable is a missing value.
    assert_eq!(
        faults(read("", "LIVEEVENTS_JWT_SECRET= LIVEEVENTS_WHAT=", None)).len(),
        1
    );
}

#[test]
fn a_file_that_is_none_is_a_fault_and_shows_nothing_of_itself() {
    let lines = faults(read("", "", Some("a = 1\njwt.secret = hunter2\n")));
    assert!(lines[0].contains("sample.toml: line 2: "), "{lines:?}");
    let lines = faults(read("--config /nowhere/at/all.toml", "", None));
    assert!(
        lines[0].starts_with("file /nowhere/at/all.toml: cannot be read: "),
        "{lines:?}"
    );
    let lines = faults(read("", "LIVEEVENTS_CONFIG=/nowhere.toml", None));
    assert!(lines[0].starts_with("file /nowhere.toml: "), "{lines:?}");
    let large = format!("peers = '{}'", "x".repeat(1 << 20));
    let lines = faults(read("", "", Some(&large)));
    assert!(lines[0].contains("larger than"), "{lines:?}");
    let nested = format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(faults(read("", "", Some(&nested)))[0].contains("line 1"));
}

#[test]
fn a_value_may_begin_as_a_flag_does() {
    let secret = "--FBglZehqjv0DPpVpP6FYLL3TMtBHiCRKPGkMOQG7o";
    let config = read(&format!("--jwt-secret {secret} --timeout PT1S"), "", None).unwrap();
    assert_eq!(config.secret.expose_secret(), secret);
    assert_eq!(config.timeout, Duration::from_secs(1));
    // What is a flag's name is that flag.
    let lines = faults(read("--jwt-secret --timeout=PT1S", "", None));
    assert_eq!(lines[0], "flag --jwt-secret: needs a value");
}

#[test]
fn a_flag_given_twice_is_refused() {
    let flags = "--timeout PT1S --timeout=PT2S";
    assert_eq!(
        faults(read(flags, "", None))[0],
        "flag --timeout: is given twice"
    );
}

#[test]
fn lists_and_durations() {
    let secret = format!("LIVEEVENTS_JWT_SECRET={SECRET}");
    let peers = |file| read("", &secret, Some(file)).map(|config| config.peers.len());
    assert_eq!(peers("peers = ['1.1.1.1:1', '1.1.1.1:2']").unwrap(), 2);
    assert_eq!(peers("peers = '1.1.1.1:1, 1.1.1.1:2,'").unwrap(), 2);
    assert_eq!(peers("peers = []").unwrap(), 0);
    assert!(peers("peers = [['1.1.1.1:1']]").is_err());

    let timeout = |text: &str| read(&format!("--timeout={text}"), &secret, None).map(|c| c.timeout);
    assert_eq!(timeout("PT0.25S").unwrap(), Duration::from_millis(250));
    assert_eq!(timeout("P1DT1H").unwrap(), Duration::from_secs(25 * 3600));
    for bad in ["5", "5m", "PT0S", "-PT5S", "P-1D", "P1M", "P", "PT"] {
        assert!(timeout(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_reader_that_does_not_fit_its_table_is_a_fault() {
    let sources = Sources {
        arguments: vec!["--jwt-secret".to_owned(), "hunter2".to_owned()],
        environment: Vec::new(),
    };
    let Ok(Start::Run(mut reader)) = PROGRAM.start(&sources) else {
        panic!("no reader");
    };
    let _: Value<u16> = reader.parse("no.such.setting");
    let _: Value<u16> = reader.parse("jwt.secret");
    reader.secret("http.listen");
    reader.refuse("timeout", "is not wanted");
    assert!(!format!("{reader:?}").contains("hunter2"));
    let faults = reader.finish(|_| ()).unwrap_err();
    assert_eq!(faults.0.len(), 4);
    assert!(!faults.to_string().contains("hunter2"));
}

#[test]
fn help_version_and_the_table_are_printed() {
    let print = |argument: &str| {
        let sources = Sources {
            arguments: vec![argument.to_owned()],
            environment: vec![("LIVEEVENTS_NONSENSE".to_owned(), "1".to_owned())],
        };
        match PROGRAM.start(&sources) {
            Ok(Start::Print(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(print("--version"), "sample 1.2.3\n");
    let help = print("--help");
    for setting in PROGRAM.settings {
        assert!(
            help.contains(&setting.flag()) && help.contains(setting.help),
            "{help}"
        );
    }
    let table = print("settings");
    assert!(table.contains(
        "| `http.max-connections` | `LIVEEVENTS_HTTP_MAX_CONNECTIONS` | `100` | How many. |\n"
    ));
    assert!(table.contains("| required | Secret. What tokens"));
    assert!(table.contains("Where \\| it listens."));
    let document = format!("text\n<!-- settings:sample -->\n{table}<!-- /settings:sample -->\n");
    assert_eq!(section(&document, "sample"), Some(table.as_str()));
    assert_eq!(section(&document, "other"), None);
}
