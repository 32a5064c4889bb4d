//! The configuration of the origin, as processes give it.

use liveevents_service::config::{Sources, Start, section, settings_markdown};

use super::*;

const MINIMUM: &[(&str, &str)] = &[("LIVEEVENTS_DATABASE_URL", "postgres://localhost/liveevents")];

const PRODUCTION: &[(&str, &str)] = &[
    ("LIVEEVENTS_ENVIRONMENT", "Production"),
    ("LIVEEVENTS_INSTALLATION", "starfall-production"),
    ("LIVEEVENTS_DATABASE_URL", "postgres://localhost/liveevents"),
    (
        "LIVEEVENTS_JWT_SECRET",
        "a secret of our own, long enough by far",
    ),
    ("LIVEEVENTS_TLS_CERT_FILE", "/tls/cert.pem"),
    ("LIVEEVENTS_TLS_KEY_FILE", "/tls/key.pem"),
];

fn faults(base: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    read(base, changes).err().expect("has faults")
}

fn read(base: &[(&str, &str)], changes: &[(&str, &str)]) -> Result<Config, String> {
    let mut environment: Vec<(String, String)> = Vec::new();
    for (name, value) in base.iter().chain(changes) {
        environment.retain(|(other, _)| other != name);
        environment.push(((*name).to_owned(), (*value).to_owned()));
    }
    let sources = Sources {
        arguments: Vec::new(),
        environment,
    };
    match PROGRAM.start(&sources).unwrap() {
        Start::Run(reader) => Config::read(reader).map_err(|faults| faults.to_string()),
        Start::Print(text) => panic!("printed {text}"),
    }
}

#[test]
fn development_needs_a_database_and_nothing_else() {
    let config = read(MINIMUM, &[]).unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(
        config.admin.password.unwrap().expose_secret(),
        DEVELOPMENT_PASSWORD
    );
    assert!(matches!(config.tls, Tls::Generated { folder, .. } if folder.ends_with("origin/tls")));
    assert!(config.require_approval);
}

#[test]
fn production_with_everything_of_its_own_starts() {
    let config = read(PRODUCTION, &[]).unwrap();
    assert!(config.admin.password.is_none());
    assert!(matches!(config.tls, Tls::Files { .. }));
}

#[test]
fn what_everybody_knows_is_refused_outside_development() {
    for environment in ["Staging", "Production"] {
        let environment = ("LIVEEVENTS_ENVIRONMENT", environment);
        let faults = faults(MINIMUM, &[environment]);
        for key in [
            "installation",
            "jwt.secret",
            "tls.cert_file",
            "tls.key_file",
        ] {
            assert!(faults.contains(key), "{key} in {faults}");
        }
        let table = [
            ("LIVEEVENTS_INSTALLATION", DEVELOPMENT_INSTALLATION),
            ("LIVEEVENTS_JWT_SECRET", DEVELOPMENT_SECRET),
            ("LIVEEVENTS_ADMIN_PASSWORD", DEVELOPMENT_PASSWORD),
            ("LIVEEVENTS_TLS_KEY_FILE", ""),
        ];
        for change in table {
            assert!(
                read(PRODUCTION, &[environment, change]).is_err(),
                "{change:?}"
            );
        }
    }
    assert!(
        read(
            PRODUCTION,
            &[("LIVEEVENTS_DEPLOYMENTS_REQUIRE_APPROVAL", "false")]
        )
        .is_err()
    );
}

#[test]
fn a_short_secret_stops_the_start_everywhere() {
    let short = ("LIVEEVENTS_JWT_SECRET", "thirty-one bytes are one short.");
    for base in [MINIMUM, PRODUCTION] {
        let faults = faults(base, &[short]);
        assert!(faults.contains("32 bytes"), "{faults}");
        assert!(!faults.contains(short.1), "{faults}");
    }
}

#[test]
fn all_faults_are_named_at_once_and_no_secret_is_shown() {
    let faults = faults(
        MINIMUM,
        &[
            ("LIVEEVENTS_HTTP_LISTEN", "nowhere"),
            ("LIVEEVENTS_DATABASE_URL", "mysql://root:hunter2@localhost"),
            (
                "LIVEEVENTS_DATABASE_OWNER_URL",
                "postgres://owner:hunter2@:x:/",
            ),
            ("LIVEEVENTS_DATABASE_CONNECTIONS", "1"),
            ("LIVEEVENTS_ADMIN_USERNAME", "no spaces"),
            ("LIVEEVENTS_ADMIN_PASSWORD", "hunter2"),
            ("LIVEEVENTS_SHUTDOWN_DRAIN", "soon"),
            ("LIVEEVENTS_TLS_CERT_FILE", "/cert.pem"),
            ("LIVEEVENTS_COLOUR", "blue"),
        ],
    );
    let expected = [
        "http.listen",
        "database.url",
        "database.owner_url",
        "database.connections",
        "admin.username",
        "admin.password",
        "shutdown.drain",
        "tls.key_file",
        "LIVEEVENTS_COLOUR",
    ];
    for key in expected {
        assert!(faults.contains(key), "{key} in {faults}");
    }
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn the_document_lists_every_setting() {
    let document = include_str!("../../../docs/configuration.md");
    let table = settings_markdown(SETTINGS);
    assert_eq!(
        section(document, "origin"),
        Some(table.as_str()),
        "run `liveevents-origin settings`"
    );
}
