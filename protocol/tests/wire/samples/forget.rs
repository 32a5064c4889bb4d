//! Players that edges forget.

use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::id::ErasureId;
use uuid::Uuid;

use super::super::sample::Value;

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let forget = OriginFrame::Forget {
        id: erasure(1),
        player: "player-zoë".to_owned(),
    };
    vec![
        ("origin-forget", Value::Origin(forget)),
        (
            "edge-forgotten",
            Value::Edge(EdgeFrame::Forgotten(vec![erasure(1), erasure(2)])),
        ),
    ]
}

fn erasure(n: u128) -> ErasureId {
    ErasureId(Uuid::from_u128(
        0x0191_0000_0000_7000_8000_0000_0000_0000 + n,
    ))
}
