//! One instance of everything that travels, as `protocol/golden/v1` pins it. Values chosen so that a field
//! swapped with its neighbour, a sign or an order of bytes shows.

// By path, since the program that writes the files includes this one by its path.
#[path = "samples/engagement.rs"]
mod engagement;
#[path = "samples/forget.rs"]
mod forget;
#[path = "samples/messages.rs"]
mod messages;

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::attribute::{Attribute, Number};
use liveevents_protocol::codec;
use liveevents_protocol::conditions::{Patience, Requires, WhenStale};
use liveevents_protocol::delay::Delays;
use liveevents_protocol::entry::{Entry, EntryKey, Stamped};
use liveevents_protocol::frame::{
    Arrivals, Delivery, EdgeFrame, Hello, Nack, OriginFrame, Quarantined, Row, Rows, SnapshotChunk,
    Standing,
};
use liveevents_protocol::id::{BootId, ChangeId, EventId, RegionId, SegmentId, TokenId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{
    Assignment, BucketBy, Candidate, Content, EventType, Localization, Suspension,
};
use liveevents_protocol::position::{Digest, Position, SealedPosition};
use liveevents_protocol::schedule::{Occurrence, Schedule};
use liveevents_protocol::segment::{Criteria, Range, Rule, Segment};
use liveevents_protocol::trust::{
    IssuerKey, PlayerIssuer, PublicKey, Revoked, SignedTrust, TrustBundle,
};
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};
use uuid::Uuid;

use super::sample::{Sample, Value};

pub(crate) fn all() -> Vec<Sample> {
    let sample = |name, value| Sample { name, value };
    let mut samples = vec![
        sample("edge-hello", Value::Edge(EdgeFrame::Hello(hello()))),
        sample(
            "edge-hello-least",
            Value::Edge(EdgeFrame::Hello(least_hello())),
        ),
        sample(
            "edge-ack",
            Value::Edge(EdgeFrame::Ack {
                region: region("us-east"),
                epoch: epoch(),
                version: Version(300),
                applied_at: time(1),
            }),
        ),
        sample(
            "edge-heartbeat",
            Value::Edge(EdgeFrame::Heartbeat { sent_at: time(2) }),
        ),
        sample("edge-bye", Value::Edge(EdgeFrame::Bye)),
        sample(
            "edge-delivery",
            Value::Edge(EdgeFrame::Delivery(delivery())),
        ),
        sample("edge-degraded", Value::Edge(degraded())),
        sample("edge-degraded-segment", Value::Edge(degraded_segment())),
        sample(
            "origin-drain",
            Value::Origin(OriginFrame::Drain { spread_ms: 10_000 }),
        ),
        sample("origin-directory", Value::Origin(directory())),
        sample(
            "origin-welcome",
            Value::Origin(OriginFrame::Welcome {
                session: 70_000,
                time: time(3),
                trust: signed_trust(),
            }),
        ),
        sample(
            "origin-trust",
            Value::Origin(OriginFrame::Trust(signed_trust())),
        ),
        sample(
            "origin-snapshot-chunk",
            Value::Origin(OriginFrame::SnapshotChunk(SnapshotChunk {
                region: region("eu-west"),
                position: position(),
                floor: Version(250),
                index: 1,
                last: true,
                entries: codec::encode_stamped(&stamped()).unwrap(),
            })),
        ),
        sample(
            "origin-rows",
            Value::Origin(OriginFrame::Rows(rows(b"first"))),
        ),
        sample(
            "origin-heartbeat",
            Value::Origin(OriginFrame::Heartbeat {
                echo: time(4),
                time: time(5),
            }),
        ),
        sample("entry-content", Value::Entries(vec![content().into()])),
        sample(
            "entry-content-least",
            Value::Entries(vec![least_content().into()]),
        ),
        sample(
            "entry-assignment",
            Value::Entries(vec![assignment().into()]),
        ),
        sample(
            "entry-assignment-least",
            Value::Entries(vec![least_assignment().into()]),
        ),
        sample(
            "entry-assignment-full",
            Value::Entries(vec![full_assignment().into()]),
        ),
        sample(
            "entry-removed-content",
            Value::Entries(vec![removed_content()]),
        ),
        sample(
            "entry-removed-assignment",
            Value::Entries(vec![removed_assignment()]),
        ),
        sample("entry-segment", Value::Entries(vec![segment().into()])),
        sample(
            "entry-segment-least",
            Value::Entries(vec![least_segment().into()]),
        ),
        sample(
            "entry-removed-segment",
            Value::Entries(vec![removed_segment()]),
        ),
        sample(
            "entry-content-segmented",
            Value::Entries(vec![segmented().into()]),
        ),
        sample("entries-none", Value::Entries(Vec::new())),
        sample("entries-of-every-type", Value::Entries(every_type())),
        sample("stamped", Value::Stamped(stamped())),
        sample("trust", Value::Trust(trust())),
    ];
    samples.push(sample(
        "origin-rows-compressed",
        Value::Origin(OriginFrame::Rows(rows(&[7; 5_000]))),
    ));
    samples.extend(
        messages::all()
            .into_iter()
            .chain(engagement::all())
            .chain(forget::all())
            .map(|(name, value)| sample(name, value)),
    );
    samples
}

