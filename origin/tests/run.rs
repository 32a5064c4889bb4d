//! The origin as it is started: by `run`, and as a program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use liveevents_origin::config::{Config, PROGRAM};
use liveevents_origin::run::{Listeners, RunError, run};
use liveevents_service::clock::Clock;
use liveevents_service::config::{Sources, Start};
use sqlx::{ConnectOptions as _, PgPool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(60);

fn config(pool: &PgPool, folder: &Path) -> Config {
    let text = |value: &str| value.to_owned();
    let sources = Sources {
        arguments: Vec::new(),
        environment: vec![
            (
                text("LIVEEVENTS_DATABASE_URL"),
                pool.connect_options().to_url_lossy().to_string(),
            ),
            (text("LIVEEVENTS_DATABASE_CONNECTIONS"), text("5")),
            (text("LIVEEVENTS_HTTP_LISTEN"), text("127.0.0.1:0")),
            (text("LIVEEVENTS_QUIC_LISTEN"), text("127.0.0.1:0")),
            (text("LIVEEVENTS_DATA_DIR"), folder.display().to_string()),
            (
                text("LIVEEVENTS_READY_FILE"),
                folder.join("ready.json").display().to_string(),
            ),
        ],
    };
    match PROGRAM.start(&sources).unwrap() {
        Start::Run(reader) => Config::read(reader)
            .map_err(|faults| faults.to_string())
            .unwrap(),
        Start::Print(_) => unreachable!("nothing was asked for"),
    }
}

struct Running {
    http: SocketAddr,
    stop: CancellationToken,
    task: JoinSet<Result<(), RunError>>,
}

impl Running {
    async fn start(config: Config) -> Self {
        let listeners = Listeners::bind(&config).await.unwrap();
        let http = listeners.http.local_addr().unwrap();
        let stop = CancellationToken::new();
        let shutdown = stop.clone().cancelled_owned();
        let mut task = JoinSet::new();
        task.spawn(run(config, listeners, Clock::system(), shutdown));
        Self { http, stop, task }
    }

    /// The answer's status line and body. The listener stands before the origin is ready, so this waits
    /// for it.
    async fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LIMIT, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    async fn end(mut self) {
        self.stop.cancel();
        let ended = timeout(LIMIT, self.task.join_next())
            .await
            .unwrap()
            .unwrap();
        ended.unwrap().unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn an_empty_database_becomes_an_origin_and_a_second_start_finds_it_so(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let epoch = || async {
        let epoch: uuid::Uuid = sqlx::query_scalar("SELECT epoch FROM epoch")
            .fetch_one(&pool)
            .await
            .unwrap();
        epoch
    };

    let origin = Running::start(config(&pool, folder.path())).await;
    let (status, body) = origin.get("/health/ready").await;
    assert_eq!(
        (&*status, &*body),
        ("HTTP/1.1 200 OK", r#"{"status":"Up"}"#)
    );
    let (status, _) = origin.get("/api/v1/events").await;
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
    let ready: serde_json::Value = serde_json::from_str(&file("ready.json")).unwrap();
    assert_eq!(ready["http"], origin.http.to_string());
    assert!(ready["quic"].is_string());
    origin.end().await;
    let made = (
        file("tls/ca.pem"),
        file("trust-key"),
        file("edge-token"),
        epoch().await,
    );

    let again = Running::start(config(&pool, folder.path())).await;
    again.get("/health/ready").await;
    again.end().await;
    let found = (
        file("tls/ca.pem"),
        file("trust-key"),
        file("edge-token"),
        epoch().await,
    );
    assert_eq!(made, found);
    let admins: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(admins, 1);
}

#[sqlx::test(migrations = false)]
async fn a_region_with_a_zone_that_does_not_exist_stops_the_start(pool: PgPool) {
    liveevents_origin::database::MIGRATIONS
        .run(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE regions SET timezone = 'Mars/Olympus' WHERE region_id = 'us-east'")
        .execute(&pool)
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut origin = Running::start(config(&pool, folder.path())).await;
    let ended = timeout(LIMIT, origin.task.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(matches!(ended, Err(RunError::Regions(_))));
    assert!(!folder.path().join("ready.json").exists());
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liveevents-origin"));
    command.env_clear().stdin(Stdio::null());
    command
}

#[test]
fn a_wrong_configuration_ends_with_2_and_names_every_fault() {
    let output = program()
        .args(["--http-listen", "nowhere", "--jwt-secret", "short"])
        .env("LIVEEVENTS_COLOUR", "blue")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let faults = String::from_utf8(output.stderr).unwrap();
    for fault in [
        "http.listen",
        "jwt.secret",
        "database.url",
        "LIVEEVENTS_COLOUR",
    ] {
        assert!(faults.contains(fault), "{fault} in {faults}");
    }
}

#[test]
fn the_key_to_pin_can_be_asked_for() {
    let ask = |secret: &str| {
        let output = program()
            .arg("trust-key")
            .env("LIVEEVENTS_DATABASE_URL", "postgres://localhost/none")
            .env("LIVEEVENTS_JWT_SECRET", secret)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let key = ask("a secret of at least thirty-two bytes");
    assert_eq!(key.trim_end().len(), 43, "32 bytes in base64url");
    assert_eq!(key, ask("a secret of at least thirty-two bytes"));
    assert_ne!(key, ask("another secret of at least thirty-two bytes"));
}

#[sqlx::test(migrations = false)]
async fn a_terminated_program_ends_well(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let mut child = program()
        .env(
            "LIVEEVENTS_DATABASE_URL",
            pool.connect_options().to_url_lossy().to_string(),
        )
        .env("LIVEEVENTS_HTTP_LISTEN", "127.0.0.1:0")
        .env("LIVEEVENTS_QUIC_LISTEN", "127.0.0.1:0")
        .env("LIVEEVENTS_DATA_DIR", folder.path())
        .env("LIVEEVENTS_READY_FILE", &ready)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let waiting = async {
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap();
    let id = child.id().to_string();
    assert!(
        Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
