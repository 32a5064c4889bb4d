//! What is to be forgotten of players, and what was: between wire and domain.

use bincode::{Decode, Encode};
use uuid::Uuid;

use super::convert::invalid;
use super::list::List;
use crate::codec::DecodeError;
use crate::frame::{EdgeFrame, OriginFrame};
use crate::id::ErasureId;
use crate::limits::{MAX_FORGOTTEN, MAX_NAME};

#[derive(Encode, Decode)]
pub(super) struct WireForget {
    id: [u8; 16],
    player: String,
}

#[derive(Encode, Decode)]
pub(super) struct WireForgotten(List<[u8; 16]>);

impl WireForget {
    pub(super) fn new(id: ErasureId, player: &str) -> Self {
        Self {
            id: id.0.into_bytes(),
            player: player.to_owned(),
        }
    }

    pub(super) fn into_frame(self) -> Result<OriginFrame, DecodeError> {
        let (id, player) = (Uuid::from_bytes(self.id), self.player);
        match player.len() {
            1..=MAX_NAME => Ok(OriginFrame::Forget {
                id: ErasureId(id),
                player,
            }),
            len => Err(invalid("player", format!("has {len} bytes"))),
        }
    }
}

impl WireForgotten {
    pub(super) fn new(ids: &[ErasureId]) -> Self {
        Self(ids.iter().map(|id| id.0.into_bytes()).collect())
    }

    pub(super) fn into_frame(self) -> Result<EdgeFrame, DecodeError> {
        let ids = self.0.into_inner();
        if ids.len() > MAX_FORGOTTEN {
            let message = format!("has {}, at most {MAX_FORGOTTEN} may be", ids.len());
            return Err(invalid("forgotten", message));
        }
        let ids = ids.into_iter().map(|id| ErasureId(Uuid::from_bytes(id)));
        Ok(EdgeFrame::Forgotten(ids.collect()))
    }
}
