//! What this edge holds: a published state for each region that it replicates.
//!
//! Readers take the state behind an atomic pointer: they never lock, never wait, and see one version whole. A state
//! is replaced by [`Region::publish`] alone, which never goes back: not to an earlier version, not to an earlier
//! epoch. Whoever waits for news is woken without being told what happened, and reads what it lacks.

mod apply;
mod frames;
mod offers;
mod published;
mod quarantine;
mod region;

#[cfg(test)]
#[path = "../tests/common/history.rs"]
pub(crate) mod history;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::id::RegionId;
use tokio::sync::watch;

pub(crate) use apply::{Assembly, Refused, apply_rows, whole_state};
pub(crate) use frames::{Encodings, Press, Selection, Told};
pub(crate) use offers::{Offers, Shown, Wording};
pub(crate) use published::{Published, Step, place};
pub(crate) use quarantine::{Quarantine, Trial, entry_name, entry_of};
pub(crate) use region::{Publication, Region};

/// All regions of this edge. Which ones is fixed by configuration.
#[derive(Debug)]
pub(crate) struct Replica {
    home: RegionId,
    regions: BTreeMap<RegionId, Arc<Region>>,
    changed: watch::Sender<()>,
}

impl Replica {
    /// Holds nothing yet.
    pub(crate) fn new(home: RegionId, standby_for: &[RegionId]) -> Self {
        let changed = watch::Sender::new(());
        let regions = std::iter::once(&home)
            .chain(standby_for)
            .map(|id| {
                (
                    id.clone(),
                    Arc::new(Region::new(id.clone(), changed.clone())),
                )
            })
            .collect();
        Self {
            home,
            regions,
            changed,
        }
    }

    /// One region, if it is replicated here.
    pub(crate) fn region(&self, id: &RegionId) -> Option<&Arc<Region>> {
        self.regions.get(id)
    }

    /// Every region, the home first.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Arc<Region>> {
        let others = self
            .regions
            .values()
            .filter(|region| *region.id() != self.home);
        self.regions.get(&self.home).into_iter().chain(others)
    }

    /// Wakes when any region has changed.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The connection to the origin has ended: what is known ages from here on.
    pub(crate) fn cut_off(&self) {
        for region in self.regions.values() {
            region.cut_off();
        }
    }

    /// The last contact with the origin, of whatever region.
    pub(crate) fn contact(&self) -> Option<Timestamp> {
        self.regions
            .values()
            .filter_map(|region| region.contact())
            .max()
    }
}