fn delivery() -> Delivery {
    let mut delays = Delays::default();
    for micros in [900, 1_000, 70_000] {
        delays.record(std::time::Duration::from_micros(micros));
    }
    let standing = |version, received, applied, deferred| Standing {
        version: Version(version),
        received,
        applied,
        deferred,
    };
    Delivery {
        region: region("us-east"),
        epoch: epoch(),
        connected: 1_000,
        standings: vec![standing(299, 1, 300, 0), standing(300, 999, 690, 9)],
        arrivals: vec![Arrivals {
            version: Version(300),
            delays,
        }],
        nacks: vec![Nack {
            event: event("summer-fest-2025"),
            revision: Some(Revision(7)),
            version: Version(300),
            count: 3,
            reason: "unknown item".to_owned(),
        }],
    }
}

fn degraded() -> EdgeFrame {
    let quarantined = |key, reason: &str| Quarantined {
        key,
        version: Version(300),
        reason: reason.to_owned(),
    };
    EdgeFrame::Degraded {
        region: region("us-east"),
        entries: vec![
            quarantined(
                EntryKey::Content(event("summer-fest-2025"), Revision(7)),
                "cannot be applied",
            ),
            quarantined(EntryKey::Assignment(event("a")), "names revision 9"),
        ],
    }
}

fn degraded_segment() -> EdgeFrame {
    EdgeFrame::Degraded {
        region: region("us-east"),
        entries: vec![Quarantined {
            key: EntryKey::Segment(segment_id("vip-tier-1")),
            version: Version(300),
            reason: "cannot be applied".to_owned(),
        }],
    }
}

fn directory() -> OriginFrame {
    OriginFrame::Directory(vec![
        (
            region("eu-west"),
            vec!["http://edge-7.eu-west.example:8090".to_owned()],
        ),
        (region("us-east"), Vec::new()),
    ])
}

fn hello() -> Hello {
    Hello {
        installation: "starfall-production".parse().unwrap(),
        edge: "us-east-1.dc3".parse().unwrap(),
        boot: BootId(uuid(1)),
        token: "header.claims.signature".to_owned(),
        build: "0.1.0".to_owned(),
        capabilities: vec!["segments".to_owned(), "variants".to_owned()],
        address: "http://edge-1.us-east.example:8090".to_owned(),
        regions: vec![
            (region("us-east"), Some(position())),
            (region("us-west"), None),
        ],
    }
}

fn least_hello() -> Hello {
    Hello {
        token: String::new(),
        build: String::new(),
        capabilities: Vec::new(),
        address: String::new(),
        regions: Vec::new(),
        ..hello()
    }
}

fn position() -> SealedPosition {
    SealedPosition {
        position: Position {
            epoch: epoch(),
            version: Version(300),
            digest: Digest(count_up(0x40)),
        },
        mac: count_up(0x80),
    }
}

fn signed_trust() -> SignedTrust {
    SignedTrust {
        bytes: codec::encode_trust(&trust()).unwrap(),
        signatures: vec![count_up(0xc0), count_up(0x10)],
    }
}

