//! The receivers' thread: one loop over all sockets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use parking_lot::Mutex;

use super::headline::{Headline, Reader, State};
use super::line::{Ack, Line, Outcome};
use super::scan::Kind;
use super::tally::Tally;
use super::{Plan, WAKE};
use crate::limits::{ACK_INTERVAL, RECEIVE_BUFFER, RECONNECT};

/// What the thread is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command {
    /// Drop every connection and connect again.
    Reconnect {
        /// With what each holds.
        resume: bool,
    },
    /// End.
    Stop,
}

/// What a whole frame means to its receiver.
enum Heard {
    State(State, u64),
    Ping(Vec<u8>),
    Ended,
}

/// The thread's own.
pub(super) struct Worker {
    plan: Plan,
    poll: Poll,
    orders: Receiver<Command>,
    tally: Arc<Mutex<Tally>>,
    lines: Vec<Line>,
    reader: Reader,
    ack_interval: Duration,
    /// The next of those that wait for their turn to connect, and how many are on their way.
    next: usize,
    opening: usize,
    /// When each that has acked may ack again; in order, the interval being the same for all.
    acks: VecDeque<(Instant, usize)>,
    again: BinaryHeap<Reverse<(Instant, usize)>>,
    buffer: Vec<u8>,
    heard: Vec<Heard>,
}

impl Worker {
    pub(super) fn new(
        plan: Plan,
        poll: Poll,
        orders: Receiver<Command>,
        tally: Arc<Mutex<Tally>>,
    ) -> Self {
        let lines = std::iter::repeat_with(Line::default)
            .take(plan.count)
            .collect();
        Self {
            plan,
            poll,
            orders,
            tally,
            lines,
            reader: Reader::default(),
            ack_interval: ACK_INTERVAL,
            next: 0,
            opening: 0,
            acks: VecDeque::new(),
            again: BinaryHeap::new(),
            buffer: vec![0; RECEIVE_BUFFER],
            heard: Vec::new(),
        }
    }

