//! What receivers are sent, as frames ready for the wire, encoded once for all of them.
//!
//! Nothing is encoded before somebody needs it. What many need at once is encoded by the first; the others wait for
//! it. Deltas are kept by the version that they start from and by filter, for as long as the state that they lead to is in
//! force, or somebody is still being sent it; snapshots by filter, and for a while longer ([`Base`]).

mod base;
mod pieces;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::{DeltaMessage, MessageError, ServerMessage};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Version;
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::OnceCell;

use crate::limits::{DELTAS_KEPT, INLINE_ENTRIES, SPARED};
use crate::websocket::frame;

pub(super) use base::Base;

/// Which events a receiver wants; `None` is all of them.
pub(crate) type Selection = Option<Arc<Filter>>;

/// What a receiver is told of what changed since its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// This.
    Frame(Bytes),
    /// Nothing: nothing that it wants has changed.
    Nothing,
    /// What it wants is not known from there on: it needs a snapshot.
    Everything,
}

/// Counts what is encoded.
#[derive(Clone)]
pub(crate) struct Encodings {
    pub(crate) deltas: IntCounter,
    pub(crate) snapshots: IntCounter,
}

/// When, and how that is counted.
#[derive(Clone, Copy)]
pub(crate) struct Press<'a> {
    pub(crate) now: Timestamp,
    pub(crate) encodings: &'a Encodings,
}

/// What is told of.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) state: &'a RegionState,
    /// When its last row was written, where that is known.
    pub(super) committed_at: Option<Timestamp>,
    /// Whether it lacks what cannot be applied here.
    pub(super) degraded: bool,
}

/// What has been encoded of one published state.
#[derive(Debug, Default)]
pub(super) struct Frames {
    deltas: Kept<(Version, Selection), Told>,
}

impl Frames {
    /// `from` is at or above the state's floor and at or below its version.
    pub(super) async fn delta(
        &self,
        told: State<'_>,
        from: Version,
        selection: &Selection,
        press: Press<'_>,
    ) -> Result<Told, MessageError> {
        let encode = || tell(told, from, selection, press);
        let key = (from, selection.clone());
        self.deltas.find(key, DELTAS_KEPT, encode).await
    }
}

async fn tell(
    told: State<'_>,
    from: Version,
    selection: &Selection,
    press: Press<'_>,
) -> Result<Told, MessageError> {
    let State {
        state,
        committed_at,
        degraded,
    } = told;
    let delta = match selection {
        Some(filter) => state.since_for(from, filter),
        None => state.since(from),
    };
    let Some(delta) = delta else {
        return Ok(Told::Everything);
    };
    // Who has been told nothing for long is told that: its position would fall below the floor.
    let spared = selection.is_some() && delta.to.0.saturating_sub(from.0) <= SPARED;
    if delta.entries.is_empty() && spared {
        return Ok(Told::Nothing);
    }
    press.encodings.deltas.inc();
    let long = delta.entries.len() > INLINE_ENTRIES;
    let encode = move || {
        let message = DeltaMessage {
            degraded,
            ..DeltaMessage::new(delta, press.now, committed_at)
        };
        let text = ServerMessage::Delta(message).print()?;
        Ok(Told::Frame(frame::text(&text)))
    };
    if long {
        off_the_runtime(encode).await
    } else {
        encode()
    }
}

/// Values made once, by the first who needs them.
#[derive(Debug)]
struct Kept<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Of as many as `limit` are kept; one more is made for whoever asks, and for nobody else.
    async fn find<M: Future<Output = Result<V, MessageError>>>(
        &self,
        key: K,
        limit: usize,
        make: impl FnOnce() -> M,
    ) -> Result<V, MessageError> {
        let cell = {
            let mut cells = self.0.lock();
            let full = cells.len() >= limit && !cells.contains_key(&key);
            (!full).then(|| Arc::clone(cells.entry(key).or_default()))
        };
        match cell {
            Some(cell) => cell.get_or_try_init(make).await.cloned(),
            None => make().await,
        }
    }
}

async fn off_the_runtime<T: Send + 'static>(
    encode: impl FnOnce() -> Result<T, MessageError> + Send + 'static,
) -> Result<T, MessageError> {
    match tokio::task::spawn_blocking(encode).await {
        Ok(encoded) => encoded,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and drops this task too.
            Err(_) => std::future::pending().await,
        },
    }
}
