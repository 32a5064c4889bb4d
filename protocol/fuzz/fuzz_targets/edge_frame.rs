//! Frames of an edge, from the stream on: before it has said who it is, and after.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{FrameDecoder, RawFrame, decode_edge_frame, encode_edge_frame};
use liveevents_protocol::limits::{MAX_BODY, MAX_HELLO};

fn frames(limit: usize, bytes: &[u8]) -> Vec<RawFrame> {
    let mut decoder = FrameDecoder::new(limit);
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next_frame().ok()?).collect()
}

fuzz_target!(|bytes: &[u8]| {
    for limit in [MAX_HELLO, MAX_BODY] {
        for frame in frames(limit, bytes) {
            let Ok(decoded) = decode_edge_frame(&frame) else {
                continue;
            };
            let encoded =
                encode_edge_frame(&decoded).expect("what was decoded is within the limits");
            let again = frames(MAX_BODY, &encoded);
            assert_eq!(
                again.iter().map(decode_edge_frame).collect::<Vec<_>>(),
                [Ok(decoded)]
            );
        }
    }
});