    /// Until told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            self.open_some();
            let due = self.acks.front().map(|&(due, _)| due);
            let again = self.again.peek().map(|&Reverse((due, _))| due);
            let due = due.into_iter().chain(again).min();
            let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                self.tally.lock().problem = Some(error.to_string());
                return;
            }
            while let Ok(command) = self.orders.try_recv() {
                match command {
                    Command::Reconnect { resume } => self.reconnect(resume),
                    Command::Stop => return,
                }
            }
            let tally = Arc::clone(&self.tally);
            let mut tally = tally.lock();
            for event in &events {
                if event.token() != WAKE {
                    self.ready(event.token().0, &mut tally);
                }
            }
            self.ack_due(&mut tally);
            let now = Instant::now();
            while self
                .again
                .peek()
                .is_some_and(|Reverse((due, _))| *due <= now)
            {
                if let Some(Reverse((_, index))) = self.again.pop() {
                    self.connect(index, &mut tally);
                }
            }
        }
    }

    fn open_some(&mut self) {
        if self.next >= self.lines.len() || self.opening >= self.plan.at_once {
            return;
        }
        let tally = Arc::clone(&self.tally);
        let mut tally = tally.lock();
        while self.next < self.lines.len() && self.opening < self.plan.at_once {
            self.next += 1;
            self.connect(self.next - 1, &mut tally);
        }
    }

    fn reconnect(&mut self, resume: bool) {
        let tally = Arc::clone(&self.tally);
        let mut tally = tally.lock();
        for line in &mut self.lines {
            line.close();
            if !resume {
                line.held = None;
            }
        }
        (tally.open, tally.held) = (0, 0);
        (self.opening, self.next) = (0, self.lines.len());
        self.acks.clear();
        self.again.clear();
        for index in 0..self.lines.len() {
            self.connect(index, &mut tally);
        }
    }

    fn connect(&mut self, index: usize, tally: &mut Tally) {
        self.opening += 1;
        let line = &mut self.lines[index];
        let begun = line.connect(self.plan.address, self.poll.registry(), Token(index));
        if let Err(error) = begun {
            self.ended(index, Some(error.to_string()), tally);
        }
    }

    fn ready(&mut self, index: usize, tally: &mut Tally) {
        let line = &mut self.lines[index];
        let was_open = line.is_open();
        let (heard, reader, interval) = (&mut self.heard, &mut self.reader, &mut self.ack_interval);
        let Plan {
            address, greeting, ..
        } = &self.plan;
        let outcome = line.ready(*address, greeting, &mut self.buffer, |whole| {
            match whole.kind {
                Kind::Message => match reader.read(whole.head) {
                    Headline::State(state) => heard.push(Heard::State(state, whole.size)),
                    Headline::Welcome {
                        ack_interval_ms: Some(millis),
                    } => {
                        *interval = Duration::from_millis(millis);
                    }
                    Headline::Welcome { .. } | Headline::Other => {}
                },
                Kind::Ping => heard.push(Heard::Ping(whole.head.to_vec())),
                Kind::Close => heard.push(Heard::Ended),
                Kind::Other => {}
            }
        });
        let mut end = match outcome {
            Outcome::Going => None,
            Outcome::Opened => {
                self.opening -= 1;
                tally.open += 1;
                None
            }
            Outcome::Refused(seconds) => {
                self.opening -= 1;
                tally.refused += 1;
                self.lines[index].close();
                let due = Instant::now() + Duration::from_secs(seconds);
                return self.again.push(Reverse((due, index)));
            }
            Outcome::Ended(because) => Some(because),
        };
        if !self.heard.is_empty() {
            let now = crate::clock::now().as_microsecond();
            for heard in std::mem::take(&mut self.heard) {
                match heard {
                    Heard::State(state, size) => self.hold(index, &state, size, now, tally),
                    Heard::Ping(payload) => {
                        if let Err(error) = self.lines[index].send_pong(&payload) {
                            end = end.or(Some(Some(error.to_string())));
                        }
                    }
                    Heard::Ended => end = end.or(Some(Some("closed by the edge".to_owned()))),
                }
            }
        }
        if let Some(because) = end {
            // It may have opened and ended by what came at once.
            if was_open || self.lines[index].is_open() {
                tally.open -= 1;
                tally.held -= u64::from(self.lines[index].is_served());
            }
            self.ended(index, because, tally);
        }
    }

    fn hold(&mut self, index: usize, state: &State, size: u64, now: i64, tally: &mut Tally) {
        let line = &mut self.lines[index];
        tally.held += u64::from(!line.is_served());
        let before = line.hold(state, now);
        tally.received(before, state, size, now);
        match line.ack {
            Ack::Free => self.send_ack(index, now, tally),
            Ack::Waiting { .. } => line.ack = Ack::Waiting { owed: true },
        }
    }

    fn send_ack(&mut self, index: usize, now: i64, tally: &mut Tally) {
        if matches!(self.plan.greeting, super::Greeting::None) {
            return;
        }
        let line = &mut self.lines[index];
        // A failure shows as the end of the connection.
        if line.send_ack(now).is_ok() {
            tally.acks += 1;
        }
        line.ack = Ack::Waiting { owed: false };
        self.acks
            .push_back((Instant::now() + self.ack_interval, index));
    }

    fn ack_due(&mut self, tally: &mut Tally) {
        let now = Instant::now();
        while let Some(&(due, index)) = self.acks.front()
            && due <= now
        {
            self.acks.pop_front();
            match self.lines[index].ack {
                Ack::Waiting { owed: true } => {
                    self.send_ack(index, crate::clock::now().as_microsecond(), tally);
                }
                Ack::Waiting { owed: false } | Ack::Free => self.lines[index].ack = Ack::Free,
            }
        }
    }

    /// A connection has failed, or never came about. It is tried again after a while, like a game server's.
    fn ended(&mut self, index: usize, because: Option<String>, tally: &mut Tally) {
        let line = &mut self.lines[index];
        if !line.is_open() {
            self.opening = self.opening.saturating_sub(1);
        }
        line.close();
        tally.lost += 1;
        let because = because.unwrap_or_else(|| "ended by the server".to_owned());
        tally.problem.get_or_insert(because);
        self.again
            .push(Reverse((Instant::now() + RECONNECT, index)));
    }
}
