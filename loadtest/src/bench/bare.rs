//! The limit: a bare loop that writes one ready-made WebSocket frame to each of many plain sockets, so many times a
//! second. It reads nothing, checks nothing and knows nobody: no server can do with less than this.
//!
//! It runs as a process of its own, so that its CPU is counted apart, and tells its address and what it did in lines of
//! JSON.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::process::Process;
use crate::arguments::bench::Bare;
use crate::failure::Failure;
use crate::limits;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Listening {
    address: SocketAddr,
}

/// The last.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done {
    pub(super) deliveries: u64,
    pub(super) cpu_seconds: f64,
}

/// Serves as the bare loop until it has written what it is asked to.
///
/// # Errors
/// If the sockets do not come, or break.
pub fn serve(bare: &Bare) -> Result<(), Failure> {
    let served = serve_all(bare).map_err(|source| Failure::Socket { source })?;
    tell(&served).map_err(|source| Failure::Socket { source })
}

fn serve_all(bare: &Bare) -> io::Result<Done> {
    let listener = listen()?;
    tell(&Listening {
        address: listener.local_addr()?,
    })?;
    let mut sockets: Vec<TcpStream> = Vec::new();
    while sockets.len() < bare.servers as usize {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    // Whoever connected last may still be at it.
    pause(Duration::from_secs(1));
    let cpu = || Process::own().cpu().map_err(io::Error::other);
    let (before, start) = (cpu()?, Instant::now());
    for turn in 0..bare.frames {
        let due = start + Duration::from_secs_f64(f64::from(turn) / bare.rate);
        pause(due.saturating_duration_since(Instant::now()));
        let frame = frame(u64::from(turn) + 1, bare.bytes as usize);
        for socket in &mut sockets {
            socket.write_all(&frame)?;
        }
    }
    let cpu = cpu()? - before;
    // The sockets live until the receivers are done with them.
    pause(Duration::from_millis(500));
    Ok(Done {
        deliveries: u64::from(bare.frames) * sockets.len() as u64,
        cpu_seconds: cpu.as_secs_f64(),
    })
}

/// The standard library's backlog of 128 would lose connections that say nothing.
fn listen() -> io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(limits::BACKLOG)?.into_std()?;
    listener.set_nonblocking(false)?;
    Ok(listener)
}

/// A frame that looks like a delta, of so many bytes on the wire.
fn frame(to: u64, bytes: usize) -> Vec<u8> {
    let (from, time) = (to - 1, crate::clock::now());
    let mut text = format!(
        r#"{{"type":"delta","epoch":"00000000-0000-7000-8000-000000000000","from":{from},"to":{to},"time":"{time}","entries":[],"padding":""#
    );
    // The header has 4 bytes.
    let padding = bytes.saturating_sub(text.len() + 6);
    text.extend(std::iter::repeat_n('x', padding));
    text.push_str("\"}");
    let mut frame = vec![0x81, 126];
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// This process has nothing else to do.
fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now())
        && !left.is_zero()
    {
        std::thread::park_timeout(left);
    }
}

fn tell(line: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    out.flush()
}

/// The bare loop as a process.
pub(super) struct Loop {
    pub(super) address: SocketAddr,
    lines: Lines<BufReader<ChildStdout>>,
    /// Ended when dropped.
    _child: Child,
}

impl Loop {
    /// Starts it; it begins to write once all have connected.
    pub(super) async fn start(bare: &Bare) -> Result<Self, Failure> {
        let failed = |source| Failure::Socket { source };
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .arg("bare")
            .args(["--servers", &bare.servers.to_string()])
            .args(["--frames", &bare.frames.to_string()])
            .args(["--rate", &bare.rate.to_string()])
            .args(["--bytes", &bare.bytes.to_string()])
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let mut lines = BufReader::new(stdout).lines();
        let Listening { address } = next(&mut lines, limits::OPEN).await?;
        Ok(Self {
            address,
            lines,
            _child: child,
        })
    }

    /// What it has done, once it has.
    pub(super) async fn done(mut self, at_most: Duration) -> Result<Done, Failure> {
        next(&mut self.lines, at_most).await
    }
}

async fn next<T: serde::de::DeserializeOwned>(
    lines: &mut Lines<BufReader<ChildStdout>>,
    at_most: Duration,
) -> Result<T, Failure> {
    let failed = |source| Failure::Socket { source };
    let line = timeout(at_most, lines.next_line()).await;
    let line = line
        .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
        .map_err(failed)?;
    let line = line.ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
    serde_json::from_str(&line).map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_size_asked_for() {
        for bytes in [400, 1_024, 1_100] {
            let frame = frame(7, bytes);
            assert_eq!(frame.len(), bytes);
            let text: serde_json::Value = serde_json::from_slice(&frame[4..]).unwrap();
            assert_eq!((&text["from"], &text["to"]), (&6.into(), &7.into()));
        }
    }
}
