//! Who is slow and who is dead, in virtual time: over a connection in memory, since an idle paused runtime would fire
//! the deadlines of a real one.

mod pipe;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{Installation, TokenId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::trust::{Revoked, TrustBundle};
use liveevents_protocol::version::Version;
use liveevents_service::clock::ManualClock;
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

use super::super::{Admission, Drain, Parts, Registry, Shards, Watchers};
use super::*;
use crate::cache::Cache;
use crate::delivery::{ClockOffset, Ledgers};
use crate::limits::{
    CLOSE_DEADLINE, DRAIN_GRACE, LOOK_AFTER, MESSAGES_AT_ONCE, MISSED_PINGS, PING_INTERVAL,
    WRITE_DEADLINE,
};
use crate::metrics::EdgeMetrics;
use crate::replica::history::{History, assignment, content, epoch, put};
use crate::replica::{Published, Replica};
use crate::schedule::ServingClock;
use crate::uplink::StatusCell;
use liveevents_protocol::limits::HELLO_DEADLINE;
use liveevents_protocol::message::ErrorMessage;
use liveevents_protocol::state::RegionState;
use pipe::{Far, pipe};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// What lies between the two: less than one long message.
const PIPE: usize = 64 * 1024;

/// An edge that serves one region.
struct World {
    serving: Serving,
    verifier: Arc<Verifier>,
    clock: ManualClock,
    history: History,
    shards: JoinSet<()>,
}

/// A game server, whose end the test holds.
struct Server {
    socket: WebSocketStream<Join<Far, WriteHalf<SimplexStream>>>,
    task: JoinSet<()>,
    state: Option<RegionState>,
}

impl World {
    fn new() -> Self {
        let installation: Installation = "test".parse().unwrap();
        let replica = Arc::new(Replica::new("us-east".parse().unwrap(), &[]));
        let clock = ManualClock::new(NOW);
        let verifier = Arc::new(Verifier::new(installation.clone()));
        let followed_back = IntCounter::new("followed", "help").unwrap();
        let serving = Serving::new(Parts {
            edge: "edge-1".parse().unwrap(),
            installation,
            authority: Authority::new(Arc::clone(&verifier), clock.clock()),
            ledgers: Ledgers::new(&replica, &ClockOffset::default()),
            shards: Shards::new(&replica),
            replica,
            cache: Cache::new(),
            uplink: StatusCell::new(NOW),
            registry: Registry::new(10, 10),
            admission: Admission::new(100, Instant::now()),
            watchers: Watchers::default(),
            engagement: crate::engagement::Book::default(),
            drain: Drain::new(),
            metrics: EdgeMetrics::new().unwrap(),
            quota: None,
            reports_deadline: Duration::from_secs(10),
            max_age: None,
            offset: crate::delivery::ClockOffset::default(),
            directory: crate::uplink::Directory::default(),
            connections: TaskTracker::new(),
            abort: CancellationToken::new(),
            clock: ServingClock::new(clock.clock(), followed_back),
        });
        let mut shards = JoinSet::new();
        for shard in serving.shards.iter() {
            let shard = Arc::clone(shard);
            shards.spawn(shard.run(serving.clone(), CancellationToken::new()));
        }
        Self {
            serving,
            verifier,
            clock,
            history: History::new("us-east", epoch(5)),
            shards,
        }
    }

    /// Connected, hello not yet said.
    async fn connect(&self) -> Server {
        let claims = Claims {
            installation: self.serving.installation.clone(),
            subject: "gs-1".to_owned(),
            role: Role::GameServer,
            regions: vec!["us-east".parse().unwrap()],
            id: TokenId(Uuid::nil()),
            issued_at: NOW,
            expires_at: NOW + SignedDuration::from_hours(1),
            not_before: None,
            attributes: Default::default(),
            keys: Default::default(),
        };
        let (near, far) = pipe(PIPE);
        let (input, output) = simplex(PIPE);
        let reader = Reader::new(input, Bytes::new(), 1024 * 1024);
        let place = self.serving.registry.place(claims.id).ok().unwrap();
        let mut task = JoinSet::new();
        let claims = Arc::new(claims);
        task.spawn(serve(self.serving.clone(), reader, near, claims, place));
        let line = join(far, output);
        Server {
            socket: WebSocketStream::from_raw_socket(line, Side::Client, None).await,
            task,
            state: None,
        }
    }

    /// Connected and welcomed.
    async fn greeted(&self) -> Server {
        let mut server = self.connect().await;
        server.hello().await;
        let welcome = server.next().await;
        assert!(matches!(welcome, Some(ServerMessage::Welcome(_))));
        server
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

    /// How connections that have ended were counted.
    fn closed(&self, reason: &str) -> u64 {
        let closed = &self.serving.metrics.servers.closed;
        closed.with_label_values(&[reason]).get()
    }
}

impl Server {
    async fn hello(&mut self) {
        let hello = r#"{"type":"hello","region":"us-east","level":"Region"}"#;
        self.socket.send(Message::text(hello)).await.unwrap();
    }

