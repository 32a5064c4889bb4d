//! What a connection does with what it is told: the region's state, or players' events.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::limits::MAX_COMPLAINTS;
use liveevents_protocol::message::{
    AckStatus, ClientMessage, ClientNack, Current, Cursor, DeltaMessage, PlayerEvents,
    SnapshotMessage, Unread,
};
use liveevents_protocol::version::{Epoch, Version};
use tokio::time::Instant;

use super::{Connection, Context};
use crate::config::Update;
use crate::disconnected::Disconnected;
use crate::replica::{self, Forward, Taken};
use crate::requests::shortened;
use crate::role::{Holder, Role};

impl Connection<'_> {
    /// At level Watch nothing of the region is held.
    fn holder(&self) -> Option<&Arc<Holder>> {
        match self.context.role {
            Role::Hold(_, holder) => Some(holder),
            Role::Watch(_) => None,
        }
    }

    pub(super) async fn snapshot(
        &mut self,
        piece: SnapshotMessage,
        bytes: usize,
        received_at: Timestamp,
    ) -> Result<(), Disconnected> {
        self.context.shared.clock.raise(piece.time, received_at);
        let Some(whole) = self.assembly.add(piece, bytes)? else {
            return Ok(());
        };
        let Some(holder) = self.holder() else {
            return Ok(());
        };
        let committed_at = whole.committed_at;
        let held = holder.state.load();
        let taken = replica::snapshot(held.as_deref(), holder.lacks_something(), whole)?;
        drop(held);
        self.take(taken, committed_at, received_at).await
    }

    pub(super) async fn delta(
        &mut self,
        message: DeltaMessage,
        received_at: Timestamp,
    ) -> Result<(), Disconnected> {
        self.context.shared.clock.raise(message.time, received_at);
        let Some(holder) = self.holder() else {
            return Ok(());
        };
        let committed_at = message.committed_at;
        let held = holder.state.load();
        let taken = replica::delta(held.as_deref(), message)?;
        drop(held);
        self.take(taken, committed_at, received_at).await
    }

    async fn take(
        &mut self,
        taken: Taken,
        committed_at: Option<Timestamp>,
        received_at: Timestamp,
    ) -> Result<(), Disconnected> {
        let Context { config, shared, .. } = self.context;
        self.behind_since = None;
        let mut unread = Vec::new();
        if let Taken::Forward(forward) = taken {
            self.has_worked = true;
            if let Some(holder) = self.holder() {
                holder.take(&forward);
            }
            let Forward { from, state, .. } = forward;
            unread = forward.unread;
            let cursor = Cursor {
                epoch: state.epoch(),
                version: state.version(),
            };
            if let Some(observer) = &config.observer {
                observer.observe(&Update {
                    epoch: cursor.epoch,
                    from,
                    version: cursor.version,
                    committed_at,
                    received_at,
                    state,
                });
            }
            shared.synced();
            shared.wake(cursor);
        }
        let Some(held) = shared.cursor() else {
            return Ok(());
        };
        self.nack_all(held, unread).await?;
        self.has_come(held, Instant::now());
        self.send_acks().await
    }

    /// Tells what could not be read. The edge counts; one word an event is enough.
    async fn nack_all(&mut self, held: Cursor, unread: Vec<Unread>) -> Result<(), Disconnected> {
        let mut told = BTreeSet::new();
        for Unread {
            event,
            revision,
            reason,
        } in unread
        {
            tracing::error!(
                event = event.as_ref().map(|event| event.as_str()),
                reason,
                "cannot read a part of the region"
            );
            let Some(event_id) = event else { continue };
            if told.len() >= MAX_COMPLAINTS || !told.insert(event_id.clone()) {
                continue;
            }
            let nack = ClientNack {
                epoch: held.epoch,
                version: held.version,
                event_id,
                revision,
                reason: shortened(&reason),
            };
            self.socket.send(&ClientMessage::Nack(nack)).await?;
        }
        Ok(())
    }

    /// The application says that its players see something.
    pub(super) async fn applied(&mut self) -> Result<(), Disconnected> {
        let applied = self.applied.as_mut();
        let applied = applied.and_then(|applied| *applied.borrow_and_update());
        if let Some(applied) = applied {
            self.acks.due(applied, AckStatus::Applied, Instant::now());
        }
        self.send_acks().await
    }

    pub(super) fn player(&mut self, events: PlayerEvents) -> Result<(), Disconnected> {
        if let Role::Watch(audience) = self.context.role
            && self.is_not_behind(events.epoch, events.version)?
        {
            audience.told(events);
        }
        Ok(())
    }

    /// Every player watched has been told.
    pub(super) async fn current(&mut self, current: &Current) -> Result<(), Disconnected> {
        let shared = self.context.shared;
        if !matches!(self.context.role, Role::Watch(_))
            || !self.is_not_behind(current.epoch, current.version)?
        {
            return Ok(());
        }
        let told = Cursor {
            epoch: current.epoch,
            version: current.version,
        };
        self.behind_since = None;
        self.has_worked = true;
        shared.synced();
        shared.wake(told);
        self.has_come(told, Instant::now());
        self.send_acks().await
    }

    /// What is told of players needs no history, so only a step back is refused.
    fn is_not_behind(&mut self, epoch: Epoch, version: Version) -> Result<bool, Disconnected> {
        let Some(held) = self.context.shared.cursor() else {
            return Ok(true);
        };
        if epoch < held.epoch {
            return Err(Disconnected::EarlierEpoch {
                ours: held.epoch,
                theirs: epoch,
            });
        }
        let is_behind = epoch == held.epoch && version < held.version;
        if is_behind {
            self.behind_since.get_or_insert_with(Instant::now);
        }
        Ok(!is_behind)
    }

    /// Tells the edge who is watched, as far as it does not know.
    pub(super) async fn tell_watched(&mut self) -> Result<(), Disconnected> {
        let Role::Watch(audience) = self.context.role else {
            return Ok(());
        };
        for message in audience.news_for(&mut self.watched) {
            self.socket.send(&message).await?;
        }
        Ok(())
    }
}
