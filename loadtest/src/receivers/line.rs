//! One connection of a receiver, up to the bytes: what it says and how far it has come.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::Greeting;
use super::headline::State;
use super::scan::{Scanner, Whole};

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    socket: Option<TcpStream>,
    stage: Stage,
    scanner: Scanner,
    /// What it holds: the history as text, and the version.
    pub(super) held: Option<([u8; 36], u64)>,
    /// When it came to hold that, in microseconds since 1970.
    pub(super) held_since: i64,
    pub(super) ack: Ack,
    /// Whether this connection has brought a state.
    served: bool,
}

/// Whether an ack may be sent, and whether one is owed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ack {
    /// The next goes at once.
    #[default]
    Free,
    /// The last was not long ago; what is owed goes when the interval is over.
    Waiting { owed: bool },
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Closed,
    Connecting,
    /// The request is sent; what has come of the answer.
    Upgrading(Vec<u8>),
    Open,
}

/// What became of an event on a socket.
#[derive(Debug)]
pub(super) enum Outcome {
    /// More to come.
    Going,
    /// Frames come from now on.
    Opened,
    /// The upgrade was refused; seconds to wait.
    Refused(u64),
    /// It is over.
    Ended(Option<String>),
}

impl Line {
    /// Whether it is connected and upgraded.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether this connection has brought a state.
    pub(super) fn is_served(&self) -> bool {
        self.served
    }

    /// Begins to connect.
    pub(super) fn connect(
        &mut self,
        to: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        let mut socket = TcpStream::connect(to)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        self.scanner = Scanner::default();
        self.stage = Stage::Connecting;
        self.ack = Ack::Free;
        self.served = false;
        self.socket = Some(socket);
        Ok(())
    }

    /// Closes.
    pub(super) fn close(&mut self) {
        self.socket = None;
        self.stage = Stage::Closed;
    }

    /// Takes what there is, showing whole frames.
    pub(super) fn ready(
        &mut self,
        to: SocketAddr,
        greeting: &Greeting,
        buffer: &mut [u8],
        show: impl FnMut(Whole<'_>),
    ) -> Outcome {
        match self.try_ready(to, greeting, buffer, show) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Ended(Some(error.to_string())),
        }
    }

    fn try_ready(
        &mut self,
        to: SocketAddr,
        greeting: &Greeting,
        buffer: &mut [u8],
        mut show: impl FnMut(Whole<'_>),
    ) -> io::Result<Outcome> {
        let mut opened = false;
        if matches!(self.stage, Stage::Connecting) {
            let Some(socket) = &mut self.socket else {
                return Ok(Outcome::Going);
            };
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    return Ok(Outcome::Going);
                }
                Err(error) => return Err(error),
            }
            socket.set_nodelay(true)?;
            match greeting {
                Greeting::None => {
                    self.stage = Stage::Open;
                    opened = true;
                }
                Greeting::Subscribe { token, .. } => {
                    self.send(upgrade_request(to, token).as_bytes())?;
                    self.stage = Stage::Upgrading(Vec::new());
                }
            }
        }
        loop {
            let Some(socket) = &mut self.socket else {
                return Ok(Outcome::Going);
            };
            let len = match socket.read(buffer) {
                Ok(0) => return Ok(Outcome::Ended(None)),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Stage::Upgrading(answer) = &mut self.stage {
                answer.extend_from_slice(&buffer[..len]);
                let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
                    continue;
                };
                let answer = std::mem::take(answer);
                if let Some(outcome) = refusal(&answer[..end]) {
                    return Ok(outcome);
                }
                self.stage = Stage::Open;
                opened = true;
                if let Greeting::Subscribe { region, .. } = greeting {
                    self.send(&text_frame(&hello(region, self.held)))?;
                }
                self.scanner.feed(&answer[end + 4..], &mut show);
            } else {
                self.scanner.feed(&buffer[..len], &mut show);
            }
            // A short read has emptied the socket; what comes later wakes again.
            if len < buffer.len() {
                break;
            }
        }
        Ok(if opened {
            Outcome::Opened
        } else {
            Outcome::Going
        })
    }

    /// Sends the ack of what is held.
    pub(super) fn send_ack(&mut self, now: i64) -> io::Result<()> {
        let Some((epoch, version)) = self.held else {
            return Ok(());
        };
        let epoch = String::from_utf8_lossy(&epoch);
        let held = (now - self.held_since).max(0) / 1_000;
        self.send(&text_frame(&format!(
            r#"{{"type":"ack","epoch":"{epoch}","version":{version},"status":"Applied","heldMs":{held}}}"#
        )))
    }

    /// Answers a ping.
    pub(super) fn send_pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.send(&frame(0x8a, payload))
    }

    /// It holds a state from now on; what it held before.
    pub(super) fn hold(&mut self, state: &State, now: i64) -> Option<u64> {
        let before = self.held.replace((state.epoch, state.to));
        self.held_since = now;
        self.served = true;
        before
            .filter(|(epoch, _)| *epoch == state.epoch)
            .map(|(_, version)| version)
    }

    /// What is sent is a few hundred bytes at most, for which there is always room.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Some(socket) => socket.write_all(bytes),
            None => Ok(()),
        }
    }
}