fn trust() -> TrustBundle {
    TrustBundle {
        installation: "starfall-production".parse().unwrap(),
        serial: 66_000,
        keys: vec![PublicKey {
            kid: "0123456789abcdef".to_owned(),
            key: count_up(0x20),
        }],
        revoked: vec![Revoked {
            token: TokenId(uuid(2)),
            until: time(8),
        }],
        issuers: vec![PlayerIssuer {
            issuer: "https://id.studio.example".to_owned(),
            audience: "starfall".to_owned(),
            keys: [
                ("a".to_owned(), IssuerKey::Ed25519(count_up(0x30))),
                (
                    "b".to_owned(),
                    IssuerKey::P256 {
                        x: count_up(0x40),
                        y: count_up(0x60),
                    },
                ),
                (
                    "c".to_owned(),
                    IssuerKey::Rsa {
                        n: count_up::<32>(0x80).to_vec(),
                        e: vec![1, 0, 1],
                    },
                ),
            ]
            .into(),
            player: "sub".to_owned(),
            attributes: [("level".to_owned(), "game.level".to_owned())].into(),
            bucketing: [("guild".to_owned(), "game.guild".to_owned())].into(),
            region: Some("game.region".to_owned()),
            regions: vec![region("us-east"), region("eu-west")],
        }],
    }
}

fn rows(entries: &[u8]) -> Rows {
    let row = |version, entries: &[u8]| Row {
        version: Version(version),
        change: ChangeId(uuid(3)),
        committed_at: time(9),
        entries: entries.to_vec(),
    };
    Rows {
        region: region("us-east"),
        position: position(),
        rows: vec![row(299, entries), row(300, b"second")],
    }
}

fn stamped() -> Vec<Stamped> {
    let stamped = |version, entry| Stamped {
        version: Version(version),
        entry,
    };
    vec![
        stamped(299, content().into()),
        stamped(299, assignment().into()),
        stamped(300, removed_content()),
        stamped(300, removed_assignment()),
    ]
}

