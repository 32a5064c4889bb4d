//! Who is watched, and what was told last of each. The lock is held for as long as it takes to look.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use liveevents_protocol::limits::MAX_WATCHED;
use liveevents_protocol::message::{ClientMessage, PlayerEvents, PlayerMessage, Unwatch, Watch};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::limits::WATCH_MESSAGE;

/// Why players are not watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// More than an edge takes.
    #[error("at most {MAX_WATCHED} players can be watched, not {0}")]
    TooMany(usize),
    /// One whose keys and attributes make a message longer than an edge takes.
    #[error("what is said of player {0:?} is too long")]
    TooLong(String),
}

#[derive(Debug)]
pub(crate) struct Audience {
    watched: Mutex<BTreeMap<String, Watched>>,
    /// That the application watches others than before.
    asked: Notify,
    /// Counts the application's words and the edge's.
    clock: watch::Sender<u64>,
}

#[derive(Debug)]
struct Watched {
    player: PlayerMessage,
    /// What it takes in a message.
    bytes: usize,
    /// When the application said it, by the count.
    asked: u64,
    events: Option<Arc<PlayerEvents>>,
    /// When the edge told other events than before, by the count.
    told: u64,
}

impl Default for Audience {
    fn default() -> Self {
        Self {
            watched: Mutex::default(),
            asked: Notify::new(),
            clock: watch::Sender::new(0),
        }
    }
}

impl Audience {
    pub(crate) fn watch(
        &self,
        players: impl IntoIterator<Item = PlayerMessage>,
    ) -> Result<(), WatchError> {
        let mut sized = Vec::new();
        for player in players {
            let bytes = serde_json::to_string(&player).map_or(usize::MAX, |text| text.len());
            if bytes > WATCH_MESSAGE {
                return Err(WatchError::TooLong(player.player));
            }
            sized.push((player, bytes));
        }
        {
            let mut watched = self.watched.lock();
            let is_new = |player: &PlayerMessage| !watched.contains_key(&player.player);
            let new = sized.iter().filter(|(player, _)| is_new(player)).count();
            if watched.len() + new > MAX_WATCHED {
                return Err(WatchError::TooMany(watched.len() + new));
            }
            let asked = self.tick();
            for (player, bytes) in sized {
                let before = watched.remove(&player.player);
                let events = before.as_ref().and_then(|before| before.events.clone());
                let told = before.map_or(0, |before| before.told);
                let name = player.player.clone();
                let now = Watched {
                    player,
                    bytes,
                    asked,
                    events,
                    told,
                };
                watched.insert(name, now);
            }
        }
        self.asked.notify_one();
        Ok(())
    }

    pub(crate) fn unwatch<'a>(&self, players: impl IntoIterator<Item = &'a str>) {
        {
            let mut watched = self.watched.lock();
            for player in players {
                watched.remove(player);
            }
        }
        self.asked.notify_one();
    }

    /// Wakes when [`Audience::news_for`] may have something. Cancel safe.
    pub(crate) async fn is_asked(&self) {
        self.asked.notified().await;
    }

    /// What an edge has to be told that was told `said`: names, and as of which count.
    pub(crate) fn news_for(&self, said: &mut BTreeMap<String, u64>) -> Vec<ClientMessage> {
        let mut messages = Vec::new();
        let watched = self.watched.lock();
        let gone: Vec<String> = said
            .keys()
            .filter(|name| !watched.contains_key(*name))
            .cloned()
            .collect();
        for name in &gone {
            said.remove(name);
        }
        if !gone.is_empty() {
            messages.push(ClientMessage::Unwatch(Unwatch { players: gone }));
        }
        let (mut players, mut bytes) = (Vec::new(), 0);
        for (name, one) in watched.iter() {
            if said.get(name) == Some(&one.asked) {
                continue;
            }
            said.insert(name.clone(), one.asked);
            if bytes + one.bytes > WATCH_MESSAGE {
                let players = std::mem::take(&mut players);
                messages.push(ClientMessage::Watch(Watch { players }));
                bytes = 0;
            }
            bytes += one.bytes;
            players.push(one.player.clone());
        }
        if !players.is_empty() {
            messages.push(ClientMessage::Watch(Watch { players }));
        }
        messages
    }

    /// The edge tells a player's events. One that is not watched any more is nobody's concern.
    pub(crate) fn told(&self, events: PlayerEvents) {
        let mut watched = self.watched.lock();
        let Some(one) = watched.get_mut(&events.player) else {
            return;
        };
        // After a connection was lost everybody is told again, mostly the same.
        let is_other = one
            .events
            .as_ref()
            .is_none_or(|before| before.events != events.events);
        one.events = Some(Arc::new(events));
        if is_other {
            // Under the lock, so that who is woken finds it.
            one.told = self.tick();
        }
    }

    pub(crate) fn events(&self, player: &str) -> Option<Arc<PlayerEvents>> {
        self.watched.lock().get(player)?.events.clone()
    }

    /// The players told after a count, and the count now.
    pub(crate) fn told_after(&self, upto: u64) -> (VecDeque<String>, u64) {
        let watched = self.watched.lock();
        let names = watched.iter().filter(|(_, one)| one.told > upto);
        let names = names.map(|(name, _)| name.clone()).collect();
        (names, *self.clock.borrow())
    }

    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.clock.subscribe()
    }

    fn tick(&self) -> u64 {
        self.clock.send_modify(|clock| *clock += 1);
        *self.clock.borrow()
    }
}
