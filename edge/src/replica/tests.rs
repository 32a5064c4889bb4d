//! What the replica promises: a chain of rows equals a snapshot, nothing goes back, what does not continue is
//! refused, texts are shared.

mod laws;
mod poison;
mod publication;
mod rows;
mod texts;

use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::frame::{Rows, SnapshotChunk};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::Version;

use super::history::{History, epoch, put, remove};
use super::{Assembly, Publication, Published, Refused, Region, Replica, Trial};

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

/// Nothing has ended a process before.
struct Willing;

impl Trial for Willing {
    fn begin(&self, _: Cursor, _: &EntryKey) -> bool {
        true
    }

    fn end(&self) {}
}

fn apply_rows(held: Option<&Published>, rows: &Rows) -> Result<Option<Published>, Refused> {
    super::apply_rows(held, rows, &Willing)
}

fn add(slot: &mut Option<Assembly>, chunk: &SnapshotChunk) -> Result<Option<Published>, Refused> {
    Assembly::add(slot, chunk, None, &Willing)
}

fn assemble(history: &History, at: u64) -> Published {
    let mut slot = None;
    let mut whole = None;
    for chunk in history.chunks(Version(at)) {
        assert!(whole.is_none());
        whole = add(&mut slot, &chunk).unwrap();
    }
    assert!(slot.is_none());
    whole.unwrap()
}
