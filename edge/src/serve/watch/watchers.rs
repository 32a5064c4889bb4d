//! Every game server at level Watch, as far as it has named players: so that one can be dropped from all of them.
//!
//! A game server's own task works with its players; somebody else comes in only to have one of them forgotten. Each has a
//! lock of its own, which is held for a slice of evaluations at most.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use super::Watch;
use super::budget::Budget;

/// All of them, and what is left for their players. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchers {
    budget: Budget,
    all: Arc<Mutex<HashMap<usize, Weak<Mutex<Watch>>>>>,
}

/// One game server's players. Dropped, nothing is left of them.
#[derive(Debug)]
pub(in crate::serve) struct Watcher {
    watch: Arc<Mutex<Watch>>,
    of: Watchers,
}

impl Watchers {
    /// One more, with nobody yet.
    pub(in crate::serve) fn enter(&self) -> Watcher {
        let watch = Arc::new(Mutex::new(Watch::new(&self.budget)));
        let watcher = Watcher {
            watch,
            of: self.clone(),
        };
        let weak = Arc::downgrade(&watcher.watch);
        self.all.lock().insert(watcher.place(), weak);
        watcher
    }

    /// Drops what all of them hold of a player.
    pub(in crate::serve) fn forget(&self, player: &str) {
        // Nobody is waited for while others wait for the list.
        let all: Vec<_> = self.all.lock().values().cloned().collect();
        for watch in all.iter().filter_map(Weak::upgrade) {
            watch.lock().forget(player);
        }
    }
}

impl Watcher {
    pub(in crate::serve) fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock()
    }

    /// No other has the same while this one is there.
    fn place(&self) -> usize {
        Arc::as_ptr(&self.watch).addr()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.of.all.lock().remove(&self.place());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use liveevents_protocol::message::{PlayerMessage, Watch as WatchMessage};

    use super::*;

    fn watch(watcher: &Watcher, names: &[&str]) {
        let player = |name: &&str| PlayerMessage {
            player: (*name).to_owned(),
            keys: BTreeMap::new(),
            attributes: BTreeMap::new(),
            language: None,
            platform: None,
            build: None,
        };
        let players = names.iter().map(player).collect();
        watcher.lock().watch(WatchMessage { players }).unwrap();
    }

    fn holds(watcher: &Watcher, name: &str) -> bool {
        format!("{:?}", watcher.lock()).contains(name)
    }

    #[test]
    fn a_player_is_dropped_everywhere_and_may_be_named_anew() {
        let watchers = Watchers::default();
        let [one, other] = [watchers.enter(), watchers.enter()];
        watch(&one, &["zoe", "max"]);
        watch(&other, &["zoe"]);
        let taken = || [&one, &other].map(|watcher| watcher.lock().share.taken());
        let before = taken();
        watchers.forget("zoe");
        watchers.forget("nobody");
        assert!(!holds(&one, "zoe") && !holds(&other, "zoe"));
        assert!(holds(&one, "max"));
        let now = taken();
        assert!(0 < now[0] && now[0] < before[0] && now[1] == 0, "{now:?}");
        watch(&other, &["zoe"]);
        assert_eq!(taken()[1], before[1]);
    }

    #[test]
    fn who_was_evaluated_last_is_forgotten_too() {
        let watchers = Watchers::default();
        let one = watchers.enter();
        watch(&one, &["zoe", "max"]);
        let mut watch = one.lock();
        while watch.take_due().is_some() {}
        assert_eq!(watch.last.as_deref(), Some("zoe"));
        watch.unwatch(&liveevents_protocol::message::Unwatch {
            players: vec!["zoe".to_owned()],
        });
        drop(watch);
        assert!(holds(&one, "zoe"));
        watchers.forget("zoe");
        assert!(!holds(&one, "zoe"));
    }

    #[test]
    fn who_has_left_leaves_nothing() {
        let watchers = Watchers::default();
        let one = watchers.enter();
        watch(&one, &["zoe"]);
        drop(one);
        assert!(watchers.all.lock().is_empty());
        watchers.forget("zoe");
    }
}
