//! A game server: the reference client, and a record of all that it was shown.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use liveevents_client::{Client, ClientConfig, Keys, Link, Observer, Timing, Token, Update};
use liveevents_protocol::state::RegionState;

use super::eventually;

/// A game server.
pub struct GameServer {
    /// What messages call it.
    pub name: String,
    /// The client.
    pub client: Client,
    seen: Arc<Mutex<Vec<Update>>>,
}

impl GameServer {
    /// Connects to one address, impatiently.
    pub fn connect(name: &str, region: &str, address: &str, token: &str) -> Self {
        Self::connect_with(name, region, address, token, |_| {})
    }

    /// The same, with something else in its configuration.
    pub fn connect_with(
        name: &str,
        region: &str,
        address: &str,
        token: &str,
        configure: impl FnOnce(&mut ClientConfig),
    ) -> Self {
        let seen: Arc<Mutex<Vec<Update>>> = Arc::default();
        let record = Arc::clone(&seen);
        let addresses = vec![address.parse().unwrap()];
        let mut config = ClientConfig::new(region.parse().unwrap(), addresses, Token::fixed(token));
        config.observer = Some(Observer::new(move |update| {
            record.lock().unwrap().push(update.clone())
        }));
        config.timing = Timing {
            backoff_base: Duration::from_millis(10),
            backoff_max: Duration::from_millis(200),
            ..Timing::default()
        };
        configure(&mut config);
        Self {
            name: name.to_owned(),
            client: Client::connect(config).unwrap(),
            seen,
        }
    }

    /// What it holds.
    pub fn state(&self) -> Arc<RegionState> {
        self.client
            .state()
            .unwrap_or_else(|| panic!("{} holds nothing", self.name))
    }

    /// The version that it holds, 0 before the first.
    pub fn version(&self) -> u64 {
        self.client.state().map_or(0, |state| state.version().0)
    }

    /// What it was shown, but for the first so many.
    pub fn seen_since(&self, from: usize) -> Vec<Update> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .skip(from)
            .cloned()
            .collect()
    }

    /// Waits until it holds this version of this epoch, or a later one of it.
    pub async fn reaches(&self, epoch: &str, version: u64) {
        eventually(
            &format!("{} held version {version} of epoch {epoch}", self.name),
            || async {
                // Woken last: by then the record has it too.
                let held = (*self.client.changed().borrow())?;
                (held.epoch.to_string() == epoch && held.version.0 >= version).then_some(())
            },
        )
        .await;
    }

    /// Waits until it is subscribed to this edge.
    pub async fn is_with(&self, edge: &str) {
        eventually(
            &format!("{} was subscribed to {edge}", self.name),
            || async { self.is_connected_to(edge).then_some(()) },
        )
        .await;
    }

    /// Whether it is subscribed to this edge now.
    pub fn is_connected_to(&self, wanted: &str) -> bool {
        matches!(&*self.client.link().borrow(), Link::Connected { edge, .. } if edge.as_str() == wanted)
    }

    /// Waits until it has been refused, and says how.
    pub async fn refusal(&self) -> String {
        eventually(&format!("{} was refused", self.name), || async {
            match &*self.client.link().borrow() {
                Link::Away { because, .. } => Some(because.to_string()),
                Link::Connecting { .. } | Link::Connected { .. } => None,
            }
        })
        .await
    }

    /// The events shown to a player now, with their revisions.
    pub fn shown_to(&self, player: &str) -> Vec<(String, u32)> {
        let shown = self.client.shown(Keys(&[("player", player)]));
        let names = shown
            .into_iter()
            .map(|s| (s.content.event_id.to_string(), s.content.revision.0));
        names.collect()
    }

    /// It has only ever gone forward, and never saw an assignment without its content. `whole` tells whether a
    /// state may be the outcome of whole changes.
    pub fn assert_only_went_forward(&self, whole: impl Fn(&RegionState) -> bool) {
        let seen = self.seen.lock().unwrap();
        for pair in seen.windows(2) {
            let [before, after] = pair else {
                unreachable!()
            };
            assert!(
                (before.epoch, before.version) < (after.epoch, after.version),
                "{} went from version {} to {}",
                self.name,
                before.version,
                after.version
            );
        }
        for update in seen.iter() {
            for assignment in update.state.assignments() {
                update.state.check(&assignment.event_id).unwrap();
            }
            assert!(
                whole(&update.state),
                "{} saw half a change: {:?}",
                self.name,
                update.state
            );
        }
    }
}
