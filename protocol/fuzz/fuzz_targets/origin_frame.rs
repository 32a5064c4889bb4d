//! Frames of an origin, from the stream on, and the entries that they carry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{
    FrameDecoder, RawFrame, decode_entries, decode_origin_frame, decode_stamped, decode_trust,
    encode_origin_frame,
};
use liveevents_protocol::frame::{FORMAT_V1, OriginFrame};
use liveevents_protocol::limits::MAX_BODY;

fn frames(bytes: &[u8]) -> Vec<RawFrame> {
    let mut decoder = FrameDecoder::new(MAX_BODY);
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next_frame().ok()?).collect()
}

fn open(frame: &OriginFrame) {
    match frame {
        OriginFrame::Welcome { trust, .. } | OriginFrame::Trust(trust) => {
            let _ = decode_trust(&trust.bytes);
        }
        OriginFrame::SnapshotChunk(chunk) => {
            let _ = decode_stamped(&chunk.entries);
        }
        OriginFrame::Rows(rows) => {
            for row in &rows.rows {
                let _ = decode_entries(FORMAT_V1, &row.entries);
            }
        }
        OriginFrame::Heartbeat { .. }
        | OriginFrame::Drain { .. }
        | OriginFrame::Directory(_)
        | OriginFrame::Counting { .. }
        | OriginFrame::Claimed(_)
        | OriginFrame::Counted { .. }
        | OriginFrame::Forget { .. } => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    for frame in frames(bytes) {
        let Ok(decoded) = decode_origin_frame(&frame) else {
            continue;
        };
        open(&decoded);
        let encoded = encode_origin_frame(&decoded).expect("what was decoded is within the limits");
        let again = frames(&encoded);
        assert_eq!(
            again.iter().map(decode_origin_frame).collect::<Vec<_>>(),
            [Ok(decoded)]
        );
    }
});
