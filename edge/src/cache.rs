//! Redis: what this edge starts from while the origin is away, and where edges of one region find each other's state.
//!
//! One task owns the connection and always writes what lies between what it last wrote and the state in force. So
//! it may be slow, or Redis full or gone: changes gather, nobody waits, and the next write says it all. Nothing here is
//! awaited by a read or a push; a reader that wants a look leaves word and goes on.
//!
//! What Redis holds is believed until the origin says otherwise, and no further: trust only by its signature, a
//! state only as a whole, and never over what the origin has confirmed. While the origin is heard, it is
//! looked at only for a receiver that is ahead, and nothing is taken of an epoch that the receiver does not know:
//! whoever can write to Redis could otherwise lead a healthy edge astray.

mod layout;
mod owner;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::trust::SignedTrust;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

pub(crate) use owner::{Judge, Owner};

use crate::replica::place;

/// Where others leave word for the cache's task. Clones share it.
#[derive(Clone)]
pub(crate) struct Cache(Arc<Shared>);

struct Shared {
    /// Regions in which somebody is ahead of this edge, and how far.
    wanted: Mutex<BTreeMap<RegionId, Cursor>>,
    /// Regions whose hash is to be written whole.
    rewrite: Mutex<BTreeSet<RegionId>>,
    /// The newest trust bundle, with its serial.
    trust: ArcSwapOption<(u64, SignedTrust)>,
    bell: Notify,
    state: Mutex<State>,
}

/// How the cache does, for health reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state")]
pub(crate) enum State {
    /// None is configured.
    Disabled,
    /// The last command was carried out.
    Working,
    /// The last command failed.
    Away {
        /// When that began.
        since: Timestamp,
        /// What Redis said, or why it could not be asked, last.
        reason: String,
    },
}

impl Cache {
    /// Word goes nowhere until a task reads it; without one nothing ever does.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            wanted: Mutex::default(),
            rewrite: Mutex::default(),
            trust: ArcSwapOption::empty(),
            bell: Notify::new(),
            state: Mutex::new(State::Disabled),
        }))
    }

    /// Asks for one look whether Redis holds something newer of a region, since a receiver has `ahead`.
    pub(crate) fn look(&self, region: &RegionId, ahead: Cursor) {
        let mut wanted = self.0.wanted.lock();
        let most = wanted.entry(region.clone()).or_insert(ahead);
        if place(ahead) > place(*most) {
            *most = ahead;
        }
        drop(wanted);
        self.0.bell.notify_one();
    }

    /// Asks that a region's hash be written whole, whatever stands there.
    pub(crate) fn rewrite(&self, region: &RegionId) {
        self.0.rewrite.lock().insert(region.clone());
        self.0.bell.notify_one();
    }

    /// Asks that a trust bundle be kept.
    pub(crate) fn keep_trust(&self, serial: u64, trust: SignedTrust) {
        self.0.trust.store(Some(Arc::new((serial, trust))));
        self.0.bell.notify_one();
    }

    /// How it does.
    pub(crate) fn state(&self) -> State {
        self.0.state.lock().clone()
    }
}
