//! Notices of what has begun or ended, to a game server that lacks nothing else.
//!
//! They are derived from state and time, and nothing depends on receiving them: who is too far behind misses the oldest,
//! and one of an event that no longer passes a filter by type or tags is not sent, since the change has said that it is
//! gone.

use parking_lot::MutexGuard;

use super::{End, Link, State};
use crate::limits::NOTICES_AT_ONCE;
use crate::metrics::ServerMetrics;
use crate::replica::Published;
use crate::websocket::Written;

/// How many notices were sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct Noticed {
    activated: u64,
    deactivated: u64,
    bytes: usize,
}

impl Noticed {
    fn add(&mut self, kind: &str, bytes: usize) {
        let count = match kind {
            "activated" => &mut self.activated,
            _ => &mut self.deactivated,
        };
        *count += 1;
        self.bytes += bytes;
    }

    /// With those of another game server.
    pub(in crate::serve) fn and(&mut self, other: &Self) {
        self.activated += other.activated;
        self.deactivated += other.deactivated;
        self.bytes += other.bytes;
    }

    /// Counts them.
    pub(in crate::serve) fn count(&self, servers: &ServerMetrics) {
        if self.bytes == 0 {
            return;
        }
        let sent = |kind| servers.sent.with_label_values(&[kind]);
        sent("activated").inc_by(self.activated);
        sent("deactivated").inc_by(self.deactivated);
        servers.sent_bytes.inc_by(self.bytes as u64);
    }
}

impl Link {
    /// Sends some of the notices that it lacks, while busy and with nothing waiting.
    pub(in crate::serve::connection) fn send_notices(&self, published: &Published) -> Noticed {
        self.notify(&mut self.state.lock(), published)
    }

    /// Sends notices as far as there is room; what is left is its own task's.
    pub(super) fn notify(
        &self,
        state: &mut MutexGuard<'_, State>,
        published: &Published,
    ) -> Noticed {
        let mut noticed = Noticed::default();
        for _ in 0..NOTICES_AT_ONCE {
            let Some((notice, seen)) = self.region.notices().after(state.noticed) else {
                return noticed;
            };
            let wanted = |filter| published.state().passes(filter, &notice.event);
            if self.selection.as_deref().is_none_or(wanted) {
                match state.outgoing.write(&self.outlet, &notice.frame) {
                    Ok(Written::Whole) => {}
                    Ok(Written::Part) => {
                        state.noticed = seen;
                        noticed.add(notice.kind, notice.frame.len());
                        state.wake();
                        return noticed;
                    }
                    Ok(Written::Nothing) => {
                        state.full = true;
                        state.wake();
                        return noticed;
                    }
                    Err(_) => {
                        state.end(End::Left);
                        return noticed;
                    }
                }
                noticed.add(notice.kind, notice.frame.len());
            }
            state.noticed = seen;
        }
        state.wake();
        noticed
    }
}
