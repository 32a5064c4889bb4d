//! What the application asks of the edge: queries, which need a connection now, and nacks, which wait for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use liveevents_protocol::limits::{MAX_QUERY, MAX_REASON};
use liveevents_protocol::message::{ClientNack, PlayerMessage, Query, QueryResult, RefusedMessage};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::limits;

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// No edge is connected, or it left before it answered.
    #[error("no edge is connected")]
    NotConnected,
    /// More players than one query may have.
    #[error("a query has at most {MAX_QUERY} players, not {0}")]
    TooMany(usize),
    /// Too many requests are under way.
    #[error("too many requests are under way")]
    Busy,
    /// The edge did not take it.
    #[error("the edge refused the query: {}", .0.message)]
    Refused(RefusedMessage),
    /// No answer within [`limits::QUERY`].
    #[error("the edge did not answer within {:?}", limits::QUERY)]
    TimedOut,
}

/// Something to tell the edge.
#[derive(Debug)]
pub(crate) enum Request {
    Query(Query, Answer),
    Nack(ClientNack),
}

pub(crate) type Answer = oneshot::Sender<Result<QueryResult, RefusedMessage>>;

/// The application's end.
#[derive(Debug)]
pub(crate) struct Asking {
    sender: mpsc::Sender<Request>,
    next: AtomicU64,
}

/// The task's end.
#[derive(Debug)]
pub(crate) struct Requests {
    receiver: mpsc::Receiver<Request>,
    /// Not told yet.
    nacks: VecDeque<ClientNack>,
}

pub(crate) fn channel() -> (Asking, Requests) {
    let (sender, receiver) = mpsc::channel(limits::REQUESTS);
    let asking = Asking {
        sender,
        next: AtomicU64::new(1),
    };
    let requests = Requests {
        receiver,
        nacks: VecDeque::new(),
    };
    (asking, requests)
}

impl Asking {
    pub(crate) async fn query(
        &self,
        players: Vec<PlayerMessage>,
        include_config: bool,
    ) -> Result<QueryResult, QueryError> {
        if players.len() > MAX_QUERY {
            return Err(QueryError::TooMany(players.len()));
        }
        let (sender, receiver) = oneshot::channel();
        let query = Query {
            id: self.next.fetch_add(1, Ordering::Relaxed).to_string(),
            players,
            include_config,
        };
        self.sender
            .try_send(Request::Query(query, sender))
            .map_err(|_| QueryError::Busy)?;
        match timeout(limits::QUERY, receiver).await {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(refused))) => Err(QueryError::Refused(refused)),
            Ok(Err(_)) => Err(QueryError::NotConnected),
            Err(_) => Err(QueryError::TimedOut),
        }
    }

    /// Whether there was room for it.
    pub(crate) fn nack(&self, nack: ClientNack) -> bool {
        self.sender.try_send(Request::Nack(nack)).is_ok()
    }
}

impl Requests {
    /// The next request. Cancel safe. Never, once the application has dropped its end.
    pub(crate) async fn next(&mut self) -> Request {
        if let Some(nack) = self.nacks.pop_front() {
            return Request::Nack(nack);
        }
        match self.receiver.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Takes what is asked while no edge is connected: a query has no answer then, a nack is kept, the newest ones.
    /// Cancel safe; never ends.
    pub(crate) async fn while_away(&mut self) {
        while let Some(request) = self.receiver.recv().await {
            match request {
                Request::Query(_, answer) => drop(answer),
                Request::Nack(nack) => self.put_back(nack),
            }
        }
        std::future::pending().await
    }

    /// To be told to the next edge.
    pub(crate) fn put_back(&mut self, nack: ClientNack) {
        if self.nacks.len() >= limits::REQUESTS {
            self.nacks.pop_front();
        }
        self.nacks.push_back(nack);
    }
}

/// What there is room for in a nack.
pub(crate) fn shortened(reason: &str) -> String {
    let end = reason.floor_char_boundary(MAX_REASON);
    reason.get(..end).unwrap_or_default().to_owned()
}
