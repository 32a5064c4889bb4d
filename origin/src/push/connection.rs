//! One edge's connection: one task, which owns a cursor a region.
//!
//! Woken by a feed, it sends what lies between cursor and head, however much has happened meanwhile; it
//! reads what the edge tells ([`word`]). Orders of operators and the directory go beside, to edges that understand
//! them. Every write has a deadline: an edge that takes nothing for so long is dead.

mod word;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, select_all};
use futures_util::stream::FuturesUnordered;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{self, Hello, OriginFrame, Rows};
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
use super::counting::Counting;
use super::feed::{Feed, Next};
use super::follower::{self, FollowError};
use super::hello::{AcceptedRegion, Refusal};
use super::hub::{Hub, SnapshotError};
use super::registry::{Orders, Registry, Seat};
use crate::limits::{DATABASE_DEADLINE, DRAIN_SPREAD, EDGE_WRITE_DEADLINE, LOG_READ};
use crate::metrics::PushMetrics;
use crate::store::{self, region_log};
use word::{ClockOffset, ack};

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
    /// Where each region is served, likewise.
    pub directory: watch::Receiver<Option<Bytes>>,
    /// Whom edges' words are noted with.
    pub registry: Arc<Registry>,
    /// How reports are counted.
    pub counting: Arc<Counting>,
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
    /// Whether it is known over this connection what the edge cannot apply.
    told_aside: bool,
}

/// An accepted edge.
pub struct Connection {
    edge: EdgeId,
    shared: Shared,
    line: Line,
    decoder: FrameDecoder,
    cursors: Vec<Cursor>,
    capabilities: Capabilities,
    clock: ClockOffset,
    /// What was carried out of the operators' orders.
    done: Orders,
    /// Which of its connections this is.
    claim: u64,
    /// What is being counted. It ends with the connection, and whatever the answer would be.
    counting: FuturesUnordered<BoxFuture<'static, OriginFrame>>,
}

/// The way to an edge.
pub struct Line {
    /// The connection, for its round-trip time.
    pub connection: quinn::Connection,
    /// To it.
    pub send: quinn::SendStream,
    /// From it.
    pub recv: quinn::RecvStream,
}

/// What an edge understands beside the log.
#[derive(Debug, Clone, Copy)]
struct Capabilities {
    drain: bool,
    directory: bool,
    engagement: bool,
    forget: bool,
}

