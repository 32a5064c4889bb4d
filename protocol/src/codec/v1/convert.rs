//! Between wire and domain. To the wire always works; from it every field is checked.

mod entries;

use jiff::Timestamp;
use uuid::Uuid;

use super::{WireAck, WireChunk, WireHello, WirePosition, WireRow, WireRows, WireWelcome};
use crate::codec::DecodeError;
use crate::frame::{EdgeFrame, Hello, OriginFrame, Row, Rows, SnapshotChunk};
use crate::id::{BootId, ChangeId};
use crate::position::{Digest, Position, SealedPosition};
use crate::schedule::from_microsecond;
use crate::version::{Epoch, Version};

pub(super) fn invalid(field: &'static str, problem: impl ToString) -> DecodeError {
    DecodeError::Invalid {
        field,
        problem: problem.to_string(),
    }
}

pub(super) fn time(field: &'static str, micros: i64) -> Result<Timestamp, DecodeError> {
    from_microsecond(micros).map_err(|error| invalid(field, error))
}

pub(super) fn id<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, DecodeError>
where
    T::Err: ToString,
{
    text.parse()
        .map_err(|error: T::Err| invalid(field, error.to_string()))
}

impl From<&SealedPosition> for WirePosition {
    fn from(sealed: &SealedPosition) -> Self {
        let Position {
            epoch,
            version,
            digest,
        } = sealed.position;
        Self {
            epoch: epoch.0.into_bytes(),
            version: version.0,
            digest: digest.0,
            mac: sealed.mac,
        }
    }
}

impl From<WirePosition> for SealedPosition {
    fn from(wire: WirePosition) -> Self {
        Self {
            position: Position {
                epoch: Epoch(Uuid::from_bytes(wire.epoch)),
                version: Version(wire.version),
                digest: Digest(wire.digest),
            },
            mac: wire.mac,
        }
    }
}

impl From<&Hello> for WireHello {
    fn from(hello: &Hello) -> Self {
        Self {
            installation: hello.installation.to_string(),
            edge: hello.edge.to_string(),
            boot: hello.boot.0.into_bytes(),
            token: hello.token.clone(),
            build: hello.build.clone(),
            capabilities: hello.capabilities.clone(),
            address: hello.address.clone(),
            regions: hello
                .regions
                .iter()
                .map(|(region, position)| {
                    (
                        region.to_string(),
                        position.as_ref().map(WirePosition::from),
                    )
                })
                .collect(),
        }
    }
}

impl TryFrom<WireHello> for Hello {
    type Error = DecodeError;

    fn try_from(wire: WireHello) -> Result<Self, DecodeError> {
        Ok(Self {
            installation: id("installation", &wire.installation)?,
            edge: id("edge", &wire.edge)?,
            boot: BootId(Uuid::from_bytes(wire.boot)),
            token: wire.token,
            build: wire.build,
            capabilities: wire.capabilities,
            address: wire.address,
            regions: wire
                .regions
                .into_iter()
                .map(|(region, position)| Ok((id("region", &region)?, position.map(Into::into))))
                .collect::<Result<_, DecodeError>>()?,
        })
    }
}

pub(super) fn ack(wire: WireAck) -> Result<EdgeFrame, DecodeError> {
    Ok(EdgeFrame::Ack {
        region: id("region", &wire.region)?,
        epoch: Epoch(Uuid::from_bytes(wire.epoch)),
        version: Version(wire.version),
        applied_at: time("appliedAt", wire.applied_at)?,
    })
}

pub(super) fn welcome(wire: WireWelcome) -> Result<OriginFrame, DecodeError> {
    Ok(OriginFrame::Welcome {
        session: wire.session,
        time: time("time", wire.time)?,
        trust: wire.trust.into(),
    })
}

impl From<&SnapshotChunk> for WireChunk {
    fn from(chunk: &SnapshotChunk) -> Self {
        Self {
            region: chunk.region.to_string(),
            position: (&chunk.position).into(),
            floor: chunk.floor.0,
            index: chunk.index,
            last: chunk.last,
            entries: chunk.entries.clone(),
        }
    }
}

impl TryFrom<WireChunk> for SnapshotChunk {
    type Error = DecodeError;

    fn try_from(wire: WireChunk) -> Result<Self, DecodeError> {
        Ok(Self {
            region: id("region", &wire.region)?,
            position: wire.position.into(),
            floor: Version(wire.floor),
            index: wire.index,
            last: wire.last,
            entries: wire.entries,
        })
    }
}

impl From<&Rows> for WireRows {
    fn from(rows: &Rows) -> Self {
        Self {
            region: rows.region.to_string(),
            position: (&rows.position).into(),
            rows: rows
                .rows
                .iter()
                .map(|row| WireRow {
                    version: row.version.0,
                    change: row.change.0.into_bytes(),
                    committed_at: row.committed_at.as_microsecond(),
                    entries: row.entries.clone(),
                })
                .collect(),
        }
    }
}

impl TryFrom<WireRows> for Rows {
    type Error = DecodeError;

    fn try_from(wire: WireRows) -> Result<Self, DecodeError> {
        let position: SealedPosition = wire.position.into();
        let rows = wire
            .rows
            .into_iter()
            .map(|row| {
                Ok(Row {
                    version: Version(row.version),
                    change: ChangeId(Uuid::from_bytes(row.change)),
                    committed_at: time("committedAt", row.committed_at)?,
                    entries: row.entries,
                })
            })
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let consecutive = rows
            .iter()
            .zip(rows.iter().skip(1))
            .all(|(row, next)| row.version.0.checked_add(1) == Some(next.version.0));
        match rows.last() {
            Some(last) if consecutive && last.version == position.position.version => {}
            _ => {
                return Err(invalid(
                    "rows",
                    "must be consecutive and end at the position",
                ));
            }
        }
        Ok(Self {
            region: id("region", &wire.region)?,
            position,
            rows,
        })
    }
}
