//! What a full socket leaves behind.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::*;

/// Takes as much as it has room for.
#[derive(Default)]
struct Pipe(Mutex<(usize, Vec<u8>)>);

impl Pipe {
    fn room(&self, room: usize) {
        self.0.lock().0 = room;
    }

    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().1)
    }
}

impl Outlet for Arc<Pipe> {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let (room, taken) = &mut *self.0.lock();
        let count = bytes.len().min(*room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *room -= count;
        taken.extend(&bytes[..count]);
        Ok(count)
    }

    fn poll_writable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.lock().0 > 0 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn hang_up(&self) {}
}

fn flush(outgoing: &mut Outgoing, pipe: &Arc<Pipe>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    match outgoing.poll_flush(pipe, &mut cx) {
        Poll::Ready(flushed) => {
            flushed.unwrap();
            true
        }
        Poll::Pending => false,
    }
}

#[test]
fn the_rest_of_a_frame_is_a_slice_of_it_and_goes_first() {
    let pipe = Arc::new(Pipe::default());
    let mut outgoing = Outgoing::default();
    let frame = Bytes::from_static(b"0123456789");
    assert_eq!(outgoing.write(&pipe, &frame).unwrap(), Written::Nothing);
    assert!(outgoing.is_clear());
    pipe.room(4);
    assert_eq!(outgoing.write(&pipe, &frame).unwrap(), Written::Part);
    assert_eq!(outgoing.rest.as_ptr(), frame[4..].as_ptr());
    // Another finds no room before it, and leaves nothing.
    pipe.room(3);
    assert_eq!(outgoing.write(&pipe, &frame).unwrap(), Written::Nothing);
    assert!(!flush(&mut outgoing, &pipe));
    assert_eq!(pipe.taken(), b"0123456");
    pipe.room(100);
    assert!(flush(&mut outgoing, &pipe));
    assert_eq!(outgoing.write(&pipe, &frame).unwrap(), Written::Whole);
    assert_eq!(pipe.taken(), b"7890123456789");
}

#[test]
fn pings_by_the_thousand_leave_one_pong() {
    let pipe = Arc::new(Pipe::default());
    let mut outgoing = Outgoing::default();
    pipe.room(2);
    outgoing.send(&pipe, Bytes::from_static(b"text")).unwrap();
    for at in 0..1_000_u16 {
        let pong = Bytes::copy_from_slice(&at.to_be_bytes());
        outgoing.pong(&pipe, pong).unwrap();
    }
    pipe.room(100);
    assert!(flush(&mut outgoing, &pipe));
    assert_eq!(pipe.taken(), b"text\x03\xe7");
    // Nothing in the way: each is answered at once.
    outgoing.pong(&pipe, Bytes::from_static(b"pong")).unwrap();
    assert_eq!(pipe.taken(), b"pong");
}
