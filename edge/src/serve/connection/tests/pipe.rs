//! What lies between an edge and a game server, in memory: so much room, and no system to have more.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use crate::websocket::Outlet;

#[derive(Default)]
struct Line {
    bytes: VecDeque<u8>,
    room: usize,
    hung_up: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The edge's end. Dropped, it hangs up.
pub(super) struct Near(Arc<Mutex<Line>>);

/// The game server's end.
pub(super) struct Far(Arc<Mutex<Line>>);

pub(super) fn pipe(room: usize) -> (Near, Far) {
    let line = Line {
        room,
        ..Line::default()
    };
    let line = Arc::new(Mutex::new(line));
    (Near(Arc::clone(&line)), Far(line))
}

impl Outlet for Near {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = self.0.lock();
        let count = bytes.len().min(line.room - line.bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        line.bytes.extend(&bytes[..count]);
        if let Some(reader) = line.reader.take() {
            reader.wake();
        }
        Ok(count)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut line = self.0.lock();
        if line.bytes.len() < line.room {
            return Poll::Ready(Ok(()));
        }
        line.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn hang_up(&self) {
        let mut line = self.0.lock();
        line.hung_up = true;
        if let Some(reader) = line.reader.take() {
            reader.wake();
        }
    }
}

impl AsyncRead for Far {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut line = self.0.lock();
        if line.bytes.is_empty() && !line.hung_up {
            line.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = line.bytes.len().min(into.remaining());
        let taken: Vec<u8> = line.bytes.drain(..count).collect();
        into.put_slice(&taken);
        if let Some(writer) = line.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.hang_up();
    }
}
