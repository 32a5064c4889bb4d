//! A player's read: told apart by what is shown and by nothing else, never half a change, counted and limited.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::edge::{Edge, Setup};
use common::history::{History, assignment, content, epoch, from_level, put, put_for, try_on_all};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, start, within};
use jiff::SignedDuration;
use liveevents_protocol::attribute::Attribute;
use liveevents_protocol::conditions::{Patience, Requires, WhenStale};
use liveevents_protocol::entry::{Entry, EntryKey};
use liveevents_protocol::segment::{Criteria, Segment};
use liveevents_protocol::version::{Revision, Version};
use liveevents_service::clock::ManualClock;
use liveevents_service::token::Role;
use reqwest::header::{ETAG, HeaderMap, IF_NONE_MATCH};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const OWN: &str = "/api/v1/players/p-1/events?region=us-east";

struct World {
    identity: Identity,
    edge: Edge,
    hand: ManualClock,
    history: History,
    link: Link,
    origin: Origin,
    http: reqwest::Client,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn tag(&self) -> String {
        self.header(ETAG.as_str()).to_owned()
    }

    fn names(&self) -> Vec<&str> {
        let events = self.body["events"].as_array().unwrap().iter();
        events
            .map(|event| event["eventId"].as_str().unwrap())
            .collect()
    }
}

impl World {
    async fn new(entries: Vec<Entry>) -> Self {
        Self::with(entries, |setup| setup).await
    }

