//! Level Watch: the players that one game server has named, and what each was told last. Pure: time and state are
//! arguments, sending is the connection's.
//!
//! When something has changed, a *pass* evaluates every player, a slice at a time, and tells each whose list of events is
//! another than the one told last; of that one only a fingerprint is kept. A list is made when the socket takes it, by
//! what is in force then: so a slow game server skips what was in between, and whatever it has not taken costs nothing.
//! After a pass it is told as of which version everybody has been told. Passes begin at a distance of [`PASS_INTERVAL`]
//! at least, so that many changes at once are one pass; each goes once round, so that changes without end keep nobody
//! waiting. A player who is new or has other attributes is evaluated at once, and alone.

mod budget;
mod players;
mod view;
mod watchers;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::limits::MAX_WATCHED;
use liveevents_protocol::message::{
    Current, Cursor, MessageError, PlayerMessage, Unwatch, Watch as WatchMessage,
};
use serde::Serialize;
use tokio::time::Instant;

pub(super) use players::{Fault, check};
pub(super) use view::{Mark, View, Wants};
pub(super) use watchers::Watcher;
pub(crate) use watchers::Watchers;

use crate::limits::{EVALUATIONS, PASS_INTERVAL, WATCHED_BYTES};
use budget::{Budget, Share};
use players::size;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send one player's list: a message's text.
    Player(Vec<u8>),
    /// Say that everybody has been told.
    Current(Current),
    /// Go on, once others have had their turn.
    Pause,
    /// Go on then.
    Wait(Instant),
    /// Nothing, until there is another [`Mark`] than this one.
    Nothing(Mark),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    players: BTreeMap<Arc<str>, Watched>,
    /// What all of them take.
    share: Share,
    /// Those to be evaluated.
    due: BTreeSet<Arc<str>>,
    /// Who was evaluated last: the next one is after.
    last: Option<Arc<str>>,
    pass: Option<Pass>,
    /// Whether it is still to be said that everybody has been told.
    owes_current: bool,
}

#[derive(Debug)]
struct Watched {
    /// Without its identifier.
    player: PlayerMessage,
    size: usize,
    /// A fingerprint of the list told last, within an epoch and a language.
    told: Option<u64>,
}

/// The pass under way, or the last one.
#[derive(Debug, Clone, Copy)]
struct Pass {
    began: Instant,
    /// What was in force then. Everybody is told as of then, or later.
    mark: Mark,
    committed_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    player: &'a str,
    #[serde(flatten)]
    at: Cursor,
    time: Timestamp,
}

impl Watch {
    /// Nobody yet; what they take comes off the budget.
    fn new(budget: &Budget) -> Self {
        Self {
            players: BTreeMap::new(),
            share: budget.share(),
            due: BTreeSet::new(),
            last: None,
            pass: None,
            owes_current: false,
        }
    }

    /// What was said of one, but for the identifier.
    pub(super) fn player(&self, id: &str) -> Option<&PlayerMessage> {
        self.players.get(id).map(|watched| &watched.player)
    }

