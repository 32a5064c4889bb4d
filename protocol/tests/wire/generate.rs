//! Any value of every type that travels.

mod engagement;
mod messages;

pub(crate) use messages::{client_message, server_message};

use jiff::Timestamp;
use liveevents_protocol::attribute::{Attribute, Number};
use liveevents_protocol::build::Build;
use liveevents_protocol::conditions::{Patience, Requires, WhenStale};
use liveevents_protocol::delay::Delays;
use liveevents_protocol::entry::{Entry, EntryKey, Stamped, Value};
use liveevents_protocol::frame::{
    Arrivals, Delivery, EdgeFrame, Hello, Nack, OriginFrame, Quarantined, Row, Rows, SnapshotChunk,
    Standing,
};
use liveevents_protocol::id::{
    BootId, ChangeId, EdgeId, ErasureId, EventId, Installation, RegionId, SegmentId, TokenId,
};
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
use proptest::array::uniform;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) fn event() -> impl Strategy<Value = EventId> {
    "[a-z0-9-]{1,100}".prop_map(|id| id.parse().unwrap())
}

pub(crate) fn region() -> impl Strategy<Value = RegionId> {
    "[a-z0-9-]{1,64}".prop_map(|id| id.parse().unwrap())
}

fn edge() -> impl Strategy<Value = EdgeId> {
    "[A-Za-z0-9._-]{1,100}".prop_map(|id| id.parse().unwrap())
}

fn installation() -> impl Strategy<Value = Installation> {
    "[a-z0-9-]{1,64}".prop_map(|id| id.parse().unwrap())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    uuid().prop_map(Epoch)
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![0..300_u64, any::<u64>()].prop_map(Version)
}

fn revision() -> impl Strategy<Value = Revision> {
    any::<u32>().prop_map(Revision)
}

/// Whatever the wire can tell: microseconds from the year -9999 to 9999.
pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (
        Timestamp::MIN.as_microsecond(),
        Timestamp::MAX.as_microsecond(),
    );
    prop_oneof![
        1 => Just(first),
        1 => Just(last),
        8 => first..=last,
        8 => 0..2_000_000_000_000_000_i64,
    ]
    .prop_map(|micros| Timestamp::from_nanosecond(i128::from(micros) * 1_000).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", any::<String>()]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..50),
        vec(any::<u8>(), 0..5_000),
        (any::<u8>(), 0..50_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// JSON as people write it: any spacing, order, repeated names, numbers that no machine type holds.
pub(crate) fn json() -> impl Strategy<Value = JsonText> {
    json_text().prop_map(|text| JsonText::new(text).unwrap())
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
        json_string(),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..5), space()).prop_map(|(items, space)| format!(
                "[{space}{}]",
                items.join(&space_after(&space))
            )),
            object_of(inner),
        ]
    })
}

fn json_object() -> impl Strategy<Value = JsonText> {
    object_of(json_text()).prop_map(|text| JsonText::new(text).unwrap())
}

fn object_of(values: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec((json_string(), values), 0..5), space()).prop_map(|(members, space)| {
        let member = |(name, value)| format!("{name}{space}:{space}{value}");
        let members: Vec<_> = members.into_iter().map(member).collect();
        format!("{{{space}{}}}", members.join(&space_after(&space)))
    })
}

fn space_after(space: &str) -> String {
    format!("{space},{space}")
}

fn json_string() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-f]{2}|[a-z\\[\\]{}])*\"",
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ \t\r\n]{0,3}"]
}

fn event_type() -> impl Strategy<Value = EventType> {
    prop::sample::select(EventType::ALL.to_vec())
}

fn localization() -> impl Strategy<Value = Localization> {
    (
        option::of(text()),
        option::of(text()),
        option::of(json_object()),
    )
        .prop_map(|(display_name, description, custom_fields)| Localization {
            display_name,
            description,
            custom_fields,
        })
}

fn build() -> impl Strategy<Value = Build> {
    vec(any::<u32>(), 1..=6).prop_map(|parts| {
        let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
        parts.join(".").parse().unwrap()
    })
}

fn requires() -> impl Strategy<Value = Requires> {
    (option::of(build()), option::of(build())).prop_map(|(min_build, max_build)| Requires {
        min_build,
        max_build,
        unknown: false,
    })
}