    /// The next message, pings and their answers apart.
    async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return Some(ServerMessage::parse(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next change, put together with what is held.
    async fn update(&mut self) -> Version {
        let next = match self.next().await {
            Some(ServerMessage::Snapshot(snapshot)) => {
                RegionState::from_snapshot(snapshot.into_snapshot()).unwrap()
            }
            Some(ServerMessage::Delta(delta)) => {
                let held = self.state.as_ref().unwrap();
                assert_eq!(delta.from, held.version());
                held.apply(&delta.into_delta()).unwrap()
            }
            other => panic!("instead of a change: {other:?}"),
        };
        let version = next.version();
        self.state = Some(next);
        version
    }

    async fn error(&mut self) -> ErrorMessage {
        match self.next().await {
            Some(ServerMessage::Error(error)) => error,
            other => panic!("instead of an error: {other:?}"),
        }
    }

    /// Waits until the edge is done with it.
    async fn ended(&mut self) {
        self.task.join_next().await.unwrap().unwrap();
    }
}

fn about(elapsed: Duration, expected: Duration) {
    assert!(
        elapsed >= expected && elapsed <= expected + 2 * LOOK_AFTER,
        "{elapsed:?}, and not {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_says_no_hello_is_closed() {
    let start = Instant::now();
    let world = World::new();
    let mut server = world.connect().await;
    assert_eq!(server.error().await.code, "timed-out");
    assert_eq!(start.elapsed(), HELLO_DEADLINE);
    drop(server.socket);
    server.task.join_next().await.unwrap().unwrap();
    assert_eq!(world.closed("timed-out"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_no_ping_is_dead() {
    let world = World::new();
    let mut server = world.connect().await;
    server.hello().await;
    let start = Instant::now();
    // Nobody reads at the other end, so nobody answers.
    server.ended().await;
    assert_eq!(world.closed("timed-out"), 1);
    let pings = PING_INTERVAL * (u32::from(MISSED_PINGS) + 1);
    about(start.elapsed(), pings + CLOSE_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_pings_stays_for_as_long_as_nothing_happens() {
    let mut world = World::new();
    let mut server = world.greeted().await;
    // The reader answers pings by itself.
    let idle = tokio::time::timeout(Duration::from_secs(3600), server.next()).await;
    assert!(idle.is_err(), "{idle:?}");
    world.publish(put("sale", 1));
    assert_eq!(server.update().await, Version(1));
    assert!(world.shards.try_join_next().is_none(), "a shard has ended");
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_no_message_is_dead_and_one_that_takes_its_time_is_not() {
    let mut world = World::new();
    world.publish_long();
    let mut server = world.greeted().await;
    // Almost too late, again and again, while changes go on.
    for _ in 0..3 {
        tokio::time::sleep(WRITE_DEADLINE.checked_sub(LOOK_AFTER).unwrap()).await;
        server.update().await;
        world.publish_long();
    }
    let start = Instant::now();
    server.ended().await;
    assert_eq!(world.closed("timed-out"), 1);
    about(start.elapsed(), WRITE_DEADLINE);
    // Nothing was said into the half of a message.
    assert!(server.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_within_a_frame_holds_up_nobody_and_ends_current() {
    let mut world = World::new();
    world.publish(put("sale", 1));
    let (mut slow, mut quick) = (world.greeted().await, world.greeted().await);
    slow.update().await;
    quick.update().await;
    for version in 2..=20 {
        // More than there is room for on the way to the slow one.
        world.publish_long();
        assert_eq!(quick.update().await, Version(version));
    }
    assert_eq!(slow.update().await, Version(2));
    // All that it missed is one change, which the edge did not keep for it.
    assert_eq!(slow.update().await, Version(20));
    let (slow, quick) = (slow.state.unwrap(), quick.state.unwrap());
    assert!(slow.same_as(&quick));
    let encoded = &world.serving.metrics.encodings;
    assert_eq!((encoded.deltas.get(), encoded.snapshots.get()), (20, 1));
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_that_is_not_taken_does_not_keep_the_edge() {
    let world = World::new();
    let mut server = world.greeted().await;
    let spread = Duration::from_secs(10);
    world.serving.drain.begin(spread);
    let start = Instant::now();
    server.ended().await;
    assert_eq!(world.closed("going-away"), 1);
    about(start.elapsed(), spread + DRAIN_GRACE + CLOSE_DEADLINE);
    let goaway = server.next().await;
    assert!(matches!(goaway, Some(ServerMessage::Goaway(_))));
}

#[tokio::test(start_paused = true)]
async fn goodbyes_are_spread_and_changes_go_on_until_they_are_followed() {
    let mut world = World::new();
    world.publish(put("sale", 1));
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(world.greeted().await);
    }
    for server in &mut servers {
        server.update().await;
    }
    world.serving.drain.begin(Duration::from_secs(10));
    let mut told = Vec::new();
    for server in &mut servers {
        match server.next().await {
            Some(ServerMessage::Goaway(goaway)) => told.push(goaway.reconnect_after_ms),
            other => panic!("instead of a goodbye: {other:?}"),
        }
    }
    assert!(told.iter().all(|&after| after <= 10_000), "{told:?}");
    told.dedup();
    assert!(told.len() > 1, "{told:?}");
    // It is said once.
    tokio::time::sleep(5 * LOOK_AFTER).await;
    world.publish(put("sale", 2));
    for server in &mut servers {
        assert_eq!(server.update().await, Version(2));
    }
    // One that leaves then is not closed by the edge.
    servers[0].socket.close(None).await.unwrap();
    servers[0].ended().await;
    assert_eq!((world.closed("left"), world.closed("going-away")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_closes() {
    let world = World::new();
    let mut server = world.greeted().await;
    let bundle = TrustBundle {
        installation: world.serving.installation.clone(),
        serial: 1,
        keys: Vec::new(),
        revoked: vec![Revoked {
            token: TokenId(Uuid::nil()),
            until: NOW,
        }],
        issuers: Vec::new(),
    };
    let start = Instant::now();
    assert!(world.verifier.replace(&bundle).unwrap());
    assert_eq!(server.error().await.code, "token-revoked");
    about(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn expiry_is_told_five_minutes_ahead_and_closes_nothing() {
    let mut world = World::new();
    let mut server = world.greeted().await;
    world.clock.advance(SignedDuration::from_mins(54));
    let quiet = tokio::time::timeout(5 * LOOK_AFTER, server.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    world.clock.advance(SignedDuration::from_mins(1));
    let expires_at = match server.next().await {
        Some(ServerMessage::TokenExpiring(warning)) => warning.expires_at,
        other => panic!("instead of a warning: {other:?}"),
    };
    assert_eq!(expires_at, NOW + SignedDuration::from_hours(1));
    world.clock.advance(SignedDuration::from_hours(24));
    world.publish(put("sale", 1));
    assert_eq!(server.update().await, Version(1));
    assert!(world.shards.try_join_next().is_none(), "a shard has ended");
}

#[tokio::test(start_paused = true)]
async fn that_the_origin_is_lost_and_found_is_told() {
    let mut world = World::new();
    world.publish(put("sale", 1));
    let mut server = world.greeted().await;
    server.update().await;
    world.clock.advance(SignedDuration::from_secs(16));
    let mut contact = async || match server.next().await {
        Some(ServerMessage::Contact(contact)) => (contact.stale, contact.contact_at),
        other => panic!("instead of a word: {other:?}"),
    };
    assert_eq!(contact().await, (true, Some(NOW)));
    let region = world.serving.replica.regions().next().unwrap();
    let heard = NOW + SignedDuration::from_secs(16);
    region.contacted(heard);
    assert_eq!(contact().await, (false, Some(heard)));
}

#[tokio::test(start_paused = true)]
async fn one_that_says_too_much_is_closed() {
    let world = World::new();
    let mut server = world.greeted().await;
    // Pings count as well; the hello does not.
    for _ in 0..MESSAGES_AT_ONCE {
        server
            .socket
            .feed(Message::Ping(Bytes::new()))
            .await
            .unwrap();
    }
    server.socket.flush().await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(1), server.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    for _ in 0..2 {
        server
            .socket
            .send(Message::text("{\"type\":\"ack\"}"))
            .await
            .unwrap();
    }
    assert!(["rate-limited", "malformed"].contains(&&*server.error().await.code));
}

#[tokio::test(start_paused = true)]
async fn the_edge_s_own_ping_does_not_break_what_waits() {
    let mut world = World::new();
    let mut server = world.greeted().await;
    // Answers fill all the room there is, and the last of them is cut in two.
    for _ in 0..PIPE / 100 {
        let ping = Message::Ping(Bytes::from_static(&[7; 100]));
        server.socket.feed(ping).await.unwrap();
    }
    server.socket.flush().await.unwrap();
    tokio::time::sleep(PING_INTERVAL + 2 * LOOK_AFTER).await;
    world.publish(put("sale", 1));
    assert_eq!(server.update().await, Version(1));
    assert!(world.shards.try_join_next().is_none(), "a shard has ended");
}

#[tokio::test]
async fn an_idle_connection_is_small() {
    type Line = tokio::net::tcp::OwnedReadHalf;
    let world = World::new();
    let (near, _far) = pipe(PIPE);
    let (input, _output) = simplex(PIPE);
    let reader = Reader::new(input, Bytes::new(), 1024);
    let claims = Arc::new(Claims {
        installation: world.serving.installation.clone(),
        subject: "gs-1".to_owned(),
        role: Role::GameServer,
        regions: Vec::new(),
        id: TokenId(Uuid::nil()),
        issued_at: NOW,
        expires_at: NOW,
        not_before: None,
        attributes: Default::default(),
        keys: Default::default(),
    });
    let place = world.serving.registry.place(claims.id).ok().unwrap();
    let future = serve(world.serving.clone(), reader, near, claims, place);
    // Ten thousand times: a kilobyte more here is ten megabytes more, and 4 KiB are promised for all of it.
    assert!(size_of_val(&future) <= 256, "{}", size_of_val(&future));
    assert!(size_of::<Connection<Line>>() <= 512);
    assert!(size_of::<Link<tokio::net::tcp::OwnedWriteHalf>>() <= 768);
}
