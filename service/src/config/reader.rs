//! Turning given values into typed ones, gathering every fault on the way.
//!
//! Each reading gives a [`Value`], which may be empty because of a fault. It opens only in
//! [`Reader::finish`], when all is well, so that no code can stop at the first fault by accident.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use secrecy::SecretString;

use super::Setting;
use super::fault::{Fault, Faults, Origin};
use super::sources::Raw;

/// Reads settings by key.
pub struct Reader {
    settings: &'static [Setting],
    given: BTreeMap<&'static str, (Raw, Origin)>,
    faults: Vec<Fault>,
}

/// A value that was read, or that has a fault.
#[derive(Debug)]
pub struct Value<T>(Option<T>);

/// Proof that nothing has a fault; [`Reader::finish`] hands it out.
#[derive(Debug)]
pub struct Valid(());

impl<T> Value<T> {
    /// The value, for a check against another one before all is known to be well.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The value.
    #[expect(
        clippy::expect_used,
        reason = "an empty value has recorded a fault, and with a fault there is no `Valid`"
    )]
    pub fn get(self, _: &Valid) -> T {
        self.0.expect("a value without a fault")
    }
}

impl Reader {
    pub(super) fn new(
        settings: &'static [Setting],
        given: BTreeMap<&'static str, (Raw, Origin)>,
        faults: Vec<Fault>,
    ) -> Self {
        Self {
            settings,
            given,
            faults,
        }
    }

    /// A value that must be there, by its `FromStr`.
    pub fn parse<T>(&mut self, key: &str) -> Value<T>
    where
        T: FromStr<Err: Display>,
    {
        self.parse_with(key, str::parse)
    }

    /// A value that must be there, by a function of your own.
    pub fn parse_with<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Value<T> {
        let read = self.optional_with(key, parse);
        self.demand(key, read)
    }

    /// A value that may be missing, by its `FromStr`.
    pub fn optional<T>(&mut self, key: &str) -> Value<Option<T>>
    where
        T: FromStr<Err: Display>,
    {
        self.optional_with(key, str::parse)
    }

    /// A value that may be missing, by a function of your own.
    pub fn optional_with<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Value<Option<T>> {
        let Some(given) = self.look_up(key, false) else {
            return Value(None);
        };
        match given {
            None => Value(Some(None)),
            Some((Raw::Text(text), origin)) => match parse(&text) {
                Ok(value) => Value(Some(Some(value))),
                Err(error) => self.fault(key, Some(origin), format!("is {text:?}: {error}")),
            },
            Some((Raw::List(_), origin)) => {
                let problem = "is a list; one value is needed".to_owned();
                self.fault(key, Some(origin), problem)
            }
        }
    }

    /// A number within bounds, both included.
    pub fn within<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Value<T>
    where
        T: FromStr<Err: Display> + PartialOrd + Display,
    {
        self.parse_with(key, |text| {
            let expected = format!("must be {} to {}", range.start(), range.end());
            match text.parse() {
                Ok(value) if range.contains(&value) => Ok(value),
                Ok(_) => Err(expected),
                Err(error) => Err(format!("{error}; {expected}")),
            }
        })
    }

    /// A duration above zero, in ISO 8601 (`PT5M`, `P30D`); a day is 24 hours.
    pub fn duration(&mut self, key: &str) -> Value<Duration> {
        self.parse_with(key, duration)
    }

    /// The same, which may be missing.
    pub fn optional_duration(&mut self, key: &str) -> Value<Option<Duration>> {
        self.optional_with(key, duration)
    }

    /// Values divided by commas, or a list in the file. An optional setting that is not made is an
    /// empty list.
    pub fn list<T>(&mut self, key: &str) -> Value<Vec<T>>
    where
        T: FromStr<Err: Display>,
    {
        let Some(given) = self.look_up(key, false) else {
            return Value(None);
        };
        let (items, origin) = match given {
            None if self.setting(key).is_some_and(|setting| setting.required) => {
                return self.demand(key, Value(Some(None)));
            }
            None => return Value(Some(Vec::new())),
            Some((Raw::List(items), origin)) => (items, origin),
            Some((Raw::Text(text), origin)) => {
                let items = text.split(',').map(|item| item.trim().to_owned());
                (items.filter(|item| !item.is_empty()).collect(), origin)
            }
        };
        let before = self.faults.len();
        let mut values = Vec::new();
        for item in items {
            match item.parse() {
                Ok(value) => values.push(value),
                Err(error) => {
                    let problem = format!("has {item:?}: {error}");
                    let _: Value<T> = self.fault(key, Some(origin.clone()), problem);
                }
            }
        }
        Value((self.faults.len() == before).then_some(values))
    }

