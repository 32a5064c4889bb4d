//! Who is there, at whichever replica, and what is wanted of them.
//!
//! The database knows; this task looks, woken by a notification or by the slow poll, and not more often than once a
//! second. It makes the directory that edges are sent, passes on what operators have ordered to the connections of
//! this process, and which players edges have to forget, and counts what the whole of the edges has come to. A notification may be lost: what it sees is what
//! is stored, so the next look makes up for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::codec;
use liveevents_protocol::frame::OriginFrame;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::limits::{LIVE_WITHIN, MAX_DIRECTORY, MAX_FORGOTTEN};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::clock::Clock;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::follower::FollowError;
use super::hub::Hub;
use super::registry::Registry;
use crate::limits::{CONVERGED_AT_MOST, DATABASE_DEADLINE, ROSTER_PAUSE, ROSTER_POLL};
use crate::metrics::PushMetrics;
use crate::store::edges::{self, Listed};
use crate::store::{self, acks, erasures};

/// What is known of all edges. Shared by the task that looks, and those that wake it or use what it saw.
#[derive(Debug, Default)]
pub struct Roster {
    woken: Notify,
    directory: watch::Sender<Option<Bytes>>,
}

impl Roster {
    /// Something has changed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Where each region is served, as a frame, as it is and as it changes.
    #[must_use]
    pub fn directory(&self) -> watch::Receiver<Option<Bytes>> {
        self.directory.subscribe()
    }
}

/// What the task works with.
pub struct Watch {
    /// Where edges and orders are.
    pub pool: PgPool,
    /// What it keeps current.
    pub roster: Arc<Roster>,
    /// Whom it tells.
    pub registry: Arc<Registry>,
    /// Where the logs are.
    pub hub: Arc<Hub>,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: PushMetrics,
}

/// What was seen before.
struct Seen {
    /// When it began: of what was committed before, another process has told how long it took.
    since: Timestamp,
    directory: Directory,
    warm_orders: Option<u64>,
    converged: BTreeMap<RegionId, (Epoch, Version)>,
}

type Directory = Vec<(RegionId, Vec<String>)>;

impl Watch {
    /// Looks, until shut down. A database that is away is asked again at the next look.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut seen = Seen {
            since: self.clock.now(),
            directory: Directory::new(),
            warm_orders: None,
            converged: BTreeMap::new(),
        };
        loop {
            let looked = timeout(DATABASE_DEADLINE, self.look(&mut seen)).await;
            if !matches!(looked, Ok(Ok(()))) {
                self.metrics.roster_errors.inc();
            }
            match looked {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = liveevents_service::logs::chain(&error);
                    tracing::warn!(error, "the edges cannot be looked at, trying again");
                }
                Err(_) => tracing::warn!("the edges cannot be looked at in time, trying again"),
            }
            let next = async {
                tokio::time::sleep(ROSTER_PAUSE).await;
                let quiet = ROSTER_POLL.saturating_sub(ROSTER_PAUSE);
                // Whatever it is that woke it, or nothing did.
                let _ = timeout(quiet, self.roster.woken.notified()).await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = next => {}
            }
        }
    }

    async fn look(&self, seen: &mut Seen) -> Result<(), FollowError> {
        let within = SignedDuration::try_from(LIVE_WITHIN).unwrap_or(SignedDuration::MAX);
        let heard = self.clock.now() - within;
        let mut tx = store::begin_snapshot(&self.pool).await?;
        let live = edges::live(&mut tx, heard).await?;
        let warm_orders = edges::warm_orders(&mut tx).await?;
        let forget = erasures::awaited(&mut tx, &self.registry.edges(), MAX_FORGOTTEN).await?;
        let oldest = erasures::oldest_pending(&mut tx).await?;
        let converged = acks::converged(&mut tx, heard).await?;
        for (region, (epoch, version)) in converged {
            // An edge that comes and lacks what had converged makes nothing converge again.
            let reached = seen
                .converged
                .entry(region.clone())
                .or_insert((epoch, Version::ZERO));
            if reached.0 != epoch {
                *reached = (epoch, Version::ZERO);
            }
            if reached.1 < version {
                let after = reached
                    .1
                    .max(Version(version.0.saturating_sub(CONVERGED_AT_MOST)));
                let span = (after, version);
                let times = acks::converged_in(&mut tx, &region, epoch, span, seen.since).await?;
                self.metrics.delivery.converged(&region, &times);
                reached.1 = version;
            }
        }
        drop(tx);
        for edge in live.iter().filter(|edge| edge.draining) {
            self.registry.drain(&edge.id, edge.claim);
        }
        self.registry.forget(forget);
        let waits = oldest.map_or(0, |since| self.clock.now().duration_since(since).as_secs());
        self.metrics.erasure_waits.set(waits.max(0));
        if seen.warm_orders.is_some_and(|before| before < warm_orders) {
            self.registry.warm();
        }
        seen.warm_orders = Some(warm_orders);
        let directory = directory(&live);
        if directory != seen.directory {
            let frame = OriginFrame::Directory(directory.clone());
            let frame = Bytes::from(codec::encode_origin_frame(&frame)?);
            self.roster.directory.send_replace(Some(frame));
            seen.directory = directory;
        }
        for (region, newest) in self.hub.heads() {
            let newest = (newest.epoch, newest.version);
            let census = self.registry.census(&region, newest);
            self.metrics.delivery.census(&region, &census);
        }
        Ok(())
    }
}

/// Where each region is served; an edge that drains is not named.
fn directory(live: &[Listed]) -> Directory {
    let mut regions: BTreeMap<RegionId, Vec<String>> = BTreeMap::new();
    for edge in live.iter().filter(|edge| !edge.draining) {
        for region in &edge.regions {
            let addresses = regions.entry(region.clone()).or_default();
            if addresses.len() < MAX_DIRECTORY {
                addresses.push(edge.address.clone());
            }
        }
    }
    regions.into_iter().take(MAX_DIRECTORY).collect()
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::id::BootId;

    use super::*;

    fn listed(id: &str, regions: &[&str], draining: bool) -> Listed {
        Listed {
            id: id.parse().unwrap(),
            boot: BootId(uuid::Uuid::nil()),
            regions: regions
                .iter()
                .map(|region| region.parse().unwrap())
                .collect(),
            address: format!("http://{id}"),
            draining,
            claim: 1,
        }
    }

    #[test]
    fn the_directory_names_every_live_edge_by_all_its_regions_unless_it_drains() {
        let live = [
            listed("a", &["us-east", "eu-west"], false),
            listed("b", &["us-east"], false),
            listed("c", &["us-west"], true),
        ];
        let told: Vec<(String, Vec<String>)> = directory(&live)
            .into_iter()
            .map(|(region, addresses)| (region.to_string(), addresses))
            .collect();
        let row = |region: &str, addresses: &[&str]| {
            let addresses = addresses.iter().map(ToString::to_string).collect();
            (region.to_owned(), addresses)
        };
        assert_eq!(
            told,
            [
                row("eu-west", &["http://a"]),
                row("us-east", &["http://a", "http://b"])
            ]
        );
    }

    #[test]
    fn a_directory_fits_into_a_frame_however_many_edges_there_are() {
        let live: Vec<_> = (0..2 * MAX_DIRECTORY)
            .map(|n| listed(&format!("edge-{n}"), &["us-east"], false))
            .collect();
        let directory = directory(&live);
        assert_eq!(directory[0].1.len(), MAX_DIRECTORY);
        codec::encode_origin_frame(&OriginFrame::Directory(directory)).unwrap();
    }
}
