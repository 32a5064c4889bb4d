//! Level Watch: players named by a game server, each told whole whenever something of theirs changes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::edge::Edge;
use common::game_server::{GameServer, hello};
use common::history::{content, from_level, put, put_for, try_on_all};
use common::timetable::{Place, minute, scheduled};
use common::{start, within};
use liveevents_protocol::attribute::Attribute;
use liveevents_protocol::entry::Entry;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::limits::MAX_WATCHED;
use liveevents_protocol::message::{
    AckStatus, ClientHello, ClientMessage, Cursor, Level, PlayerMessage, ServerMessage, Unwatch,
    Watch,
};
use liveevents_protocol::version::Version;

fn player(id: &str) -> PlayerMessage {
    PlayerMessage {
        player: id.to_owned(),
        keys: BTreeMap::new(),
        attributes: BTreeMap::new(),
        language: None,
        platform: None,
        build: None,
    }
}

fn in_match(id: &str, at: &str) -> PlayerMessage {
    PlayerMessage {
        keys: [("match".to_owned(), at.to_owned())].into(),
        ..player(id)
    }
}

/// Events and revisions.
type Events = Vec<(String, u64)>;

/// A game server at level Watch, and what it knows of its players.
struct Watcher {
    server: GameServer,
    told: BTreeMap<String, Events>,
    /// The messages that it took for that.
    messages: usize,
}

impl Watcher {
    async fn connect(world: &Place, edge: &Edge) -> Self {
        Self::greeted(world, edge, hello(Level::Watch)).await
    }

    async fn greeted(world: &Place, edge: &Edge, hello: ClientHello) -> Self {
        Self {
            server: GameServer::greeted(edge, &world.token(), hello).await,
            told: BTreeMap::new(),
            messages: 0,
        }
    }

    async fn watch(&mut self, players: Vec<PlayerMessage>) {
        let message = ClientMessage::Watch(Watch { players });
        self.server.say(&message).await;
    }

    /// Takes what comes, until everybody has been told as of a version.
    async fn until(&mut self, version: u64) {
        loop {
            match self.server.receive_any().await {
                ServerMessage::Player(told) => {
                    self.messages += 1;
                    let events = told.events.iter().map(|event| {
                        let event: serde_json::Value =
                            serde_json::from_str(event.as_str()).unwrap();
                        (
                            event["eventId"].as_str().unwrap().to_owned(),
                            event["revision"].as_u64().unwrap(),
                        )
                    });
                    self.told.insert(told.player, events.collect());
                }
                ServerMessage::Current(current) if current.version >= Version(version) => return,
                ServerMessage::Current(_) | ServerMessage::Contact(_) => {}
                other => panic!("instead of a player: {other:?}"),
            }
        }
    }

    /// What a player was told last.
    fn knows(&self, id: &str) -> Vec<(&str, u64)> {
        let told = self.told.get(id).expect("was told").iter();
        told.map(|(event, revision)| (&**event, *revision))
            .collect()
    }
}

#[tokio::test]
async fn a_segments_new_revision_moves_the_players_that_it_concerns() {
    let at_level = |id: &str, level: u32| PlayerMessage {
        attributes: [("level".to_owned(), Attribute::Number(level.into()))].into(),
        ..player(id)
    };
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let mut entries = vec![from_level("veterans", 1, 10)];
    entries.extend(put_for("reunion", 1, "veterans"));
    world.change(&mut link, entries).await;
    let mut watcher = Watcher::connect(&world, &edge).await;
    watcher.until(2).await;
    watcher
        .watch(vec![
            at_level("low", 5),
            at_level("high", 15),
            player("new"),
        ])
        .await;
    watcher.until(2).await;
    let both = vec![("reunion", 1), ("sale", 1)];
    let one = vec![("sale", 1)];
    let knows = |watcher: &Watcher| ["low", "high", "new"].map(|id| watcher.knows(id).len());
    assert_eq!(watcher.knows("high"), both);
    assert_eq!(
        (watcher.knows("low"), watcher.knows("new")),
        (one.clone(), one)
    );
    assert_eq!(watcher.messages, 3);

    world
        .change(&mut link, vec![from_level("veterans", 2, 5)])
        .await;
    watcher.until(3).await;
    assert_eq!((knows(&watcher), watcher.messages), ([2, 2, 1], 4));
    world
        .change(&mut link, vec![from_level("veterans", 3, 20)])
        .await;
    watcher.until(4).await;
    assert_eq!((knows(&watcher), watcher.messages), ([1, 1, 1], 6));

    // Other attributes move a player at once.
    watcher.watch(vec![at_level("new", 20)]).await;
    watcher.until(4).await;
    assert_eq!((knows(&watcher), watcher.messages), ([1, 1, 2], 7));
}

