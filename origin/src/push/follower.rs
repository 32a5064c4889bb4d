//! Reading the logs as they grow.
//!
//! A notification carries nothing and may be lost: woken by one, by a lost connection or by the slow
//! poll, the follower compares every head with what it has, and reads on. It listens first and reads
//! then, so that nothing falls between.
//!
//! It is also the first witness of lost history. What it published is an authentic position: a log that
//! is shorter, or goes on from another row, or a database with another fingerprint, and the next epoch is
//! minted before anything else is published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::codec::{self, EncodeError};
use liveevents_protocol::frame::{FORMAT_V1, OriginFrame, Row, Rows};
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_protocol::position::Position;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::clock::Clock;
use sqlx::postgres::{PgListener, PgNotification};
use sqlx::{PgConnection, PgPool};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::feed::{Feed, FeedRow};
use super::hub::Hub;
use super::registry::Registry;
use super::roster::Roster;
use crate::epoch::{Cause, Judgement, judge};
use crate::limits::{DATABASE_DEADLINE, FEED_BYTES, FOLLOW_AT_MOST, FOLLOW_POLL};
use crate::metrics::PushMetrics;
use crate::store::region_log::{self, Head, LogRow};
use crate::store::{self, StoreError};

/// Follows every region's log, until shut down.
pub struct Follower {
    pool: PgPool,
    hub: Arc<Hub>,
    registry: Arc<Registry>,
    roster: Arc<Roster>,
    clock: Clock,
    metrics: PushMetrics,
}

