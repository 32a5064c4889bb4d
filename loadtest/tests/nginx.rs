//! nginx.conf in front of real processes, by a real nginx: what goes to the origin and what to which edge, WebSockets
//! included, and that every failure, nginx's own as well as those of the servers behind, is in the one envelope.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::cluster::Cluster;
use common::game_server::GameServer;
use common::rest::Rest;
use common::{eventually, variable};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An nginx of the test's own. Ended, with its workers, when dropped.
struct Nginx {
    child: Child,
    base: String,
    folder: TempDir,
}

impl Nginx {
    /// Starts it before these servers, changed only where nginx.conf says.
    async fn start(origin: &str, us_east: &str, eu_west: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().display().to_string();
        let given = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nginx.conf");
        let mut conf = std::fs::read_to_string(given).unwrap();
        for (from, to) in [
            ("listen 80", format!("listen 127.0.0.1:{port}")),
            ("origin:8080", origin.to_owned()),
            ("edge-us-east:8090", us_east.to_owned()),
            ("edge-eu-west:8090", eu_west.to_owned()),
            ("/tmp/nginx", format!("{inside}/nginx")),
        ] {
            // The comment on top says so too.
            assert!(
                conf.matches(from).count() >= 2,
                "{from} is not in nginx.conf"
            );
            conf = conf.replace(from, &to);
        }
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, conf).unwrap();
        let id = Command::new("id").arg("-u").output().unwrap();
        let user = if id.stdout.trim_ascii() == b"0" {
            "user root; "
        } else {
            ""
        };
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(variable("TEST_NGINX"))
            .arg("-c")
            .arg(&file)
            .args(["-p", &inside, "-e", "stderr", "-g"])
            .arg(format!("{user}daemon off; pid {inside}/nginx.pid;"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let nginx = Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
            folder,
        };
        eventually("nginx answered", || async {
            reqwest::get(format!("{}/health/live", nginx.base))
                .await
                .ok()
        })
        .await;
        nginx
    }

    fn host(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        let request = reqwest::Client::new().get(format!("{}{path}", self.base));
        answer(request.bearer_auth(token)).await
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave its workers behind.
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("---- what nginx logged ----\n{}", self.log());
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}, not in JSON: {text}")),
    )
}

