//! One edge's connection: one task, which owns a cursor a region.
//!
//! Woken by a feed, it sends what lies between cursor and head, however much has happened meanwhile; it
//! reads acks and heartbeats, and compares acks with what it sent, since an edge's word is only about
//! what it was given. Every write has a deadline: an edge that takes nothing for so long is dead.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::select_all;
use jiff::Timestamp;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{EdgeFrame, OriginFrame, Rows};
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_protocol::limits::{MAX_BODY, ROWS_CHUNK};
use liveevents_protocol::position::Position;
use liveevents_protocol::trust::SignedTrust;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::clock::Clock;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::acks::AckBox;
use super::feed::{Feed, Next};
use super::follower::{self, FollowError};
use super::hello::{AcceptedRegion, Refusal};
use super::hub::{Hub, SnapshotError};
use crate::limits::{DATABASE_DEADLINE, EDGE_WRITE_DEADLINE, LOG_READ};
use crate::metrics::PushMetrics;
use crate::store::acks::Ack;
use crate::store::{self, region_log};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The edge said goodbye.
    #[error("the edge has signed off")]
    SignedOff,
    /// The edge has gone, or the network between.
    #[error("the connection was lost")]
    Lost,
    /// This side ends it.
    #[error("{}: {}", .0.reason.as_str(), .0.message)]
    Closed(Refusal),
}

impl Ended {
    fn closed(reason: CloseReason, message: impl Into<String>) -> Self {
        Self::Closed(Refusal::new(reason, message))
    }
}

impl From<FollowError> for Ended {
    fn from(error: FollowError) -> Self {
        tracing::warn!(
            error = liveevents_service::logs::chain(&error),
            "an edge cannot be served"
        );
        Self::closed(CloseReason::Internal, "the origin cannot read its log")
    }
}

impl From<SnapshotError> for Ended {
    fn from(error: SnapshotError) -> Self {
        tracing::warn!(
            error = liveevents_service::logs::chain(&error),
            "an edge cannot be served"
        );
        Self::closed(CloseReason::Internal, "the origin cannot make a snapshot")
    }
}

/// What every connection works with.
#[derive(Clone)]
pub struct Shared {
    /// Where logs are.
    pub pool: PgPool,
    /// What to send.
    pub hub: Arc<Hub>,
    /// Where acks go.
    pub acks: Arc<AckBox>,
    /// Keys and revocations, as they are and as they change.
    pub trust: watch::Receiver<Arc<SignedTrust>>,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: PushMetrics,
}

struct Cursor {
    region: RegionId,
    feed: watch::Receiver<Arc<Feed>>,
    position: Option<Position>,
    /// What the edge has said that it holds.
    acked: Option<(Epoch, Version)>,
}

/// An accepted edge.
pub struct Connection {
    edge: EdgeId,
    shared: Shared,
    send: quinn::SendStream,
    recv: quinn::RecvStream,
    decoder: FrameDecoder,
    cursors: Vec<Cursor>,
}

impl Connection {
    /// Takes over a stream whose hello was accepted; `decoder` keeps what came after it.
    #[must_use]
    pub fn new(
        edge: EdgeId,
        shared: Shared,
        streams: (quinn::SendStream, quinn::RecvStream),
        mut decoder: FrameDecoder,
        regions: Vec<AcceptedRegion>,
    ) -> Self {
        decoder.set_limit(MAX_BODY);
        let now = shared.clock.now();
        let cursors = regions
            .into_iter()
            .filter_map(
                |AcceptedRegion {
                     region,
                     position,
                     acked,
                 }| {
                    // What it holds was acked to an origin that may have died before it wrote it down.
                    if let Some(held) = position {
                        shared
                            .acks
                            .ack(ack(&edge, &region, acked, held.epoch, held.version, now));
                    }
                    let acked = position.map(|held| (held.epoch, held.version)).or(acked);
                    let feed = shared.hub.subscribe(&region)?;
                    Some(Cursor {
                        region,
                        feed,
                        position,
                        acked,
                    })
                },
            )
            .collect();
        Self {
            edge,
            shared,
            send: streams.0,
            recv: streams.1,
            decoder,
            cursors,
        }
    }

