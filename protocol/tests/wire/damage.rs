//! Whatever bytes come, a decoder gives a value or an error: truncated, flipped, overwritten, claiming too
//! much, nested too deep, expanding too far, or just noise.

use std::iter::once;

use liveevents_protocol::codec::{
    self, DecodeError, FrameDecoder, RawFrame, decode_edge_frame, decode_origin_frame,
};
use liveevents_protocol::entry::Entry;
use liveevents_protocol::entry::Value::Content;
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::limits::{MAX_BODY, MAX_HELLO, MAX_JSON_DEPTH, MAX_ROW, MAX_TRUST};
use proptest::collection::vec;
use proptest::prelude::*;

use super::decode::Decoder;
use super::sample::{Sample, Value};
use super::samples;

const HEADER: usize = 6;
const DEEP: usize = 100_000;

/// Decodes; what comes out is a value like any other, which can be written and read again.
fn total(decoder: Decoder, bytes: &[u8]) {
    if let Ok(value) = decoder.decode(bytes) {
        assert_eq!(decoder.decode(&value.encode()), Ok(value));
    }
}

fn frame(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 2).unwrap();
    [&len.to_be_bytes(), [kind, flags].as_slice(), body].concat()
}

/// A frame's kind, flags and body; `None` for what is no frame.
fn parts(sample: &Sample, bytes: &[u8]) -> Option<(u8, u8, Vec<u8>)> {
    let is_frame = matches!(sample.value, Value::Edge(_) | Value::Origin(_));
    is_frame.then(|| (bytes[4], bytes[5], bytes[HEADER..].to_vec()))
}

fn samples() -> impl Iterator<Item = (Sample, Vec<u8>)> {
    samples::all().into_iter().map(|sample| {
        let bytes = sample.value.encode();
        (sample, bytes)
    })
}

#[test]
fn truncated_at_any_byte_is_an_error() {
    for (sample, bytes) in samples() {
        let decoder = sample.value.decoder();
        for len in 0..bytes.len() {
            let cut = decoder.decode(&bytes[..len]);
            assert!(cut.is_err(), "{} cut at {len}: {cut:?}", sample.name);
        }
        let Some((kind, flags, body)) = parts(&sample, &bytes) else {
            continue;
        };
        for len in 0..body.len() {
            let cut = decoder.decode(&frame(kind, flags, &body[..len]));
            assert!(cut.is_err(), "{}'s body cut at {len}: {cut:?}", sample.name);
        }
    }
}

#[test]
fn one_byte_too_many_is_an_error() {
    for (sample, bytes) in samples() {
        let decoder = sample.value.decoder();
        let longer = |bytes: &[u8]| bytes.iter().copied().chain(once(b'0')).collect::<Vec<_>>();
        let whole = match parts(&sample, &bytes) {
            Some((kind, flags, body)) => frame(kind, flags, &longer(&body)),
            None => longer(&bytes),
        };
        assert!(decoder.decode(&whole).is_err(), "{}", sample.name);
    }
}

#[test]
fn any_bit_may_flip() {
    for (sample, bytes) in samples() {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                total(sample.value.decoder(), &flipped);
            }
        }
    }
}

/// bincode's long integers wherever a length may be, in all sizes, with what follows kept or cut off.
#[test]
fn any_length_may_be_claimed() {
    let claims: [&[u8]; 7] = [
        &[250],
        &[251, 0xff, 0xff],
        &[252, 0xff, 0xff, 0xff, 0x7f],
        &[252, 0xff, 0xff, 0xff, 0xff],
        &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[254; 17],
    ];
    for (sample, bytes) in samples() {
        let decoder = sample.value.decoder();
        let (header, body) = match parts(&sample, &bytes) {
            Some((kind, flags, body)) => (Some((kind, flags)), body),
            None => (None, bytes),
        };
        for at in 0..body.len() {
            for claim in claims {
                for rest in [&body[at + 1..], &[]] {
                    let claiming = [&body[..at], claim, rest].concat();
                    match header {
                        Some((kind, flags)) => total(decoder, &frame(kind, flags, &claiming)),
                        None => total(decoder, &claiming),
                    }
                }
            }
        }
    }
}

