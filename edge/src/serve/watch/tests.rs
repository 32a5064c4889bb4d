//! What players are told, and when; [`laws`] for whatever happens in whatever order.

mod cost;
mod laws;
mod sizes;

use jiff::SignedDuration;
use liveevents_protocol::entry::Entry;
use liveevents_protocol::evaluate::Moment;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::ServerMessage;
use liveevents_protocol::version::{BasisPoints, Version};

use super::*;
use crate::replica::history::{History, assignment, content, epoch, put, try_on_all};
use crate::replica::{Published, Selection};

fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

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

fn message(players: Vec<PlayerMessage>) -> WatchMessage {
    WatchMessage { players }
}

/// A region, and one game server that watches players in it.
struct Desk {
    history: History,
    published: Published,
    watch: Watch,
    wants: Wants,
    selection: Selection,
    at: Moment,
    switches: u64,
    now: Instant,
}

/// What was sent: a player and the events and revisions told, or everybody current as of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Player(String, Vec<(String, u64)>),
    Current(u64),
}

fn told(id: &str, events: &[(&str, u64)]) -> Sent {
    let events = events
        .iter()
        .map(|&(event, revision)| (event.to_owned(), revision));
    Sent::Player(id.to_owned(), events.collect())
}

fn publish(history: &History) -> Published {
    let head = history.head();
    Published::from_origin(
        history.state(head).clone(),
        history.position(head),
        Some(start()),
    )
}

/// A message's content.
fn read(text: &[u8]) -> Sent {
    let message = ServerMessage::parse(std::str::from_utf8(text).unwrap()).unwrap();
    let ServerMessage::Player(told) = message else {
        panic!("instead of a player: {message:?}");
    };
    let events = told.events.iter().map(|event| {
        let event: serde_json::Value = serde_json::from_str(event.as_str()).unwrap();
        (
            event["eventId"].as_str().unwrap().to_owned(),
            event["revision"].as_u64().unwrap(),
        )
    });
    Sent::Player(told.player, events.collect())
}

impl Desk {
    fn new() -> Self {
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        Self {
            published: publish(&history),
            history,
            watch: Watch::new(&Budget::default()),
            wants: Wants::default(),
            selection: None,
            at: Moment::fresh(start()),
            switches: 0,
            now: Instant::now(),
        }
    }

    fn watching(players: Vec<PlayerMessage>) -> Self {
        let mut desk = Self::new();
        desk.watch.watch(message(players)).unwrap();
        desk.all();
        desk
    }

    fn change(&mut self, entries: Vec<Entry>) {
        self.history.commit(entries, start());
        self.published = publish(&self.history);
    }

    fn next(&mut self) -> Next {
        let view = View {
            published: &self.published,
            at: self.at,
            switches: self.switches,
            wants: &self.wants,
            selection: &self.selection,
        };
        self.watch.next(&view, self.now).unwrap()
    }

    /// All that is sent until there is nothing more to do.
    fn all(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            match self.next() {
                Next::Player(text) => sent.push(read(&text)),
                Next::Current(current) => sent.push(Sent::Current(current.version.0)),
                Next::Pause => {}
                Next::Wait(until) => self.now = until,
                Next::Nothing(_) => return sent,
            }
        }
    }
}

const SALE: &[(&str, u64)] = &[("sale", 1)];

#[test]
fn nobody_watched_is_current_too() {
    assert_eq!(Desk::new().all(), [Sent::Current(1)]);
}

#[test]
fn new_players_are_told_everything_and_then_only_what_is_another() {
    let mut desk = Desk::new();
    assert_eq!(desk.all(), [Sent::Current(1)]);
    desk.watch
        .watch(message(vec![player("b"), player("a")]))
        .unwrap();
    assert_eq!(
        desk.all(),
        [told("a", SALE), told("b", SALE), Sent::Current(1)]
    );
    // The same again: there is nothing to tell but that it was heard.
    desk.watch.watch(message(vec![player("a")])).unwrap();
    assert_eq!(desk.all(), [Sent::Current(1)]);
    // A change that shows nothing to anybody.
    desk.change(vec![content("cup", 1).into()]);
    assert_eq!(desk.all(), [Sent::Current(2)]);
}

#[test]
fn a_change_is_told_to_those_whom_it_concerns() {
    let mut desk = Desk::watching(vec![player("a"), in_match("b", "m-1"), player("c")]);
    desk.change(try_on_all("sale", 1, 2, "match"));
    let sent = desk.all();
    assert_eq!(sent, [told("b", &[("sale", 2)]), Sent::Current(2)]);
    desk.change(put("cup", 1));
    let with_cup = [("cup", 1), ("sale", 1)];
    // The round goes on after the last.
    let expected = [
        told("a", &with_cup),
        told("b", &[("cup", 1), ("sale", 2)]),
        told("c", &with_cup),
        Sent::Current(3),
    ];
    assert_eq!(desk.all(), expected);
}

