//! Which edges are connected to this process. Holds handles only; the newest claim of a name wins.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use liveevents_protocol::frame::Standing;
use liveevents_protocol::id::{EdgeId, ErasureId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::convergence::GameServers;
use crate::store::progress::game_servers;

/// The connections of this process, by edge.
#[derive(Debug, Default)]
pub struct Registry {
    live: Mutex<HashMap<EdgeId, Live>>,
}

#[derive(Debug)]
struct Live {
    claim: u64,
    superseded: CancellationToken,
    orders: watch::Sender<Orders>,
    told: BTreeMap<RegionId, Told>,
}

/// What operators want of an edge, as far as its connection has to do something for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// It shall send its game servers elsewhere.
    pub drain: bool,
    /// So many times it shall be sent its regions whole.
    pub warm: u64,
    /// Players whom it shall forget, and has not confirmed to have forgotten.
    pub forget: Forget,
}

/// Players by the record of their erasure, in its order.
pub type Forget = Arc<[(ErasureId, String)]>;

/// What an edge last told of one region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Game servers connected.
    pub connected: u32,
    /// How many stand where, and in which history.
    pub standings: Option<(Epoch, Vec<Standing>)>,
    /// Entries that it cannot apply.
    pub quarantined: usize,
}

/// What the edges of this process have told of one region together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Game servers, and what they have of its newest version.
    pub game_servers: GameServers,
    /// Entries that edges cannot apply.
    pub quarantined: usize,
}

/// A connection's place in the registry.
#[derive(Debug)]
pub struct Seat {
    /// Cancelled when a newer claim is heard of; at once, if it was already.
    pub superseded: CancellationToken,
    /// What is wanted of the edge.
    pub orders: watch::Receiver<Orders>,
}

impl Registry {
    /// Enters a connection, and ends an older one of the same edge.
    pub fn enter(&self, edge: &EdgeId, claim: u64, orders: Orders) -> Seat {
        let superseded = CancellationToken::new();
        let (sender, orders) = watch::channel(orders);
        let mut live = self.live.lock();
        match live.get(edge) {
            Some(newer) if newer.claim > claim => superseded.cancel(),
            older => {
                if let Some(older) = older {
                    older.superseded.cancel();
                }
                let entry = Live {
                    claim,
                    superseded: superseded.clone(),
                    orders: sender,
                    told: BTreeMap::new(),
                };
                live.insert(edge.clone(), entry);
            }
        }
        Seat { superseded, orders }
    }

    /// Hears of a claim made here or elsewhere.
    pub fn claimed(&self, edge: &EdgeId, claim: u64) {
        if let Some(live) = self.live.lock().get(edge).filter(|live| live.claim < claim) {
            live.superseded.cancel();
        }
    }

    /// Takes a connection out, unless a newer one has its place.
    pub fn leave(&self, edge: &EdgeId, claim: u64) {
        let mut live = self.live.lock();
        if live.get(edge).is_some_and(|live| live.claim == claim) {
            live.remove(edge);
        }
    }

    /// An edge shall send its game servers elsewhere, over this connection: one that came since may be of another process.
    /// Said again, it is the same order.
    pub fn drain(&self, edge: &EdgeId, claim: u64) {
        if let Some(live) = self.live.lock().get(edge)
            && live.claim <= claim
        {
            live.orders
                .send_if_modified(|orders| !std::mem::replace(&mut orders.drain, true));
        }
    }

