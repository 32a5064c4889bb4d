//! Messages of an edge, and the state that a game server makes of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liveevents_protocol::evaluate::{Keys, Moment, shown};
use liveevents_protocol::message::ServerMessage;
use liveevents_protocol::state::RegionState;

fuzz_target!(|text: &str| {
    let Ok(mut message) = ServerMessage::parse(text) else {
        return;
    };
    // What could not be read is not written.
    match &mut message {
        ServerMessage::Snapshot(snapshot) => snapshot.unread.clear(),
        ServerMessage::Delta(delta) => delta.unread.clear(),
        _ => {}
    }
    let printed = message.print().expect("what was read can be written");
    assert_eq!(
        ServerMessage::parse(&printed).expect("what was written can be read"),
        message
    );

    match message {
        ServerMessage::Snapshot(snapshot) => {
            let now = snapshot.time;
            let state = RegionState::from_snapshot(snapshot.into_snapshot())
                .expect("every entry is stamped with its version");
            let _ = shown(&state, &Keys(&[("player", "player-1")]).into(), Moment::fresh(now));
        }
        ServerMessage::Delta(delta) => {
            let delta = delta.into_delta();
            let _ = RegionState::empty(delta.epoch).apply(&delta);
        }
        _ => {}
    }
});
