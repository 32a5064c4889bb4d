//! Accepting edges: one task a connection, all owned here.

use std::sync::Arc;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{EdgeFrame, Hello};
use liveevents_protocol::limits::MAX_HELLO;
use quinn::{Endpoint, Incoming, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::admission::Admission;
use super::connection::{Connection, Ended, Line, Shared};
use super::hello::{self, Judge, Refusal};
use super::registry::Orders;
use crate::limits::{DATABASE_DEADLINE, GOODBYE_DEADLINE, MAX_EDGES};
use crate::store;

/// Accepts edges until `shutdown`, then says goodbye to each and waits for them, for a while.
pub async fn serve(
    endpoint: Endpoint,
    judge: Judge,
    shared: Shared,
    admission: Arc<Admission>,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        if connections.len() >= MAX_EDGES {
            tracing::warn!(peer = %incoming.remote_address(), "refused an edge: too many connections");
            shared.metrics.refused(CloseReason::Overloaded);
            incoming.refuse();
            continue;
        }
        let span = tracing::info_span!("edge", peer = %incoming.remote_address(), edge = tracing::field::Empty);
        let (judge, shared) = (judge.clone(), shared.clone());
        let (admission, shutdown) = (admission.clone(), shutdown.clone());
        connections.spawn(
            async move { attend(incoming, judge, shared, admission, shutdown).await }
                .instrument(span),
        );
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(GOODBYE_DEADLINE, drained).await.is_err() {
        tracing::warn!(left = connections.len(), "edges did not leave in time");
    }
    let going = CloseReason::GoingAway;
    endpoint.close(
        VarInt::from_u32(going.code().into()),
        going.as_str().as_bytes(),
    );
    if timeout(GOODBYE_DEADLINE, endpoint.wait_idle())
        .await
        .is_err()
    {
        tracing::warn!("the QUIC endpoint did not fall silent in time");
    }
}

async fn attend(
    incoming: Incoming,
    judge: Judge,
    shared: Shared,
    admission: Arc<Admission>,
    shutdown: CancellationToken,
) {
    let connecting = async { incoming.accept()?.await };
    let connection = match timeout(hello::DEADLINE, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            shared.metrics.handshakes_failed.inc();
            tracing::warn!(%error, "a QUIC handshake failed");
            return;
        }
        Err(_) => {
            shared.metrics.handshakes_failed.inc();
            tracing::warn!("a QUIC handshake took too long");
            return;
        }
    };
    let refusal = match timeout(hello::DEADLINE, read_hello(&connection)).await {
        Ok(Ok((hello, streams, decoder))) => {
            tracing::Span::current().record("edge", hello.edge.as_str());
            let accepted = async {
                let _turn = admission.enter().await?;
                judge.judge(&hello).await
            };
            match accepted.await {
                Ok(accepted) => {
                    let orders = Orders {
                        drain: accepted.draining,
                        ..Orders::default()
                    };
                    let registry = Arc::clone(&shared.registry);
                    let seat = registry.enter(&hello.edge, accepted.session, orders);
                    tracing::info!(
                        session = accepted.session,
                        build = hello.build,
                        "edge connected"
                    );
                    shared.metrics.edges.inc();
                    let ended = {
                        let (send, recv) = streams;
                        let line = Line {
                            connection: connection.clone(),
                            send,
                            recv,
                        };
                        let regions = accepted.regions;
                        let served =
                            Connection::new(&hello, shared.clone(), line, decoder, regions);
                        served.serve(accepted.session, seat, &shutdown).await
                    };
                    shared.metrics.edges.dec();
                    registry.leave(&hello.edge, accepted.session);
                    leave(&judge, &hello, accepted.session, &ended).await;
                    match ended {
                        Ended::Closed(refusal) => refusal,
                        Ended::SignedOff | Ended::Lost => {
                            tracing::info!(reason = %ended, "edge left");
                            return;
                        }
                    }
                }
                Err(refusal) => refusal,
            }
        }
        Ok(Err(Some(refusal))) => refusal,
        Ok(Err(None)) => return,
        Err(_) => Refusal::new(CloseReason::TimedOut, "hello: none came in time"),
    };
    shared.metrics.refused(refusal.reason);
    let (reason, message) = (refusal.reason.as_str(), &refusal.message);
    tracing::warn!(reason, message, "closed an edge's connection");
    let code = VarInt::from_u32(refusal.reason.code().into());
    let phrase = refusal.reason.phrase(refusal.retry_after, message);
    connection.close(code, phrase.as_bytes());
}

type Streams = (quinn::SendStream, quinn::RecvStream);

/// Reads the first frame. `None` if the peer went away by itself.
async fn read_hello(
    connection: &quinn::Connection,
) -> Result<(Hello, Streams, FrameDecoder), Option<Refusal>> {
    let malformed = |error: codec::DecodeError| {
        let reason = match &error {
            codec::DecodeError::TooLarge { .. } => CloseReason::TooLarge,
            _ => CloseReason::Malformed,
        };
        Some(Refusal::new(reason, format!("hello: {error}")))
    };
    let (send, mut recv) = connection.accept_bi().await.map_err(|_| None)?;
    let mut decoder = FrameDecoder::new(MAX_HELLO);
    loop {
        if let Some(frame) = decoder.next_frame().map_err(malformed)? {
            return match codec::decode_edge_frame(&frame).map_err(malformed)? {
                EdgeFrame::Hello(hello) => Ok((hello, (send, recv), decoder)),
                EdgeFrame::Ack { .. }
                | EdgeFrame::Heartbeat { .. }
                | EdgeFrame::Delivery(_)
                | EdgeFrame::Degraded { .. }
                | EdgeFrame::Claim(_)
                | EdgeFrame::Aggregate(_)
                | EdgeFrame::Forgotten(_)
                | EdgeFrame::Bye => {
                    let message = "hello: must be the first frame";
                    Err(Some(Refusal::new(CloseReason::Malformed, message)))
                }
            };
        }
        match recv.read_chunk(MAX_HELLO, true).await {
            Ok(Some(chunk)) => decoder.push(&chunk.bytes),
            Ok(None) => {
                let message = "hello: the stream ended before it";
                return Err(Some(Refusal::new(CloseReason::Malformed, message)));
            }
            Err(_) => return Err(None),
        }
    }
}

async fn leave(judge: &Judge, hello: &Hello, session: u64, ended: &Ended) {
    let signed_off = matches!(ended, Ended::SignedOff);
    let leaving = async {
        let mut conn = judge.pool.acquire().await?;
        store::acks::leave(
            &mut conn,
            &hello.edge,
            session,
            signed_off,
            judge.clock.now(),
        )
        .await
    };
    match timeout(DATABASE_DEADLINE, leaving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = liveevents_service::logs::chain(&error);
            tracing::warn!(error, "an edge's leaving could not be written down");
        }
        Err(_) => tracing::warn!("an edge's leaving could not be written down in time"),
    }
}
