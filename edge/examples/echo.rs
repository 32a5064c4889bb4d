//! Says what it is told: a WebSocket server on the edge's own framing, for test suites of RFC 6455.
//!
//!     cargo run -p liveevents-edge --example echo -- 127.0.0.1:9001

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use liveevents_edge::websocket::{Event, Lost, Outgoing, Reader, accept, frame, socket, upgraded};
use liveevents_service::http::{self, Capacity};
use liveevents_service::metrics::{HttpMetrics, Metrics};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What an edge allows is less; suites try 16 MiB.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// For an upgrade, and for a client to hang up after its goodbye.
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    let Some(Ok(address)) = address.map(|address| address.parse::<SocketAddr>()) else {
        eprintln!("usage: echo ADDRESS, such as 127.0.0.1:9001");
        return ExitCode::FAILURE;
    };
    match serve(address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let connections = TaskTracker::new();
    let router = Router::new().fallback(get(move |request: Request| {
        let connections = connections.clone();
        async move { upgrade(request, &connections) }
    }));
    let capacity = Capacity {
        connections: 1_000,
        drain: DEADLINE,
    };
    let metrics = HttpMetrics::new(&Metrics::new()?)?;
    http::serve(
        listener,
        None,
        router,
        capacity,
        metrics,
        CancellationToken::new(),
    )
    .await;
    Ok(())
}

fn upgrade(request: Request, connections: &TaskTracker) -> Response {
    match accept(request) {
        Ok(handshake) => {
            connections.spawn(connection(handshake.upgrade));
            handshake.response
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn connection(upgrade: OnUpgrade) {
    let Some(upgraded) = upgraded(upgrade, DEADLINE).await else {
        return;
    };
    let Ok((stream, read)) = socket::<TcpStream>(upgraded) else {
        return;
    };
    let (input, output) = stream.into_split();
    let mut reader = Reader::new(input, read, MAX_MESSAGE);
    let mut outgoing = Outgoing::default();
    // It has gone if nothing can be written.
    if let Ok(last) = echo(&mut reader, &mut outgoing, &output).await
        && let Some(last) = last
        && outgoing.send(&output, last).is_ok()
        && flush(&mut outgoing, &output).await.is_ok()
    {
        drop(output);
        let _ = timeout(DEADLINE, reader.drain()).await;
    }
}

/// Echoes until the end, and says how to answer it.
async fn echo(
    reader: &mut Reader<tokio::net::tcp::OwnedReadHalf>,
    outgoing: &mut Outgoing,
    output: &OwnedWriteHalf,
) -> std::io::Result<Option<Bytes>> {
    loop {
        let event = match reader.next().await {
            Ok(event) => event,
            Err(Lost::Gone) => return Ok(None),
            Err(Lost::Broken(violation)) => {
                let last = frame::close(Some(violation.code()), &violation.to_string());
                return Ok(Some(last));
            }
        };
        match event {
            Event::Text(text) => outgoing.send(output, frame::text(&text))?,
            Event::Binary(payload) => outgoing.send(output, frame::binary(&payload))?,
            Event::Ping(payload) => outgoing.pong(output, frame::pong(&payload))?,
            Event::Pong => {}
            Event::Close(code) => return Ok(Some(frame::close(code, ""))),
        }
        flush(outgoing, output).await?;
    }
}

async fn flush(outgoing: &mut Outgoing, output: &OwnedWriteHalf) -> std::io::Result<()> {
    std::future::poll_fn(|cx| outgoing.poll_flush(output, cx)).await
}