    /// Adds players, or replaces what was said of them: all of them or none.
    pub(super) fn watch(&mut self, message: WatchMessage) -> Result<(), Fault> {
        let mut news: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, player) in message.players.iter().enumerate() {
            check(player).map_err(|fault| fault.of_player(index))?;
            news.insert(&player.player, size(player));
        }
        let known = |id: &str| self.players.get(id).map(|watched| watched.size);
        let added = news.keys().filter(|id| known(id).is_none()).count();
        let count = self.players.len() + added;
        if count > MAX_WATCHED {
            let message = format!("at most {MAX_WATCHED} players are watched; it would be {count}");
            return Err(Fault::new("players", message));
        }
        let replaced: usize = news.keys().filter_map(|id| known(id)).sum();
        let bytes = self.share.taken() - replaced + news.values().sum::<usize>();
        if bytes > WATCHED_BYTES {
            let message = format!(
                "what is said of all watched players may take {WATCHED_BYTES} bytes; it would be {bytes}"
            );
            return Err(Fault::new("players", message));
        }
        if !self.share.resize(bytes) {
            let message = "this edge watches as many players as it can; another one may";
            return Err(Fault::new("players", message));
        }
        for mut player in message.players {
            let size = size(&player);
            let id: Arc<str> = std::mem::take(&mut player.player).into();
            let before = self.players.remove(&id);
            let told = before
                .filter(|before| before.player.language == player.language)
                .and_then(|before| before.told);
            self.due.insert(Arc::clone(&id));
            self.players.insert(id, Watched { player, size, told });
        }
        self.owes_current = true;
        Ok(())
    }

    /// Removes players; those that are not watched are passed over.
    pub(super) fn unwatch(&mut self, message: &Unwatch) {
        let mut bytes = self.share.taken();
        for id in &message.players {
            if let Some(watched) = self.players.remove(id.as_str()) {
                bytes -= watched.size;
                self.due.remove(id.as_str());
            }
        }
        // Giving back always succeeds.
        let _ = self.share.resize(bytes);
    }

    /// Drops everything that is held of a player, who may be named anew.
    fn forget(&mut self, player: &str) {
        if let Some(watched) = self.players.remove(player) {
            // Giving back always succeeds.
            let _ = self.share.resize(self.share.taken() - watched.size);
        }
        self.due.remove(player);
        // Who has long been unwatched may still be this one. The round begins anew.
        self.last.take_if(|last| **last == *player);
    }

    /// What is to be sent now, if anything.
    pub(super) fn next(&mut self, view: &View<'_>, now: Instant) -> Result<Next, MessageError> {
        let mut evaluations = 0;
        loop {
            while let Some(id) = self.take_due() {
                if let Some(text) = self.evaluate(&id, view)? {
                    return Ok(Next::Player(text));
                }
                evaluations += view.events().max(1);
                if evaluations >= EVALUATIONS {
                    return Ok(Next::Pause);
                }
            }
            if let Some(current) = self.current(view) {
                return Ok(Next::Current(current));
            }
            let mark = view.mark();
            match self.pass {
                Some(pass) if pass.mark == mark => return Ok(Next::Nothing(mark)),
                Some(pass) if now < pass.began + PASS_INTERVAL => {
                    return Ok(Next::Wait(pass.began + PASS_INTERVAL));
                }
                pass => self.begin(pass, view, now),
            }
        }
    }

    fn begin(&mut self, before: Option<Pass>, view: &View<'_>, now: Instant) {
        let mark = view.mark();
        // Of another history, a revision may be another one of the same number.
        if before.is_some_and(|before| !mark.follows(before.mark)) {
            for watched in self.players.values_mut() {
                watched.told = None;
            }
        }
        self.pass = Some(Pass {
            began: now,
            mark,
            committed_at: view.committed_at(),
        });
        self.owes_current = true;
        self.due = self.players.keys().cloned().collect();
    }

    /// The next in the round.
    fn take_due(&mut self) -> Option<Arc<str>> {
        let after = self
            .last
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.due.range::<str, _>((after, Bound::Unbounded)).next();
        let id = Arc::clone(next.or_else(|| self.due.first())?);
        self.due.remove(&id);
        self.last = Some(Arc::clone(&id));
        Some(id)
    }

    /// What a player is to be told, unless it is what was told.
    fn evaluate(&mut self, id: &str, view: &View<'_>) -> Result<Option<Vec<u8>>, MessageError> {
        let Some(watched) = self.players.get_mut(id) else {
            return Ok(None);
        };
        let shown = view.shown(id, &watched.player);
        let fingerprint = Some(shown.fingerprint());
        if watched.told == fingerprint {
            return Ok(None);
        }
        let mut text = serde_json::to_vec(&Head {
            kind: "player",
            player: id,
            at: view.cursor(),
            time: view.time(),
        })?;
        // The list goes in before the brace.
        text.pop();
        text.extend_from_slice(br#","events":"#);
        shown.print(view.wording(&watched.player), &mut text);
        text.push(b'}');
        watched.told = fingerprint;
        Ok(Some(text))
    }

    /// Says once that everybody has been told.
    fn current(&mut self, view: &View<'_>) -> Option<Current> {
        let pass = self.pass?;
        let Cursor { epoch, version } = pass.mark.cursor();
        let owes = std::mem::take(&mut self.owes_current);
        // Told of another history since: the pass to come says it.
        (owes && epoch == view.cursor().epoch).then(|| Current {
            epoch,
            version,
            time: view.time(),
            committed_at: pass.committed_at,
        })
    }
}

#[cfg(test)]
mod tests;
