//! Structured logs: JSON for machines, or lines for people, on standard output.
//!
//! Messages are constant and lower case, values are fields, ids are on the span. No secrets, no player
//! ids.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

use crate::config::Environment;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Pretty,
}

impl Format {
    /// Readable in development, JSON elsewhere.
    #[must_use]
    pub fn of(environment: Environment) -> Self {
        match environment {
            Environment::Development => Self::Pretty,
            Environment::Staging | Environment::Production => Self::Json,
        }
    }
}

/// A format as it is configured: `auto` leaves it to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// By environment, see [`Format::of`].
    Auto,
    /// Always this one.
    Always(Format),
}

impl Choice {
    /// The format to use.
    #[must_use]
    pub fn resolve(self, environment: Environment) -> Format {
        match self {
            Self::Auto => Format::of(environment),
            Self::Always(format) => format,
        }
    }
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Always(Format::Json)),
            "pretty" => Ok(Self::Always(Format::Pretty)),
            _ => Err("must be auto, json or pretty"),
        }
    }
}

/// What is logged: a level, or `target=level` pairs, such as `info,liveevents_edge=debug`. Checked when it
/// is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = tracing_subscriber::filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::builder().parse(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Starts logging, once per process. Panics are logged too, so that they reach whoever reads the logs.
///
/// # Errors
/// If logging was started before.
pub fn init(format: Format, filter: &Filter) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter = EnvFilter::builder().parse_lossy(&filter.0);
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    match format {
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()?,
        Format::Pretty => lines.try_init()?,
    }
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(message, location, "panicked");
    }));
    Ok(())
}

/// An error and all its causes in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        // Infallible into a String.
        let _ = fmt::write(&mut text, format_args!("{error}"));
        cause = error.source();
    }
    text
}
