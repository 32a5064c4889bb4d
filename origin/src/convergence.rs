//! Whether a change has arrived in a region, judged from what edges have told: pure. `GET /changes/{id}` shows it, and
//! it is the fact that a gate of a deployment asks for.
//!
//! - An edge that has signed off, or was not heard from for an hour, is waited for no more.
//! - A *live* edge, heard from within 15 s, is waited for however long it takes. One that is *away* is awaited
//!   during a grace, counted from the commit: it may be restarting, but it holds up nobody for ever.
//! - At least one edge must be live: where nobody listens, nothing has arrived.
//! - Game servers are those of live edges; those of others have found another edge, or play alone. One that will
//!   apply the change when its match ends counts as having it: a match of an hour vetoes nothing.
//! - Where there are no game servers, their share says nothing ([`Verdict::NotApplicable`]).
//! - A nack, or an entry that an edge has put into quarantine, breaches, whoever else is content.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::id::{EdgeId, EventId};
use liveevents_protocol::limits::LIVE_WITHIN;
use liveevents_protocol::version::{BasisPoints, Revision, Version};

use crate::limits::AWAY_WITHIN;

/// What is known of one change in one region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// When it was written; `None` once the log has forgotten, which is long after any grace.
    pub committed_at: Option<Timestamp>,
    /// Edges that replicate the region, whatever has become of them.
    pub edges: Vec<EdgeFacts>,
    /// What game servers could not apply.
    pub nacks: Vec<Nack>,
    /// What edges could not apply.
    pub quarantined: Vec<Quarantined>,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeFacts {
    /// Which.
    pub edge: EdgeId,
    /// When it was last heard from.
    pub last_seen: Timestamp,
    /// Whether it has left on purpose.
    pub signed_off: bool,
    /// Whether it has acked the change.
    pub holds: bool,
    /// What its game servers have of it.
    pub game_servers: GameServers,
}

/// How many game servers have a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GameServers {
    /// All that are connected.
    pub connected: u64,
    /// That have received it.
    pub received: u64,
    /// That have applied it.
    pub applied: u64,
    /// That have it and will apply it later.
    pub deferred: u64,
}

/// What some game servers could not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack {
    /// Of which event.
    pub event: EventId,
    /// Which of its revisions, if they said.
    pub revision: Option<Revision>,
    /// In their words.
    pub reason: String,
    /// How many have said so.
    pub count: u64,
    /// The first of them.
    pub first_at: Timestamp,
    /// The last of them.
    pub last_at: Timestamp,
}

/// An entry that an edge could not apply, and keeps what it had instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Who.
    pub edge: EdgeId,
    /// Which entry.
    pub key: EntryKey,
    /// As of which version.
    pub version: Version,
    /// In its words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// What is asked of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How long after the commit edges that are away are awaited.
    pub grace: SignedDuration,
    /// The share of game servers that must have it.
    pub share: BasisPoints,
}

/// How a region stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Whoever had to get it has it.
    Converged,
    /// Not yet.
    Waiting(Missing),
    /// It did harm, or may.
    Breached(Breach),
    /// There is nobody to be asked.
    NotApplicable,
}

/// Who is waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// There is no live edge.
    pub nobody_live: bool,
    /// Live edges that have not acked.
    pub live: Vec<EdgeId>,
    /// Edges that are away, during the grace.
    pub awaited: Vec<EdgeId>,
    /// Game servers that are lacking for the share asked for.
    pub game_servers: u64,
}

/// Why it must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What game servers said.
    pub nacks: Vec<Nack>,
    /// What edges said.
    pub quarantined: Vec<Quarantined>,
}

/// Where an edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Heard from within 15 s.
    Live,
    /// Heard from within the hour.
    Away,
    /// Not heard from for so long that nobody waits for it.
    Gone,
    /// Left on purpose.
    SignedOff,
}

