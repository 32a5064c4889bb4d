//! Who looks on while everything breaks: at what game servers were shown, and at what edges answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use liveevents_protocol::state::RegionState;
use serde_json::Value;
use tokio::sync::watch;

use crate::common::game_server::GameServer;
use crate::model::{Served, held};

/// What a game server was shown, looked at up to here.
#[derive(Default)]
pub(crate) struct Watchman {
    looked_at: usize,
    last: Option<(String, u64)>,
    /// What it held at each version.
    held: BTreeMap<u64, Served>,
}

impl Watchman {
    /// Looks at what is new: it has only gone forward, within one epoch, and every state was whole.
    pub(crate) fn look(&mut self, server: &GameServer) {
        for update in server.seen_since(self.looked_at) {
            self.looked_at += 1;
            let now = (update.epoch.to_string(), update.version.0);
            if let Some(last) = &self.last {
                assert!(*last < now, "{} went from {last:?} to {now:?}", server.name);
                assert_eq!(last.0, now.0, "{}: nothing has lost history", server.name);
            }
            self.last = Some(now);
            let served = held(&update.state);
            assert_whole(&server.name, &update.state, &served);
            self.held.insert(update.version.0, served);
        }
    }

    /// Every state was what the region serves as of its version.
    pub(crate) fn compare(
        &self,
        server: &GameServer,
        region: &str,
        history: &BTreeMap<(String, u64), Served>,
    ) {
        for (version, held) in &self.held {
            if let Some(served) = history.get(&(region.to_owned(), *version)) {
                assert_eq!(held, served, "{} at version {version}", server.name);
            }
        }
    }

    /// How many states it was shown.
    pub(crate) fn shown(&self) -> usize {
        self.looked_at
    }
}

fn assert_whole(name: &str, state: &RegionState, served: &Served) {
    for assignment in state.assignments() {
        state.check(&assignment.event_id).unwrap();
    }
    let mut stopped = served.values().map(|cell| cell.stopped);
    let first = stopped.next();
    assert!(
        stopped.all(|stopped| Some(stopped) == first),
        "{name} saw half a change: {served:?}"
    );
}

/// Whether an edge's process lives, and which it is: even numbers live.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life(Arc<AtomicU64>);

impl Life {
    /// It is about to be killed, or is there again.
    pub(crate) fn turn(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// The life that it is in, if it lives.
    fn now(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|life| life.is_multiple_of(2))
    }
}

/// Reads from an edge until told to stop: whatever is away, an edge that has answered once goes on, and never goes back.
/// Gives how often it answered.
pub(crate) async fn read(
    url: String,
    token: String,
    life: Life,
    stopped: watch::Receiver<bool>,
) -> u64 {
    let http = reqwest::Client::builder()
        .timeout(crate::common::LIMIT)
        .build()
        .unwrap();
    let mut answers = 0;
    let mut last: Option<(u64, (String, u64))> = None;
    while !*stopped.borrow() {
        // The pace of a player who looks often; nothing waits for it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(living) = life.now() else { continue };
        let answer = async {
            let answer = http.get(&url).bearer_auth(&token).send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.json::<Value>().await?))
        };
        let answer = answer.await;
        if life.now() != Some(living) {
            continue;
        }
        let before = last
            .as_ref()
            .filter(|(life, _)| *life == living)
            .map(|(_, place)| place);
        match answer {
            Ok((status, answer)) if status.is_success() => {
                let epoch = answer["epoch"].as_str().unwrap().to_owned();
                let now = (epoch, answer["version"].as_u64().unwrap());
                assert!(
                    before.is_none_or(|before| *before <= now),
                    "{url} went from {before:?} to {now:?}"
                );
                last = Some((living, now));
                answers += 1;
            }
            Ok((status, answer)) => {
                assert_eq!(before, None, "{url} stopped answering: {status} {answer}")
            }
            Err(error) => panic!("{url} was not killed: {error:?}"),
        }
    }
    answers
}
