//! Judging an event: gathers what [`validation`] has to know, and lets it judge on a thread of its own.
//!
//! A studio's schemas may be slow and assets far away, so nothing is judged under a lock: whoever edits judges first and
//! then looks whether anybody was faster. Few are judged at once, each with a deadline; a judgement that has passed its
//! own goes on to its end on its thread and keeps its place until then.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::id::{RegionId, SegmentId};
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::event::json_schema::Schema;
use crate::event::record::Event;
use crate::event::validation::{self, Facts, Proposal, Report};
use crate::limits::{JUDGEMENT_DEADLINE, JUDGEMENTS};
use crate::store::{StoreError, catalog, overlaps, regions, schemas, segments};

/// Judges. Cheap to clone.
#[derive(Clone)]
pub struct Inspector {
    places: Arc<Semaphore>,
}

/// Why nothing was judged.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// What has to be looked up cannot be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many are being judged, or one for too long.
    #[error("the event could not be judged in time")]
    Busy,
    /// A fault of ours.
    #[error("judging an event failed")]
    Failed(#[from] JoinError),
}

/// What an event is judged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be created or edited while nothing of it is deployed.
    Draft,
    /// To be edited, or deployed once more.
    Deployed,
}

impl Default for Inspector {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(JUDGEMENTS)),
        }
    }
}

impl Inspector {
    /// Looks up what a proposal names, for its errors.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn facts(
        &self,
        conn: &mut PgConnection,
        proposal: &Proposal,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Gathered, StoreError> {
        let mut facts = Facts::new(purpose == Purpose::Draft, now);
        let items: Vec<String> = owned(proposal.items());
        facts.unknown_items = catalog::lacking(&mut *conn, &items).await?;
        let named = proposal.segments();
        // What is no name at all is told as such.
        let named = named.filter(|name| SegmentId::new(name).is_ok());
        let named: Vec<String> = owned(named.collect());
        if !named.is_empty() {
            let lacking = segments::lacking(&mut *conn, &named).await?;
            facts.unknown_segments = lacking.unknown;
            facts.unpublished_segments = lacking.unpublished;
        }
        let registered = schemas::find(conn, proposal.scopes()).await?;
        Ok(Gathered { facts, registered })
    }

    /// The same, and what makes warnings.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all_facts(
        &self,
        conn: &mut PgConnection,
        proposal: &Proposal,
        event: &Event,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Gathered, StoreError> {
        let mut gathered = self.facts(&mut *conn, proposal, purpose, now).await?;
        let regions = regions::list(&mut *conn).await?.into_iter();
        gathered.facts.regions = regions.map(|region| (region.id, region.zone)).collect();
        gathered.facts.activated = event.activated_at;
        let regions = gathered
            .facts
            .regions
            .iter()
            .map(|(region, _)| region.clone());
        let regions: Vec<RegionId> = regions.collect();
        let categories: Vec<String> = proposal.exclusive().into_iter().collect();
        gathered.facts.beside = if categories.is_empty() {
            Vec::new()
        } else {
            overlaps::beside(conn, Some(&event.id), &regions, &categories).await?
        };
        Ok(gathered)
    }

    /// Judges a proposal by what was gathered for it.
    ///
    /// # Errors
    /// If it could not be judged.
    pub async fn judge(
        &self,
        proposal: Proposal,
        gathered: Gathered,
    ) -> Result<(Proposal, Report), InspectError> {
        self.apart(move || {
            let report = validation::validate(&proposal, &gathered.read());
            (proposal, report)
        })
        .await
    }

    /// Does something that may take long on a thread of its own.
    ///
    /// # Errors
    /// If it was not done in time.
    pub async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, InspectError> {
        let places = Arc::clone(&self.places);
        let working = async {
            // Never closed.
            let place = places.acquire_owned().await;
            let place = place.map_err(|_| InspectError::Busy)?;
            let work = move || {
                let done = work();
                drop(place);
                done
            };
            Ok(tokio::task::spawn_blocking(work).await?)
        };
        let done = timeout(JUDGEMENT_DEADLINE, working).await;
        done.map_err(|_| InspectError::Busy)?
    }
}

/// Facts, with the schemas as they were registered.
pub struct Gathered {
    facts: Facts,
    registered: Vec<schemas::Registered>,
}

impl Gathered {
    fn read(self) -> Facts {
        let mut facts = self.facts;
        for one in self.registered {
            match Schema::new(&one.schema) {
                Ok(schema) => drop(facts.schemas.insert(one.name, schema)),
                // Accepted by another release, which understood more.
                Err(_) => drop(facts.broken_schemas.insert(one.name)),
            }
        }
        facts
    }
}

fn owned(names: BTreeSet<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}