#[test]
fn lists_longer_than_what_is_there_are_refused() {
    for claim in [
        [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].as_slice(),
        &[252, 0xff, 0xff, 0xff, 0x7f],
        &[251, 0xe8, 0x03],
        &[1],
    ] {
        assert!(codec::decode_entries(FORMAT_V1, claim).is_err());
        assert!(codec::decode_stamped(claim).is_err());
        assert!(codec::decode_trust(claim).is_err());
    }
    assert_eq!(
        codec::decode_entries(2, &[0]),
        Err(DecodeError::UnknownFormat(2))
    );
}

#[test]
fn more_bytes_than_the_limit_are_not_looked_at() {
    let too_large = |limit| DecodeError::TooLarge {
        len: limit + 1,
        limit,
    };
    let row = vec![0; MAX_ROW + 1];
    let entries = codec::decode_entries(FORMAT_V1, &row);
    assert_eq!(entries, Err(too_large(MAX_ROW)));
    assert_eq!(codec::decode_stamped(&row), Err(too_large(MAX_ROW)));
    let bundle = codec::decode_trust(&vec![0; MAX_TRUST + 1]);
    assert_eq!(bundle, Err(too_large(MAX_TRUST)));
}

#[test]
fn bytes_of_one_kind_are_tried_as_every_other() {
    for (_, bytes) in samples() {
        for decoder in Decoder::ALL {
            total(decoder, &bytes);
        }
    }
}

fn nested(levels: usize) -> [String; 4] {
    let objects = "{\"a\":".repeat(levels);
    [
        "[".repeat(levels),
        "[".repeat(levels) + &"]".repeat(levels),
        objects.clone(),
        objects + "0" + &"}".repeat(levels),
    ]
}

