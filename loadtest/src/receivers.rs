//! Light receivers: a measuring instrument, not a second client. Game servers use the reference client.
//!
//! Thousands of sockets in one thread, which does as little as can be done: it counts whole WebSocket
//! messages, reads type, version and time from the head of each, answers pings, and acks as the protocol
//! says. It parses no JSON, checks no state, keeps no state and skips nothing that it is sent. So the cost of a
//! run is the server's, and what is measured against a bare write loop is measured with the same instrument.

mod headline;
mod line;
mod scan;
mod tally;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Token, Waker};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

pub use tally::{Reach, Tally};

use crate::failure::Failure;
use crate::limits;
use worker::{Command, Worker};

/// Whom to connect to, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the server is.
    pub address: SocketAddr,
    /// How many connections.
    pub count: usize,
    /// How many of them may be on their way at the same time.
    pub at_once: usize,
    /// What is said first.
    pub greeting: Greeting,
}

/// What is said first.
#[derive(Debug, Clone)]
pub enum Greeting {
    /// Nothing: frames come at once.
    None,
    /// A WebSocket upgrade and a hello.
    Subscribe {
        /// Of the role of game servers.
        token: String,
        /// To be told of.
        region: String,
    },
}

/// Connections that count what comes. Dropping closes them.
#[derive(Debug)]
pub struct Receivers {
    count: usize,
    tally: Arc<Mutex<Tally>>,
    commands: Sender<Command>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

const WAKE: Token = Token(usize::MAX);

impl Receivers {
    /// Begins to connect.
    ///
    /// # Errors
    /// If there are no more threads or descriptors.
    pub fn open(plan: Plan) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (commands, orders) = channel();
        let tally = Arc::<Mutex<Tally>>::default();
        let count = plan.count;
        let worker = Worker::new(plan, poll, orders, Arc::clone(&tally));
        let thread = std::thread::Builder::new().name("receivers".to_owned());
        let thread = Some(thread.spawn(move || worker.run())?);
        Ok(Self {
            count,
            tally,
            commands,
            waker,
            thread,
        })
    }

    /// Begins to connect, and waits until all are subscribed, or, without a greeting, connected.
    ///
    /// # Errors
    /// If not all are within a minute.
    pub async fn opened(plan: Plan) -> Result<Self, Failure> {
        let silent = matches!(plan.greeting, Greeting::None);
        let receivers = Self::open(plan).map_err(|source| Failure::Socket { source })?;
        let all = receivers.count as u64;
        let there = |tally: &Tally| {
            if silent {
                tally.open == all
            } else {
                tally.held == all
            }
        };
        receivers
            .wait("every receiver was there", limits::OPEN, there)
            .await?;
        Ok(receivers)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What has come so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.lock().clone()
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        self.tally.lock().forget();
    }

    /// Drops every connection and connects again, all at once. With `resume` they say what they held.
    pub fn reconnect(&self, resume: bool) {
        self.order(Command::Reconnect { resume });
    }

    /// Waits until the count is as wanted, and gives it.
    ///
    /// # Errors
    /// If it is not within that time, saying how it stands.
    pub async fn wait(
        &self,
        what: &str,
        at_most: Duration,
        mut wanted: impl FnMut(&Tally) -> bool,
    ) -> Result<Tally, Failure> {
        let deadline = Instant::now() + at_most;
        loop {
            let wanted = wanted(&self.tally.lock());
            if wanted {
                return Ok(self.tally());
            }
            if Instant::now() > deadline {
                let standing = self.tally.lock().standing();
                let what = format!(
                    "not in {at_most:?}: {what} ({} receivers; {standing})",
                    self.count
                );
                return Err(Failure::Wrong(vec![what]));
            }
            sleep(limits::LOOK_AGAIN).await;
        }
    }

    /// Waits until every receiver holds this version or a later one, and gives the count.
    ///
    /// # Errors
    /// If not all do within that time.
    pub async fn wait_for_version(
        &self,
        version: u64,
        at_most: Duration,
    ) -> Result<Tally, Failure> {
        let all = self.count as u64;
        let what = format!("every receiver held version {version}");
        let held = |tally: &Tally| {
            tally
                .versions
                .get(&version)
                .is_some_and(|reach| reach.receivers >= all)
        };
        self.wait(&what, at_most, held).await
    }

    fn order(&self, command: Command) {
        // A worker that is gone has nothing left to do.
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.order(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
