//! The transcript: every line is a message, and the conversations keep the rules of the page.

use liveevents_protocol::message::{
    ClientAck, ClientMessage, Cursor, Level, ServerMessage, SnapshotMessage,
};
use liveevents_protocol::state::RegionState;
use std::collections::BTreeSet;

use super::page::blocks;
use super::published::Schemas;

/// What a game server knows.
#[derive(Default)]
struct GameServer {
    /// At levels Region and Local.
    state: Option<RegionState>,
    /// The newest that it took.
    held: Option<Cursor>,
    pieces: Vec<SnapshotMessage>,
    /// What is new on this connection.
    connection: Connection,
}

#[derive(Default)]
struct Connection {
    level: Option<Level>,
    is_welcome: bool,
    is_over: bool,
    time: Option<jiff::Timestamp>,
    watched: BTreeSet<String>,
    asked: BTreeSet<String>,
    /// The last batches that were counted, and that were told.
    counted: u64,
    reported: u64,
    /// Of the last `current`.
    told: Option<Cursor>,
    expires: Option<jiff::Timestamp>,
}

impl GameServer {
    fn says(&mut self, message: ClientMessage) {
        let connection = &mut self.connection;
        match message {
            // The second one ends the conversation.
            ClientMessage::Hello(_) if connection.level.is_some() => {}
            ClientMessage::Hello(hello) => {
                assert_eq!(hello.position, self.held, "it says what it holds");
                connection.level = Some(hello.level);
            }
            _ if connection.level.is_none() => panic!("hello comes first"),
            ClientMessage::Ack(ClientAck { epoch, version, .. }) => {
                let holds = match connection.level {
                    Some(Level::Watch) => connection.told,
                    _ => self.held,
                };
                assert_eq!(
                    holds,
                    Some(Cursor { epoch, version }),
                    "it acks what it holds"
                );
            }
            ClientMessage::Nack(nack) => {
                let held = self.held.unwrap();
                assert_eq!((nack.epoch, nack.version), (held.epoch, held.version));
            }
            ClientMessage::Watch(watch) => {
                assert_eq!(connection.level, Some(Level::Watch));
                connection
                    .watched
                    .extend(watch.players.into_iter().map(|p| p.player));
            }
            ClientMessage::Unwatch(unwatch) => {
                for player in unwatch.players {
                    assert!(connection.watched.remove(&player), "{player}");
                }
            }
            ClientMessage::Query(query) => assert!(connection.asked.insert(query.id)),
            ClientMessage::Reports(batch) => {
                assert!(batch.batch > connection.counted, "it is counted already");
                connection.reported = connection.reported.max(batch.batch);
            }
            ClientMessage::Token(_) => assert!(connection.expires.is_some()),
            ClientMessage::Unknown => panic!("nobody knows it"),
        }
    }

