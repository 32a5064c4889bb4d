//! Who is slow and who is dead, in virtual time: over a connection in memory, since an idle paused runtime would fire
//! the deadlines of a real one.

mod pipe;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::version::Version;
use liveevents_service::clock::Clock;
use liveevents_service::http::Authority;
use liveevents_service::token::{Role, Verifier};
use prometheus::IntCounter;
use tokio::io::{Join, SimplexStream, WriteHalf, join, simplex};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::super::{Parts, Registry};
use super::*;
use crate::cache::Cache;
use crate::limits::WRITE_DEADLINE;
use crate::metrics::EdgeMetrics;
use crate::replica::Replica;
use crate::replica::history::{History, assignment, content, epoch, put};
use crate::schedule::ServingClock;
use crate::uplink::StatusCell;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// What lies between the two: less than one long message.
const PIPE: usize = 64 * 1024;

/// An edge with one game server, whose other end the test holds.
struct World {
    serving: Serving,
    history: History,
    server: WebSocketStream<DuplexStream>,
    task: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        let installation: liveevents_protocol::id::Installation = "test".parse().unwrap();
        let replica = Arc::new(Replica::new("us-east".parse().unwrap(), &[]));
        let clock = Clock::fixed(NOW);
        let verifier = Arc::new(Verifier::new(installation.clone()));
        let serving = Serving::new(Parts {
            edge: "edge-1".parse().unwrap(),
            installation: installation.clone(),
            authority: Authority::new(verifier, clock.clone()),
            replica,
            cache: Cache::new(),
            uplink: StatusCell::new(NOW),
            registry: Registry::new(1),
            metrics: EdgeMetrics::new().unwrap(),
            max_age: Duration::from_secs(60),
            connections: TaskTracker::new(),
            goodbye: CancellationToken::new(),
            abort: CancellationToken::new(),
            clock: ServingClock::new(clock, IntCounter::new("followed", "help").unwrap()),
        });
        let claims = Claims {
            installation,
            subject: "gs-1".to_owned(),
            role: Role::GameServer,
            regions: vec!["us-east".parse().unwrap()],
            id: liveevents_protocol::id::TokenId(Uuid::nil()),
            issued_at: NOW,
            expires_at: NOW,
        };
        let (near, far) = tokio::io::duplex(PIPE);
        let socket = Socket::new(near, Bytes::new()).await;
        let place = serving.registry.place().unwrap();
        let mut task = JoinSet::new();
        task.spawn(serve(serving.clone(), socket, claims, place));
        Self {
            serving,
            history: History::new("us-east", epoch(5)),
            server: WebSocketStream::from_raw_socket(far, Side::Client, None).await,
            task,
        }
    }

    fn publish(&mut self, entries: Vec<liveevents_protocol::entry::Entry>) {
        let at = self.history.commit(entries, NOW);
        let state = self.history.state(at).clone();
        let published = Published::from_origin(state, self.history.position(at), None);
        let region = self.serving.replica.regions().next().unwrap();
        region.publish(published, NOW);
    }

    /// A change of 100 KB.
    fn publish_long(&mut self) {
        let revision = u32::try_from(self.history.head().0).unwrap() + 1;
        let mut content = content("sale", revision);
        let padding = "x".repeat(100 * 1024);
        content.configuration = JsonText::new(format!("\"{padding}\"")).unwrap();
        self.publish(vec![content.into(), assignment("sale", revision).into()]);
    }

    async fn hello(&mut self) {
        let hello = r#"{"type":"hello","region":"us-east","level":"Region"}"#;
        self.server.send(Message::text(hello)).await.unwrap();
    }

    /// The next message, pings and their answers apart.
    async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            match self.server.next().await? {
                Ok(Message::Text(text)) => return Some(ServerMessage::parse(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// How the connection was counted when it ended.
    async fn ended(&mut self) -> &'static str {
        self.task.join_next().await.unwrap().unwrap();
        let closed = &self.serving.metrics.servers.closed;
        let counted = |reason: &&str| closed.with_label_values(&[reason]).get() == 1;
        let mut reasons = ["left", "timed-out", "going-away", "malformed"].into_iter();
        reasons.find(counted).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_says_no_hello_is_closed() {
    let start = Instant::now();
    let mut world = World::new().await;
    match world.next().await {
        Some(ServerMessage::Error(error)) => assert_eq!(error.code, "timed-out"),
        other => panic!("instead of an error: {other:?}"),
    }
    assert_eq!(start.elapsed(), HELLO_DEADLINE);
    assert_eq!(world.ended().await, "timed-out");
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_no_ping_is_dead() {
    let mut world = World::new().await;
    world.hello().await;
    let start = Instant::now();
    // Nobody reads at the other end, so nobody answers.
    assert_eq!(world.ended().await, "timed-out");
    let pings = PING_INTERVAL * (u32::from(MISSED_PINGS) + 1);
    assert_eq!(start.elapsed(), pings + CLOSE_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_pings_stays_for_as_long_as_nothing_happens() {
    let mut world = World::new().await;
    world.hello().await;
    assert!(matches!(
        world.next().await,
        Some(ServerMessage::Welcome(_))
    ));
    // The reader answers pings by itself.
    let idle = tokio::time::timeout(Duration::from_secs(3600), world.next()).await;
    assert!(idle.is_err(), "{idle:?}");
    world.publish(put("sale", 1));
    assert!(matches!(
        world.next().await,
        Some(ServerMessage::Snapshot(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_no_message_is_dead_and_one_that_takes_its_time_is_not() {
    let mut world = World::new().await;
    world.publish_long();
    world.hello().await;
    assert!(matches!(
        world.next().await,
        Some(ServerMessage::Welcome(_))
    ));
    // Almost too late, again and again, while changes go on.
    for _ in 0..3 {
        tokio::time::sleep(WRITE_DEADLINE.checked_sub(Duration::from_secs(1)).unwrap()).await;
        let next = world.next().await;
        assert!(
            matches!(
                next,
                Some(ServerMessage::Snapshot(_) | ServerMessage::Delta(_))
            ),
            "{next:?}"
        );
        world.publish_long();
    }
    let start = Instant::now();
    assert_eq!(world.ended().await, "timed-out");
    assert_eq!(start.elapsed(), WRITE_DEADLINE);
    // Nothing was said into the half of a message.
    assert!(world.next().await.is_none());
    assert_eq!(world.history.head(), Version(4));
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_that_is_not_taken_does_not_keep_the_edge() {
    let mut world = World::new().await;
    world.hello().await;
    assert!(matches!(
        world.next().await,
        Some(ServerMessage::Welcome(_))
    ));
    world.serving.goodbye.cancel();
    let start = Instant::now();
    assert_eq!(world.ended().await, "going-away");
    assert_eq!(start.elapsed(), CLOSE_DEADLINE);
    assert!(matches!(world.next().await, Some(ServerMessage::Goaway(_))));
}
