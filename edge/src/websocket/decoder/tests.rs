//! The decoder against what RFC 6455 says, and against anything at all.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1_000;

/// A client's frame, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0xa5, 0x5a, 0x3c, 0xc3];
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        medium @ ..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// All that is said, in pieces of a size.
fn decode(bytes: &[u8], piece: usize, limit: usize) -> (Vec<Event>, Option<Violation>) {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for mut piece in bytes.chunks(piece.max(1)) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
        assert!(piece.is_empty());
    }
    (events, None)
}

fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

#[test]
fn messages_are_put_together_whatever_comes_between() {
    let table: [(&[Vec<u8>], &[Event]); 8] = [
        (&[frame(0x81, b"hello")], &[text("hello")]),
        (&[frame(0x81, b"")], &[text("")]),
        (&[frame(0x82, &[0, 255])], &[Event::Binary(vec![0, 255])]),
        (
            &[frame(0x81, "x".repeat(LIMIT).as_bytes())],
            &[text(&"x".repeat(LIMIT))],
        ),
        (
            &[
                frame(0x01, b"a"),
                frame(0x89, b"p"),
                frame(0x00, b"b"),
                frame(0x8a, b""),
                frame(0x80, b""),
                frame(0x82, b"c"),
            ],
            &[
                Event::Ping(b"p".to_vec()),
                Event::Pong,
                text("ab"),
                Event::Binary(b"c".to_vec()),
            ],
        ),
        // A character in two fragments.
        (&[frame(0x01, &[0xc3]), frame(0x80, &[0xbc])], &[text("ü")]),
        (&[frame(0x88, b"")], &[Event::Close(None)]),
        (&[frame(0x88, b"\x03\xe8bye")], &[Event::Close(Some(1000))]),
    ];
    for (frames, expected) in table {
        let bytes = frames.concat();
        for piece in [1, 2, 3, 7, bytes.len()] {
            let (events, violation) = decode(&bytes, piece, LIMIT);
            assert_eq!((&events[..], violation), (expected, None));
        }
    }
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    let unmasked = vec![0x81, 1, b'x'];
    let long = |second: u8, length: &[u8]| {
        let mut bytes = vec![0x82, 0x80 | second];
        bytes.extend(length);
        bytes.extend([0; 4]);
        bytes
    };
    let close = |code: u16| frame(0x88, &code.to_be_bytes());
    let mut table = vec![
        (unmasked, Violation::Unmasked),
        (frame(0xc1, b""), Violation::ReservedBits),
        (frame(0xa1, b""), Violation::ReservedBits),
        (frame(0x91, b""), Violation::ReservedBits),
        (frame(0x09, b"ping"), Violation::Control),
        (frame(0x89, &[0; 126]), Violation::Control),
        (frame(0x80, b"of nothing"), Violation::Fragments),
        (
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            Violation::Fragments,
        ),
        (
            [frame(0x02, b"a"), frame(0x02, b"b")].concat(),
            Violation::Fragments,
        ),
        (long(126, &[0, 125]), Violation::Length),
        (long(127, &[0, 0, 0, 0, 0, 0, 255, 255]), Violation::Length),
        (long(127, &[128, 0, 0, 0, 0, 0, 0, 0]), Violation::Length),
        (
            long(127, &[127, 255, 255, 255, 255, 255, 255, 255]),
            Violation::TooLong { limit: LIMIT },
        ),
        (
            frame(0x81, &[b'x'; LIMIT + 1]),
            Violation::TooLong { limit: LIMIT },
        ),
        // By fragments too.
        (
            [frame(0x01, &[b'x'; LIMIT]), frame(0x80, b"x")].concat(),
            Violation::TooLong { limit: LIMIT },
        ),
        (frame(0x88, &[3]), Violation::Close),
        (frame(0x88, b"\x03\xe8\xff"), Violation::Utf8),
        (frame(0x81, b"\xc0\xaf"), Violation::Utf8),
        // Half of a surrogate pair, and half of a character.
        (frame(0x81, b"\xed\xa0\x80"), Violation::Utf8),
        (frame(0x81, b"\xc3"), Violation::Utf8),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        table.push((frame(0x80 | opcode, b""), Violation::Opcode(opcode)));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000] {
        table.push((close(code), Violation::Close));
    }
    for (bytes, expected) in table {
        for piece in [1, 2, bytes.len()] {
            let (_, violation) = decode(&bytes, piece, LIMIT);
            assert_eq!(violation, Some(expected), "{bytes:x?}");
        }
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4000, 4999] {
        assert_eq!(
            decode(&close(code), 9, LIMIT),
            (vec![Event::Close(Some(code))], None)
        );
    }
}

