//! Exactly once, whatever the origin answers, and when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::codec;
use liveevents_protocol::engagement::{Cohort, Counted, Currencies, Place, SenderSession, Tally};
use liveevents_protocol::frame::{Aggregate, EdgeFrame};
use liveevents_protocol::limits::{MAX_BATCH, MAX_BODY};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const KEY: [u8; 32] = [7; 32];

fn session(n: u128) -> SenderSession {
    SenderSession(Uuid::from_u128(n))
}

fn rules() -> Rules {
    Rules {
        key: KEY,
        currencies: Currencies::default(),
    }
}

/// A batch of one report.
fn one() -> BTreeMap<(Place, Timestamp), Tally> {
    let place = Place {
        region: "us-east".parse().unwrap(),
        event: "sale".parse().unwrap(),
        revision: None,
        variant: None,
        cohort: Cohort::Everybody,
        segment: None,
    };
    let mut tally = Tally::default();
    tally.count(1, Counted::Participation);
    [((place, Timestamp::UNIX_EPOCH), tally)].into()
}

fn reports(aggregate: &Aggregate) -> u64 {
    let cells = aggregate.cells.iter();
    cells.map(|cell| cell.tally.sums.participations).sum()
}

/// The origin, as far as it counts: for whom which session is claimed, and what was counted.
#[derive(Default)]
struct Origin {
    sessions: BTreeMap<SenderSession, (usize, u64)>,
    counted: u64,
}

impl Origin {
    fn claim(
        &mut self,
        connection: usize,
        sessions: &[SenderSession],
    ) -> Vec<(SenderSession, u64)> {
        let claim = |session: &SenderSession| {
            let held = self.sessions.entry(*session).or_insert((connection, 0));
            held.0 = connection;
            (*session, held.1)
        };
        sessions.iter().map(claim).collect()
    }

    fn count(&mut self, connection: usize, aggregate: &Aggregate) -> Vec<SenderSession> {
        let batches = aggregate.batches.iter();
        let foreign = batches.filter(|(session, _)| self.sessions[session].0 != connection);
        let refused: Vec<SenderSession> = foreign.map(|(session, _)| *session).collect();
        if refused.is_empty() {
            for (session, batch) in &aggregate.batches {
                self.sessions.insert(*session, (connection, *batch));
            }
            self.counted += reports(aggregate);
        }
        refused
    }
}

#[test]
fn batches_come_in_order_and_count_once() {
    let book = Book::default();
    let _follower = book.follow(session(1)).unwrap();
    assert_eq!(book.claims(), [], "nobody counts yet");
    book.count_by(rules());
    assert_eq!(book.claims(), [session(1)]);
    assert_eq!(book.claims(), [], "once");
    book.claimed(vec![(session(1), 0)]);
    let offer = |batch| book.offer(session(1), batch, 1, one).unwrap();
    assert_eq!(offer(2), Offered::Gap { expected: 1 });
    assert_eq!(book.claims(), [session(1)], "others may have counted it");
    book.claimed(vec![(session(1), 0)]);
    assert_eq!(
        (offer(1), offer(1), offer(2)),
        (Offered::Taken, Offered::Underway, Offered::Taken)
    );
    let sent = book.aggregate().unwrap();
    assert_eq!(
        (sent.batches.as_slice(), reports(&sent)),
        (&[(session(1), 2)][..], 2)
    );
    assert_eq!(offer(3), Offered::Taken);
    assert_eq!(book.aggregate(), None, "one at a time");
    book.counted(sent.id, &[]);
    assert_eq!(offer(2), Offered::Counted);
    assert_eq!(reports(&book.aggregate().unwrap()), 1);
    assert!(book.offer(session(9), 1, 1, one).is_none());
}

#[test]
fn what_others_take_is_left_out_and_the_rest_is_sent_again() {
    let book = Book::default();
    book.count_by(rules());
    let mut followers: Vec<_> = (1..=2).map(|n| book.follow(session(n)).unwrap()).collect();
    let claims = book.claims();
    book.claimed(claims.into_iter().map(|session| (session, 0)).collect());
    for n in 1..=2 {
        assert_eq!(book.offer(session(n), 1, 1, one), Some(Offered::Taken));
    }
    let both = book.aggregate().unwrap();
    assert_eq!(reports(&both), 2);
    book.counted(both.id, &[session(2)]);
    assert!(followers.remove(1).has_changed().is_err(), "it hears of it");
    let rest = book.aggregate().unwrap();
    assert_eq!(
        (rest.batches.as_slice(), reports(&rest)),
        (&[(session(1), 1)][..], 1)
    );
}

/// A batch of as many events as there may be reports, each of another name and of its own players.
fn hostile(batch: u64) -> BTreeMap<(Place, Timestamp), Tally> {
    let cell = |n: usize| {
        let place = Place {
            region: "us-east".parse().unwrap(),
            event: format!("{batch:0>50}-{n:0>45}").parse().unwrap(),
            revision: None,
            variant: Some("v".repeat(200)),
            cohort: Cohort::Unattributed,
            segment: None,
        };
        let mut tally = Tally::default();
        let player = batch * 1_000 + u64::try_from(n).unwrap();
        tally.count(player, Counted::Participation);
        ((place, Timestamp::UNIX_EPOCH), tally)
    };
    (0..MAX_BATCH).map(cell).collect()
}

