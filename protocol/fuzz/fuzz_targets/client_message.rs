//! Messages of a game server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::message::ClientMessage;

fuzz_target!(|text: &str| {
    if let Ok(message) = ClientMessage::parse(text) {
        let printed = message.print().expect("what was read can be written");
        assert_eq!(
            ClientMessage::parse(&printed).expect("what was written can be read"),
            message
        );
    }
});
