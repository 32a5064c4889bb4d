//! Any message between game server and edge.

use liveevents_protocol::engagement::{Batch, Happening, Refused, Report, Seen, Sentiment};
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::engagement::session;
use super::{
    assignment, attribute, build, content, edge, entry, epoch, event, event_type, installation,
    json, region, revision, segment, text, time, version,
};

fn cursor() -> impl Strategy<Value = Cursor> {
    (epoch(), version()).prop_map(|(epoch, version)| Cursor { epoch, version })
}

fn filter() -> impl Strategy<Value = Filter> {
    (
        btree_set(event(), 0..3),
        btree_set(event_type(), 0..3),
        btree_set(text(), 0..3),
    )
        .prop_map(|(event_ids, types, tags)| Filter {
            event_ids,
            types,
            tags,
        })
}

fn player() -> impl Strategy<Value = PlayerMessage> {
    let said = (option::of(text()), option::of(text()), option::of(build()));
    (
        text(),
        btree_map(text(), text(), 0..3),
        btree_map(text(), attribute(), 0..3),
        said,
    )
        .prop_map(
            |(player, keys, attributes, (language, platform, build))| PlayerMessage {
                player,
                keys,
                attributes,
                language,
                platform,
                build,
            },
        )
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::Region, Level::Watch, Level::Local])
}

pub(crate) fn client_hello() -> impl Strategy<Value = ClientHello> {
    let who = (region(), level(), option::of(cursor()), option::of(build()));
    let wants = (
        filter(),
        vec(text(), 0..3),
        option::of(text()),
        any::<bool>(),
        option::of(text()),
    );
    (who, wants).prop_map(
        |(
            (region, level, position, build),
            (filter, capabilities, client, include_config, language),
        )| ClientHello {
            region,
            level,
            position,
            build,
            filter,
            capabilities,
            client,
            include_config,
            language,
        },
    )
}

pub(crate) fn client_message() -> impl Strategy<Value = ClientMessage> {
    let status = prop_oneof![
        Just(AckStatus::Received),
        Just(AckStatus::Applied),
        Just(AckStatus::Deferred),
    ];
    prop_oneof![
        client_hello().prop_map(ClientMessage::Hello),
        (cursor(), status, any::<u64>()).prop_map(
            |(Cursor { epoch, version }, status, held_ms)| ClientMessage::Ack(ClientAck {
                epoch,
                version,
                status,
                held_ms,
            })
        ),
        (cursor(), event(), option::of(revision()), text()).prop_map(
            |(Cursor { epoch, version }, event_id, revision, reason)| {
                ClientMessage::Nack(ClientNack {
                    epoch,
                    version,
                    event_id,
                    revision,
                    reason,
                })
            }
        ),
        vec(player(), 0..3).prop_map(|players| ClientMessage::Watch(Watch { players })),
        vec(text(), 0..3).prop_map(|players| ClientMessage::Unwatch(Unwatch { players })),
        (text(), vec(player(), 0..3), any::<bool>()).prop_map(|(id, players, include_config)| {
            ClientMessage::Query(Query {
                id,
                players,
                include_config,
            })
        }),
        (session(), 1_u64.., vec(report(), 0..3)).prop_map(|(session, batch, reports)| {
            ClientMessage::Reports(Batch {
                session,
                batch,
                reports,
            })
        }),
        text().prop_map(|token| ClientMessage::Token(Renewal { token })),
        Just(ClientMessage::Unknown),
    ]
}

fn refused_report() -> impl Strategy<Value = Refused> {
    (1_u64.., any::<u32>(), text()).prop_map(|(batch, index, message)| Refused {
        batch,
        index: index as usize,
        message,
    })
}