/// What an answer means that does not switch protocols; `None` if it does.
fn refusal(answer: &[u8]) -> Option<Outcome> {
    let answer = String::from_utf8_lossy(answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    match status {
        "101" => None,
        "503" | "429" => {
            let mut lines = answer.lines().filter_map(|line| line.split_once(':'));
            let after = lines.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
            let seconds = after.and_then(|(_, value)| value.trim().parse().ok());
            Some(Outcome::Refused(seconds.unwrap_or(1)))
        }
        _ => {
            let line = answer.lines().next().unwrap_or_default();
            Some(Outcome::Ended(Some(format!(
                "the upgrade was answered {line}"
            ))))
        }
    }
}

fn upgrade_request(to: SocketAddr, token: &str) -> String {
    format!(
        "GET /api/v1/subscribe HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bGl2ZWV2ZW50cy1sb2FkIQ==\r\n\
         Sec-WebSocket-Protocol: liveevents.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
}

fn hello(region: &str, held: Option<([u8; 36], u64)>) -> String {
    let position = held.map_or_else(String::new, |(epoch, version)| {
        let epoch = String::from_utf8_lossy(&epoch);
        format!(r#","position":{{"epoch":"{epoch}","version":{version}}}"#)
    });
    format!(r#"{{"type":"hello","region":"{region}","level":"Region"{position}}}"#)
}

fn text_frame(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A client's frame has to be masked; the key of all zeroes leaves the payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    bytes.push(first);
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use liveevents_protocol::message::{AckStatus, ClientMessage};

    #[test]
    fn says_what_the_protocol_says() {
        let epoch = "019ab5a4-6c1f-7a52-9d43-5b8c7e0f1a2b";
        let held = Some((epoch.as_bytes().try_into().unwrap(), 7));
        let Ok(ClientMessage::Hello(hello)) = ClientMessage::parse(&hello("us-east", held)) else {
            panic!("no hello");
        };
        assert_eq!(hello.region.as_str(), "us-east");
        assert_eq!(hello.position.unwrap().version.0, 7);

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut line = Line {
            socket: Some(TcpStream::from_std(stream)),
            held,
            held_since: 1_000_000,
            ..Line::default()
        };
        line.send_ack(1_250_000).unwrap();
        line.close();
        let mut sent = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut sent).unwrap();
        // One masked text frame of less than 126 bytes: two bytes of header, four of a mask of zeros.
        assert_eq!(usize::from(sent[1]), 0x80 + sent.len() - 6);
        assert_eq!(sent[0], 0x81);
        let text = std::str::from_utf8(&sent[6..]).unwrap();
        let Ok(ClientMessage::Ack(ack)) = ClientMessage::parse(text) else {
            panic!("{text}");
        };
        assert_eq!((ack.version.0, ack.status), (7, AckStatus::Applied));
        assert!(text.contains("\"heldMs\":250"), "{text}");
    }

    #[test]
    fn understands_refusals() {
        assert!(refusal(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket").is_none());
        let later = refusal(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3\r\nx: y");
        assert!(matches!(later, Some(Outcome::Refused(3))));
        let never = refusal(b"HTTP/1.1 401 Unauthorized\r\n");
        assert!(matches!(never, Some(Outcome::Ended(Some(line))) if line.contains("401")));
    }
}
