//! Who may replicate what: judging a hello.

use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::Hello;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::position::{Position, SealedPosition};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::clock::Clock;
use liveevents_service::http::Authority;
use liveevents_service::token::{Role, TokenError};
use sqlx::PgPool;
use tokio::time::timeout;

use super::follower::{self, FollowError};
use super::hub::Hub;
use crate::epoch::{Cause, Judgement, judge};
use crate::limits::{DATABASE_DEADLINE, MAX_REGIONS_PER_EDGE};
use crate::metrics::PushMetrics;
use crate::store::{self, region_log};

/// Why a hello was refused.
#[derive(Debug)]
pub struct Refusal {
    /// For the peer, as code and words.
    pub reason: CloseReason,
    /// For the log, and the peer.
    pub message: String,
    /// How long the peer is asked to stay away, where this side has chosen.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(reason: CloseReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let error = liveevents_service::logs::chain(error);
        tracing::warn!(error, "a hello could not be judged");
        Self::new(
            CloseReason::Internal,
            "the origin cannot reach its database",
        )
    }
}

/// One region that an accepted edge replicates.
#[derive(Debug)]
pub struct AcceptedRegion {
    /// Which.
    pub region: RegionId,
    /// What the edge holds of this history.
    pub position: Option<Position>,
    /// What it had acked before.
    pub acked: Option<(Epoch, Version)>,
}

/// An accepted hello.
#[derive(Debug)]
pub struct Accepted {
    /// The claim on the edge's name.
    pub session: u64,
    /// Whether this run of the edge was told to send its game servers elsewhere.
    pub draining: bool,
    /// Home first.
    pub regions: Vec<AcceptedRegion>,
}

/// What hellos are judged with.
#[derive(Clone)]
pub struct Judge {
    /// Where claims and logs are.
    pub pool: PgPool,
    /// Which regions there are, and the seal.
    pub hub: Arc<Hub>,
    /// Who signed the token; its installation is ours.
    pub authority: Authority,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: PushMetrics,
}

impl Judge {
    /// Judges a hello, and claims the edge's name if it is accepted.
    ///
    /// # Errors
    /// With what to close the connection.
    pub async fn judge(&self, hello: &Hello) -> Result<Accepted, Refusal> {
        let home = self.permit(hello)?;
        let accepting = async {
            let mut positions = Vec::new();
            for (region, sealed) in &hello.regions {
                positions.push(self.position(region, sealed.as_ref()).await?);
            }
            let mut tx = self.pool.begin().await?;
            let claim = store::acks::claim(&mut tx, hello, &home, self.clock.now()).await?;
            let mut regions = Vec::new();
            for ((region, _), position) in hello.regions.iter().zip(positions) {
                let acked = store::acks::position(&mut tx, &hello.edge, region).await?;
                regions.push(AcceptedRegion {
                    region: region.clone(),
                    position,
                    acked,
                });
            }
            tx.commit().await?;
            Ok::<_, FollowError>(Accepted {
                session: claim.number,
                draining: claim.draining,
                regions,
            })
        };
        match timeout(DATABASE_DEADLINE, accepting).await {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(error)) => Err(Refusal::internal(&error)),
            Err(_) => Err(Refusal::internal(&FollowError::TimedOut)),
        }
    }

    /// Token, role, installation and regions. Gives the home region.
    fn permit(&self, hello: &Hello) -> Result<RegionId, Refusal> {
        let claims = self.authority.verify(&hello.token).map_err(|error| {
            let reason = match &error {
                TokenError::Expired => CloseReason::TokenExpired,
                TokenError::Revoked => CloseReason::TokenRevoked,
                TokenError::ForeignInstallation => CloseReason::ForeignInstallation,
                _ => CloseReason::TokenInvalid,
            };
            Refusal::new(reason, format!("token: {error}"))
        })?;
        if hello.installation != claims.installation {
            let message = format!("installation: must be {}", claims.installation);
            return Err(Refusal::new(CloseReason::ForeignInstallation, message));
        }
        if claims.role != Role::Edge {
            let message = format!("token: has role {}, must have Edge", claims.role);
            return Err(Refusal::new(CloseReason::RoleNotAllowed, message));
        }
        if hello.regions.len() > MAX_REGIONS_PER_EDGE {
            let message = format!("regions: must be at most {MAX_REGIONS_PER_EDGE}");
            return Err(Refusal::new(CloseReason::Malformed, message));
        }
        for (at, (region, _)) in hello.regions.iter().enumerate() {
            if hello
                .regions
                .iter()
                .skip(at + 1)
                .any(|(other, _)| other == region)
            {
                let message = format!("regions: {region} is named twice");
                return Err(Refusal::new(CloseReason::Malformed, message));
            }
            if !claims.covers(region) {
                let message = format!("regions: the token does not name {region}");
                return Err(Refusal::new(CloseReason::RegionNotAllowed, message));
            }
            if self.hub.feed(region).is_none() {
                let message = format!("regions: there is no region {region}");
                return Err(Refusal::new(CloseReason::RegionNotAllowed, message));
            }
        }
        let home = hello.regions.first().map(|(region, _)| region.clone());
        home.ok_or_else(|| Refusal::new(CloseReason::Malformed, "regions: must name at least one"))
    }

    /// What a sealed position is worth. One that is authentic but impossible proves that the database
    /// has lost history: the next epoch is minted. Whoever is not in this history gets a snapshot.
    async fn position(
        &self,
        region: &RegionId,
        sealed: Option<&SealedPosition>,
    ) -> Result<Option<Position>, FollowError> {
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let Some(position) = self.hub.sealer().open(region, sealed) else {
            self.metrics.forged_positions.inc();
            tracing::warn!(%region, "an edge showed a position that was never handed out");
            return Ok(None);
        };
        let mut tx = store::begin_snapshot(&self.pool).await?;
        let minted = store::epoch::read(&mut tx).await?;
        let head = region_log::heads(&mut tx).await?.remove(region);
        let (Some(minted), Some(head)) = (minted, head) else {
            return Ok(None);
        };
        let row = region_log::position(&mut tx, region, position.version).await?;
        drop(tx);
        let head = Position {
            epoch: minted.epoch,
            version: head.version,
            digest: head.digest,
        };
        let epoch = match judge(&position, &head, row.as_ref()) {
            Judgement::Known => return Ok(Some(position)),
            Judgement::Earlier => minted.epoch,
            Judgement::Unknown => {
                let cause = Cause::Unknown(position);
                let complaint = Some(minted.epoch);
                self.metrics.epochs_minted.inc();
                follower::mint(&self.pool, complaint, &cause, &self.clock).await?
            }
        };
        // The feed may still be of an epoch that this position would fit into.
        if let Some(mut feed) = self.hub.subscribe(region) {
            let reached = feed
                .wait_for(|feed| feed.head().position.epoch >= epoch)
                .await;
            reached.map_err(|_| FollowError::TimedOut)?;
        }
        Ok(None)
    }
}

/// Waits at most so long for a hello, handshake included.
pub const DEADLINE: Duration = liveevents_protocol::limits::HELLO_DEADLINE;
