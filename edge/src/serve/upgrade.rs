//! `GET /api/v1/subscribe`: from an HTTP request to a game server's connection.
//!
//! Who may not connect is told so by an answer in the envelope, before the upgrade. Afterwards the connection is a
//! task of the tracker that the process drains at its end; axum's own upgrade would let it go.

mod admission;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use liveevents_protocol::limits::{HELLO_DEADLINE, MAX_CLIENT_MESSAGE};
use liveevents_protocol::message::{SUBPROTOCOL, TOKEN_SUBPROTOCOL};
use liveevents_service::http::{ApiError, Caller};
use liveevents_service::token::{Claims, Role};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tracing::debug;

pub(crate) use admission::Admission;

use super::Serving;
use super::connection;
use super::registry::{Full, Place};
use crate::limits::FULL_RETRY;
use crate::websocket::{Reader, accept, socket, tls, upgraded};

pub(super) async fn subscribe(
    State(serving): State<Serving>,
    request: Request,
) -> Result<Response, ApiError> {
    let offered = Offered::read(request.headers());
    let caller = Caller::read(&serving.authority, request.headers(), offered.token)?;
    caller.require(&[Role::GameServer])?;
    if !offered.protocol {
        return Err(ApiError::field(
            "Sec-WebSocket-Protocol",
            format!("must offer {SUBPROTOCOL}"),
        ));
    }
    let mut handshake = accept(request).map_err(|error| ApiError::malformed(error.to_string()))?;
    let place = match admit(&serving, &caller.0) {
        Ok(place) => place,
        Err(refusal) => {
            let refused = &serving.metrics.fanout.refused;
            refused.with_label_values(&[refusal.as_str()]).inc();
            return Err(refusal.answer());
        }
    };
    let headers = handshake.response.headers_mut();
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let served = connect(serving.clone(), handshake.upgrade, caller.0, place);
    serving.connections.spawn(served);
    Ok(handshake.response)
}

/// The subprotocols that a client offers. One may carry the token, since browsers and some game engines can set no
/// other header.
struct Offered<'a> {
    protocol: bool,
    token: Option<&'a str>,
}

impl<'a> Offered<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let mut offered = Self {
            protocol: false,
            token: None,
        };
        let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let names = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim);
        for name in names {
            offered.protocol |= name == SUBPROTOCOL;
            offered.token = offered.token.or(name.strip_prefix(TOKEN_SUBPROTOCOL));
        }
        offered
    }
}

/// Why a game server with a good token does not come in.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Draining,
    Full(Full),
    Crowd(Duration),
}

fn admit(serving: &Serving, claims: &Claims) -> Result<Place, Refusal> {
    if serving.drain.state().is_some() {
        return Err(Refusal::Draining);
    }
    let place = serving.registry.place(claims.id).map_err(Refusal::Full)?;
    serving
        .admission
        .admit(Instant::now())
        .map_err(Refusal::Crowd)?;
    Ok(place)
}

impl Refusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Full(Full::Edge) => "full",
            Self::Full(Full::Token) => "token-full",
            Self::Crowd(_) => "crowd",
        }
    }

    fn answer(self) -> ApiError {
        let (message, retry_after) = match self {
            Self::Full(Full::Token) => {
                return ApiError::TooMany {
                    message: "this token has as many connections as it may have".to_owned(),
                    retry_after: FULL_RETRY,
                };
            }
            Self::Draining => ("this edge is about to end; take another", FULL_RETRY),
            Self::Full(Full::Edge) => (
                "this edge takes no more game servers now; another one may",
                FULL_RETRY,
            ),
            Self::Crowd(after) => ("too many game servers come at once", after),
        };
        ApiError::Crowded {
            message: message.to_owned(),
            retry_after,
        }
    }
}

/// The connection, from the answer to the request to its end. How it is opened is gone while it lasts.
fn connect(
    serving: Serving,
    upgrade: OnUpgrade,
    claims: Arc<Claims>,
    place: Place,
) -> impl Future<Output = ()> + Send {
    let abort = serving.abort.clone();
    let opening = Box::pin(open(serving, upgrade, claims, place));
    async move {
        if let Some(served) = opening.await {
            tokio::select! {
                () = abort.cancelled() => {}
                () = served => {}
            }
        }
    }
}

/// What serves it, over whatever the request came.
async fn open(
    serving: Serving,
    upgrade: OnUpgrade,
    claims: Arc<Claims>,
    place: Place,
) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let Some(upgraded) = upgraded(upgrade, HELLO_DEADLINE).await else {
        debug!("the upgrade came to nothing");
        return None;
    };
    match socket::<TcpStream>(upgraded) {
        Ok((stream, read)) => {
            let (input, output) = stream.into_split();
            let reader = Reader::new(input, read, MAX_CLIENT_MESSAGE);
            let served = connection::serve(serving, reader, output, claims, place);
            Some(Box::pin(served))
        }
        Err(upgraded) => {
            let Ok((stream, read)) = socket::<TlsStream<TcpStream>>(upgraded) else {
                debug!("the upgraded connection is not a socket");
                return None;
            };
            let (input, output) = tls::split(stream);
            let reader = Reader::new(input, read, MAX_CLIENT_MESSAGE);
            let served = connection::serve(serving, reader, output, claims, place);
            Some(Box::pin(served))
        }
    }
}