fn when_stale() -> impl Strategy<Value = WhenStale> {
    let patience = (1..=Patience::MAX).prop_map(|seconds| Patience::from_seconds(seconds).unwrap());
    prop_oneof![
        Just(WhenStale::Keep),
        patience.prop_map(WhenStale::HideAfter)
    ]
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    let named = (event(), revision(), event_type(), text(), text());
    let sorted = (
        option::of(text()),
        any::<i32>(),
        vec(text(), 0..4),
        btree_map(text(), localization(), 0..3),
        requires(),
        when_stale(),
        (vec(segment_id(), 0..3), vec(segment_id(), 0..3)),
    );
    (named, sorted, json()).prop_map(|(named, sorted, configuration)| {
        let (event_id, revision, event_type, display_name, description) = named;
        let (category, priority, tags, localizations, requires, when_stale, segments) = sorted;
        let (target_segments, exclude_segments) = segments;
        Content {
            event_id,
            revision,
            event_type,
            display_name,
            description,
            category,
            priority,
            tags,
            localizations,
            requires,
            when_stale,
            target_segments,
            exclude_segments,
            configuration,
        }
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    btree_set(time(), 0..8).prop_map(|times| {
        let times: Vec<_> = times.into_iter().collect();
        let occurrence = |pair: &[Timestamp]| match *pair {
            [opens, closes] => Some(Occurrence { opens, closes }),
            _ => None,
        };
        Schedule::new(times.chunks(2).filter_map(occurrence).collect()).unwrap()
    })
}

fn candidate() -> impl Strategy<Value = Candidate> {
    (revision(), 0..=10_000_u16, text()).prop_map(|(revision, exposure, bucket_by)| Candidate {
        revision,
        exposure: BasisPoints::new(exposure).unwrap(),
        bucket_by: BucketBy(bucket_by),
    })
}

pub(crate) fn assignment() -> impl Strategy<Value = Assignment> {
    let shown = (option::of(revision()), option::of(candidate()), schedule());
    (event(), text(), shown, any::<(bool, bool, bool)>()).prop_map(
        |(event_id, salt, (live, candidate, schedule), (paused, stopped, full))| Assignment {
            event_id,
            salt,
            live,
            candidate,
            schedule,
            suspension: Suspension { paused, stopped },
            full,
        },
    )
}

fn segment_id() -> impl Strategy<Value = SegmentId> {
    "[a-z0-9-]{1,100}".prop_map(|id| id.parse().unwrap())
}

/// Of as many digits as a double keeps.
pub(crate) fn number() -> impl Strategy<Value = Number> {
    let whole = -9_007_199_254_740_991..=9_007_199_254_740_991_i64;
    #[expect(clippy::cast_precision_loss, reason = "a whole number below 2^53")]
    let whole = whole.prop_map(|number| number as f64);
    let decimal = any::<i32>().prop_map(|cents| f64::from(cents) / 100.0);
    prop_oneof![whole, decimal].prop_map(|number| Number::new(number).unwrap())
}

pub(crate) fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<bool>().prop_map(Attribute::Flag),
        number().prop_map(Attribute::Number),
        text().prop_map(Attribute::Text),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    (option::of(number()), option::of(number())).prop_map(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => Range::new(Some(a.min(b)), Some(a.max(b))).unwrap(),
        (min, max) => Range::new(min, max).unwrap(),
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        attribute().prop_map(Rule::Equals),
        btree_set(attribute(), 0..4).prop_map(Rule::OneOf),
        range().prop_map(Rule::Range),
        Just(Rule::Unknown),
    ]
}

fn criteria() -> impl Strategy<Value = Criteria> {
    let range = || option::of(range());
    let texts = || btree_set(text(), 0..4);
    (
        (range(), range(), range(), range(), range()),
        (texts(), texts(), texts(), texts()),
        btree_map(text(), rule(), 0..4),
        any::<bool>(),
    )
        .prop_map(|(ranges, lists, custom_criteria, unknown)| {
            let (level_range, account_age_days, lifetime_spend, days_since_last_login, sessions) =
                ranges;
            let (country_codes, platforms, include, exclude) = lists;
            Criteria {
                level_range,
                account_age_days,
                lifetime_spend,
                days_since_last_login,
                recent_session_count: sessions,
                country_codes,
                platforms,
                custom_criteria,
                include,
                exclude,
                unknown,
            }
        })
}

pub(crate) fn segment() -> impl Strategy<Value = Segment> {
    (segment_id(), revision(), criteria()).prop_map(|(id, revision, criteria)| Segment {
        id,
        revision,
        criteria,
    })
}

fn key() -> impl Strategy<Value = EntryKey> {
    prop_oneof![
        segment_id().prop_map(EntryKey::Segment),
        (event(), revision()).prop_map(|(event, revision)| EntryKey::Content(event, revision)),
        event().prop_map(EntryKey::Assignment),
    ]
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        segment().prop_map(|segment| Entry::Put(Value::Segment(segment.into()))),
        content().prop_map(|content| Entry::Put(Value::Content(content.into()))),
        assignment().prop_map(|assignment| Entry::Put(Value::Assignment(assignment.into()))),
        key().prop_map(Entry::Removal),
    ]
}