#[tokio::test]
async fn a_watched_player_is_told_of_changes_switches_and_other_keys() {
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let mut watcher = Watcher::connect(&world, &edge).await;
    watcher.until(1).await;
    watcher.watch(vec![player("a"), in_match("b", "m-1")]).await;
    watcher.until(1).await;
    assert_eq!(
        (watcher.knows("a"), watcher.knows("b")),
        (vec![("sale", 1)], vec![("sale", 1)])
    );

    // A change that concerns one of them.
    world
        .change(&mut link, try_on_all("sale", 1, 2, "match"))
        .await;
    watcher.until(2).await;
    assert_eq!(
        (watcher.knows("a"), watcher.knows("b")),
        (vec![("sale", 1)], vec![("sale", 2)])
    );
    assert_eq!(watcher.messages, 3);

    // Other keys.
    watcher.watch(vec![in_match("a", "m-1"), player("b")]).await;
    watcher.until(2).await;
    assert_eq!(
        (watcher.knows("a"), watcher.knows("b")),
        (vec![("sale", 2)], vec![("sale", 1)])
    );

    // The clock, without any message from the origin.
    let cup: Vec<Entry> = vec![
        content("cup", 1).into(),
        scheduled("cup", &[(10, 20)]).into(),
    ];
    world.change(&mut link, cup).await;
    watcher.until(3).await;
    assert_eq!(watcher.messages, 5);
    world.hand.set(minute(10));
    watcher.until(3).await;
    assert_eq!(watcher.knows("a"), [("cup", 1), ("sale", 2)]);
    world.hand.set(minute(20));
    watcher.until(3).await;
    assert_eq!(watcher.knows("a"), [("sale", 2)]);

    // Nobody watches b any more.
    let players = vec!["b".to_owned()];
    watcher
        .server
        .say(&ClientMessage::Unwatch(Unwatch { players }))
        .await;
    watcher.told.clear();
    world.change(&mut link, put("sale", 4)).await;
    watcher.until(4).await;
    assert_eq!(watcher.knows("a"), [("sale", 4)]);
    assert_eq!(watcher.told.len(), 1);

    let at = Cursor {
        epoch: world.history.epoch,
        version: Version(4),
    };
    watcher.server.ack(at, AckStatus::Applied).await;
    edge.until("the ack counts", |report| {
        report["regions"][0]["currentGameServers"] == 1
    })
    .await;
}

#[tokio::test]
async fn a_player_is_told_what_a_read_answers() {
    let world = Place::new();
    let (edge, _link) = world.edge().await;
    let said = ClientHello {
        language: Some("de".to_owned()),
        include_config: false,
        ..hello(Level::Watch)
    };
    let mut server = GameServer::greeted(&edge, &world.token(), said).await;
    let players = vec![player("a")];
    server.say(&ClientMessage::Watch(Watch { players })).await;
    let told = loop {
        match server.receive().await {
            ServerMessage::Player(told) => break told,
            ServerMessage::Current(_) => {}
            other => panic!("{other:?}"),
        }
    };
    let events: Vec<serde_json::Value> = told
        .events
        .iter()
        .map(|event| serde_json::from_str(event.as_str()).unwrap())
        .collect();
    let read = world
        .read(&edge, "a", "&language=de&includeConfig=false")
        .await;
    assert_eq!(serde_json::Value::Array(events), read);
    assert_eq!((told.time, told.version), (start(), Version(1)));
}

#[tokio::test]
async fn five_thousand_players_are_watched_by_one_game_server() {
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let mut watcher = Watcher::connect(&world, &edge).await;
    let ids: Vec<_> = (0..5_000).map(|id| format!("player-{id:04}")).collect();
    for some in ids.chunks(1_000) {
        let players = some.iter().map(|id| in_match(id, &id[..10])).collect();
        watcher.watch(players).await;
    }
    // Those of one match in a thousand.
    while watcher.told.len() < ids.len() {
        watcher.until(1).await;
    }
    assert_eq!(watcher.messages, ids.len());
    world.change(&mut link, put("sale", 2)).await;
    watcher.until(2).await;
    assert_eq!(watcher.messages, 2 * ids.len());
    assert!(ids.iter().all(|id| watcher.knows(id) == [("sale", 2)]));
    // Reads are answered meanwhile.
    world.change(&mut link, put("cup", 1)).await;
    assert_eq!(world.shown(&edge).await, ["cup", "sale"]);
    watcher.until(3).await;
    assert!(ids.iter().all(|id| watcher.knows(id).len() == 2));
}

