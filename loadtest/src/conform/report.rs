//! What came of it: a line a rule, and the same as JSON.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::rule::Rule;
use crate::failure::Failure;

/// What a client did about each rule.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they were tried.
    pub rows: Vec<Row>,
    /// The client's last hello.
    pub hello: Value,
}

/// What it did about one.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub rule: Rule,
    /// How it went.
    pub verdict: Verdict,
    took: Duration,
}

/// How it went, and what was seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Pass(String),
    /// Not so.
    Fail(String),
}

impl Verdict {
    /// Whether the rule is broken.
    #[must_use]
    pub fn is_fail(&self) -> bool {
        matches!(self, Self::Fail(_))
    }

    fn seen(&self) -> &str {
        match self {
            Self::Pass(seen) | Self::Fail(seen) => seen,
        }
    }
}

impl Row {
    pub(super) fn new(rule: Rule, verdict: Verdict, took: Duration) -> Self {
        Self {
            rule,
            verdict,
            took,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "rule": self.rule.name(),
            "passed": !self.verdict.is_fail(),
            "expected": self.rule.expected(),
            "seen": self.verdict.seen(),
            "tookMs": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Report {
    /// Whether the client keeps every rule that was tried.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The rules that it breaks.
    pub fn broken(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict.is_fail())
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        let report = json!({
            "hello": self.hello, "passed": self.is_good(), "broken": self.broken().count(), "rules": rows,
        });
        std::fs::write(file, format!("{report:#}\n")).map_err(|source| Failure::File {
            path: file.to_owned(),
            source,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.verdict.is_fail() {
            "FAIL"
        } else {
            "PASS"
        };
        write!(
            f,
            "{verdict}  {:<15} expected: {}\n{:22} seen: {}",
            self.rule.name(),
            self.rule.expected(),
            "",
            self.verdict.seen()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tried, broken) = (self.rows.len(), self.broken().count());
        write!(f, "{} of {tried} rules kept", tried.saturating_sub(broken))?;
        for (index, row) in self.broken().enumerate() {
            let before = if index == 0 { "; broken: " } else { ", " };
            write!(f, "{before}{}", row.rule.name())?;
        }
        Ok(())
    }
}
