//! What goes to a client, and what it has not taken yet.
//!
//! Whoever has a frame at hand writes it, under the lock of the connection and without waiting. What the socket does
//! not take stays: at most the rest of one message, which is a slice of bytes that others share, the newest pong, and
//! whatever order demands that they go out in.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use socket2::SockRef;
use tokio::net::tcp::OwnedWriteHalf;

/// The sending half of a connection, to be written to without waiting.
pub trait Outlet: Send + Sync + 'static {
    /// Writes what can be written now.
    ///
    /// # Errors
    /// `WouldBlock` if that is nothing; any other if the connection is lost.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Ready when more can be written. Wakes the last caller only.
    ///
    /// # Errors
    /// If the connection is lost.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether all that was written is with the system. Only what encrypts keeps something back.
    fn is_flushed(&self) -> bool {
        true
    }

    /// Ready when it is. Wakes the last caller only.
    ///
    /// # Errors
    /// If the connection is lost.
    fn poll_flush(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Fetches what a write will look at from memory. Who writes to thousands asks a few to do so at once, and waits for
    /// memory once instead of once for each.
    fn fetch(&self) {}

    /// Says that nothing more comes, while the other side may still be read: who closes a WebSocket waits for that. What
    /// is not with the system yet is lost.
    fn hang_up(&self);
}

impl Outlet for OwnedWriteHalf {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Straight to the system: to ask the runtime first whether there is room costs a look into memory that nobody
        // else looks at, for each of thousands, and there nearly always is.
        match SockRef::from(self.as_ref()).send(bytes) {
            // Now the runtime has to hear of it, or it would wait for nothing.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::try_write(self, bytes),
            written => written,
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_ref().poll_write_ready(cx)
    }

    fn fetch(&self) {
        std::hint::black_box(self.as_ref().as_raw_fd());
    }

    fn hang_up(&self) {
        // It fails on what is closed already.
        let _ = SockRef::from(self.as_ref()).shutdown(Shutdown::Write);
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is with the system.
    Whole,
    /// A part is; the rest waits.
    Part,
    /// Nothing is, and nothing waits: the socket is full, or something else waits for it already.
    Nothing,
}

/// Bytes on their way to a client.
#[derive(Debug, Default)]
pub struct Outgoing {
    rest: Bytes,
    /// The answer to the last ping: RFC 6455 (5.5.3) asks for no more than that.
    pong: Option<Bytes>,
    /// Something was written that is not with the system yet.
    unflushed: bool,
}

impl Outgoing {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.rest.is_empty() && self.pong.is_none() && !self.unflushed
    }

    /// Writes a frame if nothing waits.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn write(&mut self, outlet: &dyn Outlet, frame: &Bytes) -> io::Result<Written> {
        if !self.is_clear() {
            return Ok(Written::Nothing);
        }
        let count = attempt(outlet, frame)?;
        if count == 0 {
            return Ok(Written::Nothing);
        }
        self.unflushed = !outlet.is_flushed();
        if count < frame.len() {
            self.rest = frame.slice(count..);
        }
        Ok(if self.is_clear() {
            Written::Whole
        } else {
            Written::Part
        })
    }

    /// Writes a frame, or keeps it. Only when nothing waits: it would be lost otherwise.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn send(&mut self, outlet: &dyn Outlet, frame: Bytes) -> io::Result<()> {
        debug_assert!(self.is_clear(), "one message at a time");
        if self.write(outlet, &frame)? == Written::Nothing {
            self.rest = frame;
        }
        Ok(())
    }

    /// Answers a ping, now or after what waits.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn pong(&mut self, outlet: &dyn Outlet, frame: Bytes) -> io::Result<()> {
        if self.is_clear() {
            return self.send(outlet, frame);
        }
        self.pong = Some(frame);
        Ok(())
    }

    /// Ready when nothing waits.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn poll_flush(
        &mut self,
        outlet: &dyn Outlet,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.rest.is_empty() {
                // Nothing of what it was a slice of is kept.
                self.rest = self.pong.take().unwrap_or_default();
            }
            if self.rest.is_empty() {
                if self.unflushed {
                    ready!(outlet.poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Ready(Ok(()));
            }
            match attempt(outlet, &self.rest)? {
                0 => ready!(outlet.poll_writable(cx))?,
                count => {
                    self.rest.advance(count);
                    self.unflushed = !outlet.is_flushed();
                }
            }
        }
    }
}

/// How much was taken, which may be nothing.
fn attempt(outlet: &dyn Outlet, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match outlet.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written,
        }
    }
}

#[cfg(test)]
mod tests;
