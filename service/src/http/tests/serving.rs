//! A real listener: who is asking, upgrades, shutdown, and clients that do not behave.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;

/// Longer than anything here takes; a test that waits for it fails.
const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    registry: Metrics,
    address: SocketAddr,
    shutdown: CancellationToken,
    /// Told by the handler of `/wait` that it has begun, and tells it to end.
    begun: Arc<Notify>,
    end: Arc<Notify>,
    served: JoinHandle<()>,
}

async fn server(connections: usize, drain: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&end));
    let router = Router::new()
        .route(
            "/peer",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
        )
        .route(
            "/wait",
            get(|| async move {
                tell.notify_one();
                wait.notified().await;
                "done"
            }),
        );
    let registry = Metrics::new().unwrap();
    let metrics = HttpMetrics::new(&registry).unwrap();
    let router = layers(router, Clock::system(), metrics.clone(), Spans::Debugging);
    let capacity = Capacity { connections, drain };
    let stop = shutdown.clone();
    #[expect(clippy::disallowed_methods, reason = "the test awaits it")]
    let served = tokio::spawn(serve(listener, None, router, capacity, metrics, stop));
    Server {
        registry,
        address,
        shutdown,
        begun,
        end,
        served,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stopped(self) {
        timeout(PATIENCE, self.served).await.unwrap().unwrap();
    }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Reads until `end` has come, or the connection is closed.
async fn hear(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    timeout(PATIENCE, async {
        while !String::from_utf8_lossy(&heard).contains(end) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => heard.extend_from_slice(&buffer[..length]),
            }
        }
    })
    .await
    .unwrap();
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn a_handler_knows_its_peer_and_a_connection_serves_many_requests() {
    let server = server(10, PATIENCE).await;
    let mut stream = server.connect().await;
    let peer = stream.local_addr().unwrap().to_string();
    for _ in 0..3 {
        ask(&mut stream, "/peer").await;
        assert!(hear(&mut stream, &peer).await.ends_with(&peer));
    }
    server.shutdown.cancel();
    server.stopped().await;
}

#[tokio::test]
async fn shutdown_lets_a_request_end_and_closes_idle_connections() {
    let server = server(10, PATIENCE).await;
    let mut idle = server.connect().await;
    ask(&mut idle, "/peer").await;
    hear(&mut idle, "127.0.0.1:").await;
    let mut busy = server.connect().await;
    ask(&mut busy, "/wait").await;
    server.begun.notified().await;

    server.shutdown.cancel();
    assert_eq!(hear(&mut idle, "anything more").await, "");
    server.end.notify_one();
    assert!(hear(&mut busy, "\r\n\r\ndone").await.ends_with("done"));
    assert!(TcpStream::connect(server.address).await.is_err());
    server.stopped().await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_aborted_at_the_deadline() {
    let server = server(10, Duration::from_millis(50)).await;
    let mut busy = server.connect().await;
    ask(&mut busy, "/wait").await;
    server.begun.notified().await;
    server.shutdown.cancel();
    assert_eq!(hear(&mut busy, "done").await, "");
    server.stopped().await;
}

#[tokio::test]
async fn above_the_bound_a_newcomer_waits_its_turn() {
    let server = server(1, PATIENCE).await;
    let mut first = server.connect().await;
    ask(&mut first, "/wait").await;
    server.begun.notified().await;
    let mut second = server.connect().await;
    ask(&mut second, "/wait").await;
    // The first is still being served, so nobody can have begun the second.
    assert!(
        timeout(Duration::from_millis(50), server.begun.notified())
            .await
            .is_err()
    );
    server.end.notify_one();
    hear(&mut first, "done").await;
    drop(first);
    timeout(PATIENCE, server.begun.notified()).await.unwrap();
    server.end.notify_one();
    assert!(hear(&mut second, "done").await.ends_with("done"));
    server.shutdown.cancel();
    server.stopped().await;
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_harms_nobody() {
    let server = server(10, PATIENCE).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00 a TLS hello"[..],
        &[0; 64],
        b"GET\r\n\r\n",
        &[b'a'; 100_000],
    ] {
        let mut stream = server.connect().await;
        // The server may close before it has read all of it.
        let _ = stream.write_all(garbage).await;
        let heard = hear(&mut stream, "\r\n\r\n").await;
        assert!(
            heard.is_empty() || heard.starts_with("HTTP/1.1 4"),
            "{heard}"
        );
    }
    let mut stream = server.connect().await;
    ask(&mut stream, "/peer").await;
    assert!(
        hear(&mut stream, "127.0.0.1:")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let counted = server.registry.render().unwrap();
    assert!(
        counted.contains("\nliveevents_http_malformed_total 4\n"),
        "{counted}"
    );
    server.shutdown.cancel();
    server.stopped().await;
}
