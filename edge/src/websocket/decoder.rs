//! Bytes of a client become messages, whatever pieces they come in.
//!
//! Pure, incremental, and strict: what RFC 6455 forbids ends the connection. Memory is taken for what has come, never
//! for what a header claims, and is given back with the message; between two messages nothing is held. Text is
//! checked as it comes, so that rubbish is refused at its first wrong byte.

use std::fmt;

/// The longest payload of a control frame (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// The longest header that a client sends: two bytes, a length of eight, a mask of four.
const MAX_HEADER: usize = 14;

/// What a client has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// To be answered by a pong with the same payload.
    Ping(Vec<u8>),
    /// A sign of life.
    Pong,
    /// Nothing more will be said. The code is one that may stand on the wire.
    Close(Option<u16>),
}

/// What a client must not do; the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set, though no extension is agreed on.
    ReservedBits,
    /// An opcode without a meaning.
    Opcode(u8),
    /// A client masks what it sends.
    Unmasked,
    /// A length that was not written in the shortest way, or beyond 2^63.
    Length,
    /// A control frame in fragments, or with more than 125 bytes.
    Control,
    /// A continuation of nothing, or a new message within another.
    Fragments,
    /// Text that is no UTF-8.
    Utf8,
    /// A close with half a code, or one that may not be sent.
    Close,
    /// A message longer than allowed.
    TooLong {
        /// So many bytes are.
        limit: usize,
    },
}

impl Violation {
    /// The close code that RFC 6455 gives it (7.4.1).
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Utf8 => 1007,
            Self::TooLong { .. } => 1009,
            Self::ReservedBits
            | Self::Opcode(_)
            | Self::Unmasked
            | Self::Length
            | Self::Control
            | Self::Fragments
            | Self::Close => 1002,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set"),
            Self::Opcode(opcode) => write!(f, "opcode {opcode} has no meaning"),
            Self::Unmasked => f.write_str("a frame is not masked"),
            Self::Length => f.write_str("a length is not written in the shortest way"),
            Self::Control => f.write_str("a control frame is fragmented or too long"),
            Self::Fragments => f.write_str("a fragment is out of place"),
            Self::Utf8 => f.write_str("a text is not UTF-8"),
            Self::Close => f.write_str("a close frame makes no sense"),
            Self::TooLong { limit } => write!(f, "a message may have {limit} bytes"),
        }
    }
}

impl std::error::Error for Violation {}

/// Where in the stream of frames a connection is.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    header: PartialHeader,
    frame: Option<Frame>,
    /// Of the message in progress, unmasked.
    message: Vec<u8>,
    kind: Option<Kind>,
    /// So much of a text has been found well-formed.
    checked: usize,
    /// Of the control frame in progress, which may come between two fragments.
    control: Vec<u8>,
}

#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; MAX_HEADER],
    filled: usize,
}

/// A frame whose header has come.
#[derive(Debug, Clone, Copy)]
struct Frame {
    carries: Carries,
    mask: [u8; 4],
    left: u64,
}

#[derive(Debug, Clone, Copy)]
enum Carries {
    Data { last: bool },
    Control(Control),
}

