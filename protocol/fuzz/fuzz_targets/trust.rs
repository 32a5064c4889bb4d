//! Trust bundles, as they come signed and from an edge's cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::codec::{decode_trust, encode_trust};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = decode_trust(bytes) {
        let encoded = encode_trust(&bundle).expect("what was decoded is within the limits");
        assert_eq!(decode_trust(&encoded), Ok(bundle));
    }
});
