//! Where connections find what to send: the feed of each region, and its snapshot, made once for all who
//! need it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use liveevents_protocol::codec::{self, EncodeError};
use liveevents_protocol::frame::{OriginFrame, SnapshotChunk};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::position::Position;
use parking_lot::RwLock;
use sqlx::PgPool;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit, watch};

use super::feed::{Feed, Next};
use crate::limits::EDGE_READS;
use crate::seal::Sealer;
use crate::store::{self, StoreError};

/// A region's whole state, as frames.
#[derive(Debug)]
pub struct EncodedSnapshot {
    /// What it is as of.
    pub position: Position,
    /// In order.
    pub frames: Vec<Bytes>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The database did not give it.
    #[error("the region's state could not be read")]
    Store(#[from] StoreError),
    /// It has no wire form.
    #[error("the region's state could not be encoded")]
    Encode(#[from] EncodeError),
    /// The region, or the epoch, has gone.
    #[error("there is no such region")]
    NoRegion,
    /// This process is shutting down.
    #[error("encoding was given up")]
    GivenUp,
}

#[derive(Debug)]
struct Channel {
    feed: watch::Sender<Arc<Feed>>,
    snapshot: Arc<Mutex<Option<Arc<EncodedSnapshot>>>>,
}

/// All regions.
pub struct Hub {
    pool: PgPool,
    sealer: Sealer,
    channels: RwLock<BTreeMap<RegionId, Channel>>,
    reads: Semaphore,
}

impl Hub {
    /// Without any region, until the follower publishes the first.
    #[must_use]
    pub fn new(pool: PgPool, sealer: Sealer) -> Self {
        Self {
            pool,
            sealer,
            channels: RwLock::default(),
            reads: Semaphore::new(EDGE_READS),
        }
    }

    /// What positions are sealed with.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// A region's feed, as it is and as it changes; `None` if there is no such region.
    #[must_use]
    pub fn subscribe(&self, region: &RegionId) -> Option<watch::Receiver<Arc<Feed>>> {
        Some(self.channels.read().get(region)?.feed.subscribe())
    }

    /// A region's feed as it is.
    #[must_use]
    pub fn feed(&self, region: &RegionId) -> Option<Arc<Feed>> {
        Some(self.channels.read().get(region)?.feed.borrow().clone())
    }

    /// Puts a region's feed in place and wakes its connections.
    pub(super) fn publish(&self, region: &RegionId, feed: Feed) {
        let feed = Arc::new(feed);
        if let Some(channel) = self.channels.read().get(region) {
            channel.feed.send_replace(feed);
            return;
        }
        let channel = Channel {
            feed: watch::Sender::new(feed),
            snapshot: Arc::default(),
        };
        self.channels.write().insert(region.clone(), channel);
    }

    /// Every region's newest position that was read.
    #[must_use]
    pub fn heads(&self) -> Vec<(RegionId, Position)> {
        let channels = self.channels.read();
        channels
            .iter()
            .map(|(region, channel)| (region.clone(), channel.feed.borrow().head().position))
            .collect()
    }

    /// A turn to read from the database for one edge, until dropped.
    ///
    /// # Errors
    /// Never in practice: turns are not abolished.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, SnapshotError> {
        self.reads
            .acquire()
            .await
            .map_err(|_| SnapshotError::GivenUp)
    }

    /// A region's whole state, for an edge that was sent what comes before `sent`. Read and encoded by the first
    /// who asks, while the others wait, and used again for as long as the feed goes on from it: while a region
    /// changes many times a second, a hundred edges that return share a few snapshots, and get the rest by rows.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn snapshot(
        &self,
        region: &RegionId,
        sent: Option<&Position>,
    ) -> Result<Arc<EncodedSnapshot>, SnapshotError> {
        let made = {
            let channels = self.channels.read();
            let channel = channels.get(region).ok_or(SnapshotError::NoRegion)?;
            channel.snapshot.clone()
        };
        let mut made = made.lock().await;
        let feed = self.feed(region).ok_or(SnapshotError::NoRegion)?;
        let serves = |snapshot: &&Arc<EncodedSnapshot>| {
            let position = snapshot.position;
            let goes_on = match feed.next(Some(&position)) {
                Next::Current | Next::Row(_) => position.epoch == feed.head().position.epoch,
                Next::Log | Next::Snapshot => false,
            };
            // Nobody is taken back.
            let back =
                |sent: &Position| (sent.epoch, sent.version) > (position.epoch, position.version);
            goes_on && !sent.is_some_and(back)
        };
        if let Some(snapshot) = made.as_ref().filter(serves) {
            return Ok(snapshot.clone());
        }
        let _turn = self.turn().await?;
        let mut tx = store::begin_snapshot(&self.pool).await?;
        let (snapshot, position) = store::snapshot::read(&mut tx, region)
            .await?
            .ok_or(SnapshotError::NoRegion)?;
        drop(tx);
        let (of, sealed) = (region.clone(), self.sealer.seal(region, position));
        let encode = move || -> Result<Vec<Bytes>, EncodeError> {
            let chunks = codec::encode_chunks(&snapshot.entries)?;
            let last = chunks.len() - 1;
            chunks
                .into_iter()
                .enumerate()
                .map(|(index, entries)| {
                    let frame = OriginFrame::SnapshotChunk(SnapshotChunk {
                        region: of.clone(),
                        position: sealed,
                        floor: snapshot.floor,
                        index: u32::try_from(index).unwrap_or(u32::MAX),
                        last: index == last,
                        entries,
                    });
                    codec::encode_origin_frame(&frame).map(Bytes::from)
                })
                .collect()
        };
        let frames = tokio::task::spawn_blocking(encode)
            .await
            .map_err(|_| SnapshotError::GivenUp)??;
        let snapshot = Arc::new(EncodedSnapshot { position, frames });
        *made = Some(snapshot.clone());
        Ok(snapshot)
    }
}