#[test]
fn other_keys_move_a_player_at_once_and_nobody_else_is_evaluated() {
    let mut desk = Desk::watching(vec![player("a"), player("b")]);
    desk.change(try_on_all("sale", 1, 2, "match"));
    assert_eq!(desk.all(), [Sent::Current(2)]);
    // A change that waits for the next pass.
    desk.change(put("cup", 1));
    desk.watch
        .watch(message(vec![in_match("a", "m-1")]))
        .unwrap();
    let Next::Player(text) = desk.next() else {
        panic!("the player waits");
    };
    assert_eq!(read(&text), told("a", &[("cup", 1), ("sale", 2)]));
    assert!(matches!(desk.next(), Next::Current(_)));
    assert!(matches!(desk.next(), Next::Wait(_)));
    assert_eq!(
        desk.all(),
        [told("b", &[("cup", 1), ("sale", 1)]), Sent::Current(3)]
    );
    desk.watch.watch(message(vec![player("a")])).unwrap();
    assert_eq!(
        desk.all(),
        [told("a", &[("cup", 1), ("sale", 1)]), Sent::Current(3)]
    );
}

#[test]
fn another_language_is_another_text() {
    let mut desk = Desk::watching(vec![player("a")]);
    let german = PlayerMessage {
        language: Some("de-AT".to_owned()),
        ..player("a")
    };
    desk.watch.watch(message(vec![german])).unwrap();
    let Next::Player(text) = desk.next() else {
        panic!("nothing is told");
    };
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("sale auf Deutsch")
    );
}

#[test]
fn who_is_not_watched_any_more_is_not_told() {
    let mut desk = Desk::watching(vec![player("a"), player("b")]);
    desk.change(put("sale", 2));
    let players = ["a", "never"].map(str::to_owned).into();
    desk.watch.unwatch(&Unwatch { players });
    assert_eq!(desk.all(), [told("b", &[("sale", 2)]), Sent::Current(2)]);
}

#[test]
fn the_clock_is_a_change_too() {
    let mut desk = Desk::watching(vec![player("a")]);
    let mut short = assignment("sale", 1);
    let occurrences = [(0, 60), (60, 120)].map(|(opens, closes)| {
        let at = |minutes| start() + SignedDuration::from_mins(minutes);
        liveevents_protocol::schedule::Occurrence {
            opens: at(opens),
            closes: at(closes),
        }
    });
    short.schedule = liveevents_protocol::schedule::Schedule::new(occurrences.into()).unwrap();
    desk.change(vec![short.into()]);
    assert_eq!(
        desk.all(),
        [told("a", SALE), Sent::Current(2)],
        "it ends at another time"
    );
    // One occurrence after the other: it ends at another time again.
    desk.at = Moment::fresh(start() + SignedDuration::from_mins(60));
    assert_eq!(
        desk.all(),
        [],
        "nobody has said that the clock has switched"
    );
    desk.switches += 1;
    assert_eq!(desk.all(), [told("a", SALE), Sent::Current(2)]);
    desk.at = Moment::fresh(start() + SignedDuration::from_mins(120));
    desk.switches += 1;
    assert_eq!(desk.all(), [told("a", &[]), Sent::Current(2)]);
}

#[test]
fn many_changes_at_once_are_one_pass() {
    let mut desk = Desk::watching(vec![player("a")]);
    let began = desk.now;
    for revision in 2..10 {
        desk.change(put("sale", revision));
        assert_eq!(desk.next(), Next::Wait(began + PASS_INTERVAL));
    }
    desk.now = began + PASS_INTERVAL;
    assert_eq!(desk.all(), [told("a", &[("sale", 9)]), Sent::Current(9)]);
}

#[test]
fn changes_without_end_keep_nobody_from_being_told() {
    let ids: Vec<_> = (0..10).map(|id| format!("player-{id}")).collect();
    let mut desk = Desk::watching(ids.iter().map(|id| player(id)).collect());
    let (mut seen, mut currents) = (BTreeMap::new(), Vec::new());
    // With every message there is another revision.
    for revision in 2..60 {
        desk.change(put("sale", revision));
        desk.now += PASS_INTERVAL;
        match desk.next() {
            Next::Player(text) => {
                let Sent::Player(id, events) = read(&text) else {
                    panic!("not a player");
                };
                assert_eq!(
                    events,
                    [("sale".to_owned(), u64::from(revision))],
                    "the newest"
                );
                *seen.entry(id).or_insert(0) += 1;
            }
            Next::Current(current) => currents.push(current.version.0),
            other => panic!("{other:?}"),
        }
    }
    assert!(ids.iter().all(|id| seen[id] >= 5), "{seen:?}");
    assert!(
        currents.len() >= 5 && currents.is_sorted_by(|a, b| a < b),
        "{currents:?}"
    );
}

