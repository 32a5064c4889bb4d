//! The first message of a game server: waited for, and judged.

use std::sync::Arc;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::limits::HELLO_DEADLINE;
use liveevents_protocol::message::{ClientMessage, Cursor, Level};
use liveevents_service::token::Claims;
use tokio::io::AsyncRead;
use tokio::time::timeout;

use super::{End, going_away, malformed, parse};
use crate::delivery::Receiver;
use crate::replica::{Region, Selection};
use crate::serve::Serving;
use crate::serve::watch::Wants;
use crate::websocket::{Event, Outgoing, Outlet, Reader, frame};

/// A game server that may be served.
pub(super) struct Entry {
    pub(super) region: Arc<Region>,
    pub(super) level: Level,
    pub(super) selection: Selection,
    pub(super) receiver: Receiver,
    pub(super) position: Option<Cursor>,
    /// What it has said for all its players.
    pub(super) wants: Wants,
}

/// Waits for the hello, and enters the game server. Pings are answered meanwhile.
pub(super) async fn greet<R: AsyncRead + Unpin>(
    serving: &Serving,
    reader: &mut Reader<R>,
    outgoing: &mut Outgoing,
    outlet: &dyn Outlet,
    claims: &Claims,
) -> Result<Entry, End> {
    let first = timeout(HELLO_DEADLINE, first_text(reader, outgoing, outlet));
    let text = tokio::select! {
        () = serving.drain.begun() => return Err(going_away()),
        text = first => text.map_err(|_| {
            End::Close(CloseReason::TimedOut, "no hello in time".to_owned())
        })??,
    };
    let ClientMessage::Hello(hello) = parse(serving, &text)? else {
        return Err(malformed("the first message must be a hello"));
    };
    if !claims.covers(&hello.region) {
        let message = format!("region: the token does not cover {}", hello.region);
        return Err(End::Close(CloseReason::RegionNotAllowed, message));
    }
    hello.filter.check().map_err(malformed)?;
    let wants = Wants::of(&hello)
        .map_err(|fault| malformed(format!("{}: {}", fault.field, fault.message)))?;
    let region = serving.replica.region(&hello.region);
    let ledger = serving.ledgers.region(&hello.region);
    let Some((region, ledger)) = region.zip(ledger) else {
        let message = format!("region: this edge does not serve {}", hello.region);
        return Err(End::Close(CloseReason::RegionNotServed, message));
    };
    let Some(selection) = serving.registry.select(hello.filter) else {
        let message = "filter: this edge serves no more different ones at once".to_owned();
        return Err(End::Close(CloseReason::Overloaded, message));
    };
    Ok(Entry {
        region: Arc::clone(region),
        level: hello.level,
        selection,
        receiver: ledger.enter(hello.position),
        position: hello.position,
        wants,
    })
}

async fn first_text<R: AsyncRead + Unpin>(
    reader: &mut Reader<R>,
    outgoing: &mut Outgoing,
    outlet: &dyn Outlet,
) -> Result<String, End> {
    loop {
        match reader.next().await? {
            Event::Text(text) => return Ok(text),
            Event::Ping(payload) => {
                let pong = frame::pong(&payload);
                outgoing.pong(outlet, pong).map_err(|_| End::Left)?;
                let flushed = std::future::poll_fn(|cx| outgoing.poll_flush(outlet, cx));
                flushed.await.map_err(|_| End::Left)?;
            }
            Event::Pong => {}
            Event::Close(code) => return Err(End::Goodbye(code)),
            Event::Binary(_) => return Err(super::binary()),
        }
    }
}
