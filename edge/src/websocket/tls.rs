//! TLS under a WebSocket, in two halves: one task reads while others write.
//!
//! What encrypts has one state for both directions, so the halves share it under a lock, which is held for one read or
//! write that does not wait. A write may take what the system does not take yet; so whoever writes asks whether all is
//! flushed, and leaves what is not to the connection's own task.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Outlet;

type Shared = Arc<Mutex<TlsStream<TcpStream>>>;

/// The half that reads.
#[derive(Debug)]
pub struct TlsInput(Shared);

/// The half that writes. Dropped, it says that nothing more comes.
#[derive(Debug)]
pub struct TlsOutlet(Shared);

/// Both halves.
#[must_use]
pub fn split(stream: TlsStream<TcpStream>) -> (TlsInput, TlsOutlet) {
    let shared = Arc::new(Mutex::new(stream));
    (TlsInput(Arc::clone(&shared)), TlsOutlet(shared))
}

impl AsyncRead for TlsInput {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(cx, into)
    }
}

impl Outlet for TlsOutlet {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Nobody is woken: who writes next waits for room first.
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut *self.0.lock()).poll_write(&mut cx, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The lines to the other side, once they take what was encrypted before.
        let mut stream = self.0.lock();
        match Pin::new(&mut *stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => stream.get_ref().0.poll_write_ready(cx),
            unflushed => unflushed,
        }
    }

    fn is_flushed(&self) -> bool {
        !self.0.lock().get_ref().1.wants_write()
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn hang_up(&self) {
        let mut stream = self.0.lock();
        stream.get_mut().1.send_close_notify();
        // If it does not go out now, the end of the connection says it too.
        let _ = Pin::new(&mut *stream).poll_flush(&mut Context::from_waker(Waker::noop()));
        let _ = SockRef::from(stream.get_ref().0).shutdown(Shutdown::Write);
    }
}

impl Drop for TlsOutlet {
    fn drop(&mut self) {
        self.hang_up();
    }
}
