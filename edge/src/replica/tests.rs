//! What the replica promises: a chain of rows equals a snapshot, nothing goes back, what does not continue is
//! refused, texts are shared.

mod laws;
mod publication;
mod rows;
mod texts;

use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::version::Version;

use super::history::{History, epoch, put, remove};
use super::{Assembly, Publication, Published, Refused, Region, Replica, apply_rows};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Four versions: two events, one of them edited, the other withdrawn.
fn sample() -> History {
    let mut history = History::new("us-east", epoch(5));
    history.commit(put("sale", 1), NOW);
    history.commit(put("cup", 1), NOW);
    history.commit(put("sale", 2), NOW);
    history.commit(remove("cup", 1), NOW);
    history
}

fn region() -> Arc<Region> {
    let home = "us-east".parse().unwrap();
    let replica = Replica::new(home, &[]);
    let region = replica.regions().next().map(Arc::clone);
    region.unwrap()
}

/// The history's state at a version, as the origin tells it.
fn told(history: &History, at: u64) -> Published {
    let at = Version(at);
    Published::from_origin(history.state(at).clone(), history.position(at), None)
}

/// The same, found in the cache.
fn cached(history: &History, at: u64) -> Published {
    let at = Version(at);
    Published::from_cache(history.state(at).clone(), history.position(at), None)
}

fn assemble(history: &History, at: u64) -> Published {
    let mut slot = None;
    let mut whole = None;
    for chunk in history.chunks(Version(at)) {
        assert!(whole.is_none());
        whole = Assembly::add(&mut slot, &chunk).unwrap();
    }
    assert!(slot.is_none());
    whole.unwrap()
}
