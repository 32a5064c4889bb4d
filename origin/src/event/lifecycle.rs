//! The life of an event: one explicit transition function. Whatever the table does not name is a
//! conflict.
//!
//! | command | from | to |
//! |---|---|---|
//! | first deployment | Draft | Scheduled |
//! | activate, or the first region's opening | Scheduled | Active |
//! | pause / resume | Active / Paused | Paused / Active |
//! | deactivate, or the last region's last closing | Active, Paused | Completed |
//! | cancel | Scheduled, Active, Paused | Cancelled |
//! | extend | Scheduled, Active, Paused | same |
//!
//! A further deployment is no command of the lifecycle: it leaves the state as it is, and so does
//! rolling one back.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

/// Where in its life an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(as = EventState)]
pub enum State {
    /// Never deployed.
    Draft,
    /// Deployed, no region has opened.
    Scheduled,
    /// Some region has opened.
    Active,
    /// Active, but shown to nobody for now.
    Paused,
    /// Over as planned, or ended early.
    Completed,
    /// Called off.
    Cancelled,
}

/// What may happen to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// It goes into a region for the first time.
    FirstDeployment,
    /// Start now.
    Activate,
    /// A region's schedule has opened, the first to do so.
    FirstOpening,
    /// Show it to nobody for now.
    Pause,
    /// Show it again.
    Resume,
    /// End now.
    Deactivate,
    /// The last closing of the last region has passed.
    LastClosing,
    /// Call it off.
    Cancel,
    /// Change its end (or, while Scheduled, its start).
    Extend,
}

/// A command that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {command} an event that is {state}")]
pub struct Conflict {
    /// The state.
    pub state: State,
    /// The command.
    pub command: Command,
}

impl State {
    /// All of them, in order of life.
    pub const ALL: [Self; 6] = [
        Self::Draft,
        Self::Scheduled,
        Self::Active,
        Self::Paused,
        Self::Completed,
        Self::Cancelled,
    ];

    /// The state after a command.
    ///
    /// # Errors
    /// If the table does not name the pair.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn on(self, command: Command) -> Result<Self, Conflict> {
        use Command::{
            Activate, Cancel, Deactivate, Extend, FirstDeployment, FirstOpening, LastClosing,
            Pause, Resume,
        };
        let conflict = Err(Conflict {
            state: self,
            command,
        });
        match self {
            Self::Draft => match command {
                FirstDeployment => Ok(Self::Scheduled),
                Activate | FirstOpening | Pause | Resume | Deactivate | LastClosing | Cancel
                | Extend => conflict,
            },
            Self::Scheduled => match command {
                Activate | FirstOpening => Ok(Self::Active),
                Cancel => Ok(Self::Cancelled),
                Extend => Ok(Self::Scheduled),
                FirstDeployment | Pause | Resume | Deactivate | LastClosing => conflict,
            },
            Self::Active => match command {
                Pause => Ok(Self::Paused),
                Deactivate | LastClosing => Ok(Self::Completed),
                Cancel => Ok(Self::Cancelled),
                Extend => Ok(Self::Active),
                FirstDeployment | Activate | FirstOpening | Resume => conflict,
            },
            Self::Paused => match command {
                Resume => Ok(Self::Active),
                Deactivate | LastClosing => Ok(Self::Completed),
                Cancel => Ok(Self::Cancelled),
                Extend => Ok(Self::Paused),
                FirstDeployment | Activate | FirstOpening | Pause => conflict,
            },
            Self::Completed | Self::Cancelled => match command {
                FirstDeployment | Activate | FirstOpening | Pause | Resume | Deactivate
                | LastClosing | Cancel | Extend => conflict,
            },
        }
    }

    /// Whether it is over for good: no further revision, no deployment.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }

    /// The name used in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Scheduled => "Scheduled",
            Self::Active => "Active",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Cancelled => "Cancelled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is {0:?}; must be Draft, Scheduled, Active, Paused, Completed or Cancelled")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstDeployment => "deploy for the first time",
            Self::Activate => "activate",
            Self::FirstOpening => "open",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Deactivate => "deactivate",
            Self::LastClosing => "complete",
            Self::Cancel => "cancel",
            Self::Extend => "extend",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_nothing_else() {
        use Command::*;
        use State::*;
        let table = [
            (Draft, FirstDeployment, Scheduled),
            (Scheduled, Activate, Active),
            (Scheduled, FirstOpening, Active),
            (Active, Pause, Paused),
            (Paused, Resume, Active),
            (Active, Deactivate, Completed),
            (Paused, Deactivate, Completed),
            (Active, LastClosing, Completed),
            (Paused, LastClosing, Completed),
            (Scheduled, Cancel, Cancelled),
            (Active, Cancel, Cancelled),
            (Paused, Cancel, Cancelled),
            (Scheduled, Extend, Scheduled),
            (Active, Extend, Active),
            (Paused, Extend, Paused),
        ];
        let commands = [
            FirstDeployment,
            Activate,
            FirstOpening,
            Pause,
            Resume,
            Deactivate,
            LastClosing,
            Cancel,
            Extend,
        ];
        for state in State::ALL {
            for command in commands {
                let named = table
                    .iter()
                    .find(|row| row.0 == state && row.1 == command)
                    .map(|row| row.2);
                assert_eq!(
                    state.on(command),
                    named.ok_or(Conflict { state, command }),
                    "{state} on {command}"
                );
            }
        }
    }

    #[test]
    fn names_round_trip() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("draft".parse::<State>().is_err());
    }
}
