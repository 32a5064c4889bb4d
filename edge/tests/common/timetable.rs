//! A place where events are scheduled: an origin with one history, edges that hold it, and a clock that the test moves.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::entry::Entry;
use liveevents_protocol::model::Assignment;
use liveevents_protocol::schedule::{Occurrence, Schedule};
use liveevents_service::clock::ManualClock;
use liveevents_service::token::{Claims, Role};
use serde_json::Value;

use super::edge::{Edge, Setup};
use super::history::{History, assignment, epoch, put};
use super::identity::Identity;
use super::origin::{Link, Origin};
use super::{clock, start};

pub struct Place {
    pub identity: Identity,
    pub hand: ManualClock,
    pub origin: Origin,
    pub history: History,
}

/// So many minutes after the start.
pub fn minute(minutes: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minutes)
}

/// Revision 1, in occurrences given in minutes.
pub fn scheduled(name: &str, occurrences: &[(i64, i64)]) -> Assignment {
    let occurrences = occurrences.iter().map(|&(opens, closes)| Occurrence {
        opens: minute(opens),
        closes: minute(closes),
    });
    Assignment {
        schedule: Schedule::new(occurrences.collect()).unwrap(),
        ..assignment(name, 1)
    }
}

impl Place {
    /// With an event that is always there.
    pub fn new() -> Self {
        let (identity, hand) = (Identity::new(), clock());
        let origin = Origin::start(&identity, &hand.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        Self {
            identity,
            hand,
            origin,
            history,
        }
    }

    /// An edge that holds the history.
    pub async fn edge(&self) -> (Edge, Link) {
        let clock = self.hand.clock();
        let setup = Setup::new(&self.identity, &clock, &[self.origin.address]);
        let edge = setup.start().await;
        let link = self.origin.serve(&[&self.history]).await;
        (edge, link)
    }

    /// Of a game server, good for as long as the test may move the clock.
    pub fn token(&self) -> String {
        let claims = self.identity.claims(Role::GameServer, "gs-1", &["us-east"]);
        self.identity.sign(&Claims {
            expires_at: start() + SignedDuration::from_hours(24 * 365),
            ..claims
        })
    }

    /// One change more, in force at the edge.
    pub async fn change(&mut self, link: &mut Link, entries: Vec<Entry>) {
        let version = self.history.commit(entries, start());
        link.rows(&self.history, version.0 - 1, version.0).await;
        link.acked(&self.history, version).await;
    }

    /// What a player is shown, by an HTTP read.
    pub async fn read(&self, edge: &Edge, player: &str, query: &str) -> Value {
        let path = format!("/api/v1/players/{player}/events?region=us-east{query}");
        let (status, answer) = edge.get(&path, &self.token()).await;
        assert!(status.is_success(), "{status}: {answer}");
        answer["events"].clone()
    }

    /// The names of it.
    pub async fn shown(&self, edge: &Edge) -> Vec<String> {
        let events = self.read(edge, "p-1", "").await;
        let names = events.as_array().unwrap().iter();
        names
            .map(|event| event["eventId"].as_str().unwrap().to_owned())
            .collect()
    }
}