impl Connection {
    /// Takes over a line whose hello was accepted; `decoder` keeps what came after it.
    #[must_use]
    pub fn new(
        hello: &Hello,
        shared: Shared,
        line: Line,
        mut decoder: FrameDecoder,
        regions: Vec<AcceptedRegion>,
    ) -> Self {
        decoder.set_limit(MAX_BODY);
        let edge = hello.edge.clone();
        let capable = |name: &str| hello.capabilities.iter().any(|known| known == name);
        let capabilities = Capabilities {
            drain: capable(frame::DRAIN),
            directory: capable(frame::DIRECTORY),
            engagement: capable(frame::ENGAGEMENT),
            forget: capable(frame::FORGET),
        };
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
                        told_aside: false,
                    })
                },
            )
            .collect();
        Self {
            edge,
            shared,
            line,
            decoder,
            cursors,
            capabilities,
            clock: ClockOffset::default(),
            done: Orders::default(),
            claim: 0,
            counting: FuturesUnordered::new(),
        }
    }

    /// Serves the edge until one side ends it.
    pub async fn serve(
        mut self,
        session: u64,
        mut seat: Seat,
        shutdown: &CancellationToken,
    ) -> Ended {
        let ended = self.serve_until(session, &mut seat, shutdown).await;
        match ended {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn serve_until(
        &mut self,
        session: u64,
        seat: &mut Seat,
        shutdown: &CancellationToken,
    ) -> Result<std::convert::Infallible, Ended> {
        self.claim = session;
        let trust = SignedTrust::clone(&self.shared.trust.borrow_and_update().clone());
        let time = self.shared.clock.now();
        self.write_frame(&OriginFrame::Welcome {
            session,
            time,
            trust,
        })
        .await?;
        if self.capabilities.directory {
            self.send_directory().await?;
        }
        if self.capabilities.engagement {
            let Counting { key, currencies } = Counting::clone(&self.shared.counting);
            self.write_frame(&OriginFrame::Counting { key, currencies })
                .await?;
        }
        loop {
            let orders = seat.orders.borrow_and_update().clone();
            self.carry_out(orders).await?;
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
                    () = seat.superseded.cancelled() => {
                        let message = "a newer connection has this edge's id";
                        return Err(Ended::closed(CloseReason::Superseded, message));
                    }
                    chunk = self.line.recv.read_chunk(MAX_READ, true) => Woken::Bytes(chunk),
                    changed = self.shared.trust.changed() => {
                        changed.map_err(|_| Ended::Lost)?;
                        Woken::Trust
                    }
                    changed = self.shared.directory.changed(), if self.capabilities.directory => {
                        changed.map_err(|_| Ended::Lost)?;
                        Woken::Directory
                    }
                    Some(counted) = self.counting.next(), if !self.counting.is_empty() => {
                        Woken::Counted(counted)
                    }
                    // Gone only where a newer connection has this one's place, which the token says too.
                    Ok(()) = seat.orders.changed() => Woken::Again,
                    (changed, _, _) = select_all(feeds) => {
                        changed.map_err(|_| Ended::Lost)?;
                        Woken::Again
                    }
                }
            };
            match woken {
                Woken::Again => {}
                Woken::Directory => self.send_directory().await?,
                Woken::Counted(answer) => self.write_frame(&answer).await?,
                Woken::Trust => {
                    let trust = SignedTrust::clone(&self.shared.trust.borrow_and_update().clone());
                    self.write_frame(&OriginFrame::Trust(trust)).await?;
                }
                Woken::Bytes(Ok(Some(chunk))) => self.take(&chunk.bytes).await?,
                Woken::Bytes(Ok(None) | Err(_)) => return Err(Ended::Lost),
            }
        }
    }

    /// Does what operators want that is not done.
    async fn carry_out(&mut self, orders: Orders) -> Result<(), Ended> {
        if orders.drain && !self.done.drain && self.capabilities.drain {
            tracing::info!("told to drain");
            let spread_ms = u64::try_from(DRAIN_SPREAD.as_millis()).unwrap_or(u64::MAX);
            self.write_frame(&OriginFrame::Drain { spread_ms }).await?;
        }
        if orders.warm > self.done.warm {
            for at in 0..self.cursors.len() {
                self.send_snapshot(at).await?;
            }
        }
        if self.capabilities.forget {
            let news = orders.forget.iter();
            let news = news.filter(|player| !self.done.forget.contains(player));
            for (id, player) in news.cloned().collect::<Vec<_>>() {
                self.write_frame(&OriginFrame::Forget { id, player })
                    .await?;
            }
        }
        self.done = orders;
        Ok(())
    }

    async fn send_directory(&mut self) -> Result<(), Ended> {
        let directory = self.shared.directory.borrow_and_update().clone();
        match directory {
            Some(frame) => self.write(&frame).await,
            None => Ok(()),
        }
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
            match (reached, self.cursors.get_mut(at)) {
                (Some(reached), Some(cursor)) => cursor.position = Some(reached),
                _ => self.send_snapshot(at).await?,
            }
        }
    }

    async fn send_snapshot(&mut self, at: usize) -> Result<(), Ended> {
        let Some(cursor) = self.cursors.get(at) else {
            return Ok(());
        };
        let (region, sent) = (cursor.region.clone(), cursor.position);
        let making = self.shared.hub.snapshot(&region, sent.as_ref());
        let snapshot = timeout(DATABASE_DEADLINE, making)
            .await
            .map_err(|_| FollowError::TimedOut)??;
        for frame in &snapshot.frames {
            self.write(frame).await?;
        }
        self.shared.metrics.snapshots_sent.inc();
        if let Some(cursor) = self.cursors.get_mut(at) {
            cursor.position = Some(snapshot.position);
        }
        Ok(())
    }

    /// Sends a piece of the log. `None` if the log no longer goes on from there.
    async fn send_log(
        &mut self,
        region: &RegionId,
        held: Option<Position>,
    ) -> Result<Option<Position>, Ended> {
        let Some(held) = held else { return Ok(None) };
        let (epoch, rows) = {
            let _turn = self.shared.hub.turn().await?;
            let reading = async {
                let mut tx = store::begin_snapshot(&self.shared.pool).await?;
                let epoch = store::epoch::read(&mut tx)
                    .await?
                    .map(|minted| minted.epoch);
                let from = held.version;
                let rows = region_log::rows_after(&mut tx, region, from, LOG_READ, ROWS_CHUNK);
                Ok::<_, FollowError>((epoch, rows.await?))
            };
            timeout(DATABASE_DEADLINE, reading)
                .await
                .map_err(|_| FollowError::TimedOut)??
        };
        let goes_on = rows
            .first()
            .is_some_and(|row| row.version == held.version.next());
        if epoch != Some(held.epoch) || !goes_on {
            return Ok(None);
        }
        let mut reached = held;
        let mut piece = Vec::with_capacity(rows.len());
        for row in rows {
            let (row, position) = follower::wire_row(region, held.epoch, row)?;
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
        match timeout(
            EDGE_WRITE_DEADLINE,
            self.line.send.write_chunk(frame.clone()),
        )
        .await
        {
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
    /// By a feed or by orders: the loop begins with both.
    Again,
    Trust,
    Directory,
    Counted(OriginFrame),
    Bytes(Result<Option<quinn::Chunk>, quinn::ReadError>),
}

/// Bytes read from a connection at once.
const MAX_READ: usize = 64 * 1024;