#[test]
fn another_history_is_told_whole_and_the_old_one_no_more() {
    let mut desk = Desk::watching(vec![player("a"), player("b")]);
    desk.change(put("sale", 2));
    desk.now += PASS_INTERVAL;
    assert!(matches!(desk.next(), Next::Player(_)));
    // In the middle of a pass; the revisions bear the same numbers.
    desk.history = History::new("us-east", epoch(6));
    desk.change(put("sale", 2));
    let both = [told("a", &[("sale", 2)]), told("b", &[("sale", 2)])];
    let expected = [&both[1..], &both[..], &[Sent::Current(1)]].concat();
    assert_eq!(desk.all(), expected);
}

#[test]
fn a_slow_game_server_is_told_of_what_is_in_force_when_it_takes_it() {
    let mut desk = Desk::watching(vec![player("a"), player("b")]);
    desk.change(put("sale", 2));
    desk.now += PASS_INTERVAL;
    assert_eq!(desk.next(), Next::Player(text_of(&desk, "a")));
    for revision in 3..6 {
        desk.change(put("sale", revision));
    }
    // It has taken the first; nothing was kept of what has passed meanwhile.
    let expected = [
        told("b", &[("sale", 5)]),
        Sent::Current(2),
        told("a", &[("sale", 5)]),
        Sent::Current(5),
    ];
    assert_eq!(desk.all(), expected);
}

fn text_of(desk: &Desk, id: &str) -> Vec<u8> {
    let list = r#"{"eventId":"sale","revision":2,"type":"LimitedTimeOffer","displayName":"sale 2","description":"Twice as much.","tags":["sale"],"priority":0,"closes":"2100-01-01T00:00:00Z"}"#;
    let epoch = desk.history.epoch;
    format!(r#"{{"type":"player","player":"{id}","epoch":"{epoch}","version":2,"time":"{}","events":[{list}]}}"#, start()).into_bytes()
}

#[test]
fn only_what_passes_the_filter_is_told() {
    let mut desk = Desk::new();
    let filter = Filter {
        event_ids: ["cup".parse().unwrap()].into(),
        ..Filter::default()
    };
    desk.selection = Some(filter.into());
    desk.watch.watch(message(vec![player("a")])).unwrap();
    assert_eq!(desk.all(), [told("a", &[]), Sent::Current(1)]);
    desk.change(put("cup", 1));
    desk.change(put("sale", 2));
    assert_eq!(desk.all(), [told("a", &[("cup", 1)]), Sent::Current(3)]);
}

#[test]
fn a_long_pass_gives_way() {
    let players = (0..5_000)
        .map(|id| player(&format!("player-{id}")))
        .collect();
    let mut desk = Desk::watching(players);
    let many = (0..100).flat_map(|id| {
        let mut nobody = assignment(&format!("event-{id}"), 1);
        nobody.suspension.paused = true;
        [content(&format!("event-{id}"), 1).into(), nobody.into()]
    });
    desk.change(many.collect());
    desk.now += PASS_INTERVAL;
    let mut pauses = 0;
    loop {
        match desk.next() {
            Next::Pause => pauses += 1,
            Next::Current(current) => break assert_eq!(current.version, Version(2)),
            other => panic!("{other:?}"),
        }
    }
    // 101 events for each of them.
    assert_eq!(pauses, 5_000 * 101 / EVALUATIONS);
}

#[test]
fn exposure_moves_players_by_their_keys() {
    let ids: Vec<_> = (0..200).map(|id| format!("player-{id}")).collect();
    let mut desk = Desk::watching(ids.iter().map(|id| player(id)).collect());
    let mut trial = try_on_all("sale", 1, 2, "player");
    let Some(Entry::Put(liveevents_protocol::entry::Value::Assignment(assignment))) = trial.pop()
    else {
        panic!("no assignment");
    };
    let mut assignment = (*assignment).clone();
    let exposure = BasisPoints::new(3_000).unwrap();
    assignment.candidate.as_mut().unwrap().exposure = exposure;
    let salt = assignment.salt.clone();
    trial.push(assignment.into());
    desk.change(trial);
    let exposed = |id: &&String| liveevents_protocol::bucketing::is_exposed(&salt, id, exposure);
    let mut expected: Vec<_> = ids
        .iter()
        .filter(exposed)
        .map(|id| told(id, &[("sale", 2)]))
        .collect();
    assert!((20..100).contains(&expected.len()));
    let mut sent = desk.all();
    assert_eq!(sent.pop(), Some(Sent::Current(2)));
    sent.sort_by_key(|sent| format!("{sent:?}"));
    expected.sort_by_key(|sent| format!("{sent:?}"));
    assert_eq!(sent, expected);
}
