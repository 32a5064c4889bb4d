//! Serving a listener: every connection is a task of a set that this loop owns, polls and, at the end,
//! drains under a deadline.
//!
//! Not `axum::serve`: that lets its tasks go, waits for them without end, and has no deadline for a
//! client that sends its headers a byte a minute.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, error, info, warn};

use crate::limits::{ACCEPT_PAUSE, HANDSHAKE_DEADLINE, HEADER_DEADLINE, MAX_HEADERS};
use crate::metrics::HttpMetrics;

/// How much a listener takes on.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Connections served at once, upgraded ones not included. At the bound nothing is accepted, and
    /// newcomers wait in the system's backlog.
    pub connections: usize,
    /// How long requests under way may take to end after shutdown has begun; then they are aborted.
    pub drain: Duration,
}

/// Serves until `shutdown`, then stops accepting, lets requests under way end, and aborts what has not
/// ended after `capacity.drain`.
///
/// With `tls`, over TLS and nothing else. Handlers find the client's address as `ConnectInfo<SocketAddr>`. An upgraded connection (WebSocket)
/// leaves this set; whoever upgraded it owns it and closes it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    capacity: Capacity,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= capacity.connections;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, peer)) => {
                    let client = Client {
                        peer,
                        router: router.clone(),
                        metrics: metrics.clone(),
                        shutdown: shutdown.clone(),
                    };
                    connections.spawn(accept(stream, tls.clone(), client));
                }
                Err(error) => after_failed_accept(&error).await,
            },
        }
    }
    drop(listener);
    let drained = timeout(capacity.drain, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        warn!(aborted = connections.len(), "requests did not end in time");
        connections.shutdown().await;
    }
}

/// Who has connected, and what there is for them.
struct Client {
    peer: SocketAddr,
    router: Router,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
}

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, client: Client) {
    // Answers are written whole; waiting to fill a segment only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        return debug!(%error, "connection ended");
    }
    let Some(tls) = tls else {
        return connection(stream, client).await;
    };
    match timeout(HANDSHAKE_DEADLINE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Box::pin(connection(stream, client)).await,
        Ok(Err(error)) => {
            client.metrics.malformed();
            info!(peer = %client.peer, %error, "closed a connection that does not speak TLS");
        }
        Err(_) => debug!("a TLS handshake took too long"),
    }
}

async fn connection<S>(stream: S, client: Client)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Client {
        peer,
        router,
        metrics,
        shutdown,
    } = client;
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(MAX_HEADERS)
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), answer)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match ended {
        Ok(()) => {}
        Err(error) if error.is_parse() => {
            metrics.malformed();
            info!(%peer, %error, "closed a connection that does not speak HTTP");
        }
        // It went away, or took too long.
        Err(error) => debug!(%error, "connection ended"),
    }
}

/// A client that was gone before it was accepted costs nothing. Anything else is the system's shortage.
async fn after_failed_accept(failure: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        failure.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        error!(error = %failure, "connections cannot be accepted");
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Handlers' panics become answers; one that gets here came from the connection itself.
fn report(ended: Result<(), JoinError>) {
    if let Err(failure) = ended {
        error!(error = %failure, "a connection's task failed");
    }
}
