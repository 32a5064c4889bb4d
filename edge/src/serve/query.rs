//! `query`: what up to [`MAX_QUERY`] players are shown, asked by a game server and answered in one message.
//!
//! It answers what an HTTP read would for each of them at the same moment; where a player says no build or language, the
//! game server's hello counts. What is evaluated in one go is bounded, so that a long query holds up nobody else. An
//! answer longer than [`MAX_ANSWER`] is not given: whoever asked is told to ask for fewer players at once, or without the
//! configuration.

use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::limits::MAX_QUERY;
use liveevents_protocol::message::{Cursor, MessageError, Query};
use liveevents_service::limits::MAX_KEY;
use serde::Serialize;
use tokio::task::yield_now;

use super::watch::{Fault, View, check};
use crate::limits::{EVALUATIONS, FRESH_WITHIN, MAX_ANSWER};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(flatten)]
    at: Cursor,
    age_ms: u64,
    stale: bool,
    time: Timestamp,
}

/// Checks a query.
///
/// # Errors
/// Naming the first field that is not as it must be.
pub(super) fn judge(query: &Query) -> Result<(), Fault> {
    if query.id.is_empty() || query.id.len() > MAX_KEY {
        return Err(Fault::new("id", format!("must have 1 to {MAX_KEY} bytes")));
    }
    let count = query.players.len();
    if count == 0 || count > MAX_QUERY {
        let message = format!("must have 1 to {MAX_QUERY} members, has {count}");
        return Err(Fault::new("players", message));
    }
    for (index, player) in query.players.iter().enumerate() {
        check(player).map_err(|fault| fault.of_player(index))?;
    }
    Ok(())
}

/// Answers a query that [`judge`] has let pass: a message's text. `age` is how long ago the origin was last heard.
pub(super) async fn answer(
    view: View<'_>,
    query: &Query,
    age: Duration,
) -> Result<Result<Vec<u8>, Fault>, MessageError> {
    let mut text = serde_json::to_vec(&Head {
        kind: "result",
        id: &query.id,
        at: view.cursor(),
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        stale: age > FRESH_WITHIN,
        time: view.time(),
    })?;
    // The list goes in before the brace.
    text.pop();
    text.extend_from_slice(br#","players":["#);
    let mut evaluations = 0;
    for (index, player) in query.players.iter().enumerate() {
        let opening: &[u8] = if index == 0 { b"{" } else { b",{" };
        text.extend_from_slice(opening);
        text.extend_from_slice(br#""player":"#);
        serde_json::to_writer(&mut text, &player.player)?;
        text.extend_from_slice(br#","events":"#);
        let shown = view.shown(&player.player, player);
        shown.print(view.wording(player), &mut text);
        text.push(b'}');
        if text.len() > MAX_ANSWER {
            let message = format!(
                "the answer would have more than {MAX_ANSWER} bytes: ask for fewer at once, or without configuration"
            );
            return Ok(Err(Fault::new("players", message)));
        }
        evaluations += view.events().max(1);
        if evaluations >= EVALUATIONS {
            evaluations = 0;
            yield_now().await;
        }
    }
    text.extend_from_slice(b"]}");
    Ok(Ok(text))
}

#[cfg(test)]
mod tests;
