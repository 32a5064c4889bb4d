//! What a server sends, as bytes ready for the wire: header and payload in one, to be shared by all who are sent it.

use bytes::{BufMut as _, Bytes, BytesMut};

/// A long message goes out in frames of this size, one after the other in the same bytes: a receiver that takes no frame
/// above a limit of its own (1 MiB is usual) need not care how long a message is, and none waits for a frame of
/// megabytes before it may look at it.
const FRAGMENT: usize = 64 * 1024;

/// The longest payload of a control frame (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// The longest header of a server: two bytes and a length of eight.
const MAX_HEADER: usize = 10;

const LAST: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A text message.
#[must_use]
pub fn text(text: &str) -> Bytes {
    message(TEXT, text.as_bytes())
}

/// A text message of what is known to be UTF-8, such as printed JSON.
#[must_use]
pub fn json(text: &[u8]) -> Bytes {
    message(TEXT, text)
}

/// A binary message.
#[must_use]
pub fn binary(payload: &[u8]) -> Bytes {
    message(BINARY, payload)
}

/// A question whether the client is there. What it answers does not matter.
#[must_use]
pub fn ping() -> Bytes {
    const EMPTY: &[u8] = &[LAST | PING, 0];
    Bytes::from_static(EMPTY)
}

/// The answer to a ping.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    control(PONG, payload)
}

/// The end, with a code and a reason of which as much is said as there is room for.
#[must_use]
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else {
        return control(CLOSE, &[]);
    };
    let mut end = reason.len().min(MAX_CONTROL - size_of::<u16>());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(MAX_CONTROL);
    payload.put_u16(code);
    payload.extend_from_slice(reason.as_bytes().get(..end).unwrap_or_default());
    control(CLOSE, &payload)
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = payload.get(..MAX_CONTROL).unwrap_or(payload);
    let mut bytes = BytesMut::with_capacity(MAX_HEADER + payload.len());
    header(&mut bytes, LAST | opcode, payload.len());
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

fn message(opcode: u8, payload: &[u8]) -> Bytes {
    let fragments = payload.len().div_ceil(FRAGMENT).max(1);
    let mut bytes = BytesMut::with_capacity(payload.len() + fragments * MAX_HEADER);
    let (mut opcode, mut rest) = (opcode, payload);
    loop {
        let (fragment, later) = rest.split_at(rest.len().min(FRAGMENT));
        let last = if later.is_empty() { LAST } else { 0 };
        header(&mut bytes, last | opcode, fragment.len());
        bytes.extend_from_slice(fragment);
        if later.is_empty() {
            return bytes.freeze();
        }
        (opcode, rest) = (CONTINUATION, later);
    }
}

/// A server does not mask.
fn header(bytes: &mut BytesMut, first: u8, length: usize) {
    bytes.put_u8(first);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => bytes.put_u8(short),
        (_, Ok(medium)) => {
            bytes.put_u8(126);
            bytes.put_u16(medium);
        }
        _ => {
            bytes.put_u8(127);
            bytes.put_u64(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_in_the_shortest_way() {
        let table = [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        for (length, expected) in table {
            let frame = text(&"x".repeat(length));
            assert_eq!(frame[..expected.len()], expected, "{length}");
            assert_eq!(frame.len(), expected.len() + length);
        }
    }

    #[test]
    fn a_long_message_is_frames_one_after_the_other() {
        let payload: Vec<u8> = (0..FRAGMENT * 2 + 5).map(|at| (at % 251) as u8).collect();
        let mut rest = &binary(&payload)[..];
        let mut collected = Vec::new();
        let mut firsts = Vec::new();
        while let [first, size, later @ ..] = rest {
            let (length, later) = match size {
                126 => (
                    usize::from(u16::from_be_bytes([later[0], later[1]])),
                    &later[2..],
                ),
                127 => (
                    usize::try_from(u64::from_be_bytes(later[..8].try_into().unwrap())).unwrap(),
                    &later[8..],
                ),
                short => (usize::from(*short), later),
            };
            firsts.push(*first);
            collected.extend_from_slice(&later[..length]);
            rest = &later[length..];
        }
        assert_eq!(firsts, [BINARY, CONTINUATION, LAST | CONTINUATION]);
        assert_eq!(collected, payload);
    }

    #[test]
    fn a_reason_that_does_not_fit_ends_with_a_whole_character() {
        let frame = close(Some(4002), &"ü".repeat(100));
        assert_eq!(frame[..4], [0x88, 124, 0x0f, 0xa2]);
        assert_eq!(std::str::from_utf8(&frame[4..]).unwrap(), "ü".repeat(61));
        assert_eq!(close(None, "unsaid")[..], [0x88, 0]);
        assert_eq!(ping()[..], [0x89, 0]);
        assert_eq!(pong(b"hi")[..], [0x8a, 2, b'h', b'i']);
    }
}