pub(crate) fn stamped() -> impl Strategy<Value = Stamped> {
    (version(), entry()).prop_map(|(version, entry)| Stamped { version, entry })
}

pub(crate) fn trust() -> impl Strategy<Value = TrustBundle> {
    let key = (text(), uniform(any::<u8>())).prop_map(|(kid, key)| PublicKey { kid, key });
    let revoked = (uuid(), time()).prop_map(|(token, until)| Revoked {
        token: TokenId(token),
        until,
    });
    (
        installation(),
        any::<u64>(),
        vec(key, 0..4),
        vec(revoked, 0..20),
        vec(issuer(), 0..3),
    )
        .prop_map(
            |(installation, serial, keys, revoked, issuers)| TrustBundle {
                installation,
                serial,
                keys,
                revoked,
                issuers,
            },
        )
}

fn issuer() -> impl Strategy<Value = PlayerIssuer> {
    let key = prop_oneof![
        uniform(any::<u8>()).prop_map(IssuerKey::Ed25519),
        (uniform(any::<u8>()), uniform(any::<u8>())).prop_map(|(x, y)| IssuerKey::P256 { x, y }),
        (bytes(), bytes()).prop_map(|(n, e)| IssuerKey::Rsa { n, e }),
    ];
    let names = || btree_map(text(), text(), 0..4);
    (
        (text(), text(), text()),
        btree_map(text(), key, 0..4),
        (names(), names()),
        option::of(text()),
        vec(region(), 0..4),
    )
        .prop_map(
            |((issuer, audience, player), keys, (attributes, bucketing), claim, regions)| {
                PlayerIssuer {
                    issuer,
                    audience,
                    keys,
                    player,
                    attributes,
                    bucketing,
                    region: claim,
                    regions,
                }
            },
        )
}

fn position() -> impl Strategy<Value = SealedPosition> {
    (
        epoch(),
        version(),
        uniform(any::<u8>()),
        uniform(any::<u8>()),
    )
        .prop_map(|(epoch, version, digest, mac)| SealedPosition {
            position: Position {
                epoch,
                version,
                digest: Digest(digest),
            },
            mac,
        })
}

fn signed_trust() -> impl Strategy<Value = SignedTrust> {
    (bytes(), vec(uniform(any::<u8>()), 0..3))
        .prop_map(|(bytes, signatures)| SignedTrust { bytes, signatures })
}

fn hello() -> impl Strategy<Value = Hello> {
    let who = (installation(), edge(), uuid());
    let texts = (text(), text(), vec(text(), 0..5), text());
    (who, texts, vec((region(), option::of(position())), 0..4)).prop_map(
        |((installation, edge, boot), (token, build, capabilities, address), regions)| Hello {
            installation,
            edge,
            boot: BootId(boot),
            token,
            build,
            capabilities,
            address,
            regions,
        },
    )
}

