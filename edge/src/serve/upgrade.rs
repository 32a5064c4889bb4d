//! `GET /api/v1/subscribe`: from an HTTP request to a game server's connection.
//!
//! Who may not connect is told so by an answer in the envelope, before the upgrade. Afterwards the connection is a
//! task of the tracker that the process drains at its end; axum's own upgrade would let it go.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use liveevents_protocol::limits::HELLO_DEADLINE;
use liveevents_protocol::message::SUBPROTOCOL;
use liveevents_service::http::{ApiError, Caller};
use liveevents_service::token::{Claims, Role};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tracing::{Instrument, debug, info_span};

use super::Serving;
use super::connection;
use super::registry::Place;
use super::socket::Socket;
use crate::limits::FULL_RETRY_SECONDS;

pub(super) async fn subscribe(
    caller: Caller,
    State(serving): State<Serving>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(&[Role::GameServer])?;
    if !offers_subprotocol(request.headers()) {
        return Err(ApiError::field(
            "Sec-WebSocket-Protocol",
            format!("must offer {SUBPROTOCOL}"),
        ));
    }
    let mut response = create_response_with_body(&request, Body::empty)
        .map_err(|error| ApiError::malformed(format!("not a WebSocket upgrade: {error}")))?;
    let place = serving
        .registry
        .place()
        .filter(|_| !serving.goodbye.is_cancelled());
    let Some(place) = place else {
        return Ok(full());
    };
    response.headers_mut().insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let span = info_span!(parent: None, "subscription", server = caller.subject());
    let upgrade = hyper::upgrade::on(request);
    let served = upgraded(
        serving.clone(),
        upgrade,
        Arc::unwrap_or_clone(caller.0),
        place,
    )
    .instrument(span);
    serving.connections.spawn(served);
    Ok(response)
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL)
}

fn full() -> Response {
    let refusal = ApiError::Unavailable {
        message: "this edge takes no more game servers now; another one may".to_owned(),
        cause: None,
    };
    let mut response = refusal.into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, FULL_RETRY_SECONDS.into());
    response
}

async fn upgraded(serving: Serving, upgrade: OnUpgrade, claims: Claims, place: Place) {
    let upgraded = match timeout(HELLO_DEADLINE, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return debug!(%error, "the upgrade came to nothing"),
        Err(_) => return debug!("the upgrade took too long"),
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
        return debug!("the upgraded connection is not a socket");
    };
    let socket = Socket::new(parts.io.into_inner(), parts.read_buf).await;
    let abort = serving.abort.clone();
    let served = Box::pin(connection::serve(serving, socket, claims, place));
    tokio::select! {
        () = abort.cancelled() => {}
        () = served => {}
    }
}