fn report() -> impl Strategy<Value = serde_json::Value> {
    let happening = prop_oneof![
        Just(Happening::SessionStart),
        (0_u32..=604_800).prop_map(|seconds| Happening::SessionEnd { seconds }),
        Just(Happening::Participation),
        Just(Happening::Completion),
        (0_u32..=1_000_000_000, "[A-Z]{3}").prop_map(|(amount, currency)| Happening::Purchase {
            amount: amount.to_string().parse().unwrap(),
            currency,
        }),
        option::of(0_u8..=10).prop_map(|score| Happening::Feedback {
            sentiment: Sentiment::Neutral,
            score,
        }),
        Just(Happening::Error),
    ];
    let seen = (
        option::of(revision()),
        option::of(text()),
        btree_map(text(), text(), 0..3),
        option::of(cursor()),
    );
    let seen = seen.prop_map(|(revision, variant, keys, position)| Seen {
        revision,
        variant,
        keys,
        position,
    });
    let known = (btree_map(text(), attribute(), 0..3), option::of(text()));
    (event(), text(), happening, seen, known).prop_map(
        |(event_id, player, happening, seen, (attributes, platform))| {
            let report = Report {
                event_id,
                player,
                happening,
                seen,
                attributes,
                platform,
            };
            serde_json::to_value(report).unwrap()
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let who = (edge(), installation(), region(), time());
    let more = (
        option::of(cursor()),
        option::of(time()),
        any::<u64>(),
        option::of(time()),
        vec(text(), 0..3),
    );
    (who, more).prop_map(
        |(
            (edge, installation, region, time),
            (position, contact_at, ack_interval_ms, token_expires_at, capabilities),
        )| Welcome {
            edge,
            installation,
            region,
            time,
            position,
            contact_at,
            ack_interval_ms,
            token_expires_at,
            capabilities,
        },
    )
}

fn notice() -> impl Strategy<Value = Notice> {
    let cause = prop::sample::select(vec![Cause::Schedule, Cause::Change, Cause::Stale]);
    let bounds = (option::of(time()), option::of(time()));
    (event(), cursor(), time(), time(), bounds, cause).prop_map(
        |(event_id, Cursor { epoch, version }, time, at, (opens, closes), cause)| Notice {
            event_id,
            epoch,
            version,
            time,
            at,
            opens,
            closes,
            cause,
        },
    )
}

fn evaluated() -> impl Strategy<Value = ServerMessage> {
    let events = || vec(json(), 0..3);
    prop_oneof![
        (text(), cursor(), time(), events()).prop_map(
            |(player, Cursor { epoch, version }, time, events)| {
                ServerMessage::Player(PlayerEvents {
                    player,
                    epoch,
                    version,
                    time,
                    events,
                })
            }
        ),
        (cursor(), time(), option::of(time())).prop_map(
            |(Cursor { epoch, version }, time, committed_at)| {
                ServerMessage::Current(Current {
                    epoch,
                    version,
                    time,
                    committed_at,
                })
            }
        ),
        (
            (text(), cursor(), any::<u64>(), any::<bool>(), time()),
            vec((text(), events()), 0..3)
        )
            .prop_map(
                |((id, Cursor { epoch, version }, age_ms, stale, time), players)| {
                    let player = |(player, events)| PlayerResult { player, events };
                    ServerMessage::Result(QueryResult {
                        id,
                        epoch,
                        version,
                        age_ms,
                        stale,
                        time,
                        players: players.into_iter().map(player).collect(),
                    })
                }
            ),
    ]
}

pub(crate) fn server_message() -> impl Strategy<Value = ServerMessage> {
    let expires = || time().prop_map(|expires_at| TokenTime { expires_at });
    prop_oneof![
        welcome().prop_map(ServerMessage::Welcome),
        snapshot_message().prop_map(ServerMessage::Snapshot),
        delta_message().prop_map(ServerMessage::Delta),
        (cursor(), time()).prop_map(|(Cursor { epoch, version }, time)| {
            ServerMessage::Ahead(Ahead {
                epoch,
                version,
                time,
            })
        }),
        notice().prop_map(ServerMessage::Activated),
        notice().prop_map(ServerMessage::Deactivated),
        evaluated(),
        (session(), any::<u64>(), vec(refused_report(), 0..3)).prop_map(
            |(session, batch, refused)| ServerMessage::Counted(CountedBatches {
                session,
                batch,
                refused,
            })
        ),
        (session(), 1_u64.., any::<u64>()).prop_map(|(session, from, after_ms)| {
            ServerMessage::Resend(Resend {
                session,
                from,
                after_ms,
            })
        }),
        (option::of(time()), any::<bool>(), time()).prop_map(|(contact_at, stale, time)| {
            ServerMessage::Contact(Contact {
                contact_at,
                stale,
                time,
            })
        }),
        expires().prop_map(ServerMessage::TokenExpiring),
        expires().prop_map(ServerMessage::TokenRenewed),
        (text(), option::of(text()), option::of(text()), text()).prop_map(
            |(about, id, field, message)| {
                ServerMessage::Refused(RefusedMessage {
                    about,
                    id,
                    field,
                    message,
                })
            }
        ),
        any::<u64>().prop_map(|reconnect_after_ms| {
            ServerMessage::Goaway(Goaway { reconnect_after_ms })
        }),
        (text(), text())
            .prop_map(|(code, message)| ServerMessage::Error(ErrorMessage { code, message })),
        Just(ServerMessage::Unknown),
    ]
}

fn snapshot_message() -> impl Strategy<Value = SnapshotMessage> {
    let held = (
        vec(segment(), 0..3),
        vec(content(), 0..3),
        vec(assignment(), 0..3),
    );
    let piece = (any::<u32>(), any::<bool>(), any::<bool>());
    (cursor(), time(), option::of(time()), piece, held).prop_map(
        |(
            Cursor { epoch, version: to },
            time,
            committed_at,
            (index, last, degraded),
            (segments, contents, assignments),
        )| {
            SnapshotMessage {
                epoch,
                to,
                time,
                committed_at,
                index,
                last,
                segments,
                contents,
                assignments,
                degraded,
                unread: Vec::new(),
            }
        },
    )
}

fn delta_message() -> impl Strategy<Value = DeltaMessage> {
    let entries = vec(entry().prop_map(EntryMessage::from), 0..4);
    let times = (time(), option::of(time()));
    (cursor(), version(), times, entries, any::<bool>()).prop_map(
        |(Cursor { epoch, version: to }, from, (time, committed_at), entries, degraded)| {
            DeltaMessage {
                epoch,
                from,
                to,
                time,
                committed_at,
                entries,
                degraded,
                unread: Vec::new(),
            }
        },
    )
}
