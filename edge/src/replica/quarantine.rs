//! Poison: an entry that this edge cannot apply is set aside, and everything else goes on. Pure.
//!
//! The edge keeps the entry's last good content and advances. An assignment that names contents which are not there
//! is set aside with the removals that would take the contents away that its predecessor names: so what is held is
//! always whole. What is set aside is tried again with every later version, until it can be applied, something newer
//! stands under its key, or there is no point in it: bytes that are no entry stay so, and what has failed twice by a
//! fault of this program waits for a snapshot.
//!
//! An entry that heals is stamped with the version at which it does, not with the one that brought it: whoever is sent
//! what changed since then is sent it too.

mod name;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use liveevents_protocol::codec::{self, DecodeError, RawEntry};
use liveevents_protocol::entry::{Entry, EntryKey};
use liveevents_protocol::frame::{FORMAT_V1, Quarantined};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::state::Dangling;
use liveevents_protocol::version::Version;

pub(crate) use name::{entry_name, entry_of};
pub(super) use settle::{settle_row, settle_snapshot};

use crate::words::words;

/// What decides whether an entry is tried, and is told before it is: an entry that ends the process is known by it.
pub(crate) trait Trial {
    /// An entry is about to be tried. `false` if it must not be, having ended the process before.
    fn begin(&self, at: Cursor, key: &EntryKey) -> bool;

    /// Nothing is being tried any more.
    fn end(&self);
}

/// Why an entry was set aside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    /// Its bytes are no entry.
    #[error("its bytes are no entry: {0}")]
    Undecodable(DecodeError),
    /// A fault of this program.
    #[error("this edge failed at it: {0}")]
    Panicked(String),
    /// This process died while applying it.
    #[error("this edge died while applying it")]
    Suspected,
    /// Something that it needs is not there.
    #[error("{0}")]
    Incomplete(Dangling),
    /// Set aside before this process began; why is not known any more.
    #[error("{0}")]
    Remembered(String),
}

impl Why {
    /// The label of a metric.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "undecodable",
            Self::Panicked(_) => "panicked",
            Self::Suspected => "suspected",
            Self::Incomplete(_) => "incomplete",
            Self::Remembered(_) => "remembered",
        }
    }
}

/// An entry set aside.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    /// That brought it.
    version: Version,
    why: Why,
    again: Option<Again>,
}

/// How an entry is tried again.
#[derive(Debug, Clone)]
enum Again {
    /// It is an entry, and only something else was missing.
    Entry(Entry),
    /// As a row of its own.
    Row(Arc<[u8]>),
}

/// What is set aside in one region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quarantine {
    aside: BTreeMap<EntryKey, Aside>,
    /// Healed at a version that receivers may hold already: told with the next one.
    untold: BTreeSet<EntryKey>,
}

impl Quarantine {
    /// What another process has set aside, as it was written down.
    pub(crate) fn remembered(entries: impl IntoIterator<Item = Quarantined>) -> Self {
        let aside = |entry: Quarantined| {
            let aside = Aside {
                version: entry.version,
                why: Why::Remembered(words(&entry.reason)),
                again: None,
            };
            (entry.key, aside)
        };
        Self {
            aside: entries.into_iter().map(aside).collect(),
            untold: BTreeSet::new(),
        }
    }

    /// Whether nothing is set aside, and nothing that was is still to be told of.
    pub(super) fn is_clear(&self) -> bool {
        self.aside.is_empty() && self.untold.is_empty()
    }

    /// Whether nothing is set aside.
    pub(crate) fn is_empty(&self) -> bool {
        self.aside.is_empty()
    }

    /// How many entries are.
    pub(crate) fn len(&self) -> usize {
        self.aside.len()
    }

    /// What is set aside, as it is told.
    pub(crate) fn told(&self) -> Vec<Quarantined> {
        let told = |(key, aside): (&EntryKey, &Aside)| Quarantined {
            key: key.clone(),
            version: aside.version,
            reason: words(&aside.why.to_string()),
        };
        self.aside.iter().map(told).collect()
    }

    /// What is set aside here and was not before, with the metric's label.
    pub(crate) fn news<'a>(
        &'a self,
        before: Option<&'a Self>,
    ) -> impl Iterator<Item = (Quarantined, &'static str)> + 'a {
        let known = move |key: &EntryKey, aside: &Aside| {
            let known = before.and_then(|before| before.aside.get(key));
            known.is_some_and(|known| known.version == aside.version)
        };
        self.aside
            .iter()
            .filter(move |(key, aside)| !known(key, aside))
            .map(|(key, aside)| {
                let told = Quarantined {
                    key: key.clone(),
                    version: aside.version,
                    reason: words(&aside.why.to_string()),
                };
                (told, aside.why.as_str())
            })
    }

    /// Whether less is set aside than before, and nothing that was not.
    pub(super) fn improves(&self, before: &Self) -> bool {
        let known = |key: &EntryKey| before.aside.contains_key(key);
        self.aside.len() < before.aside.len() && self.aside.keys().all(known)
    }
}

/// Looks into one entry of `source`, which was read from there. A fault of this program is its fault alone.
pub(super) fn attempt(
    trial: &dyn Trial,
    at: Cursor,
    key: &EntryKey,
    raw: RawEntry,
    source: impl FnOnce() -> Option<RawEntry>,
) -> Result<Entry, Aside> {
    let decode = || trial.begin(at, key).then(|| raw.decode());
    let why = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Some(Ok(entry))) => return Ok(entry),
        Ok(Some(Err(error))) => Why::Undecodable(error),
        Ok(None) => Why::Suspected,
        Err(panic) => Why::Panicked(message(&*panic)),
    };
    let again = match why {
        Why::Panicked(_) | Why::Suspected => source().and_then(|raw| raw.into_row().ok()),
        _ => None,
    };
    Err(Aside {
        version: at.version,
        why,
        again: again.map(|row| Again::Row(row.into())),
    })
}

impl Aside {
    /// One more try; `None` if there is no point in it. What fails by a fault of this program a second time is not
    /// tried a third.
    fn try_again(
        &self,
        trial: &dyn Trial,
        at: Cursor,
        key: &EntryKey,
    ) -> Option<Result<Entry, Self>> {
        match self.again.as_ref()? {
            Again::Entry(entry) => Some(Ok(entry.clone())),
            Again::Row(row) => {
                let raw = codec::read_entries(FORMAT_V1, row).ok()?.pop()?;
                let at = Cursor {
                    version: self.version,
                    ..at
                };
                Some(attempt(trial, at, key, raw, || None))
            }
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
