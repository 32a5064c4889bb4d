//! Configuration: a table of settings, four sources, and every fault in one message.
//!
//! A binary lists its settings once, in a `&'static [Setting]`; flags, environment variables, keys of the
//! file, `--help` and docs/configuration.md all follow from that table. Sources in falling precedence:
//! flags, environment, file, default. What no table knows is refused wherever it comes from: a misspelt
//! setting that is silently ignored is found at 3 a.m.
//!
//! Nothing here stops at the first fault, so that a deployment is put right in one round; that is why
//! the flags are read by hand and the file by `toml` (clap and figment end at the first). No message
//! shows the value of a secret.

mod fault;
mod reader;
mod sources;
mod table;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::str::FromStr;

pub use fault::{Fault, Faults, Origin};
pub use reader::{Reader, Valid, Value};
pub use sources::Sources;
pub use table::{section, settings_markdown};

/// One setting of a process.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name, such as `http.listen`: lower case, parts divided by dots, words by hyphens or underscores.
    pub key: &'static str,
    /// The value if no source gives one.
    pub default: Option<&'static str>,
    /// Whether a value must be given.
    pub required: bool,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it does and what it takes, in a sentence or two.
    pub help: &'static str,
}

impl Setting {
    /// A setting that every installation has to make.
    #[must_use]
    pub const fn required(key: &'static str, help: &'static str) -> Self {
        Self {
            key,
            default: None,
            required: true,
            secret: false,
            help,
        }
    }

    /// A setting that may stay unmade.
    #[must_use]
    pub const fn optional(key: &'static str, help: &'static str) -> Self {
        Self {
            required: false,
            ..Self::required(key, help)
        }
    }

    /// A setting with a value of its own.
    #[must_use]
    pub const fn with_default(
        key: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            default: Some(default),
            ..Self::optional(key, help)
        }
    }

    /// The same, never shown.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self {
            secret: true,
            ..self
        }
    }

    /// Its environment variable: `LIVEEVENTS_HTTP_LISTEN`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!(
            "LIVEEVENTS_{}",
            self.key.replace(['.', '-'], "_").to_uppercase()
        )
    }

    /// Its flag: `--http-listen`.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace(['.', '_'], "-"))
    }
}

/// A binary and what can be set in it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The binary's name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its release, from `CARGO_PKG_VERSION`.
    pub version: &'static str,
    /// What can be set.
    pub settings: &'static [Setting],
}

/// What was asked of a program.
#[derive(Debug)]
pub enum Start {
    /// To run, with these settings.
    Run(Reader),
    /// To print this and end: `--help`, `--version`, or `settings` for the table in Markdown.
    Print(String),
}

impl Program {
    /// Gathers what the sources say.
    ///
    /// # Errors
    /// If the file cannot be read. Any other fault waits in the reader for those of the values.
    pub fn start(&self, sources: &Sources) -> Result<Start, Faults> {
        match sources.arguments.first().map(String::as_str) {
            Some("settings") => Ok(Start::Print(settings_markdown(self.settings))),
            Some("--version" | "-V") => {
                Ok(Start::Print(format!("{} {}\n", self.name, self.version)))
            }
            _ if sources.asks_for_help() => Ok(Start::Print(table::help(self))),
            _ => sources.gather(self.settings).map(Start::Run),
        }
    }

    /// The whole beginning of a `main`: reads this process's sources, and either gives the
    /// configuration or the code to exit with, having printed what was asked for or every fault (2).
    ///
    /// # Errors
    /// The exit code, if there is nothing to run.
    pub fn configure<C>(
        &self,
        read: impl FnOnce(Reader) -> Result<C, Faults>,
    ) -> Result<C, ExitCode> {
        self.configure_from(&Sources::from_process(), read)
    }

    /// The same from sources already taken, for a binary whose first argument is a command of its own.
    ///
    /// # Errors
    /// The exit code, if there is nothing to run.
    pub fn configure_from<C>(
        &self,
        sources: &Sources,
        read: impl FnOnce(Reader) -> Result<C, Faults>,
    ) -> Result<C, ExitCode> {
        let started = self.start(sources);
        let configured = started.and_then(|start| match start {
            Start::Run(reader) => read(reader).map(Ok),
            Start::Print(text) => Ok(Err(text)),
        });
        match configured {
            Ok(Ok(config)) => Ok(config),
            Ok(Err(text)) => {
                print!("{text}");
                Err(ExitCode::SUCCESS)
            }
            Err(faults) => {
                eprintln!("{}: {faults}", self.name);
                Err(ExitCode::from(2))
            }
        }
    }
}

/// The installation that origin and edges are of unless told otherwise. In Development only: elsewhere an
/// installation has to be named, so that no two titles or stages share one by accident.
pub const DEVELOPMENT_INSTALLATION: &str = "liveevents-development";

/// What an installation is for; decides defaults that must not be the same for a laptop and for players.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A laptop, a test, the demo.
    Development,
    /// Like production, without its players.
    Staging,
    /// Players.
    Production,
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Development" => Ok(Self::Development),
            "Staging" => Ok(Self::Staging),
            "Production" => Ok(Self::Production),
            _ => Err("must be Development, Staging or Production"),
        }
    }
}
