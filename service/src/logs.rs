//! Structured logs: JSON for machines, or lines for people, on standard output.
//!
//! Messages are constant and lower case, values are fields, ids are on the span. No secrets, no player
//! ids.

use std::error::Error;
use std::fmt;
use std::io::{IsTerminal, stdout};
use std::str::FromStr;

use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Environment;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Lines for people, in colour on a terminal.
    Pretty,
}

/// A format as it is configured: `auto` leaves it to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Readable in development, JSON elsewhere.
    Auto,
    /// Always this one.
    Always(Format),
}

impl Choice {
    /// The format to use.
    #[must_use]
    pub fn resolve(self, environment: Environment) -> Format {
        match (self, environment) {
            (Self::Always(format), _) => format,
            (Self::Auto, Environment::Development) => Format::Pretty,
            (Self::Auto, Environment::Staging | Environment::Production) => Format::Json,
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
pub fn init(format: Format, filter: &Filter) -> Result<(), SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(format, filter, stdout))?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(panic = message, location, "panicked");
    }));
    Ok(())
}

pub(crate) fn subscriber<W>(
    format: Format,
    filter: &Filter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse_lossy(&filter.0);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stdout().is_terminal())
        .with_writer(writer);
    match format {
        Format::Json => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .finish(),
        ),
        Format::Pretty => Box::new(lines.finish()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_readable_in_development_and_json_elsewhere() {
        let auto: Choice = "auto".parse().unwrap();
        assert_eq!(auto.resolve(Environment::Development), Format::Pretty);
        assert_eq!(auto.resolve(Environment::Staging), Format::Json);
        assert_eq!(auto.resolve(Environment::Production), Format::Json);
        let json: Choice = "json".parse().unwrap();
        assert_eq!(json.resolve(Environment::Development), Format::Json);
        assert!("yaml".parse::<Choice>().is_err());
    }

    #[test]
    fn a_filter_is_checked_when_it_is_parsed() {
        for good in ["info", "warn,liveevents_edge=debug", "off"] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["info,liveevents_edge=loud", "a=b=c"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_chain_ends_with_its_root() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot start")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(chain(&error), "cannot start: invalid digit found in string");
    }
}