    /// Which edges are connected.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeId> {
        self.live.lock().keys().cloned().collect()
    }

    /// Each edge shall forget those that are named for it, and no others any more. Said again, it is the same order.
    pub fn forget(&self, mut players: BTreeMap<EdgeId, Vec<(ErasureId, String)>>) {
        for (edge, live) in self.live.lock().iter() {
            let forget = players.remove(edge).unwrap_or_default();
            live.orders.send_if_modified(|orders| {
                let news = *orders.forget != *forget;
                if news {
                    orders.forget = forget.into();
                }
                news
            });
        }
    }

    /// Every edge shall be sent its regions whole.
    pub fn warm(&self) {
        for live in self.live.lock().values() {
            live.orders.send_modify(|orders| orders.warm += 1);
        }
    }

    /// Notes what an edge has told of a region.
    pub fn told(&self, edge: &EdgeId, region: &RegionId, note: impl FnOnce(&mut Told)) {
        if let Some(live) = self.live.lock().get_mut(edge) {
            note(live.told.entry(region.clone()).or_default());
        }
    }

    /// What all have told of a region whose newest version is this.
    #[must_use]
    pub fn census(&self, region: &RegionId, newest: (Epoch, Version)) -> Census {
        let live = self.live.lock();
        let told = live.values().filter_map(|live| live.told.get(region));
        told.fold(Census::default(), |sum, told| {
            let counts = match &told.standings {
                Some((epoch, standings)) => {
                    game_servers((told.connected, *epoch), standings, newest)
                }
                None => GameServers::default(),
            };
            Census {
                game_servers: sum.game_servers + counts,
                quarantined: sum.quarantined + told.quarantined,
            }
        })
    }

    /// How many edges are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_claim_wins_in_whatever_order_they_come() {
        let registry = Registry::default();
        let edge: EdgeId = "us-east-1".parse().unwrap();
        let enter = |claim| registry.enter(&edge, claim, Orders::default()).superseded;
        let first = enter(1);
        let third = enter(3);
        assert!(first.is_cancelled() && !third.is_cancelled());
        let second = enter(2);
        assert!(second.is_cancelled() && !third.is_cancelled());
        registry.claimed(&edge, 3);
        assert!(!third.is_cancelled());
        registry.leave(&edge, 1);
        assert_eq!(registry.len(), 1);
        registry.claimed(&edge, 4);
        assert!(third.is_cancelled());
        registry.leave(&edge, 3);
        assert!(registry.is_empty());
    }

    #[test]
    fn orders_are_for_whom_they_are_meant_and_a_repeated_drain_is_one() {
        let registry = Registry::default();
        let edges: Vec<EdgeId> = ["a", "b"].map(|id| id.parse().unwrap()).into();
        let mut seats: Vec<_> = edges
            .iter()
            .map(|edge| registry.enter(edge, 1, Orders::default()))
            .collect();
        // Of the connection before it.
        registry.drain(&edges[0], 0);
        registry.drain(&edges[0], 1);
        let orders = |seats: &mut Vec<Seat>| {
            let seats = seats.iter_mut();
            let orders = seats.map(|seat| {
                let news = seat.orders.has_changed().unwrap();
                (news, seat.orders.borrow_and_update().clone())
            });
            orders.collect::<Vec<_>>()
        };
        let drained = Orders {
            drain: true,
            ..Orders::default()
        };
        assert_eq!(
            orders(&mut seats),
            [(true, drained.clone()), (false, Orders::default())]
        );
        registry.drain(&edges[0], 1);
        assert_eq!(orders(&mut seats)[0], (false, drained));
        registry.warm();
        let warm = |drain| Orders {
            drain,
            warm: 1,
            ..Orders::default()
        };
        assert_eq!(
            orders(&mut seats),
            [(true, warm(true)), (true, warm(false))]
        );
    }

    #[test]
    fn whom_to_forget_is_told_once_until_it_is_another_list() {
        let registry = Registry::default();
        let edge: EdgeId = "a".parse().unwrap();
        let mut orders = registry.enter(&edge, 1, Orders::default()).orders;
        let zoe = (ErasureId(uuid::Uuid::from_u128(1)), "zoe".to_owned());
        let gone: EdgeId = "gone".parse().unwrap();
        let all = BTreeMap::from([(edge.clone(), vec![zoe.clone()]), (gone, vec![zoe.clone()])]);
        registry.forget(all.clone());
        assert!(orders.has_changed().unwrap());
        assert_eq!(*orders.borrow_and_update().forget, [zoe]);
        registry.forget(all);
        assert!(!orders.has_changed().unwrap());
        registry.forget(BTreeMap::new());
        assert!(orders.borrow_and_update().forget.is_empty());
        assert_eq!(registry.edges(), [edge]);
    }

    #[test]
    fn a_census_counts_what_connected_edges_told_last() {
        let registry = Registry::default();
        let (region, epoch) = ("us-east".parse().unwrap(), Epoch(uuid::Uuid::from_u128(5)));
        let standing = |version, applied| Standing {
            version: Version(version),
            received: applied,
            applied,
            deferred: 0,
        };
        for (id, applied, quarantined) in [("a", 3, 0), ("b", 2, 1)] {
            let edge: EdgeId = id.parse().unwrap();
            registry.enter(&edge, 1, Orders::default());
            registry.told(&edge, &region, |told| {
                told.connected = 5;
                told.standings = Some((epoch, vec![standing(6, 1), standing(7, applied)]));
                told.quarantined = quarantined;
            });
        }
        let counted = |version| {
            let census = registry.census(&region, (epoch, Version(version)));
            let servers = census.game_servers;
            (servers.connected, servers.applied, census.quarantined)
        };
        assert_eq!(counted(7), (10, 5, 1));
        assert_eq!(counted(6), (10, 7, 1));
        registry.leave(&"b".parse().unwrap(), 1);
        assert_eq!(counted(7), (5, 3, 0));
        assert_eq!(
            registry.census(&"eu-west".parse().unwrap(), (epoch, Version(7))),
            Census::default()
        );
    }
}