fn delays() -> impl Strategy<Value = Delays> {
    vec(0..10_000_000_000_u64, 0..9).prop_map(|all| {
        let mut delays = Delays::default();
        for micros in all {
            delays.record(std::time::Duration::from_micros(micros));
        }
        delays
    })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let standings = btree_map(version(), any::<(u32, u32, u32)>(), 0..5).prop_map(|by_version| {
        let standing = |(version, (received, applied, deferred))| Standing {
            version,
            received,
            applied,
            deferred,
        };
        by_version.into_iter().map(standing).collect()
    });
    let arrivals = (version(), delays()).prop_map(|(version, delays)| Arrivals { version, delays });
    let nack = (
        event(),
        option::of(revision()),
        version(),
        any::<u32>(),
        "[ -~]{0,200}",
    )
        .prop_map(|(event, revision, version, count, reason)| Nack {
            event,
            revision,
            version,
            count,
            reason,
        });
    (
        (region(), epoch(), any::<u32>()),
        standings,
        vec(arrivals, 0..4),
        vec(nack, 0..4),
    )
        .prop_map(
            |((region, epoch, connected), standings, arrivals, nacks)| Delivery {
                region,
                epoch,
                connected,
                standings,
                arrivals,
                nacks,
            },
        )
}

fn quarantined() -> impl Strategy<Value = Quarantined> {
    (key(), version(), "[ -~]{0,200}").prop_map(|(key, version, reason)| Quarantined {
        key,
        version,
        reason,
    })
}

pub(crate) fn edge_frame() -> impl Strategy<Value = EdgeFrame> {
    prop_oneof![
        hello().prop_map(EdgeFrame::Hello),
        (region(), epoch(), version(), time()).prop_map(|(region, epoch, version, applied_at)| {
            EdgeFrame::Ack {
                region,
                epoch,
                version,
                applied_at,
            }
        }),
        time().prop_map(|sent_at| EdgeFrame::Heartbeat { sent_at }),
        delivery().prop_map(EdgeFrame::Delivery),
        (region(), vec(quarantined(), 0..4))
            .prop_map(|(region, entries)| EdgeFrame::Degraded { region, entries }),
        engagement::edge_frame(),
        vec(uuid().prop_map(ErasureId), 0..4).prop_map(EdgeFrame::Forgotten),
        Just(EdgeFrame::Bye),
    ]
}

fn chunk() -> impl Strategy<Value = SnapshotChunk> {
    let place = (version(), any::<u32>(), any::<bool>());
    (region(), position(), place, bytes()).prop_map(
        |(region, position, (floor, index, last), entries)| SnapshotChunk {
            region,
            position,
            floor,
            index,
            last,
            entries,
        },
    )
}

fn rows() -> impl Strategy<Value = Rows> {
    let row = (uuid(), time(), bytes());
    (region(), position(), vec(row, 1..5)).prop_map(|(region, mut position, rows)| {
        let Version(last) = position.position.version;
        let count = u64::try_from(rows.len()).unwrap();
        let first = last.saturating_sub(count - 1);
        position.position.version = Version(first + count - 1);
        let row = |(version, (change, committed_at, entries))| Row {
            version: Version(version),
            change: ChangeId(change),
            committed_at,
            entries,
        };
        Rows {
            region,
            position,
            rows: (first..=u64::MAX).zip(rows).map(row).collect(),
        }
    })
}

pub(crate) fn origin_frame() -> impl Strategy<Value = OriginFrame> {
    prop_oneof![
        (any::<u64>(), time(), signed_trust()).prop_map(|(session, time, trust)| {
            OriginFrame::Welcome {
                session,
                time,
                trust,
            }
        }),
        signed_trust().prop_map(OriginFrame::Trust),
        chunk().prop_map(OriginFrame::SnapshotChunk),
        rows().prop_map(OriginFrame::Rows),
        (time(), time()).prop_map(|(echo, time)| OriginFrame::Heartbeat { echo, time }),
        any::<u64>().prop_map(|spread_ms| OriginFrame::Drain { spread_ms }),
        vec((region(), vec(text(), 0..3)), 0..4).prop_map(OriginFrame::Directory),
        engagement::origin_frame(),
        (uuid(), "\\PC{1,50}").prop_map(|(id, player)| OriginFrame::Forget {
            id: ErasureId(id),
            player,
        }),
    ]
}