    /// Serves the edge until one side ends it.
    pub async fn serve(
        mut self,
        session: u64,
        superseded: &CancellationToken,
        shutdown: &CancellationToken,
    ) -> Ended {
        let ended = self.serve_until(session, superseded, shutdown).await;
        match ended {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn serve_until(
        &mut self,
        session: u64,
        superseded: &CancellationToken,
        shutdown: &CancellationToken,
    ) -> Result<std::convert::Infallible, Ended> {
        let trust = SignedTrust::clone(&self.shared.trust.borrow_and_update().clone());
        let time = self.shared.clock.now();
        self.write_frame(&OriginFrame::Welcome {
            session,
            time,
            trust,
        })
        .await?;
        loop {
            for at in 0..self.cursors.len() {
                self.bring_on(at).await?;
            }
            let woken = {
                let feeds = self
                    .cursors
                    .iter_mut()
                    .map(|cursor| Box::pin(cursor.feed.changed()));
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => {
                        return Err(Ended::closed(CloseReason::GoingAway, "the origin is shutting down"));
                    }
                    () = superseded.cancelled() => {
                        let message = "a newer connection has this edge's id";
                        return Err(Ended::closed(CloseReason::Superseded, message));
                    }
                    chunk = self.recv.read_chunk(MAX_READ, true) => Woken::Bytes(chunk),
                    changed = self.shared.trust.changed() => {
                        changed.map_err(|_| Ended::Lost)?;
                        Woken::Trust
                    }
                    (changed, _, _) = select_all(feeds) => {
                        changed.map_err(|_| Ended::Lost)?;
                        Woken::Feed
                    }
                }
            };
            match woken {
                Woken::Feed => {}
                Woken::Trust => {
                    let trust = SignedTrust::clone(&self.shared.trust.borrow_and_update().clone());
                    self.write_frame(&OriginFrame::Trust(trust)).await?;
                }
                Woken::Bytes(Ok(Some(chunk))) => self.take(&chunk.bytes).await?,
                Woken::Bytes(Ok(None) | Err(_)) => return Err(Ended::Lost),
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let malformed = |error: codec::DecodeError| {
            let reason = match &error {
                codec::DecodeError::TooLarge { .. } => CloseReason::TooLarge,
                _ => CloseReason::Malformed,
            };
            Ended::closed(reason, format!("frame: {error}"))
        };
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next_frame().map_err(malformed)? {
            match codec::decode_edge_frame(&frame).map_err(malformed)? {
                EdgeFrame::Hello(_) => {
                    return Err(Ended::closed(
                        CloseReason::Malformed,
                        "frame: a second hello",
                    ));
                }
                EdgeFrame::Ack {
                    region,
                    epoch,
                    version,
                    applied_at: _,
                } => {
                    self.acked(&region, epoch, version)?;
                }
                EdgeFrame::Heartbeat { sent_at } => {
                    self.shared.acks.seen(&self.edge);
                    let time = self.shared.clock.now();
                    self.write_frame(&OriginFrame::Heartbeat {
                        echo: sent_at,
                        time,
                    })
                    .await?;
                }
                EdgeFrame::Bye => return Err(Ended::SignedOff),
            }
        }
        Ok(())
    }

    fn acked(&mut self, region: &RegionId, epoch: Epoch, version: Version) -> Result<(), Ended> {
        let never_sent = || {
            let message = format!("ack: version {version} of {region} was never sent");
            Ended::closed(CloseReason::Malformed, message)
        };
        let cursor = self
            .cursors
            .iter_mut()
            .find(|cursor| cursor.region == *region);
        let cursor = cursor.ok_or_else(never_sent)?;
        let sent = cursor.position.ok_or_else(never_sent)?;
        if epoch < sent.epoch {
            // Under way while the next epoch began.
            return Ok(());
        }
        if epoch > sent.epoch || version > sent.version {
            return Err(never_sent());
        }
        if cursor.acked.is_some_and(|acked| acked >= (epoch, version)) {
            return Ok(());
        }
        let now = self.shared.clock.now();
        self.shared
            .acks
            .ack(ack(&self.edge, region, cursor.acked, epoch, version, now));
        cursor.acked = Some((epoch, version));
        Ok(())
    }

    /// Sends one region's edge all that it lacks.
    async fn bring_on(&mut self, at: usize) -> Result<(), Ended> {
        loop {
            let Some(cursor) = self.cursors.get_mut(at) else {
                return Ok(());
            };
            let region = cursor.region.clone();
            let feed = cursor.feed.borrow_and_update().clone();
            let held = cursor.position;
            let reached = match feed.next(held.as_ref()) {
                Next::Current => return Ok(()),
                Next::Row(row) => {
                    drop(feed);
                    self.write(&row.frame).await?;
                    self.shared.metrics.rows_sent.inc();
                    Some(row.position.position)
                }
                Next::Log => self.send_log(&region, held).await?,
                Next::Snapshot => None,
            };
            let reached = match reached {
                Some(reached) => reached,
                None => self.send_snapshot(&region).await?,
            };
            if let Some(cursor) = self.cursors.get_mut(at) {
                cursor.position = Some(reached);
            }
        }
    }

    async fn send_snapshot(&mut self, region: &RegionId) -> Result<Position, Ended> {
        let snapshot = timeout(DATABASE_DEADLINE, self.shared.hub.snapshot(region)).await;
        let snapshot = snapshot.map_err(|_| FollowError::TimedOut)??;
        for frame in &snapshot.frames {
            self.write(frame).await?;
        }
        self.shared.metrics.snapshots_sent.inc();
        Ok(snapshot.position)
    }

    /// Sends a piece of the log. `None` if the log no longer goes on from there.
    async fn send_log(
        &mut self,
        region: &RegionId,
        held: Option<Position>,
    ) -> Result<Option<Position>, Ended> {
        let Some(held) = held else { return Ok(None) };
        let reading = async {
            let mut tx = store::begin_snapshot(&self.shared.pool).await?;
            let epoch = store::epoch::read(&mut tx)
                .await?
                .map(|minted| minted.epoch);
            let rows = region_log::rows_after(&mut tx, region, held.version, LOG_READ).await?;
            Ok::<_, FollowError>((epoch, rows))
        };
        let (epoch, rows) = timeout(DATABASE_DEADLINE, reading)
            .await
            .map_err(|_| FollowError::TimedOut)??;
        let goes_on = rows
            .first()
            .is_some_and(|row| row.version == held.version.next());
        if epoch != Some(held.epoch) || !goes_on {
            return Ok(None);
        }
        let mut reached = held;
        let (mut piece, mut size) = (Vec::new(), 0);
        for row in rows {
            let (row, position) = follower::wire_row(region, held.epoch, row)?;
            if size + row.entries.len() > ROWS_CHUNK && !piece.is_empty() {
                break;
            }
            size += row.entries.len();
            reached = position;
            piece.push(row);
        }
        let sent = piece.len();
        let position = self.shared.hub.sealer().seal(region, reached);
        self.write_frame(&OriginFrame::Rows(Rows {
            region: region.clone(),
            position,
            rows: piece,
        }))
        .await?;
        self.shared.metrics.rows_sent.inc_by(sent as u64);
        Ok(Some(reached))
    }

    async fn write_frame(&mut self, frame: &OriginFrame) -> Result<(), Ended> {
        let frame = codec::encode_origin_frame(frame).map_err(FollowError::from)?;
        self.write(&Bytes::from(frame)).await
    }

    async fn write(&mut self, frame: &Bytes) -> Result<(), Ended> {
        match timeout(EDGE_WRITE_DEADLINE, self.send.write_chunk(frame.clone())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Lost),
            Err(_) => Err(Ended::closed(
                CloseReason::TimedOut,
                "the edge takes nothing",
            )),
        }
    }
}

enum Woken {
    Feed,
    Trust,
    Bytes(Result<Option<quinn::Chunk>, quinn::ReadError>),
}

/// Bytes read from a connection at once.
const MAX_READ: usize = 64 * 1024;

/// An ack of all that lies above what was acked before. Without anything acked in this epoch, only the
/// version itself: of those before it nobody knows when they arrived.
fn ack(
    edge: &EdgeId,
    region: &RegionId,
    acked: Option<(Epoch, Version)>,
    epoch: Epoch,
    version: Version,
    at: Timestamp,
) -> Ack {
    let from = acked
        .filter(|(of, _)| *of == epoch)
        .map(|(_, version)| version);
    let from = from
        .unwrap_or(Version(version.0.saturating_sub(1)))
        .min(version);
    Ack {
        edge: edge.clone(),
        region: region.clone(),
        epoch,
        from,
        to: version,
        at,
    }
}