#[tokio::test]
async fn a_game_server_that_reads_nothing_costs_nothing_and_ends_current() {
    const CHANGES: u32 = 100;
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let mut watcher = Watcher::connect(&world, &edge).await;
    let ids: BTreeSet<_> = (0..20).map(|id| format!("player-{id}")).collect();
    watcher
        .watch(ids.iter().map(|id| player(id)).collect())
        .await;
    let mut other = Watcher::connect(&world, &edge).await;
    other.watch(vec![player("other")]).await;
    // 100 times 20 lists of 100 KB: nothing on the way takes so much.
    for revision in 2..2 + CHANGES {
        let mut content = content("sale", revision);
        let long = format!(r#"{{"xp":{revision},"long":"{}"}}"#, "x".repeat(100_000));
        content.configuration = JsonText::new(long).unwrap();
        let entries = put("sale", revision).into_iter().skip(1);
        let entries = std::iter::once(content.into()).chain(entries);
        world.change(&mut link, entries.collect()).await;
        // Nobody else waits for it.
        other.until(world.history.head().0).await;
        assert_eq!(other.knows("other"), [("sale", u64::from(revision))]);
    }
    watcher.until(world.history.head().0).await;
    for id in &ids {
        assert_eq!(watcher.knows(id), [("sale", u64::from(1 + CHANGES))]);
    }
    let all = ids.len() * CHANGES as usize;
    assert!(watcher.messages < all / 2, "{} of {all}", watcher.messages);
}

#[tokio::test]
async fn who_says_too_much_is_told_where_and_has_lost_nothing() {
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let mut watcher = Watcher::connect(&world, &edge).await;
    watcher.watch(vec![player("a")]).await;
    watcher.until(1).await;
    let long = "x".repeat(1_000);
    let table = [
        (vec![player("b"), player(&long)], "players[1].player"),
        (vec![in_match("a", &long)], "players[0].keys.match"),
    ];
    for (players, expected) in table {
        watcher.watch(players).await;
        let refused = refused(&mut watcher.server).await;
        assert_eq!(
            (refused.0.as_str(), refused.1.as_deref()),
            ("watch", Some(expected))
        );
    }
    for some in 0..MAX_WATCHED / 1_000 {
        let ids = (0..1_000).map(|id| player(&format!("p-{some}-{id}")));
        watcher.watch(ids.collect()).await;
    }
    // One too many, since a is watched too: that message is refused, the others count.
    let (about, field) = refused(&mut watcher.server).await;
    assert_eq!(
        (about.as_str(), field.as_deref()),
        ("watch", Some("players"))
    );
    world.change(&mut link, put("sale", 2)).await;
    watcher.until(2).await;
    assert_eq!(watcher.knows("a"), [("sale", 2)]);
    assert_eq!(watcher.told.len(), MAX_WATCHED - 1_000 + 1);

    // Only at its level.
    let mut server = GameServer::greeted(&edge, &world.token(), hello(Level::Region)).await;
    let players = vec![player("a")];
    server.say(&ClientMessage::Watch(Watch { players })).await;
    let (about, field) = refused(&mut server).await;
    assert_eq!((about.as_str(), field.as_deref()), ("watch", Some("level")));
}

/// What a refusal is about, and where; whatever else comes before is passed over.
async fn refused(server: &mut GameServer) -> (String, Option<String>) {
    loop {
        match server.receive().await {
            ServerMessage::Refused(refused) => return (refused.about, refused.field),
            ServerMessage::Player(_) | ServerMessage::Current(_) | ServerMessage::Snapshot(_) => {}
            other => panic!("instead of a refusal: {other:?}"),
        }
    }
}

#[tokio::test]
async fn only_what_a_game_server_wants_is_told_of() {
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let filter = Filter {
        tags: ["cup".to_owned()].into(),
        ..Filter::default()
    };
    let said = ClientHello {
        filter,
        ..hello(Level::Watch)
    };
    let mut watcher = Watcher::greeted(&world, &edge, said).await;
    watcher.watch(vec![player("a")]).await;
    watcher.until(1).await;
    let mut tagged = content("cup", 1);
    tagged.tags = vec!["cup".to_owned()];
    let entries = put("cup", 1).into_iter().skip(1);
    let entries = std::iter::once(tagged.into()).chain(entries).collect();
    world.change(&mut link, entries).await;
    watcher.until(2).await;
    assert_eq!(watcher.knows("a"), [("cup", 1)]);
}

#[tokio::test]
async fn who_comes_from_an_edge_that_is_further_on_is_told_nothing_older() {
    let mut world = Place::new();
    let (edge, mut link) = world.edge().await;
    let position = Cursor {
        epoch: world.history.epoch,
        version: Version(2),
    };
    let said = ClientHello {
        position: Some(position),
        ..hello(Level::Watch)
    };
    let mut watcher = Watcher::greeted(&world, &edge, said).await;
    watcher.watch(vec![player("a")]).await;
    match watcher.server.receive().await {
        ServerMessage::Ahead(ahead) => assert_eq!(ahead.version, Version(1)),
        other => panic!("instead of word that it is ahead: {other:?}"),
    }
    world.change(&mut link, put("sale", 2)).await;
    match within("a list", watcher.server.receive()).await {
        ServerMessage::Player(told) => assert_eq!(told.version, Version(2)),
        ServerMessage::Current(current) => assert_eq!(current.version, Version(2)),
        other => panic!("instead of a list: {other:?}"),
    }
}