/// The one form that failures have.
fn assert_envelope((status, body): (StatusCode, Value), expected: u16, code: &str) -> Value {
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (expected, &json!(code)),
        "{body}"
    );
    let error = body["error"].as_object().unwrap();
    let mut fields: Vec<&str> = error.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["code", "details", "message", "timestamp", "traceId"]
    );
    assert_eq!(error["traceId"].as_str().unwrap().len(), 32, "{body}");
    assert!(
        error["timestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok(),
        "{body}"
    );
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_through_one_door() {
    let mut cluster = Cluster::start().await;
    let us_east = cluster.edge("us-east-1", "us-east").await;
    let eu_west = cluster.edge("eu-west-1", "eu-west").await;
    let nginx = Nginx::start(&cluster.http, us_east.listener(), eu_west.listener()).await;

    // REST to the origin, from log-in on.
    let rest = Rest::log_in(&nginx.base, "admin", "correct horse battery staple").await;
    rest.event("sale").await;
    rest.deploy("sale", &["us-east", "eu-west"], 100).await;
    rest.deploy("sale", &["eu-west"], 50).await;
    let token = rest
        .token("GameServer", &["us-east", "eu-west", "sa-east"])
        .await;

    // Game servers and player reads to the edge of the region that they name.
    let subscribe = |region: &str| {
        let address = format!("ws://{}/api/v1/subscribe?region={region}", nginx.host());
        GameServer::connect(
            &format!("the game server in {region}"),
            region,
            &address,
            &token,
        )
    };
    let game_servers = [subscribe("us-east"), subscribe("eu-west")];
    for (server, edge) in game_servers.iter().zip([&us_east, &eu_west]) {
        server
            .reaches(&cluster.epoch(), cluster.head(&edge.region))
            .await;
        server.is_with(&edge.name).await;
        cluster.converge(&rest, &[edge]).await;
        let region = &edge.region;
        for path in [
            format!("/api/v1/players/p-1/events?region={region}"),
            format!("/api/v1/regions/{region}/events"),
        ] {
            let (status, body) = nginx.get(&path, &token).await;
            assert_eq!(
                (status, &body["region"]),
                (StatusCode::OK, &json!(region)),
                "{body}"
            );
            assert_eq!(body["version"], cluster.head(region));
        }
    }
    rest.deploy("sale", &["us-east", "eu-west"], 20).await;
    for server in &game_servers {
        let region = server.name.rsplit(' ').next().unwrap();
        server.reaches(&cluster.epoch(), cluster.head(region)).await;
    }

    // Failures of the servers behind pass through as they are.
    let http = reqwest::Client::new();
    let post = |body: String| {
        http.post(format!("{}/api/v1/events", nginx.base))
            .header("content-type", "application/json")
            .body(body)
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = http
        .get(format!("{}/api/v1/events", nginx.base))
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let body = assert_envelope(answer(request).await, 401, "UNAUTHORIZED");
    assert_eq!(
        body["error"]["traceId"], trace,
        "the trace goes on through nginx"
    );
    assert_envelope(nginx.get("/api/v1/nothing", &token).await, 404, "NOT_FOUND");
    assert_envelope(
        nginx.get("/api/v1/events", "rubbish").await,
        401,
        "UNAUTHORIZED",
    );
    let misdirected = nginx.get("/api/v1/regions/sa-east/events", &token).await;
    assert_envelope(misdirected, 421, "MISDIRECTED");
    let plain = nginx.get("/api/v1/subscribe?region=eu-west", &token).await;
    assert_envelope(plain, 400, "VALIDATION_ERROR");
    let admin = rest.token("Admin", &[]).await;
    let malformed = answer(post("{".to_owned()).bearer_auth(&admin)).await;
    assert_envelope(malformed, 400, "VALIDATION_ERROR");
    let large =
        |mib: usize| post(format!("{{\"x\":\"{}\"}}", "x".repeat(mib << 20))).bearer_auth(&admin);
    assert_envelope(answer(large(1)).await, 413, "PAYLOAD_TOO_LARGE");
    let address = format!("ws://{}/api/v1/subscribe?region=us-east", nginx.host());
    let intruder = GameServer::connect("an intruder", "us-east", &address, "rubbish");
    let refusal = intruder.refusal().await;
    assert!(
        refusal.contains("HTTP 401") && refusal.contains("the token is malformed"),
        "{refusal}"
    );

    // nginx's own failures look the same.
    assert_envelope(answer(large(3)).await, 413, "PAYLOAD_TOO_LARGE");
    assert_envelope(nginx.get("/metrics", &token).await, 404, "NOT_FOUND");
    let long = "x".repeat(40_000);
    assert_envelope(
        nginx.get(&format!("/api/v1/{long}"), &token).await,
        400,
        "VALIDATION_ERROR",
    );
    assert_envelope(
        nginx.get("/api/v1/events", &long).await,
        400,
        "VALIDATION_ERROR",
    );
    let mut garbage = TcpStream::connect(nginx.host()).await.unwrap();
    garbage.write_all(b"rubbish\r\n\r\n").await.unwrap();
    let mut text = String::new();
    garbage.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_envelope(
        (StatusCode::BAD_REQUEST, serde_json::from_str(body).unwrap()),
        400,
        "VALIDATION_ERROR",
    );

    // Without the origin, players and game servers go on.
    cluster.kill_origin();
    assert_envelope(
        nginx.get("/api/v1/events", &token).await,
        503,
        "UNAVAILABLE",
    );
    let (status, body) = nginx
        .get("/api/v1/players/p-1/events?region=eu-west", &token)
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let latecomer = subscribe("eu-west");
    latecomer
        .reaches(&cluster.epoch(), cluster.head("eu-west"))
        .await;
    assert!(latecomer.state().same_as(&game_servers[1].state()));
    cluster.start_origin().await;
    eventually("the origin answered again", || async {
        let answer = rest.send(Method::GET, "/events", None).await;
        answer.ok().filter(|(status, _)| *status == StatusCode::OK)
    })
    .await;

    // No player is named in the log.
    let log = nginx.log();
    assert!(
        log.contains("/api/v1/players/-") && !log.contains("p-1"),
        "{log}"
    );
}
