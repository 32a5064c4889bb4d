//! From an HTTP request to a WebSocket (RFC 6455, 4.2), and the bare socket had back from the HTTP server.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

/// A request that is no WebSocket's.
#[derive(Debug, thiserror::Error)]
#[error("not a WebSocket upgrade: {0}")]
pub struct NotUpgradable(#[source] Box<tokio_tungstenite::tungstenite::Error>);

/// An upgrade that the client is about to be told of.
#[derive(Debug)]
pub struct Handshake {
    /// 101, to be answered as it is or with a subprotocol.
    pub response: Response,
    /// The socket, once that has been answered.
    pub upgrade: OnUpgrade,
}

/// Judges a request for a WebSocket.
///
/// # Errors
/// If it is none.
pub fn accept(request: Request) -> Result<Handshake, NotUpgradable> {
    let response = create_response_with_body(&request, Body::empty)
        .map_err(|error| NotUpgradable(Box::new(error)))?;
    let upgrade = hyper::upgrade::on(request);
    Ok(Handshake { response, upgrade })
}

/// The connection, once the client has been told. `None` if it has gone, or takes too long.
pub async fn upgraded(upgrade: OnUpgrade, deadline: Duration) -> Option<Upgraded> {
    timeout(deadline, upgrade).await.ok()?.ok()
}

/// The socket under a connection, and what had been read of it already.
///
/// # Errors
/// The connection, if it is over something else.
pub fn socket<S>(upgraded: Upgraded) -> Result<(S, Bytes), Upgraded>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let parts = upgraded.downcast::<TokioIo<S>>()?;
    Ok((parts.io.into_inner(), parts.read_buf))
}
