//! Readers over HTTP: keep-alive connections in one thread that send ready-made requests and look at nothing of an answer
//! but its status and length. The same for the edge and for nginx.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::scene::Scene;
use crate::failure::Failure;
use crate::limits::{RECEIVE_BUFFER, TURN};
use crate::spread::Spread;

/// Who reads what.
#[derive(Debug, Clone)]
pub(super) struct Load {
    address: SocketAddr,
    connections: usize,
    /// Sent in turn.
    requests: Vec<Vec<u8>>,
}

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// Every connection asks again at the answer.
    Full,
    /// One request after so long, by whichever connection is free. Time counts from when it was due.
    Each(Duration),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) answers: u64,
    /// Answers that were not 200, and connections that broke.
    pub(super) failed: u64,
    pub(super) bytes: u64,
    pub(super) latency: Spread,
    pub(super) seconds: f64,
}

impl Outcome {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds.max(0.001)
    }
}

impl Load {
    /// Reads of the events of so many players, without configuration.
    pub(super) fn player(scene: &Scene, connections: usize, players: u32) -> Self {
        let players = (0..players).map(|number| format!("player-{number}"));
        Self::players(scene, connections, players)
    }

    /// Reads of the events of these players, without configuration.
    pub(super) fn players(
        scene: &Scene,
        connections: usize,
        players: impl Iterator<Item = String>,
    ) -> Self {
        let request = |player: String| {
            format!(
                "GET /api/v1/players/{player}/events?region={}&includeConfig=false HTTP/1.1\r\nHost: {}\r\n\
                 Authorization: Bearer {}\r\n\r\n",
                scene.region, scene.address, scene.token
            )
            .into_bytes()
        };
        Self {
            address: scene.address,
            connections,
            requests: players.map(request).collect(),
        }
    }

    /// Reads of a static file.
    pub(super) fn file(address: SocketAddr, connections: usize) -> Self {
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
        Self {
            address,
            connections,
            requests: vec![request],
        }
    }

    /// Reads for so long.
    pub(super) async fn run(&self, pace: Pace, time: Duration) -> Result<Outcome, Failure> {
        let load = self.clone();
        let ran = tokio::task::spawn_blocking(move || Run::start(load, pace)?.until(time)).await;
        let ran = ran.map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
        ran.map_err(|source| Failure::Socket { source })
    }
}

/// One connection.
struct Reader {
    socket: TcpStream,
    /// What has come of an answer that is not whole.
    answer: Vec<u8>,
    /// When the request under way was due.
    due: Instant,
}

struct Run {
    load: Load,
    pace: Pace,
    poll: Poll,
    readers: Vec<Reader>,
    /// Connections with no request under way.
    free: Vec<usize>,
    next: usize,
    outcome: Outcome,
    buffer: Vec<u8>,
}

impl Run {
    fn start(load: Load, pace: Pace) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut run = Self {
            readers: Vec::new(),
            free: (0..load.connections).collect(),
            load,
            pace,
            poll,
            next: 0,
            outcome: Outcome::default(),
            buffer: vec![0; RECEIVE_BUFFER],
        };
        for index in 0..run.load.connections {
            let reader = run.connect(index)?;
            run.readers.push(reader);
        }
        Ok(run)
    }

    fn connect(&self, index: usize) -> io::Result<Reader> {
        let socket = std::net::TcpStream::connect(self.load.address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        self.poll
            .registry()
            .register(&mut socket, Token(index), Interest::READABLE)?;
        let (answer, due) = (Vec::new(), Instant::now());
        Ok(Reader {
            socket,
            answer,
            due,
        })
    }

    fn until(mut self, time: Duration) -> io::Result<Outcome> {
        let mut events = Events::with_capacity(256);
        let start = Instant::now();
        let end = start + time;
        let mut due = start;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let wait = match self.pace {
                Pace::Full => {
                    while let Some(index) = self.free.pop() {
                        self.send(index, now)?;
                    }
                    end - now
                }
                Pace::Each(interval) => {
                    while due <= now {
                        let Some(index) = self.free.pop() else { break };
                        self.send(index, due)?;
                        due += interval;
                    }
                    due.min(end).saturating_duration_since(now)
                }
            };
            // The poll's time-out is in whole milliseconds, rounded up; shorter waits are made by parking.
            let whole = wait.saturating_sub(Duration::from_millis(1));
            let is_long = whole >= Duration::from_millis(1);
            let timeout = Duration::from_millis(if is_long { whole.as_millis() as u64 } else { 0 });
            if !is_long && !wait.is_zero() {
                std::thread::park_timeout(wait.min(TURN));
            }
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                self.receive(event.token().0)?;
            }
        }
        self.outcome.seconds = start.elapsed().as_secs_f64();
        Ok(self.outcome)
    }

    fn send(&mut self, index: usize, due: Instant) -> io::Result<()> {
        let request = &self.load.requests[self.next % self.load.requests.len()];
        self.next += 1;
        let reader = &mut self.readers[index];
        reader.due = due;
        // A request is far smaller than a socket's buffer.
        if reader.socket.write_all(request).is_err() {
            self.broken(index)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        loop {
            let reader = &mut self.readers[index];
            let len = match reader.socket.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return self.broken(index),
                Ok(len) => len,
            };
            let bytes = &self.buffer[..len];
            let whole = if reader.answer.is_empty() {
                whole(bytes)
            } else {
                reader.answer.extend_from_slice(bytes);
                whole(&reader.answer)
            };
            match whole {
                Some(Answer { ok, size }) => {
                    reader.answer.clear();
                    let micros = reader.due.elapsed().as_micros();
                    self.outcome
                        .latency
                        .record(u64::try_from(micros).unwrap_or(u64::MAX));
                    self.outcome.answers += u64::from(ok);
                    self.outcome.failed += u64::from(!ok);
                    self.outcome.bytes += size as u64;
                    self.free.push(index);
                }
                None if reader.answer.is_empty() => reader.answer.extend_from_slice(bytes),
                None => {}
            }
            if len < self.buffer.len() {
                return Ok(());
            }
        }
    }

    fn broken(&mut self, index: usize) -> io::Result<()> {
        self.outcome.failed += 1;
        self.readers[index] = self.connect(index)?;
        if !self.free.contains(&index) {
            self.free.push(index);
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    ok: bool,
    size: usize,
}

/// An answer that is all there.
fn whole(bytes: &[u8]) -> Option<Answer> {
    const LENGTH: &[u8] = b"content-length:";
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = &bytes[..end];
    let lines = head.split(|&byte| byte == b'\n');
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(LENGTH.len())?;
        let value = name.eq_ignore_ascii_case(LENGTH).then_some(value)?;
        std::str::from_utf8(value)
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    });
    let size = end + 4 + lengths.next().unwrap_or(0);
    let ok = head.get(9..12) == Some(b"200");
    (bytes.len() >= size).then_some(Answer { ok, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_whole_answer() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: y\r\n\r\nabc";
        assert_eq!(
            whole(ok),
            Some(Answer {
                ok: true,
                size: ok.len()
            })
        );
        assert_eq!(whole(&ok[..ok.len() - 1]), None);
        assert_eq!(whole(&ok[..20]), None);
        let bad = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            whole(bad),
            Some(Answer {
                ok: false,
                size: bad.len()
            })
        );
    }
}
