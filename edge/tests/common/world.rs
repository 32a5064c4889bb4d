//! An edge of `us-east` with its origin, in one hand.

use liveevents_protocol::entry::Entry;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::Version;
use liveevents_service::clock::ManualClock;

use super::edge::{Edge, Setup};
use super::history::{History, epoch, put};
use super::identity::Identity;
use super::origin::{Link, Origin};
use super::{clock, start};

pub struct World {
    pub identity: Identity,
    pub clock: ManualClock,
    pub origin: Origin,
    pub history: History,
    pub edge: Edge,
    pub link: Link,
}

impl World {
    /// With one event, `sale`.
    pub async fn new() -> Self {
        Self::with(|setup| setup).await
    }

    /// With other settings.
    pub async fn with(settings: impl FnOnce(Setup) -> Setup) -> Self {
        let (identity, clock) = (Identity::new(), clock());
        let origin = Origin::start(&identity, &clock.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        let setup = settings(Setup::new(&identity, &clock.clock(), &[origin.address]));
        let edge = setup.start().await;
        let link = origin.serve(&[&history]).await;
        Self {
            identity,
            clock,
            origin,
            history,
            edge,
            link,
        }
    }

    pub fn token(&self) -> String {
        self.identity.game_server(&["us-east"])
    }

    pub fn cursor(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }

    /// One change more, on its way to the edge.
    pub async fn change(&mut self, entries: Vec<Entry>) -> Cursor {
        let version = self.history.commit(entries, start());
        self.link
            .rows(&self.history, version.0 - 1, version.0)
            .await;
        self.cursor(version.0)
    }
}