    async fn with(entries: Vec<Entry>, settings: impl FnOnce(Setup) -> Setup) -> Self {
        let (identity, hand) = (Identity::new(), clock());
        let origin = Origin::start(&identity, &hand.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(entries, start());
        let setup = Setup::new(&identity, &hand.clock(), &[origin.address]);
        let edge = settings(setup).start().await;
        let link = origin.serve(&[&history]).await;
        edge.at_version(1).await;
        Self {
            identity,
            edge,
            hand,
            history,
            link,
            origin,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn change(&mut self, entries: Vec<Entry>) {
        let from = self.history.head();
        let to = self.history.commit(entries, start());
        self.link.rows(&self.history, from.0, to.0).await;
        self.edge.at_version(to.0).await;
    }

    fn player(&self) -> String {
        self.identity.token(Role::Player, "p-1", &["us-east"])
    }

    fn server(&self) -> String {
        self.identity.game_server(&["us-east"])
    }

    async fn ask(&self, path: &str, held: Option<&str>) -> Answer {
        self.ask_as(&self.server(), path, held).await
    }

    async fn ask_as(&self, token: &str, path: &str, held: Option<&str>) -> Answer {
        let url = format!("http://{}{path}", self.edge.address);
        let mut request = self.http.get(url).bearer_auth(token);
        if let Some(held) = held {
            request = request.header(IF_NONE_MATCH, held);
        }
        let answer = within("an answer", request.send()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = within("a body", answer.text()).await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer {
            status,
            headers,
            body,
        }
    }
}

#[tokio::test]
async fn a_tag_is_met_until_something_changes_for_the_player() {
    let mut world = World::new(put("sale", 1)).await;
    let first = world.ask(OWN, None).await;
    let tag = first.tag();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");

    // Time goes by, news grow old, a change concerns nobody: the same is shown.
    world.hand.advance(SignedDuration::from_secs(40));
    let mut hidden = assignment("hidden", 1);
    hidden.suspension.paused = true;
    world
        .change(vec![content("hidden", 1).into(), hidden.into()])
        .await;
    let same = world.ask(OWN, Some(&tag)).await;
    assert_eq!((same.status, &same.body), (304, &json!("")));
    assert_eq!(same.tag(), tag);
    assert_eq!(same.header("liveevents-epoch"), epoch(5).to_string());
    assert_eq!(same.header("liveevents-version"), "2");
    let age: u64 = same.header("liveevents-age-ms").parse().unwrap();
    assert!(age <= 40_000);
    assert_eq!(
        same.header("liveevents-stale"),
        if age > 15_000 { "true" } else { "false" }
    );
    // Whoever is shown the same has the same tag.
    let other = "/api/v1/players/p-2/events?region=us-east";
    assert_eq!(world.ask(other, Some(&tag)).await.status, 304);
    assert_eq!(world.ask(OWN, Some("*")).await.status, 304);
    assert_eq!(world.ask(OWN, Some("\"other\"")).await.status, 200);

    world.change(put("sale", 2)).await;
    let changed = world.ask(OWN, Some(&tag)).await;
    assert_eq!((changed.status, changed.names()), (200, vec!["sale"]));
    assert_ne!(changed.tag(), tag);
}

#[tokio::test]
async fn what_is_asked_for_otherwise_has_another_tag() {
    let mut entries = vec![content("sale", 1).into()];
    entries.extend(try_on_all("sale", 1, 2, "match"));
    let world = World::new(entries).await;
    let mut tags = Vec::new();
    for more in [
        "",
        "&includeConfig=false",
        "&language=de",
        "&language=de&includeConfig=false",
        "&key.match=m-1",
    ] {
        let answer = world.ask(&format!("{OWN}{more}"), None).await;
        assert_eq!(answer.status, 200, "{more}");
        tags.push(answer.tag());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 5);
    let region = world.ask("/api/v1/regions/us-east/events", None).await;
    let held = region.tag();
    let again = world
        .ask("/api/v1/regions/us-east/events", Some(&held))
        .await;
    assert_eq!(
        (again.status, again.header("liveevents-version")),
        (304, "1")
    );
    assert!(!tags.contains(&held));
}

/// So that a player who is sent to another edge still meets the tag held; and a history that means something else by the
/// same numbers does not.
#[tokio::test]
async fn a_tag_is_the_same_at_every_edge_and_in_no_other_epoch() {
    let here = World::new(put("sale", 1)).await;
    let there = World::new(put("sale", 1)).await;
    let tag = here.ask(OWN, None).await.tag();
    assert_eq!(there.ask(OWN, Some(&tag)).await.status, 304);
    let mut restored = History::new("us-east", epoch(6));
    restored.commit(put("sale", 1), start());
    there.link.snapshot(&restored, Version(1)).await;
    there
        .edge
        .until("the next epoch is served", |report| {
            report["regions"][0]["holds"]["epoch"] == epoch(6).to_string()
        })
        .await;
    let answer = there.ask(OWN, Some(&tag)).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.tag(), tag);
}

#[tokio::test]
async fn a_build_that_is_not_the_one_is_not_shown_the_event() {
    let mut first = content("sale", 1);
    first.requires = Requires {
        min_build: "4.12".parse().ok(),
        max_build: "4.20".parse().ok(),
        ..Requires::default()
    };
    let world = World::new(vec![first.into(), assignment("sale", 1).into()]).await;
    for (build, shown) in [
        ("", false),
        ("&build=4.11.9", false),
        ("&build=4.12", true),
        ("&build=4.20.0", true),
        ("&build=4.20.1", false),
    ] {
        // A player says it too: it says what the game can show, not what they are due.
        let answer = world
            .ask_as(&world.player(), &format!("{OWN}{build}"), None)
            .await;
        assert_eq!(answer.names().len(), usize::from(shown), "{build}");
    }
}

#[tokio::test]
async fn what_is_hidden_when_stale_is_hidden_at_that_very_age() {
    let mut hiding = content("hiding", 1);
    hiding.when_stale = WhenStale::HideAfter(Patience::from_seconds(60).unwrap());
    let mut entries = put("keeping", 1);
    entries.extend([hiding.into(), assignment("hiding", 1).into()]);
    let world = World::new(entries).await;
    // While the connection stands nothing is hidden.
    let both = ["hiding", "keeping"];
    assert_eq!(world.ask(OWN, None).await.names(), both);
    let World {
        edge, hand, origin, ..
    } = &world;
    origin.cut_off();
    let report = edge
        .until("the origin is away", |report| {
            report["uplink"]["state"] != "Connected"
        })
        .await;
    let age = report["regions"][0]["holds"]["ageMs"].as_i64().unwrap();
    let rest = SignedDuration::from_mins(1) - SignedDuration::from_millis(age);
    hand.advance(rest - SignedDuration::from_millis(1));
    assert_eq!(world.ask(OWN, None).await.names(), both);
    hand.advance(SignedDuration::from_millis(1));
    let answer = world.ask(OWN, None).await;
    assert_eq!(answer.names(), ["keeping"]);
    assert_eq!(answer.body["stale"], true);
}

#[tokio::test]
async fn who_runs_events_is_told_why() {
    let mut entries = vec![content("sale", 1).into()];
    entries.extend(try_on_all("sale", 1, 2, "match"));
    let mut stopped = assignment("broken", 1);
    stopped.suspension.stopped = true;
    entries.extend([content("broken", 1).into(), stopped.into()]);
    let world = World::new(entries).await;
    let why = format!("{OWN}&explain=true");
    let answer = world.ask(&why, None).await;
    assert_eq!((answer.status, answer.tag()), (200, String::new()));
    assert_eq!(answer.names(), ["sale"], "what is shown is there too");
    let explanations = answer.body["explanations"].as_array().unwrap();
    let outcomes: Vec<_> = explanations
        .iter()
        .map(|event| {
            (
                event["eventId"].as_str().unwrap(),
                event["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(outcomes, [("broken", "Suspended"), ("sale", "Live")]);
    let exposure = &explanations[1]["rules"][3];
    assert_eq!(
        exposure,
        &json!({"rule": "Exposure", "admits": false, "revision": 2, "bucketBy": "match", "exposure": 10_000})
    );
    let tried = world.ask(&format!("{why}&key.match=m-1"), None).await;
    assert_eq!(tried.body["explanations"][1]["outcome"], "Candidate");
    // Not even what is held already is a reason not to answer.
    assert_eq!(world.ask(&why, Some("*")).await.status, 200);
    let refused = world.ask_as(&world.player(), &why, None).await;
    assert_eq!(
        (refused.status, refused.body["error"]["code"].as_str()),
        (403, Some("FORBIDDEN"))
    );
}

/// What decides who gets what is said by the studio: in the player's token, or by its game server.
#[tokio::test]
async fn a_players_token_counts_and_the_players_own_words_do_not() {
    let mut entries = vec![from_level("veterans", 3, 10)];
    entries.extend(put_for("reunion", 1, "veterans"));
    entries.extend(put("sale", 1));
    let world = World::new(entries).await;
    let token = |level: Option<u32>| {
        let mut claims = world.identity.claims(Role::Player, "p-1", &["us-east"]);
        claims.attributes = level
            .map(|level| ("level".to_owned(), Attribute::Number(level.into())))
            .into_iter()
            .collect();
        world.identity.sign(&claims)
    };
    for (level, shown) in [
        (None, &["sale"][..]),
        (Some(9), &["sale"]),
        (Some(10), &["reunion", "sale"]),
    ] {
        let answer = world.ask_as(&token(level), OWN, None).await;
        assert_eq!(answer.names(), shown, "{level:?}");
    }
    let low = world.ask_as(&token(Some(9)), OWN, None).await.tag();
    let high = world.ask_as(&token(Some(10)), OWN, Some(&low)).await;
    assert_eq!(high.status, 200, "another tag");

    // The player's own word is refused, in whatever form, and says which.
    let own = format!("{OWN}&attributes.level=99");
    for token in [token(None), token(Some(10))] {
        let refused = world.ask_as(&token, &own, None).await;
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert_eq!(refused.status, 403);
        assert!(message.contains("attributes.level"), "{message}");
    }
    // A game server's counts, as does an operator's, who asks for a preview.
    let operator = world.identity.token(Role::Operator, "ops", &[]);
    for asking in [world.server(), operator] {
        let answer = world.ask_as(&asking, &own, None).await;
        assert_eq!(answer.names(), ["reunion", "sale"]);
        let answer = world.ask_as(&asking, OWN, None).await;
        assert_eq!(
            answer.names(),
            ["sale"],
            "what its own token says is not the player's"
        );
    }
    // And is explained.
    let why = format!("{OWN}&explain=true&attributes.level=7");
    let answer = world.ask(&why, None).await;
    let reunion = &answer.body["explanations"][0];
    assert_eq!(reunion["outcome"], "OutsideSegments");
    let rule = reunion["rules"].as_array().unwrap().last().unwrap();
    assert_eq!(
        rule,
        &json!({
            "rule": "Segments", "admits": false, "revision": 1,
            "targets": [{
                "segmentId": "veterans", "revision": 3, "membership": "Fails",
                "criteria": [{"attribute": "level", "demanded": [10, null], "seen": 7, "holds": false}],
            }],
        })
    );
}

/// The platform is a parameter that a player may give, and what a segment looks at: for that the player's word is none.
#[tokio::test]
async fn a_platform_counts_for_segments_where_a_game_server_says_it() {
    let consoles = Segment {
        id: "consoles".parse().unwrap(),
        revision: Revision(1),
        criteria: Criteria {
            platforms: ["PS5".to_owned()].into(),
            ..Criteria::default()
        },
    };
    let mut entries = vec![consoles.into()];
    entries.extend(put_for("sale", 1, "consoles"));
    let world = World::new(entries).await;
    let path = format!("{OWN}&platform=ps5");
    assert_eq!(world.ask(&path, None).await.names(), ["sale"]);
    let none: [&str; 0] = [];
    let own = world.ask_as(&world.player(), &path, None).await;
    assert_eq!((own.status, own.names()), (200, none.to_vec()));
    let mut claims = world.identity.claims(Role::Player, "p-1", &["us-east"]);
    let platform = Attribute::Text("ps5".to_owned());
    claims.attributes = [("platform".to_owned(), platform)].into();
    let signed = world.ask_as(&world.identity.sign(&claims), OWN, None).await;
    assert_eq!(signed.names(), ["sale"]);
}

/// A guild that the studio's issuer names in the token is a bucketing key as a game server's word is.
#[tokio::test]
async fn keys_in_a_players_token_are_bucketed_by() {
    let mut entries = vec![content("sale", 1).into()];
    entries.extend(try_on_all("sale", 1, 2, "guild"));
    let world = World::new(entries).await;
    let revision = |answer: Answer| answer.body["events"][0]["revision"].clone();
    let without = world.ask_as(&world.player(), OWN, None).await;
    assert_eq!(revision(without), 1);
    let mut claims = world.identity.claims(Role::Player, "p-1", &["us-east"]);
    claims.keys = [("guild".to_owned(), "red".to_owned())].into();
    let with = world.ask_as(&world.identity.sign(&claims), OWN, None).await;
    assert_eq!(revision(with), 2);
}

/// A region's whole state names its segments, and a new revision of one changes what players are shown at once.
#[tokio::test]
async fn a_segments_new_revision_decides_from_then_on() {
    let mut entries = vec![from_level("veterans", 1, 10)];
    entries.extend(put_for("reunion", 1, "veterans"));
    let mut world = World::new(entries).await;
    let path = format!("{OWN}&attributes.level=10");
    let before = world.ask(&path, None).await;
    assert_eq!(before.names(), ["reunion"]);
    world.change(vec![from_level("veterans", 2, 20)]).await;
    let after = world.ask(&path, Some(&before.tag())).await;
    assert_eq!((after.status, after.names().len()), (200, 0));
    let region = world.ask("/api/v1/regions/us-east/events", None).await;
    assert_eq!(
        region.body["segments"],
        json!([{"segmentId": "veterans", "revision": 2, "criteria": {"levelRange": [20, null]}}])
    );
    let gone = Entry::Removal(EntryKey::Segment("veterans".parse().unwrap()));
    world.change(vec![gone]).await;
    let path = format!("{OWN}&attributes.level=99");
    assert_eq!(
        world.ask(&path, None).await.names().len(),
        0,
        "nobody can say"
    );
}

/// Two events that every change moves together: whoever sees one moved and the other not has seen half a change.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_during_a_storm_of_changes_show_whole_changes_in_order() {
    const CHANGES: u32 = 200;
    let twins = |revision: u32| [put("twin-a", revision), put("twin-b", revision)].concat();
    let mut world = World::with(twins(1), |setup| {
        setup.with("players-reads-per-minute", "0")
    })
    .await;
    let over = Arc::new(AtomicBool::new(false));
    let url = format!("http://{}{OWN}", world.edge.address);
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (over, url, token) = (Arc::clone(&over), url.clone(), world.server());
        let http = world.http.clone();
        readers.spawn(async move {
            let (mut last, mut seen) = (0, 0_u64);
            while !over.load(Ordering::Relaxed) || last < u64::from(CHANGES) {
                let answer = http.get(&url).bearer_auth(&token).send().await.unwrap();
                let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
                let version = body["version"].as_u64().unwrap();
                assert!(version >= last, "from {last} back to {version}");
                for event in body["events"].as_array().unwrap() {
                    assert_eq!(event["revision"], version, "{body}");
                    assert_eq!(event["configuration"]["multipliers"]["xp"], version);
                }
                assert_eq!(body["events"].as_array().unwrap().len(), 2);
                seen += u64::from(version > last);
                last = version;
            }
            seen
        });
    }
    for revision in 2..=CHANGES {
        let from = world.history.head();
        let to = world.history.commit(twins(revision), start());
        world.link.rows(&world.history, from.0, to.0).await;
    }
    world.edge.at_version(u64::from(CHANGES)).await;
    over.store(true, Ordering::Relaxed);
    while let Some(seen) = within("the readers to end", readers.join_next()).await {
        assert!(seen.unwrap() > 1, "a reader saw no change go by");
    }
}

#[tokio::test]
async fn one_players_events_can_be_asked_for_so_often() {
    let world = World::with(put("sale", 1), |setup| {
        setup.with("players-reads-per-minute", "3")
    })
    .await;
    let tag = world.ask(OWN, None).await.tag();
    let second = world.ask(OWN, Some(&tag)).await;
    assert_eq!(second.status, 304);
    assert_eq!(second.header("x-ratelimit-limit"), "3");
    assert_eq!(second.header("x-ratelimit-remaining"), "1");
    // What is not allowed or not well formed is not counted.
    assert_eq!(world.ask(&format!("{OWN}&limit=1"), None).await.status, 400);
    let stranger = world.identity.token(Role::Player, "p-2", &["us-east"]);
    assert_eq!(world.ask_as(&stranger, OWN, None).await.status, 403);
    let last = world.ask_as(&world.player(), OWN, None).await;
    assert_eq!(
        (last.status, last.header("x-ratelimit-remaining")),
        (200, "0")
    );
    let reset: u64 = last.header("x-ratelimit-reset").parse().unwrap();
    assert!((1..=60).contains(&reset), "{reset}");
    let refused = world.ask(OWN, None).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.body["error"]["code"], "RATE_LIMIT_EXCEEDED");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    // Nobody else is concerned.
    assert_eq!(
        world
            .ask_as(&stranger, &OWN.replace("p-1", "p-2"), None)
            .await
            .status,
        200
    );

    let unlimited = World::with(put("sale", 1), |setup| {
        setup.with("players-reads-per-minute", "0")
    })
    .await;
    let answer = unlimited.ask(OWN, None).await;
    assert_eq!(
        (answer.status, answer.header("x-ratelimit-limit")),
        (200, "")
    );
}

#[tokio::test]
async fn the_hit_rate_is_the_share_answered_from_memory() {
    let world = World::new(put("sale", 1)).await;
    let rate = async || world.edge.metric("liveevents_cache_hit_rate").await;
    assert_eq!(rate().await, Some(1.0));
    let tag = world.ask(OWN, None).await.tag();
    world.ask(OWN, Some(&tag)).await;
    world.ask(OWN, None).await;
    let elsewhere = world.identity.token(Role::Developer, "dee", &[]);
    let path = OWN.replace("us-east", "eu-west");
    assert_eq!(world.ask_as(&elsewhere, &path, None).await.status, 421);
    assert_eq!(rate().await, Some(0.75));
    // Who may not ask, or asks for nonsense, says nothing about the cache.
    world.ask_as("garbage", OWN, None).await;
    world.ask(&format!("{OWN}&limit=1"), None).await;
    assert_eq!(rate().await, Some(0.75));
    let queries = world.edge.metric("liveevents_player_queries_total").await;
    assert_eq!(queries, Some(4.0));
    let timed = world
        .edge
        .metric("liveevents_query_duration_seconds_count")
        .await;
    assert_eq!(timed, Some(3.0));
}