#[test]
fn json_nested_deep_is_an_error_and_no_overflow() {
    let free_form = |text: &str| {
        samples()
            .filter(|(sample, _)| matches!(sample.value, Value::Server(_)))
            .flat_map(|(_, bytes)| {
                let message = String::from_utf8(bytes).unwrap();
                [
                    message.replace(
                        r#"{"multipliers": {"xp": 2.50}, "big""#,
                        &format!("{{\"a\": {text}, \"big\""),
                    ),
                    message.replace(r#"{"cta": "Los!"}"#, text),
                ]
                .into_iter()
                .filter(|changed| *changed != message)
                .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    let shallow = free_form(&nested(MAX_JSON_DEPTH - 1)[1]);
    assert_eq!(shallow.len(), 4, "a snapshot and a delta have both kinds");
    for message in shallow {
        assert!(Decoder::Server.decode(message.as_bytes()).is_ok());
    }
    let refused = |decoder: Decoder, message: &str| {
        let start: String = message.chars().take(60).collect();
        let decoded = decoder.decode(message.as_bytes());
        assert!(decoded.is_err(), "{decoder:?} {start}");
    };
    for text in nested(DEEP) {
        for message in free_form(&text) {
            refused(Decoder::Server, &message);
        }
        refused(Decoder::Client, &text);
        refused(Decoder::Server, &text);
        let of_kind = |kind, known| format!("{{\"{known}\": {text}, \"type\": \"{kind}\"}}");
        for known in [
            "type", "region", "level", "position", "epoch", "version", "status",
        ] {
            refused(Decoder::Client, &of_kind("hello", known));
            refused(Decoder::Client, &of_kind("ack", known));
        }
        for known in [
            "type",
            "epoch",
            "to",
            "time",
            "contents",
            "assignments",
            "entries",
        ] {
            refused(Decoder::Server, &of_kind("snapshot", known));
            refused(Decoder::Server, &of_kind("delta", known));
        }
    }
}

/// A field that nobody knows is passed over, however deep it is.
#[test]
fn unknown_fields_nested_deep_do_no_harm() {
    for text in nested(DEEP) {
        let ack = format!(
            "{{\"x\": {text}, \"type\": \"ack\", \"epoch\": \"{}\", \"version\": 1, \"status\": \"Applied\"}}",
            uuid::Uuid::nil()
        );
        total(Decoder::Client, ack.as_bytes());
        let unknown = format!("{{\"type\": \"later\", \"x\": {text}}}");
        total(Decoder::Client, unknown.as_bytes());
        total(Decoder::Server, unknown.as_bytes());
    }
}

#[test]
fn json_nested_deep_in_an_entry_is_an_error() {
    let entry = samples::all()
        .into_iter()
        .find_map(|sample| match sample.value {
            Value::Entries(entries) => match entries.into_iter().next()? {
                Entry::Put(Content(content)) => Some((*content).clone()),
                _ => None,
            },
            _ => None,
        });
    let mut content = entry.unwrap();
    let [_, deep, ..] = nested(DEEP);
    let placeholder = format!("\"{}\"", "x".repeat(deep.len() - 2));
    content.configuration = JsonText::new(placeholder.clone()).unwrap();
    let mut bytes = codec::encode_entries(&[content.into()]).unwrap();
    let at = bytes
        .windows(placeholder.len())
        .position(|window| window == placeholder.as_bytes())
        .unwrap();
    bytes[at..at + deep.len()].copy_from_slice(deep.as_bytes());
    assert!(matches!(
        codec::decode_entries(FORMAT_V1, &bytes),
        Err(DecodeError::Invalid {
            field: "configuration",
            ..
        })
    ));
}

fn raw(limit: usize, kind: u8, flags: u8, body: &[u8]) -> RawFrame {
    let mut decoder = FrameDecoder::new(limit);
    decoder.push(&frame(kind, flags, body));
    decoder.next_frame().unwrap().unwrap()
}

#[test]
fn a_bomb_goes_off_within_the_limit() {
    let bomb = zstd::bulk::compress(&vec![0; 100 << 20], 19).unwrap();
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let twice = [bomb.as_slice(), &bomb].concat();
    for body in [&bomb, &twice] {
        for limit in [MAX_HELLO, MAX_BODY] {
            let refused = Err(DecodeError::TooLarge {
                len: limit + 1,
                limit,
            });
            for kind in [1, 2, 64, 66, 67] {
                let frame = raw(limit, kind, 1, body);
                let as_edge = decode_edge_frame(&frame).map(drop);
                let as_origin = decode_origin_frame(&frame).map(drop);
                if as_edge != refused {
                    let window = matches!(as_edge, Err(DecodeError::Malformed(_)));
                    assert!(window && limit == MAX_HELLO, "{as_edge:?}");
                }
                assert_eq!(as_edge, as_origin);
            }
        }
    }
}

/// zstd allocates the window that a header claims before it has seen a byte of content.
#[test]
fn a_window_above_the_limit_is_refused() {
    let claiming = |log: u8| {
        let descriptor = (log - 10) << 3;
        [0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 1, 0, 0]
    };
    let decode = |limit, log| decode_edge_frame(&raw(limit, 4, 1, &claiming(log))).map(drop);
    assert_eq!(decode(MAX_HELLO, 16), Ok(()), "an empty body is a Bye");
    assert!(matches!(
        decode(MAX_HELLO, 17),
        Err(DecodeError::Malformed(_))
    ));
    assert_eq!(decode(MAX_BODY, 23), Ok(()));
    for log in [24, 27, 31, 41] {
        assert!(matches!(
            decode(MAX_BODY, log),
            Err(DecodeError::Malformed(_))
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn noise_is_an_error_or_a_value(bytes in vec(any::<u8>(), 0..300)) {
        for decoder in Decoder::ALL {
            total(decoder, &bytes);
        }
        for kind in (0..8).chain(62..72) {
            for flags in 0..3 {
                let frame = frame(kind, flags, &bytes);
                total(Decoder::Edge, &frame);
                total(Decoder::Origin, &frame);
            }
        }
        let zstd = zstd::bulk::compress(&bytes, 1).unwrap();
        for kind in [1, 2, 3, 64, 65, 66, 67, 68] {
            let frame = frame(kind, 1, &zstd);
            total(Decoder::Edge, &frame);
            total(Decoder::Origin, &frame);
        }
    }

    #[test]
    fn noise_in_the_middle_is_an_error_or_a_value(
        pick in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        noise in vec(any::<u8>(), 1..20),
        keep in 0..20_usize,
    ) {
        let all: Vec<_> = samples().collect();
        let (sample, bytes) = pick.get(&all);
        let at = at.index(bytes.len());
        let rest = bytes.get(at + keep..).unwrap_or_default();
        total(sample.value.decoder(), &[&bytes[..at], &noise, rest].concat());
    }
}
