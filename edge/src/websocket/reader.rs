//! What a client says, read from its socket.
//!
//! There is no read buffer: bytes are read into a scratch place on the stack and decoded from there. What was read
//! beyond a message that somebody wants to deal with first is kept, and is gone before the next read.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use super::decoder::{Decoder, Event, Violation};

/// Read at once: acks by the hundred, or a piece of a longer message.
const SCRATCH: usize = 16 * 1024;

/// Nothing more can be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost {
    /// The client has gone without a word: its process was killed, or the network took it.
    Gone,
    /// It broke the protocol.
    Broken(Violation),
}

/// A client's messages, one after the other.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    decoder: Decoder,
    /// Read and not yet decoded.
    rest: Bytes,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// `read` is what had been read already. Messages longer than `limit` are a violation.
    pub fn new(input: R, read: Bytes, limit: usize) -> Self {
        Self {
            input,
            decoder: Decoder::new(limit),
            // A copy of the little that there is: what it is a slice of would stay as long as it does.
            rest: Bytes::copy_from_slice(&read),
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// If there will be none.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Lost>> {
        while !self.rest.is_empty() {
            let mut input = &*self.rest;
            let event = self.decoder.next(&mut input).map_err(Lost::Broken)?;
            let left = input.len();
            self.rest.advance(self.rest.len() - left);
            if let Some(event) = event {
                return Poll::Ready(Ok(event));
            }
        }
        self.rest = Bytes::new();
        let mut scratch = [MaybeUninit::uninit(); SCRATCH];
        loop {
            let mut read = ReadBuf::uninit(&mut scratch);
            let mut input = ready!(self.fill(cx, &mut read))?;
            let event = self.decoder.next(&mut input).map_err(Lost::Broken)?;
            if let Some(event) = event {
                self.rest = Bytes::copy_from_slice(input);
                return Poll::Ready(Ok(event));
            }
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// As for [`Reader::poll_next`].
    ///
    /// # Cancel safety
    /// What has been read of a message is kept.
    pub async fn next(&mut self) -> Result<Event, Lost> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Reads on without listening, until the other side hangs up.
    pub async fn drain(&mut self) {
        std::future::poll_fn(|cx| {
            let mut scratch = [MaybeUninit::uninit(); SCRATCH];
            loop {
                let mut read = ReadBuf::uninit(&mut scratch);
                if ready!(self.fill(cx, &mut read)).is_err() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    fn fill<'a>(
        &mut self,
        cx: &mut Context<'_>,
        read: &'a mut ReadBuf<'_>,
    ) -> Poll<Result<&'a [u8], Lost>> {
        let filled: io::Result<()> = ready!(Pin::new(&mut self.input).poll_read(cx, read));
        match filled {
            Ok(()) if !read.filled().is_empty() => Poll::Ready(Ok(read.filled())),
            Ok(()) | Err(_) => Poll::Ready(Err(Lost::Gone)),
        }
    }
}
