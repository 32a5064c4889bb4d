//! Writing the audit log from a handler.

use jiff::Timestamp;
use liveevents_service::http::{Caller, TraceId};
use serde::Serialize;
use sqlx::PgConnection;

use crate::store::StoreError;
use crate::store::audit::{self, Deed};

/// No state before, or after.
pub(super) const NOTHING: Option<()> = None;

/// The trace id of the request being answered, as text.
pub(super) fn trace_id() -> Option<String> {
    TraceId::current().map(|id| id.to_string())
}

/// Records what a caller did, in the transaction that does it.
pub(super) async fn record<B: Serialize, A: Serialize>(
    conn: &mut PgConnection,
    caller: &Caller,
    (action, subject): (&'static str, &str),
    (before, after): (Option<B>, Option<A>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let trace_id = trace_id();
    let deed = Deed {
        actor: caller.subject(),
        action,
        subject,
        before,
        after,
        trace_id: trace_id.as_deref(),
    };
    audit::record(conn, deed, now).await
}