#[test]
fn whatever_is_reported_fits_into_a_frame_and_wedges_nobody() {
    let book = Book::default();
    book.count_by(rules());
    let _followers: Vec<_> = (1..=4).map(|n| book.follow(session(n)).unwrap()).collect();
    let claims = book.claims();
    book.claimed(claims.into_iter().map(|session| (session, 0)).collect());
    for n in 1..=4 {
        let mut batch = 1;
        let taken = Some(Offered::Taken);
        while book.offer(session(n), batch, MAX_BATCH, || hostile(batch)) == taken {
            batch += 1;
        }
        assert!((2..=8).contains(&batch), "{batch} batches");
    }
    let mut sessions = 0;
    while let Some(aggregate) = book.aggregate() {
        sessions += aggregate.batches.len();
        let frame = codec::encode_edge_frame(&EdgeFrame::Aggregate(aggregate.clone())).unwrap();
        let mut decoder = codec::FrameDecoder::new(MAX_BODY);
        decoder.push(&frame);
        let frame = decoder.next_frame().unwrap().unwrap();
        assert!(codec::decode_edge_frame(&frame).is_ok());
        book.counted(aggregate.id, &[]);
    }
    assert_eq!(sessions, 4);
}

#[test]
fn a_player_is_a_keyed_hash() {
    assert_eq!(hash(&KEY, "p-1"), hash(&KEY, "p-1"));
    assert_ne!(hash(&KEY, "p-1"), hash(&KEY, "p-2"));
    assert_ne!(hash(&KEY, "p-1"), hash(&[8; 32], "p-1"));
}

#[derive(Debug, Clone)]
enum Step {
    /// The sender sends its next batch, or once more what was not acknowledged, to an edge.
    Send { edge: usize, sender: usize },
    /// The edge tells, and hears the answer.
    Tell { edge: usize },
    /// The edge tells, and the answer is lost with the connection; whether it was carried out or not.
    Lose { edge: usize, counted: bool },
    /// The edge is killed.
    Kill { edge: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let edge = 0..2_usize;
    prop_oneof![
        6 => (edge.clone(), 0..3_usize).prop_map(|(edge, sender)| Step::Send { edge, sender }),
        4 => edge.clone().prop_map(|edge| Step::Tell { edge }),
        1 => (edge.clone(), any::<bool>()).prop_map(|(edge, counted)| Step::Lose { edge, counted }),
        1 => edge.prop_map(|edge| Step::Kill { edge }),
    ]
}

/// Two edges, each with the number of its connection.
struct World {
    origin: Origin,
    edges: Vec<(Book, usize)>,
    connections: usize,
    /// Of each sender, how many batches it has made, and how many were acknowledged.
    senders: [(u64, u64); 3],
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            origin: Origin::default(),
            edges: vec![(Book::default(), 0), (Book::default(), 0)],
            connections: 0,
            senders: [(0, 0); 3],
        };
        for edge in 0..2 {
            world.connect(edge);
        }
        world
    }

    fn connect(&mut self, edge: usize) {
        self.connections += 1;
        let (book, connection) = &mut self.edges[edge];
        *connection = self.connections;
        book.begin();
        book.count_by(rules());
    }

    fn claim(&mut self, edge: usize) {
        let (book, connection) = &self.edges[edge];
        let claims = book.claims();
        book.claimed(self.origin.claim(*connection, &claims));
    }

    fn send(&mut self, edge: usize, sender: usize) {
        let id = session(u128::try_from(sender).unwrap());
        drop(self.edges[edge].0.follow(id).unwrap());
        self.claim(edge);
        let (made, acknowledged) = self.senders[sender];
        // All that is not acknowledged, in order, and then a new one.
        for batch in acknowledged + 1..=made + 1 {
            let mut offered = self.edges[edge].0.offer(id, batch, 1, one);
            if matches!(offered, Some(Offered::Gap { .. })) {
                // Others may have counted what is missing.
                self.claim(edge);
                offered = self.edges[edge].0.offer(id, batch, 1, one);
            }
            match offered {
                Some(Offered::Taken | Offered::Underway) => {
                    self.senders[sender].0 = made.max(batch);
                }
                Some(Offered::Counted) => self.senders[sender].1 = batch,
                Some(Offered::Gap { expected }) => {
                    panic!("batch {batch} of {id}, which {expected} is to come before");
                }
                Some(Offered::Full) | None => return,
            }
        }
    }

    fn tell(&mut self, edge: usize) {
        self.claim(edge);
        let (book, connection) = &self.edges[edge];
        if let Some(aggregate) = book.aggregate() {
            let refused = self.origin.count(*connection, &aggregate);
            book.counted(aggregate.id, &refused);
            if refused.is_empty() {
                for (session, batch) in aggregate.batches {
                    let sender = usize::try_from(session.0.as_u128()).unwrap();
                    let acknowledged = &mut self.senders[sender].1;
                    *acknowledged = batch.max(*acknowledged);
                }
            }
        }
    }
}

proptest! {
    /// Whatever is killed, cut or moved, in the end every batch is counted, and none twice.
    #[test]
    fn every_batch_counts_once(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Send { edge, sender } => world.send(edge, sender),
                Step::Tell { edge } => world.tell(edge),
                Step::Lose { edge, counted } => {
                    world.claim(edge);
                    let (book, connection) = &world.edges[edge];
                    if let Some(aggregate) = book.aggregate()
                        && counted
                    {
                        world.origin.count(*connection, &aggregate);
                    }
                    world.connect(edge);
                }
                Step::Kill { edge } => {
                    world.edges[edge].0 = Book::default();
                    world.connect(edge);
                }
            }
        }
        // Everybody sends to the first edge what is not acknowledged, until all is.
        for _ in 0..3 {
            for sender in 0..3 {
                world.send(0, sender);
            }
            world.tell(0);
        }
        let made: u64 = world.senders.iter().map(|(made, _)| made).sum();
        prop_assert_eq!(world.origin.counted, made);
        for (made, acknowledged) in world.senders {
            prop_assert_eq!(made, acknowledged);
        }
    }
}
