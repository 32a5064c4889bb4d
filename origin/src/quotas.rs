//! How often one caller may ask for what costs most, in a minute and at this replica: with n replicas behind one address a
//! caller may up to n times as often.
//!
//! What ends or takes back something is not among these: a stop is never refused for its rate.

use std::fmt;
use std::sync::Arc;

use liveevents_service::http::{Allowance, ApiError, Quota};
use tokio::time::Instant;

/// What is limited apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Creating events.
    Events,
    /// Deploying.
    Deployments,
    /// Reading lists.
    Lists,
    /// Reading metrics.
    Metrics,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Events, Self::Deployments, Self::Lists, Self::Metrics];

    /// As the document names it, and its setting `rate_limiting.<name>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deployments => "deployments",
            Self::Lists => "lists",
            Self::Metrics => "metrics",
        }
    }
}

/// As the document explains it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Events => "creating events",
            Self::Deployments => "deployments",
            Self::Lists => "lists",
            Self::Metrics => "reading metrics",
        };
        write!(f, "Counts towards a caller's limit of {what} in a minute.")
    }
}

/// How many of each a caller may a minute; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerMinute {
    /// Creating events.
    pub events: u32,
    /// Deploying.
    pub deployments: u32,
    /// Reading lists.
    pub lists: u32,
    /// Reading metrics.
    pub metrics: u32,
}

/// Counts callers. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Quotas(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    events: Option<Quota>,
    deployments: Option<Quota>,
    lists: Option<Quota>,
    metrics: Option<Quota>,
}

impl Quotas {
    /// Nobody has asked yet. The default limits nothing.
    #[must_use]
    pub fn new(rules: PerMinute) -> Self {
        let quota = |limit: u32| (limit > 0).then(|| Quota::per_minute(limit));
        Self(Arc::new(Counted {
            events: quota(rules.events),
            deployments: quota(rules.deployments),
            lists: quota(rules.lists),
            metrics: quota(rules.metrics),
        }))
    }

    /// Counts one more of `who`; nothing is said of what is not limited.
    ///
    /// # Errors
    /// `RateLimited` if there was none left.
    pub fn take(
        &self,
        limit: Limit,
        who: &str,
        now: Instant,
    ) -> Result<Option<Allowance>, ApiError> {
        let quota = match limit {
            Limit::Events => &self.0.events,
            Limit::Deployments => &self.0.deployments,
            Limit::Lists => &self.0.lists,
            Limit::Metrics => &self.0.metrics,
        };
        quota
            .as_ref()
            .map(|quota| quota.take(&who, now))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_counts_for_itself_and_each_caller_too() {
        let quotas = Quotas::new(PerMinute {
            events: 2,
            deployments: 1,
            lists: 0,
            metrics: 0,
        });
        let now = Instant::now();
        let passes = |limit, who| quotas.take(limit, who, now).is_ok();
        assert!(passes(Limit::Events, "ada") && passes(Limit::Events, "ada"));
        assert!(!passes(Limit::Events, "ada"));
        assert!(passes(Limit::Events, "bob") && passes(Limit::Deployments, "ada"));
        assert!(!passes(Limit::Deployments, "ada"));
        for _ in 0..1_000 {
            assert_eq!(quotas.take(Limit::Lists, "ada", now).unwrap(), None);
        }
    }
}