fn content() -> Content {
    let german = Localization {
        display_name: Some("Sommerfest".to_owned()),
        description: Some("Grüße aus der *Arena*".to_owned()),
        custom_fields: Some(json(r#"{"cta": "Los!"}"#)),
    };
    let japanese = Localization {
        display_name: Some("夏祭り".to_owned()),
        description: None,
        custom_fields: None,
    };
    Content {
        event_id: event("summer-fest-2025"),
        revision: Revision(7),
        event_type: EventType::SeasonalPromotion,
        display_name: "Summer Fest".to_owned(),
        description: "Fire*works* every night".to_owned(),
        category: Some("festival".to_owned()),
        priority: -3,
        tags: vec!["summer".to_owned(), "xp".to_owned()],
        localizations: BTreeMap::from([("de".to_owned(), german), ("ja".to_owned(), japanese)]),
        requires: Requires {
            min_build: Some("4.12".parse().unwrap()),
            max_build: Some("5.0.1".parse().unwrap()),
            unknown: false,
        },
        when_stale: WhenStale::HideAfter(Patience::from_seconds(600).unwrap()),
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: json(r#"{"multipliers": {"xp": 2.50}, "big": 12345678901234567890123}"#),
    }
}

fn least_content() -> Content {
    Content {
        event_id: event("a"),
        revision: Revision(1),
        event_type: EventType::ABTestVariant,
        display_name: String::new(),
        description: String::new(),
        category: None,
        priority: 0,
        tags: Vec::new(),
        localizations: BTreeMap::new(),
        requires: Requires::default(),
        when_stale: WhenStale::Keep,
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: JsonText::empty_object(),
    }
}

/// A content for some and not for others, which demands nothing else.
fn segmented() -> Content {
    Content {
        target_segments: vec![segment_id("vip-tier-1"), segment_id("at-risk")],
        exclude_segments: vec![segment_id("new-players")],
        ..least_content()
    }
}

fn segment() -> Segment {
    let number = |number: f64| Number::new(number).unwrap();
    let range =
        |min: Option<f64>, max: Option<f64>| Range::new(min.map(number), max.map(number)).unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let rules = [
        ("clan", Rule::Equals(Attribute::Text("red".to_owned()))),
        ("beta", Rule::Equals(Attribute::Flag(true))),
        (
            "tier",
            Rule::OneOf(
                [
                    Attribute::Text("gold".to_owned()),
                    Attribute::Number(7.into()),
                ]
                .into(),
            ),
        ),
        ("karma", Rule::Range(range(Some(-0.5), None))),
        ("later", Rule::Unknown),
    ];
    Segment {
        id: segment_id("vip-tier-1"),
        revision: Revision(500),
        criteria: Criteria {
            level_range: Some(range(Some(10.0), Some(50.0))),
            account_age_days: Some(range(Some(30.0), None)),
            lifetime_spend: Some(range(Some(99.99), Some(10_000.0))),
            days_since_last_login: Some(range(None, Some(7.0))),
            recent_session_count: Some(range(None, None)),
            country_codes: texts(&["DE", "JP"]),
            platforms: texts(&["pc"]),
            custom_criteria: rules.map(|(name, rule)| (name.to_owned(), rule)).into(),
            include: texts(&["p-1", "p-2"]),
            exclude: texts(&["p-3"]),
            unknown: false,
        },
    }
}

fn least_segment() -> Segment {
    Segment {
        id: segment_id("a"),
        revision: Revision(1),
        criteria: Criteria {
            unknown: true,
            ..Criteria::default()
        },
    }
}

fn removed_segment() -> Entry {
    Entry::Removal(EntryKey::Segment(segment_id("at-risk")))
}

fn segment_id(id: &str) -> SegmentId {
    SegmentId::new(id).unwrap()
}

fn every_type() -> Vec<Entry> {
    let of_type = |(event_type, revision)| Content {
        event_type,
        revision: Revision(revision),
        ..least_content()
    };
    EventType::ALL
        .into_iter()
        .zip(1..)
        .map(of_type)
        .map(Entry::from)
        .collect()
}

fn assignment() -> Assignment {
    let occurrence = |opens, closes| Occurrence {
        opens: time(opens),
        closes: time(closes),
    };
    Assignment {
        event_id: event("summer-fest-2025"),
        salt: "7f3a".to_owned(),
        live: Some(Revision(6)),
        candidate: Some(Candidate {
            revision: Revision(7),
            exposure: BasisPoints::new(1_000).unwrap(),
            bucket_by: BucketBy("match".to_owned()),
        }),
        schedule: Schedule::new(vec![occurrence(10, 20), occurrence(30, 40)]).unwrap(),
        suspension: Suspension {
            paused: true,
            stopped: false,
        },
        full: false,
    }
}

fn full_assignment() -> Assignment {
    Assignment {
        full: true,
        ..assignment()
    }
}

fn least_assignment() -> Assignment {
    Assignment {
        event_id: event("a"),
        salt: String::new(),
        live: None,
        candidate: None,
        schedule: Schedule::default(),
        suspension: Suspension {
            paused: false,
            stopped: true,
        },
        full: false,
    }
}

fn removed_content() -> Entry {
    Entry::Removal(EntryKey::Content(event("winter-sale"), Revision(500)))
}

fn removed_assignment() -> Entry {
    Entry::Removal(EntryKey::Assignment(event("winter-sale")))
}

fn event(id: &str) -> EventId {
    EventId::new(id).unwrap()
}

fn region(id: &str) -> RegionId {
    RegionId::new(id).unwrap()
}

fn json(text: &str) -> JsonText {
    JsonText::new(text.to_owned()).unwrap()
}

/// 2025-06-21 and so many seconds, with microseconds.
fn time(second: i64) -> Timestamp {
    Timestamp::from_microsecond(1_750_464_000_123_456 + second * 1_000_000).unwrap()
}

fn epoch() -> Epoch {
    Epoch(uuid(9))
}

/// A UUIDv7 whose bytes differ from each other.
fn uuid(last: u8) -> Uuid {
    let mut bytes = [
        0x01, 0x97, 0x8e, 0x3b, 0x5c, 0x2d, 0x7a, 0x1f, 0x8e, 0x90, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0,
    ];
    bytes[15] = last;
    Uuid::from_bytes(bytes)
}

fn count_up<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(u8::try_from(i).unwrap()))
}
