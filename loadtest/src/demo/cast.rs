//! The game servers of the show: they say what they receive.

use liveevents_client::{Observer, Update};
use liveevents_protocol::entry::{Entry, EntryKey, Value};
use liveevents_protocol::evaluate::{Keys, Moment, Offer, evaluate};
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::{Assignment, BucketBy};
use liveevents_protocol::version::Epoch;

use super::stage::Stage;
use crate::failure::Failure;
use crate::fleet::{self, GameServer, Place};
use crate::receipts::Receipts;

/// Players that the audience is counted over.
pub(super) const PLAYERS: usize = 1_000;

/// The game servers, with what each received.
#[derive(Debug)]
pub(super) struct Cast {
    servers: Vec<(GameServer, Receipts)>,
}

impl Cast {
    /// Opens some in each place, and waits until they hold their region.
    pub(super) async fn open(
        places: &[Place],
        each: u32,
        token: &str,
        stage: &Stage,
    ) -> Result<Self, Failure> {
        let mut servers = Vec::new();
        let mut receipts = Vec::new();
        for place in places {
            for number in 1..=each {
                let name = format!("{}/{number}", place.region);
                let own = Receipts::default();
                let observer = speaking(&name, &own, stage);
                servers.push(fleet::start(place, name, token, observer)?);
                receipts.push(own);
            }
        }
        fleet::ready(&servers).await?;
        Ok(Self {
            servers: servers.into_iter().zip(receipts).collect(),
        })
    }

    /// Those of a region.
    pub(super) fn of(&self, region: &RegionId) -> impl Iterator<Item = &(GameServer, Receipts)> {
        self.servers
            .iter()
            .filter(move |(server, _)| server.region == *region)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &GameServer> {
        self.servers.iter().map(|(server, _)| server)
    }

    /// The history that they are in.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.all()
            .find_map(|server| Some(server.client.state()?.epoch()))
    }

    /// Ends them in order.
    pub(super) async fn close(self) {
        for (server, _) in self.servers {
            server.client.close().await;
        }
    }
}

/// How many of [`PLAYERS`] a game server shows an event to, reckoned from its own copy.
pub(super) fn audience(server: &GameServer, event: &EventId) -> usize {
    let now = server.client.edge_time();
    let state = server.client.state();
    let Some(state) = state.as_deref() else {
        return 0;
    };
    let Some(assignment) = state.assignment(event) else {
        return 0;
    };
    let by = assignment
        .candidate
        .as_ref()
        .map_or(BucketBy::PLAYER, |c| &c.bucket_by.0);
    let offer = Offer::of(state, assignment);
    let sees = |number: &usize| {
        let player = format!("player-{number}");
        let keys = [(by, player.as_str())];
        let outcome = evaluate(offer, &Keys(&keys).into(), Moment::fresh(now));
        outcome.revision().is_some()
    };
    (0..PLAYERS).filter(sees).count()
}

fn speaking(name: &str, receipts: &Receipts, stage: &Stage) -> Observer {
    let (name, stage) = (name.to_owned(), stage.clone());
    let receipts = receipts.clone();
    Observer::new(move |update| {
        receipts.record(update);
        stage.mention(told(&name, update));
    })
}

/// What a game server says of an update, in one line.
fn told(name: &str, update: &Update) -> String {
    let since = update.committed_at.map(|at| {
        let micros = update.received_at.duration_since(at).as_micros();
        format!("  ({:.1} ms after the commit)", micros as f64 / 1_000.0)
    });
    let since = since.unwrap_or_default();
    let what = match update.from.and_then(|from| update.state.since(from)) {
        None => format!("holds {} event(s)", update.state.assignments().count()),
        Some(delta) => {
            let changes = delta
                .entries
                .iter()
                .filter_map(|stamped| entry(&stamped.entry));
            changes.collect::<Vec<_>>().join(", ")
        }
    };
    format!("    {name:<12} version {:<4} {what}{since}", update.version)
}

fn entry(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Put(Value::Assignment(assignment)) => Some(assigned(assignment)),
        Entry::Removal(EntryKey::Assignment(event)) => Some(format!("{event} is gone")),
        Entry::Put(Value::Segment(segment)) => Some(format!(
            "segment {} is revision {}",
            segment.id, segment.revision
        )),
        Entry::Removal(EntryKey::Segment(segment)) => Some(format!("segment {segment} is gone")),
        // Contents come and go with the assignments that need them.
        Entry::Put(Value::Content(_)) | Entry::Removal(EntryKey::Content(..)) => None,
    }
}

fn assigned(assignment: &Assignment) -> String {
    let live = assignment
        .live
        .map(|revision| format!("revision {revision} live"));
    let candidate = assignment.candidate.as_ref().map(|candidate| {
        let share = f64::from(candidate.exposure.value()) / 100.0;
        format!("revision {} for {share} %", candidate.revision)
    });
    let parts: Vec<_> = candidate.into_iter().chain(live).collect();
    let suspended = match (assignment.suspension.stopped, assignment.suspension.paused) {
        (true, _) => ", stopped",
        (false, true) => ", paused",
        (false, false) => "",
    };
    format!("{}: {}{suspended}", assignment.event_id, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_in_a_line() {
        let table = [
            (
                r#"{"eventId": "sale", "salt": "s", "live": 1}"#,
                "sale: revision 1 live",
            ),
            (
                r#"{"eventId": "sale", "salt": "s", "live": 1,
                    "candidate": {"revision": 2, "exposure": 1050}}"#,
                "sale: revision 2 for 10.5 %, revision 1 live",
            ),
            (
                r#"{"eventId": "sale", "salt": "s", "live": 3, "suspension": {"stopped": true}}"#,
                "sale: revision 3 live, stopped",
            ),
        ];
        for (json, line) in table {
            assert_eq!(assigned(&serde_json::from_str(json).unwrap()), line);
        }
    }
}
