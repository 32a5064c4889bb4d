//! What the client under test holds, as its acks tell.

use std::fmt;

use serde_json::{Value, json};

use super::Unmet;
use super::session::{kind, short};

/// An epoch and a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) epoch: uuid::Uuid,
    pub(super) version: u64,
}

impl Held {
    /// The version so many later.
    pub(super) fn plus(self, versions: u64) -> Self {
        Self {
            version: self.version.saturating_add(versions),
            ..self
        }
    }

    /// Of the same history, and not later.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.epoch == other.epoch && self.version < other.version
    }

    pub(super) fn of_ack(said: &Value) -> Result<Self, Unmet> {
        let status = said.get("status").and_then(Value::as_str);
        if !matches!(status, Some("Received" | "Applied" | "Deferred")) {
            return Err(Unmet(format!(
                "an ack whose status is none of Received, Applied, Deferred: {}",
                short(&said.to_string())
            )));
        }
        Self::of(said).ok_or_else(|| {
            Unmet(format!(
                "an ack without epoch and version: {}",
                short(&said.to_string())
            ))
        })
    }

    fn of(said: &Value) -> Option<Self> {
        Some(Self {
            epoch: said.get("epoch")?.as_str()?.parse().ok()?,
            version: said.get("version")?.as_u64()?,
        })
    }

    /// The position that a hello names.
    pub(super) fn of_hello(hello: &Value) -> Option<Self> {
        Self::of(hello.get("position")?)
    }

    /// Refuses an ack of anything but what is held: of more, or of what came before.
    pub(super) fn judge(said: &Value, held: Option<Self>) -> Result<(), Unmet> {
        if kind(said) != "ack" {
            return Ok(());
        }
        let acked = Self::of_ack(said)?;
        match held {
            Some(held) if acked == held => Ok(()),
            Some(held) => Err(Unmet(format!("an ack of {acked}, but it holds {held}"))),
            None => Err(Unmet(format!(
                "an ack of {acked}, but it was told nothing yet"
            ))),
        }
    }

    pub(super) fn to_json(self) -> Value {
        json!({"epoch": self.epoch, "version": self.version})
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The end of a UUIDv7 tells two of one minute apart.
        let epoch = self.epoch.simple().to_string();
        let end = epoch
            .get(epoch.len().saturating_sub(6)..)
            .unwrap_or_default();
        write!(f, "version {} of epoch …{end}", self.version)
    }
}