#[derive(Debug, Clone, Copy)]
enum Control {
    Close,
    Ping,
    Pong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

impl Decoder {
    /// Takes messages of up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            header: PartialHeader::default(),
            frame: None,
            message: Vec::new(),
            kind: None,
            checked: 0,
            control: Vec::new(),
        }
    }

    /// Takes bytes off the front of `input` until something has been said, or none are left.
    ///
    /// # Errors
    /// If the client breaks the protocol. There is no going on after that.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Violation> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.header.complete(input)? {
                    Some(header) => self.begin(header)?,
                    None => return Ok(None),
                },
            };
            let event = match frame.carries {
                Carries::Data { last } => self.data(frame, last, input)?,
                Carries::Control(control) => self.control(frame, control, input)?,
            };
            match event {
                Some(event) => return Ok(Some(event)),
                None if input.is_empty() => return Ok(None),
                None => {}
            }
        }
    }

    /// Judges a header where it stands.
    fn begin(&mut self, header: Header) -> Result<Frame, Violation> {
        let last = header.last;
        let carries = match header.opcode {
            0 if self.kind.is_none() => return Err(Violation::Fragments),
            0 => Carries::Data { last },
            1 | 2 if self.kind.is_some() => return Err(Violation::Fragments),
            1 => {
                self.kind = Some(Kind::Text);
                Carries::Data { last }
            }
            2 => {
                self.kind = Some(Kind::Binary);
                Carries::Data { last }
            }
            8 => Carries::Control(Control::Close),
            9 => Carries::Control(Control::Ping),
            10 => Carries::Control(Control::Pong),
            other => return Err(Violation::Opcode(other)),
        };
        match carries {
            Carries::Control(_) if !last || header.length > MAX_CONTROL as u64 => {
                return Err(Violation::Control);
            }
            Carries::Data { .. } if header.length > (self.limit - self.message.len()) as u64 => {
                return Err(Violation::TooLong { limit: self.limit });
            }
            Carries::Control(_) | Carries::Data { .. } => {}
        }
        Ok(Frame {
            carries,
            mask: header.mask,
            left: header.length,
        })
    }

    fn data(
        &mut self,
        mut frame: Frame,
        last: bool,
        input: &mut &[u8],
    ) -> Result<Option<Event>, Violation> {
        frame.take(input, &mut self.message);
        let whole = last && frame.left == 0;
        if self.kind == Some(Kind::Text) {
            self.check(whole)?;
        }
        if frame.left > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        if !last {
            return Ok(None);
        }
        self.checked = 0;
        let message = std::mem::take(&mut self.message);
        match self.kind.take() {
            Some(Kind::Text) => match String::from_utf8(message) {
                Ok(text) => Ok(Some(Event::Text(text))),
                Err(_) => Err(Violation::Utf8),
            },
            Some(Kind::Binary) | None => Ok(Some(Event::Binary(message))),
        }
    }

    /// Text may end in the middle of a character until it is whole. Then `String` judges it.
    fn check(&mut self, whole: bool) -> Result<(), Violation> {
        if whole {
            return Ok(());
        }
        let unchecked = self.message.get(self.checked..).unwrap_or_default();
        match std::str::from_utf8(unchecked) {
            Ok(_) => self.checked = self.message.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::Utf8),
        }
        Ok(())
    }

    fn control(
        &mut self,
        mut frame: Frame,
        control: Control,
        input: &mut &[u8],
    ) -> Result<Option<Event>, Violation> {
        frame.take(input, &mut self.control);
        if frame.left > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        let payload = std::mem::take(&mut self.control);
        Ok(Some(match control {
            Control::Ping => Event::Ping(payload),
            Control::Pong => Event::Pong,
            Control::Close => Event::Close(closing(&payload)?),
        }))
    }
}

impl Frame {
    /// Moves what has come of the payload to `to`, unmasked.
    fn take(&mut self, input: &mut &[u8], to: &mut Vec<u8>) {
        let count = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let (taken, rest) = input.split_at(count);
        let from = to.len();
        to.extend_from_slice(taken);
        unmask(to.get_mut(from..).unwrap_or_default(), self.mask);
        // The next byte's place in the mask.
        self.mask.rotate_left(count % 4);
        self.left -= count as u64;
        *input = rest;
    }
}

/// Eight bytes at a time, which the compiler makes more of.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(value) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The code of a close frame.
fn closing(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => return Err(Violation::Close),
    };
    // Those that RFC 6455 and IANA's registry let an endpoint send.
    let sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !sendable {
        return Err(Violation::Close);
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Violation::Utf8),
    }
}

/// A frame's header, well-formed.
struct Header {
    last: bool,
    opcode: u8,
    mask: [u8; 4],
    length: u64,
}

impl PartialHeader {
    /// Takes what is missing of a header. What is wrong with its first two bytes is said before the rest has come.
    fn complete(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Violation> {
        loop {
            let needed = self.needed()?;
            let missing = needed.saturating_sub(self.filled);
            if missing == 0 {
                self.filled = 0;
                return Header::read(&self.bytes).map(Some);
            }
            let (taken, rest) = input.split_at(missing.min(input.len()));
            for byte in taken {
                if let Some(place) = self.bytes.get_mut(self.filled) {
                    *place = *byte;
                    self.filled += 1;
                }
            }
            *input = rest;
            if taken.len() < missing {
                return Ok(None);
            }
        }
    }

    /// Bytes of the header, as far as that is known.
    fn needed(&self) -> Result<usize, Violation> {
        let [first, second, ..] = self.bytes;
        if self.filled < 2 {
            return Ok(2);
        }
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        Ok(match second & 0x7f {
            126 => 8,
            127 => 14,
            _ => 6,
        })
    }
}

impl Header {
    /// Of as many bytes as [`PartialHeader::needed`] says.
    fn read(bytes: &[u8; MAX_HEADER]) -> Result<Self, Violation> {
        let [first, second, rest @ ..] = *bytes;
        let [a, b, c, d, e, f, g, h, mask @ ..] = rest;
        let (length, mask, least) = match second & 0x7f {
            126 => {
                let length = u64::from(u16::from_be_bytes([a, b]));
                (length, [c, d, e, f], 126)
            }
            127 => {
                let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                (length, mask, 1 << 16)
            }
            length => (u64::from(length), [a, b, c, d], 0),
        };
        if length < least || length >> 63 != 0 {
            return Err(Violation::Length);
        }
        Ok(Self {
            last: first & 0x80 != 0,
            opcode: first & 0x0f,
            mask,
            length,
        })
    }
}

#[cfg(test)]
mod tests;