/// Where an edge is that was last heard from at `last_seen`.
#[must_use]
pub fn presence(last_seen: Timestamp, signed_off: bool, now: Timestamp) -> Presence {
    let silence = now.duration_since(last_seen);
    let live_within = SignedDuration::try_from(LIVE_WITHIN).unwrap_or(SignedDuration::MAX);
    if signed_off {
        Presence::SignedOff
    } else if silence <= live_within {
        Presence::Live
    } else if silence <= AWAY_WITHIN {
        Presence::Away
    } else {
        Presence::Gone
    }
}

impl EdgeFacts {
    /// Where it is.
    #[must_use]
    pub fn presence(&self, now: Timestamp) -> Presence {
        presence(self.last_seen, self.signed_off, now)
    }
}

impl Facts {
    /// How the region stands as a whole.
    #[must_use]
    pub fn verdict(&self, rule: Rule, now: Timestamp) -> Verdict {
        if let Some(breach) = self.breach() {
            return Verdict::Breached(breach);
        }
        match (
            self.edges(rule.grace, now),
            self.game_servers(rule.share, now),
        ) {
            (Verdict::Waiting(edges), Verdict::Waiting(servers)) => Verdict::Waiting(Missing {
                game_servers: servers.game_servers,
                ..edges
            }),
            (Verdict::Waiting(missing), _) | (_, Verdict::Waiting(missing)) => {
                Verdict::Waiting(missing)
            }
            (edges, _) => edges,
        }
    }

    /// Whether the edges have it.
    #[must_use]
    pub fn edges(&self, grace: SignedDuration, now: Timestamp) -> Verdict {
        let in_grace = self
            .committed_at
            .is_some_and(|at| now.duration_since(at) < grace);
        let lacking = |presence: Presence| {
            let edges = self.edges.iter();
            edges
                .filter(|edge| !edge.holds && edge.presence(now) == presence)
                .map(|edge| edge.edge.clone())
                .collect::<Vec<_>>()
        };
        let missing = Missing {
            nobody_live: self.live(now).next().is_none(),
            live: lacking(Presence::Live),
            awaited: if in_grace {
                lacking(Presence::Away)
            } else {
                Vec::new()
            },
            game_servers: 0,
        };
        if missing == Missing::default() {
            Verdict::Converged
        } else {
            Verdict::Waiting(missing)
        }
    }

    /// Whether a share of the game servers has it.
    #[must_use]
    pub fn game_servers(&self, share: BasisPoints, now: Timestamp) -> Verdict {
        let all = self.counted(now);
        if all.connected == 0 {
            return Verdict::NotApplicable;
        }
        let needed = u128::from(all.connected) * u128::from(share.value());
        let needed = needed.div_ceil(u128::from(BasisPoints::ALL.value()));
        let have = u128::from(all.applied) + u128::from(all.deferred);
        match u64::try_from(needed.saturating_sub(have)).unwrap_or(u64::MAX) {
            0 => Verdict::Converged,
            lacking => Verdict::Waiting(Missing {
                game_servers: lacking,
                ..Missing::default()
            }),
        }
    }

    /// The game servers of live edges.
    #[must_use]
    pub fn counted(&self, now: Timestamp) -> GameServers {
        self.live(now)
            .fold(GameServers::default(), |sum, edge| sum + edge.game_servers)
    }

    fn live(&self, now: Timestamp) -> impl Iterator<Item = &EdgeFacts> {
        let edges = self.edges.iter();
        edges.filter(move |edge| edge.presence(now) == Presence::Live)
    }

    fn breach(&self) -> Option<Breach> {
        let breached = !self.nacks.is_empty() || !self.quarantined.is_empty();
        breached.then(|| Breach {
            nacks: self.nacks.clone(),
            quarantined: self.quarantined.clone(),
        })
    }
}

impl std::ops::Add for GameServers {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connected: self.connected.saturating_add(other.connected),
            received: self.received.saturating_add(other.received),
            applied: self.applied.saturating_add(other.applied),
            deferred: self.deferred.saturating_add(other.deferred),
        }
    }
}

#[cfg(test)]
mod tests;
