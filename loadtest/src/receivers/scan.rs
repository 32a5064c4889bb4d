//! Whole WebSocket frames in a stream of bytes from a server, and the head of each.
//!
//! What lies wholly within one read is looked at where it lies. Of what does not, only the head is kept, so
//! that ten thousand receivers cost the machine under test nothing.

/// How much of a message is kept: its type, versions and times come before its entries.
pub(super) const HEAD: usize = 512;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message, put together from its fragments.
    Message,
    /// To be answered.
    Ping,
    /// The end.
    Close,
    /// Anything else.
    Other,
}

/// A message or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its beginning, up to [`HEAD`].
    pub(super) head: &'a [u8],
    /// Bytes on the wire, headers included.
    pub(super) size: u64,
}

/// Where a receiver is in its stream.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The bytes of a header that is not whole yet.
    header: Vec<u8>,
    /// The frame whose payload is being received.
    frame: Option<Frame>,
    /// The message that fragments belong to: its head so far, and its size.
    message: Option<(Vec<u8>, u64)>,
}

#[derive(Debug)]
struct Frame {
    opcode: u8,
    fin: bool,
    /// Of the header and what has come.
    size: u64,
    missing: u64,
    head: Vec<u8>,
}

/// A header that is whole.
struct Header {
    opcode: u8,
    fin: bool,
    len: usize,
    payload: u64,
}

const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;

impl Scanner {
    /// Shows everything that becomes whole with these bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut show: impl FnMut(Whole<'_>)) {
        while !bytes.is_empty() {
            if let Some(mut frame) = self.frame.take() {
                let taken =
                    usize::try_from(frame.missing).map_or(bytes.len(), |n| n.min(bytes.len()));
                let (now, later) = bytes.split_at(taken);
                keep(&mut frame.head, now);
                frame.missing -= taken as u64;
                frame.size += taken as u64;
                bytes = later;
                if frame.missing > 0 {
                    self.frame = Some(frame);
                } else {
                    let Frame {
                        opcode,
                        fin,
                        size,
                        head,
                        ..
                    } = frame;
                    self.whole(opcode, fin, size, &head, &mut show);
                }
                continue;
            }
            let carried = self.header.len();
            let header = if carried == 0 {
                Header::read(bytes)
            } else {
                self.header.extend_from_slice(&bytes[..bytes.len().min(14)]);
                Header::read(&self.header)
            };
            let Some(header) = header else {
                if carried == 0 {
                    self.header.extend_from_slice(bytes);
                }
                return;
            };
            self.header.clear();
            bytes = &bytes[header.len - carried..];
            let Header {
                opcode,
                fin,
                len,
                payload,
            } = header;
            let here = usize::try_from(payload)
                .ok()
                .filter(|&payload| payload <= bytes.len());
            if let Some(payload) = here {
                let (now, later) = bytes.split_at(payload);
                bytes = later;
                self.whole(opcode, fin, (len + payload) as u64, now, &mut show);
            } else {
                let (size, head) = (len as u64, Vec::new());
                self.frame = Some(Frame {
                    opcode,
                    fin,
                    size,
                    missing: payload,
                    head,
                });
            }
        }
    }

    /// A frame is whole, and with it perhaps a message.
    fn whole(
        &mut self,
        opcode: u8,
        fin: bool,
        size: u64,
        payload: &[u8],
        show: &mut impl FnMut(Whole<'_>),
    ) {
        if opcode >= CLOSE {
            let kind = match opcode {
                CLOSE => Kind::Close,
                PING => Kind::Ping,
                _ => Kind::Other,
            };
            return show(Whole {
                kind,
                head: payload,
                size,
            });
        }
        let kind = Kind::Message;
        if opcode != CONTINUATION && fin {
            let head = &payload[..payload.len().min(HEAD)];
            return show(Whole { kind, head, size });
        }
        let (mut head, before) = self.message.take().unwrap_or_default();
        keep(&mut head, payload);
        let size = before + size;
        if fin {
            show(Whole {
                kind,
                head: &head,
                size,
            });
        } else {
            self.message = Some((head, size));
        }
    }
}

impl Header {
    /// A server's frames are not masked.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (len, payload) = match second & 0x7f {
            126 => {
                let length = bytes.get(2..4)?.try_into().ok()?;
                (4, u64::from(u16::from_be_bytes(length)))
            }
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        Some(Self {
            opcode: first & 0x0f,
            fin: first & 0x80 != 0,
            len,
            payload,
        })
    }
}

fn keep(head: &mut Vec<u8>, bytes: &[u8]) {
    let room = HEAD.saturating_sub(head.len());
    head.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(short as u8),
            long @ 126..0x1_0000 => {
                bytes.push(126);
                bytes.extend_from_slice(&(long as u16).to_be_bytes());
            }
            longer => {
                bytes.push(127);
                bytes.extend_from_slice(&(longer as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn finds_the_same_however_the_stream_is_cut() {
        let long = vec![b'l'; 70_000];
        let parts = [
            frame(0x81, b"{\"short\"}"),
            frame(0x89, b"ping"),
            frame(0x01, &long[..300]),
            frame(0x80, b"end"),
            frame(0x81, b""),
            frame(0x81, &long),
            frame(0x88, &[0x0f, 0xa0]),
        ];
        let stream = parts.concat();
        let sizes: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
        let expected = [
            (Kind::Message, 9, sizes[0]),
            (Kind::Ping, 4, sizes[1]),
            (Kind::Message, 303, sizes[2] + sizes[3]),
            (Kind::Message, 0, sizes[4]),
            (Kind::Message, HEAD, sizes[5]),
            (Kind::Close, 2, sizes[6]),
        ];
        for piece in [1, 2, 3, 7, 13, 64, 1_000, 100_000] {
            let mut scanner = Scanner::default();
            let mut found = Vec::new();
            for bytes in stream.chunks(piece) {
                scanner.feed(bytes, |whole| {
                    found.push((whole.kind, whole.head.len(), whole.size))
                });
            }
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }
}
