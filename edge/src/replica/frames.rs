//! The texts that receivers are sent, encoded once for all of them.
//!
//! Nothing is encoded before somebody needs it. What many need at once is encoded by the first; the others wait for
//! it. Receivers far apart cost a text for each distinct place, of which [`MERGED_DELTAS`] are kept.

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::message::{DeltaMessage, MessageError, ServerMessage, SnapshotMessage};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Version;
use tokio::sync::OnceCell;

use crate::limits::{INLINE_ENTRIES, MERGED_DELTAS};

/// What has been encoded of one published state.
#[derive(Debug, Default)]
pub(super) struct Frames {
    snapshot: OnceCell<Bytes>,
    /// In order of first need: usually the change itself, then what laggards asked for.
    deltas: [OnceCell<(Version, Bytes)>; MERGED_DELTAS],
}

impl Frames {
    pub(super) async fn snapshot(
        &self,
        state: &RegionState,
        committed_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Bytes, MessageError> {
        let encode = || {
            let state = state.clone();
            // Always long.
            off_the_runtime(move || {
                print(&ServerMessage::Snapshot(SnapshotMessage::new(
                    state.snapshot(),
                    now,
                    committed_at,
                )))
            })
        };
        self.snapshot.get_or_try_init(encode).await.cloned()
    }

    /// `from` is at or above the state's floor and at or below its version.
    pub(super) async fn delta(
        &self,
        state: &RegionState,
        from: Version,
        committed_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Bytes, MessageError> {
        let encode = || async {
            let text = encode_delta(state, from, committed_at, now).await?;
            Ok::<_, MessageError>((from, text))
        };
        for cell in &self.deltas {
            let (held, text) = cell.get_or_try_init(encode).await?;
            if *held == from {
                return Ok(text.clone());
            }
        }
        encode_delta(state, from, committed_at, now).await
    }
}

async fn encode_delta(
    state: &RegionState,
    from: Version,
    committed_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Bytes, MessageError> {
    let Some(delta) = state.since(from) else {
        // Below the floor, against the contract: everything is right too.
        let message = SnapshotMessage::new(state.snapshot(), now, committed_at);
        return print(&ServerMessage::Snapshot(message));
    };
    let long = delta.entries.len() > INLINE_ENTRIES;
    let encode = move || {
        print(&ServerMessage::Delta(DeltaMessage::new(
            delta,
            now,
            committed_at,
        )))
    };
    if long {
        off_the_runtime(encode).await
    } else {
        encode()
    }
}

fn print(message: &ServerMessage) -> Result<Bytes, MessageError> {
    message.print().map(Bytes::from)
}

async fn off_the_runtime(
    encode: impl FnOnce() -> Result<Bytes, MessageError> + Send + 'static,
) -> Result<Bytes, MessageError> {
    match tokio::task::spawn_blocking(encode).await {
        Ok(text) => text,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and drops this task too.
            Err(_) => std::future::pending().await,
        },
    }
}