    /// A secret that must be there.
    pub fn secret(&mut self, key: &str) -> Value<SecretString> {
        self.secret_with(key, |secret| Ok(secret.clone()))
    }

    /// Something made from a secret that must be there. What can be said of a wrong one is fixed text,
    /// so that it cannot repeat the secret.
    pub fn secret_with<T>(
        &mut self,
        key: &str,
        make: impl FnOnce(&SecretString) -> Result<T, &'static str>,
    ) -> Value<T> {
        let secret = self.optional_secret(key);
        let secret = self.demand(key, secret);
        let Some(secret) = secret.0 else {
            return Value(None);
        };
        match make(&secret) {
            Ok(value) => Value(Some(value)),
            Err(problem) => {
                let origin = self.given.get(key).map(|(_, origin)| origin.clone());
                self.fault(key, origin, problem.to_owned())
            }
        }
    }

    /// Something made from each of several secrets, divided by commas or a list in the file; none if nothing is given.
    /// As with one, what can be said of a wrong one is fixed text.
    pub fn secrets_with<T>(
        &mut self,
        key: &str,
        make: impl Fn(&SecretString) -> Result<T, &'static str>,
    ) -> Value<Vec<T>> {
        let Some(given) = self.look_up(key, true) else {
            return Value(None);
        };
        let (secrets, origin) = match given {
            None => return Value(Some(Vec::new())),
            Some((Raw::List(secrets), origin)) => (secrets, origin),
            Some((Raw::Text(text), origin)) => {
                let secrets = text.split(',').map(|secret| secret.trim().to_owned());
                (
                    secrets.filter(|secret| !secret.is_empty()).collect(),
                    origin,
                )
            }
        };
        let made = secrets.into_iter().map(|secret| make(&secret.into()));
        match made.collect() {
            Ok(made) => Value(Some(made)),
            Err(problem) => self.fault(key, Some(origin), problem.to_owned()),
        }
    }

    /// A secret that may be missing.
    pub fn optional_secret(&mut self, key: &str) -> Value<Option<SecretString>> {
        let Some(given) = self.look_up(key, true) else {
            return Value(None);
        };
        match given {
            None => Value(Some(None)),
            Some((Raw::Text(text), _)) => Value(Some(Some(text.into()))),
            Some((Raw::List(_), origin)) => {
                let problem = "is a list; one value is needed".to_owned();
                self.fault(key, Some(origin), problem)
            }
        }
    }

    /// Records a fault that the caller has found, such as two settings that exclude each other.
    pub fn refuse(&mut self, key: &str, problem: impl Into<String>) {
        let origin = self.given.get(key).map(|(_, origin)| origin.clone());
        let _: Value<()> = self.fault(key, origin, problem.into());
    }

    /// Builds the configuration, if nothing has a fault.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn finish<C>(self, build: impl FnOnce(&Valid) -> C) -> Result<C, Faults> {
        if self.faults.is_empty() {
            Ok(build(&Valid(())))
        } else {
            Err(Faults(self.faults))
        }
    }

    /// What was given for a setting: `None` after a fault (of the program: a key that is in no table, or
    /// a secret about to be read by what would show it), `Some(None)` if nothing was.
    fn look_up(&mut self, key: &str, secret: bool) -> Option<Option<(Raw, Origin)>> {
        let Some(setting) = self.setting(key) else {
            let problem = "is read, but is not in the table of settings".to_owned();
            return self.fault(key, None, problem).0;
        };
        if setting.secret != secret {
            let problem = "is secret in the table and not where it is read, or the reverse";
            return self.fault(key, None, problem.to_owned()).0;
        }
        let default = || Some((Raw::Text(setting.default?.to_owned()), Origin::Default));
        Some(self.given.get(key).cloned().or_else(default))
    }

    fn setting(&self, key: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    fn demand<T>(&mut self, key: &str, read: Value<Option<T>>) -> Value<T> {
        match read.0 {
            Some(Some(value)) => Value(Some(value)),
            None => Value(None),
            Some(None) => {
                let ways = self
                    .setting(key)
                    .map(|setting| format!("{} or {}", setting.flag(), setting.variable()))
                    .unwrap_or_default();
                let problem = format!("is not set; set it in the file or by {ways}");
                self.fault(key, None, problem)
            }
        }
    }

    fn fault<T>(&mut self, key: &str, origin: Option<Origin>, problem: String) -> Value<T> {
        self.faults.push(Fault {
            key: Some(key.to_owned()),
            origin,
            problem,
        });
        Value(None)
    }
}

/// Shows which settings were given, not what.
impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("given", &self.given.keys())
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let span: Option<Span> = text.starts_with('P').then(|| text.parse().ok()).flatten();
    span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or("must be a duration in ISO 8601, such as PT30S, PT5M or P30D")
}