#[test]
fn text_is_refused_at_its_first_wrong_byte() {
    // A message of which more would come.
    let mut bytes = frame(0x01, b"fine \xf4\x90");
    let (_, violation) = decode(&bytes, 1, LIMIT);
    assert_eq!(violation, Some(Violation::Utf8));
    // The first half of a character that may still become one.
    bytes = frame(0x01, b"fine \xf4\x8f");
    assert_eq!(decode(&bytes, 1, LIMIT), (Vec::new(), None));
}

#[test]
fn nothing_is_taken_for_what_a_header_claims_nor_kept_after_a_message() {
    let mut decoder = Decoder::new(usize::MAX);
    let claims = [
        0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 1,
    ];
    assert_eq!(decoder.next(&mut &claims[..]), Ok(None));
    assert!(decoder.message.capacity() < 100);
    let mut decoder = Decoder::new(LIMIT);
    let said = [frame(0x89, b"p"), frame(0x81, b"text")].concat();
    let mut input = &said[..];
    while decoder.next(&mut input).unwrap().is_some() {}
    assert_eq!(decoder.message.capacity() + decoder.control.capacity(), 0);
}

/// One message: fragments of a text or of bytes, with pings between them.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<Event>)> {
    let payload = prop_oneof![
        ".{0,80}".prop_map(|text| (Some(text.clone()), text.into_bytes())),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (None, bytes)),
    ];
    (
        payload,
        prop::collection::vec((0_usize..300, any::<bool>()), 0..4),
    )
        .prop_map(|((text, payload), mut cuts)| {
            cuts.sort_unstable();
            let (mut bytes, mut events) = (Vec::new(), Vec::new());
            let mut opcode = if text.is_some() { 1 } else { 2 };
            let mut done = 0;
            for (cut, ping) in cuts {
                let cut = cut.clamp(done, payload.len());
                bytes.extend(frame(opcode, &payload[done..cut]));
                (opcode, done) = (0, cut);
                if ping {
                    bytes.extend(frame(0x89, &[7]));
                    events.push(Event::Ping(vec![7]));
                }
            }
            bytes.extend(frame(0x80 | opcode, &payload[done..]));
            events.push(text.map_or(Event::Binary(payload), Event::Text));
            (bytes, events)
        })
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        messages in prop::collection::vec(message(), 0..5),
        piece in 1_usize..50,
    ) {
        let (bytes, events): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let (bytes, events) = (bytes.concat(), events.concat());
        prop_assert_eq!(decode(&bytes, piece, LIMIT), (events, None));
    }

    #[test]
    fn damage_is_a_violation_or_another_message_but_never_more_than_came(
        (mut bytes, _) in message(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        piece in 1_usize..50,
    ) {
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let whole = decode(&bytes, bytes.len(), LIMIT);
        let pieces = decode(&bytes, piece, LIMIT);
        // However it comes, the same is said before the violation, and the same kind of it.
        prop_assert_eq!(&pieces.0, &whole.0);
        prop_assert_eq!(pieces.1, whole.1);
    }

    #[test]
    fn rubbish_never_panics_and_is_never_more_than_came(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        piece in 1_usize..50,
    ) {
        let (events, _) = decode(&bytes, piece, LIMIT);
        let said: usize = events.iter().map(|event| match event {
            Event::Text(text) => text.len(),
            Event::Binary(payload) | Event::Ping(payload) => payload.len(),
            Event::Pong | Event::Close(_) => 0,
        }).sum();
        prop_assert!(said <= bytes.len());
    }
}
