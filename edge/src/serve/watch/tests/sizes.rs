//! What may be said of players, and how many of them; whoever says too much has lost nothing.

use liveevents_protocol::message::Attribute;
use liveevents_service::limits::{MAX_ATTRIBUTES, MAX_KEY, MAX_KEYS};

use super::*;

fn refused(watch: &mut Watch, players: Vec<PlayerMessage>) -> Fault {
    let before = format!("{watch:?}");
    let fault = watch.watch(message(players)).unwrap_err();
    assert_eq!(format!("{watch:?}"), before, "nothing of it was taken");
    fault
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("n-{number}"))
}

#[test]
fn a_player_that_says_too_much_is_refused_where_it_does() {
    let long = "x".repeat(MAX_KEY + 1);
    let key = |name: &str, key: &str| PlayerMessage {
        keys: [(name.to_owned(), key.to_owned())].into(),
        ..player("a")
    };
    let attribute = |name: &str, value: &str| PlayerMessage {
        attributes: [(name.to_owned(), Attribute::Text(value.to_owned()))].into(),
        ..player("a")
    };
    let keys = |count| PlayerMessage {
        keys: names(count).map(|name| (name, "k".to_owned())).collect(),
        ..player("a")
    };
    let attributes = |count| PlayerMessage {
        attributes: names(count)
            .map(|name| (name, Attribute::Flag(true)))
            .collect(),
        ..player("a")
    };
    let language = |language: &str| PlayerMessage {
        language: Some(language.to_owned()),
        ..player("a")
    };
    let platform = |platform: &str| PlayerMessage {
        platform: Some(platform.to_owned()),
        ..player("a")
    };
    let table = [
        (player(""), "player"),
        (player(&long), "player"),
        (key("", "k"), "keys"),
        (key(&long, "k"), "keys"),
        (key("match", ""), "keys.match"),
        (key("match", &long), "keys.match"),
        (key("player", "b"), "keys.player"),
        (keys(MAX_KEYS + 1), "keys"),
        (attribute("", "v"), "attributes"),
        (attribute(&long, "v"), "attributes"),
        (attribute("level", &long), "attributes.level"),
        (attributes(MAX_ATTRIBUTES + 1), "attributes"),
        (language(""), "language"),
        (language("de AT"), "language"),
        (language(&long), "language"),
        (platform("<script>"), "platform"),
    ];
    let mut desk = Desk::watching(vec![player("b")]);
    for (bad, field) in table {
        let fault = refused(&mut desk.watch, vec![player("c"), bad]);
        assert_eq!(
            fault.field,
            format!("players[1].{field}"),
            "{}",
            fault.message
        );
    }
    let most = PlayerMessage {
        language: Some("de-AT".to_owned()),
        platform: Some("ps_5".to_owned()),
        keys: keys(MAX_KEYS).keys,
        attributes: attributes(MAX_ATTRIBUTES).attributes,
        ..player(&"x".repeat(MAX_KEY))
    };
    desk.watch.watch(message(vec![most])).unwrap();
    desk.watch
        .watch(message(vec![attribute("level", "")]))
        .unwrap();
    assert_eq!(desk.watch.players.len(), 3);
}

#[test]
fn so_many_players_are_watched_and_not_one_more() {
    let mut desk = Desk::new();
    let players = names(MAX_WATCHED).map(|id| player(&id)).collect();
    desk.watch.watch(message(players)).unwrap();
    assert_eq!(
        refused(&mut desk.watch, vec![player("one more")]).field,
        "players"
    );
    // Who is watched already, and who is named twice, counts once.
    desk.watch
        .watch(message(vec![player("n-1"), player("n-1")]))
        .unwrap();
    let players = vec!["n-2".to_owned()];
    desk.watch.unwatch(&Unwatch { players });
    desk.watch
        .watch(message(vec![player("a"), player("a")]))
        .unwrap();
    assert_eq!(
        refused(&mut desk.watch, vec![player("a"), player("b")]).field,
        "players"
    );
    assert_eq!(desk.watch.players.len(), MAX_WATCHED);
}

#[test]
fn what_is_said_of_all_players_is_bounded_too() {
    let heavy = |id: usize| PlayerMessage {
        keys: names(MAX_KEYS)
            .map(|name| (name, "k".repeat(MAX_KEY)))
            .collect(),
        ..player(&format!("heavy-{id}"))
    };
    let fits = WATCHED_BYTES / size(&heavy(1_000));
    assert!(fits < MAX_WATCHED);
    let mut desk = Desk::new();
    desk.watch
        .watch(message((1_000..1_000 + fits).map(heavy).collect()))
        .unwrap();
    assert_eq!(refused(&mut desk.watch, vec![heavy(0)]).field, "players");
    // What is replaced or gone counts no more.
    desk.watch.watch(message(vec![heavy(1_000)])).unwrap();
    let players = vec!["heavy-1001".to_owned()];
    desk.watch.unwatch(&Unwatch { players });
    desk.watch.watch(message(vec![heavy(0)])).unwrap();
}

#[test]
fn an_edge_watches_so_much_for_all_its_game_servers() {
    let budget = Budget::default();
    let mut others = budget.share();
    assert!(others.resize(crate::limits::ALL_WATCHED_BYTES));
    let mut watch = Watch::new(&budget);
    let fault = refused(&mut watch, vec![player("a")]);
    assert!(
        fault.message.contains("another one may"),
        "{}",
        fault.message
    );
    drop(others);
    watch.watch(message(vec![player("a")])).unwrap();
}