    fn hears(&mut self, message: ServerMessage) {
        assert!(!self.connection.is_over, "nothing after an error");
        let is_welcome = matches!(message, ServerMessage::Welcome(_));
        assert_eq!(
            self.connection.is_welcome, !is_welcome,
            "welcome comes first, once"
        );
        match message {
            ServerMessage::Welcome(welcome) => {
                self.connection.is_welcome = true;
                self.is_time(welcome.time);
            }
            ServerMessage::Snapshot(piece) => self.takes_piece(piece),
            ServerMessage::Delta(delta) => {
                self.is_time(delta.time);
                let state = self.state.as_ref().unwrap();
                // It fails unless the delta begins where the state is.
                let next = state.apply(&delta.into_delta()).unwrap();
                next.assignments()
                    .for_each(|assignment| next.check(&assignment.event_id).unwrap());
                self.holds(next);
            }
            ServerMessage::Ahead(ahead) => {
                self.is_time(ahead.time);
                let held = self.held.unwrap();
                assert_eq!(ahead.epoch, held.epoch);
                assert!(ahead.version < held.version);
            }
            ServerMessage::Activated(notice) | ServerMessage::Deactivated(notice) => {
                self.is_time(notice.time);
                assert!(notice.at <= notice.time);
            }
            ServerMessage::Player(player) => {
                self.is_time(player.time);
                assert!(self.connection.watched.contains(&player.player));
                self.reaches(player.epoch, player.version);
            }
            ServerMessage::Current(current) => {
                self.is_time(current.time);
                self.reaches(current.epoch, current.version);
                self.connection.told = self.held;
            }
            ServerMessage::Result(result) => {
                self.is_time(result.time);
                assert!(self.connection.asked.remove(&result.id));
            }
            ServerMessage::Counted(counted) => {
                let connection = &mut self.connection;
                assert!(counted.batch > connection.counted && counted.batch <= connection.reported);
                connection.counted = counted.batch;
            }
            ServerMessage::Resend(resend) => {
                let connection = &self.connection;
                assert!(resend.from > connection.counted && resend.from <= connection.reported);
            }
            ServerMessage::Refused(refused) => {
                assert!(self.connection.asked.remove(&refused.id.unwrap()));
            }
            ServerMessage::Contact(contact) => {
                self.is_time(contact.time);
                let silent = contact.time.duration_since(contact.contact_at.unwrap());
                let limit = liveevents_protocol::limits::LIVE_WITHIN;
                assert_eq!(contact.stale, silent.unsigned_abs() > limit);
            }
            ServerMessage::TokenExpiring(token) => {
                self.connection.expires = Some(token.expires_at);
            }
            ServerMessage::TokenRenewed(token) => {
                assert!(Some(token.expires_at) > self.connection.expires);
            }
            ServerMessage::Goaway(_) => {}
            ServerMessage::Error(_) => self.connection.is_over = true,
            ServerMessage::Unknown => panic!("nobody knows it"),
        }
    }

    fn takes_piece(&mut self, piece: SnapshotMessage) {
        self.is_time(piece.time);
        assert_eq!(piece.index as usize, self.pieces.len());
        let is_last = piece.last;
        self.pieces.push(piece);
        if !is_last {
            return;
        }
        let mut pieces = std::mem::take(&mut self.pieces).into_iter();
        let mut whole = pieces.next().unwrap();
        for piece in pieces {
            assert_eq!((piece.epoch, piece.to), (whole.epoch, whole.to));
            whole.contents.extend(piece.contents);
            whole.assignments.extend(piece.assignments);
        }
        self.holds(RegionState::from_snapshot(whole.into_snapshot()).unwrap());
    }

    fn holds(&mut self, state: RegionState) {
        let before = self.held;
        self.reaches(state.epoch(), state.version());
        assert_ne!(self.held, before, "it leads on");
        self.state = Some(state);
    }

    fn reaches(
        &mut self,
        epoch: liveevents_protocol::version::Epoch,
        version: liveevents_protocol::version::Version,
    ) {
        if let Some(held) = self.held {
            assert!(
                (held.epoch, held.version) <= (epoch, version),
                "it never goes back"
            );
        }
        self.held = Some(Cursor { epoch, version });
    }

    fn is_time(&mut self, time: jiff::Timestamp) {
        assert!(
            self.connection.time <= Some(time),
            "{time} is earlier than what was said before"
        );
        self.connection.time = Some(time);
    }
}

#[test]
fn the_conversations_keep_the_rules() {
    let page = include_str!("../../../../docs/protocol/transcript.md");
    let schemas = Schemas::load();
    let mut kinds = BTreeSet::new();
    let mut conversations = 0;
    for section in page.split("\n## ").skip(1) {
        let mut server = GameServer::default();
        for conversation in blocks(section, "transcript") {
            server.connection = Connection::default();
            for line in conversation.lines() {
                let (who, text) = line.split_once(' ').unwrap();
                if who == "#" {
                    continue;
                }
                let message = serde_json::from_str(text).unwrap();
                schemas.assert_documented(&message);
                kinds.insert(message["type"].as_str().unwrap().to_owned());
                match who {
                    ">" => server.says(ClientMessage::parse(text).unwrap()),
                    "<" => server.hears(ServerMessage::parse(text).unwrap()),
                    _ => panic!("neither said nor a remark: {line}"),
                }
            }
            conversations += 1;
        }
        assert!(server.pieces.is_empty() && server.connection.asked.is_empty());
    }
    assert_eq!(conversations, 3);
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), schemas.kinds());
}