/// Why the logs were not read on.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The database did not answer as it should.
    #[error("the region logs could not be read")]
    Store(#[from] StoreError),
    /// It did not answer at all.
    #[error("the database did not answer in time")]
    TimedOut,
    /// A row has no wire form.
    #[error("a log row could not be encoded")]
    Encode(#[from] EncodeError),
    /// A row is of a format that this release does not know.
    #[error("version {version} of region {region} has format {format}, of a later release")]
    Format {
        /// Where.
        region: RegionId,
        /// Which row.
        version: Version,
        /// Its format.
        format: u8,
    },
}

impl From<sqlx::Error> for FollowError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What one look at the database called for.
enum Look {
    /// Every feed is as the database has it.
    Current,
    /// The database is not what it was.
    Lost {
        complaint: Option<Epoch>,
        cause: Cause,
    },
}

impl Follower {
    /// Publishes to `hub`, tells `registry` of claims made elsewhere, and wakes the `roster` for news of edges.
    #[must_use]
    pub fn new(
        pool: PgPool,
        hub: Arc<Hub>,
        registry: Arc<Registry>,
        roster: Arc<Roster>,
        clock: Clock,
        metrics: PushMetrics,
    ) -> Self {
        Self {
            pool,
            hub,
            registry,
            roster,
            clock,
            metrics,
        }
    }

    /// Runs until `shutdown`. A database that is away is tried again, with back-off.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let lost = tokio::select! {
                () = shutdown.cancelled() => return,
                result = self.follow(&mut backoff) => result,
            };
            if let Err(error) = lost {
                self.metrics.follower_errors.inc();
                let error = liveevents_service::logs::chain(&error);
                tracing::warn!(error, "region logs cannot be followed, trying again");
            }
            let delay = backoff.fail(rand::random());
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// One listening connection's life. Returns without error when the connection was lost.
    async fn follow(&self, backoff: &mut Backoff) -> Result<(), FollowError> {
        let listening = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            // Reconnecting is done here, where the catching up that must follow it is.
            listener.eager_reconnect(false);
            listener
                .listen_all([region_log::CHANNEL, store::acks::CHANNEL])
                .await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let mut listener = timeout(DATABASE_DEADLINE, listening)
            .await
            .map_err(|_| FollowError::TimedOut)??;
        self.roster.wake();
        loop {
            self.catch_up().await?;
            backoff.reset();
            tokio::select! {
                notification = listener.try_recv() => match notification? {
                    Some(notification) => self.hear(&notification),
                    None => return Ok(()),
                },
                () = tokio::time::sleep(FOLLOW_POLL) => {}
            }
            while let Some(notification) = listener.next_buffered() {
                self.hear(&notification);
            }
        }
    }

    /// A claim made by any replica ends an older connection here; whatever is heard of edges is worth a look.
    fn hear(&self, notification: &PgNotification) {
        if notification.channel() != store::acks::CHANNEL {
            return;
        }
        let claim = notification
            .payload()
            .rsplit_once(':')
            .and_then(|(edge, claim)| {
                Some((edge.parse::<EdgeId>().ok()?, claim.parse::<u64>().ok()?))
            });
        if let Some((edge, claim)) = claim {
            self.registry.claimed(&edge, claim);
        }
        self.roster.wake();
    }

    /// Brings every feed to where its log is.
    ///
    /// # Errors
    /// If the database does not answer; what was published stays.
    pub async fn catch_up(&self) -> Result<(), FollowError> {
        loop {
            let look = timeout(DATABASE_DEADLINE, self.look());
            let (complaint, cause) = match look.await.map_err(|_| FollowError::TimedOut)?? {
                Look::Current => return Ok(()),
                Look::Lost { complaint, cause } => (complaint, cause),
            };
            mint(&self.pool, complaint, &cause, &self.clock).await?;
            self.metrics.epochs_minted.inc();
        }
    }

    async fn look(&self) -> Result<Look, FollowError> {
        let mut tx = store::begin_snapshot(&self.pool).await?;
        let Some(minted) = store::epoch::read(&mut tx).await? else {
            return Ok(Look::Lost {
                complaint: None,
                cause: Cause::First,
            });
        };
        let complaint = Some(minted.epoch);
        if !store::epoch::fingerprint(&mut tx)
            .await?
            .agrees_with(&minted.fingerprint)
        {
            return Ok(Look::Lost {
                complaint,
                cause: Cause::Database,
            });
        }
        let mut grown = BTreeMap::new();
        for (region, head) in region_log::heads(&mut tx).await? {
            let position = Position {
                epoch: minted.epoch,
                version: head.version,
                digest: head.digest,
            };
            let Some(feed) = self.hub.feed(&region) else {
                grown.insert(region.clone(), self.fresh(&region, position, &head));
                continue;
            };
            let held = feed.head().position;
            if held == position {
                continue;
            }
            let row = region_log::position(&mut tx, &region, held.version).await?;
            match judge(&held, &position, row.as_ref()) {
                Judgement::Unknown => {
                    return Ok(Look::Lost {
                        complaint,
                        cause: Cause::Unknown(held),
                    });
                }
                Judgement::Earlier => {
                    grown.insert(region.clone(), self.fresh(&region, position, &head));
                }
                Judgement::Known => {
                    let next = self
                        .read_on(&mut tx, &region, &feed, position, &head)
                        .await?;
                    grown.insert(region, next);
                }
            }
        }
        drop(tx);
        for (region, feed) in grown {
            self.metrics.log_head(&region, feed.head().position.version);
            self.hub.publish(&region, feed);
        }
        Ok(Look::Current)
    }

    fn fresh(&self, region: &RegionId, position: Position, head: &Head) -> Feed {
        Feed::new(self.hub.sealer().seal(region, position), head.floor)
    }

    /// The feed with the rows up to `position`, or without rows if there are too many, or some are gone.
    async fn read_on(
        &self,
        conn: &mut PgConnection,
        region: &RegionId,
        feed: &Feed,
        position: Position,
        head: &Head,
    ) -> Result<Feed, FollowError> {
        let held = feed.head().position.version;
        let behind = position.version.0.saturating_sub(held.0);
        if behind > FOLLOW_AT_MOST {
            return Ok(self.fresh(region, position, head));
        }
        let limit = FOLLOW_AT_MOST.cast_signed();
        let rows = region_log::rows_after(conn, region, held, limit, FEED_BYTES).await?;
        if rows.len() as u64 != behind {
            return Ok(self.fresh(region, position, head));
        }
        let rows = rows
            .into_iter()
            .map(|row| self.encode(region, position.epoch, row).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(feed.extended(rows, head.floor))
    }

    fn encode(&self, region: &RegionId, epoch: Epoch, row: LogRow) -> Result<FeedRow, FollowError> {
        let (row, position) = wire_row(region, epoch, row)?;
        let position = self.hub.sealer().seal(region, position);
        let rows = Rows {
            region: region.clone(),
            position,
            rows: vec![row.clone()],
        };
        let frame = Bytes::from(codec::encode_origin_frame(&OriginFrame::Rows(rows))?);
        Ok(FeedRow {
            row,
            position,
            frame,
        })
    }
}

/// A stored row as it is sent, and the position after it.
pub(super) fn wire_row(
    region: &RegionId,
    epoch: Epoch,
    row: LogRow,
) -> Result<(Row, Position), FollowError> {
    let LogRow {
        version,
        change,
        format,
        entries,
        digest,
        committed_at,
    } = row;
    if format != FORMAT_V1 {
        return Err(FollowError::Format {
            region: region.clone(),
            version,
            format,
        });
    }
    Ok((
        Row {
            version,
            change,
            committed_at,
            entries,
        },
        Position {
            epoch,
            version,
            digest,
        },
    ))
}

/// Mints the next epoch, in a transaction of its own.
///
/// # Errors
/// If the database does not take it.
pub async fn mint(
    pool: &PgPool,
    complaint: Option<Epoch>,
    cause: &Cause,
    clock: &Clock,
) -> Result<Epoch, FollowError> {
    let minting = async {
        let mut tx = pool.begin().await?;
        let epoch = store::epoch::mint(&mut tx, complaint, cause, clock.now()).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(epoch)
    };
    let epoch = timeout(DATABASE_DEADLINE, minting)
        .await
        .map_err(|_| FollowError::TimedOut)??;
    tracing::warn!(%epoch, reason = cause.reason(), "new epoch");
    Ok(epoch)
}
