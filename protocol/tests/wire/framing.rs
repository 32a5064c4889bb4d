//! Frames come out of the stream whole and in order, however the network cut it.

use liveevents_protocol::codec::{DecodeError, FrameDecoder, decode_edge_frame, encode_edge_frame};
use liveevents_protocol::frame::EdgeFrame;
use liveevents_protocol::limits::{MAX_BODY, MAX_HELLO};
use proptest::collection::vec;
use proptest::prelude::*;

use super::generate::edge_frame;

fn drain(decoder: &mut FrameDecoder) -> Vec<EdgeFrame> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push(decode_edge_frame(&frame).unwrap());
    }
    frames
}

proptest! {
    #[test]
    fn cut_anywhere_the_frames_are_the_same(
        frames in vec(edge_frame(), 0..6),
        cuts in vec(1..2_000_usize, 1..20),
    ) {
        let mut stream: &[u8] = &frames
            .iter()
            .flat_map(|frame| encode_edge_frame(frame).unwrap())
            .collect::<Vec<_>>();
        let mut decoder = FrameDecoder::new(MAX_HELLO);
        let mut received = Vec::new();
        for cut in cuts.iter().cycle() {
            let (piece, rest) = stream.split_at(stream.len().min(*cut));
            decoder.push(piece);
            received.extend(drain(&mut decoder));
            stream = rest;
            if stream.is_empty() {
                break;
            }
        }
        prop_assert_eq!(received, frames);
    }
}

/// Moving the rest of the buffer up for each frame would take minutes here.
#[test]
fn a_million_small_frames_in_one_push_are_read_at_once() {
    let bye = encode_edge_frame(&EdgeFrame::Bye).unwrap();
    let mut decoder = FrameDecoder::new(MAX_HELLO);
    decoder.push(&bye.repeat(1_000_000));
    assert_eq!(drain(&mut decoder).len(), 1_000_000);
}

#[test]
fn the_limit_holds_from_the_header_on() {
    let header = |len: u32| [len.to_be_bytes().as_slice(), &[1, 0]].concat();
    let largest = |limit| u32::try_from(limit).unwrap() + 2;

    let mut decoder = FrameDecoder::new(MAX_HELLO);
    decoder.push(&header(largest(MAX_HELLO)));
    assert_eq!(decoder.next_frame(), Ok(None), "waits for the body");

    let mut decoder = FrameDecoder::new(MAX_HELLO);
    decoder.push(&header(largest(MAX_HELLO) + 1));
    assert_eq!(
        decoder.next_frame(),
        Err(DecodeError::TooLarge {
            len: MAX_HELLO + 1,
            limit: MAX_HELLO
        })
    );
    decoder.set_limit(usize::MAX);
    assert_eq!(decoder.next_frame(), Ok(None), "let in by the new limit");

    let mut decoder = FrameDecoder::new(usize::MAX);
    decoder.push(&header(u32::MAX));
    assert!(matches!(
        decoder.next_frame(),
        Err(DecodeError::TooLarge {
            limit: MAX_BODY,
            ..
        })
    ));
    for claimed in [0, 1] {
        let mut decoder = FrameDecoder::new(MAX_BODY);
        decoder.push(&header(claimed));
        assert!(matches!(
            decoder.next_frame(),
            Err(DecodeError::Malformed(_))
        ));
    }
}

#[test]
fn an_unknown_kind_or_flag_is_named() {
    let decode = |kind, flags| {
        let mut decoder = FrameDecoder::new(MAX_BODY);
        decoder.push(&[0, 0, 0, 2, kind, flags]);
        decode_edge_frame(&decoder.next_frame().unwrap().unwrap())
    };
    assert_eq!(decode(4, 0), Ok(EdgeFrame::Bye));
    for kind in [0, 63, 64, 255] {
        assert_eq!(decode(kind, 0), Err(DecodeError::UnknownKind(kind)));
    }
    for flags in [2, 3, 128] {
        assert_eq!(decode(4, flags), Err(DecodeError::UnknownFlags(flags)));
    }
}
