//! Queries that wait for their answers. Who has asked waits with a deadline of its own, so what is left behind
//! here is only what a connection's end drops, which tells them too.

use std::collections::HashMap;

use liveevents_protocol::message::{QueryResult, RefusedMessage};

use crate::limits::REQUESTS;
use crate::requests::Answer;

/// By the query's id.
#[derive(Debug, Default)]
pub(super) struct Queries(HashMap<String, Answer>);

impl Queries {
    /// Whether there is room for one more.
    pub(super) fn asked(&mut self, id: String, answer: Answer) -> bool {
        self.0.retain(|_, answer| !answer.is_closed());
        if self.0.len() >= REQUESTS {
            return false;
        }
        self.0.insert(id, answer);
        true
    }

    pub(super) fn answered(&mut self, result: QueryResult) {
        if let Some(answer) = self.0.remove(&result.id) {
            // Who has asked may have given up.
            let _ = answer.send(Ok(result));
        }
    }

    pub(super) fn refused(&mut self, refused: &RefusedMessage) {
        let id = refused.id.as_ref();
        if let Some(answer) = id.and_then(|id| self.0.remove(id)) {
            let _ = answer.send(Err(refused.clone()));
        }
    }
}
