//! Why a connection was closed, and what to do then: one table for QUIC and WebSocket.
//!
//! The codes lie in the range that RFC 6455 leaves to applications (4000 to 4999), and QUIC uses the
//! same numbers as application error codes.

use std::time::Duration;

/// Before the milliseconds in the text of a close.
const RETRY_AFTER: &str = "retry-after-ms=";

/// What a close can ask for at the most: a storm is over by then.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// This server is shutting down or draining.
    GoingAway,
    /// A newer connection with the same edge id has taken over.
    Superseded,
    /// A frame or message that makes no sense.
    Malformed,
    /// A frame or message above the limit.
    TooLarge,
    /// No hello, or no sign of life, in time.
    TimedOut,
    /// More connections than this server takes.
    Overloaded,
    /// More messages than may come in the time.
    RateLimited,
    /// The token is not one of ours: malformed, unknown key, bad signature.
    TokenInvalid,
    /// The token has expired.
    TokenExpired,
    /// The token was revoked.
    TokenRevoked,
    /// The token or the hello names another installation.
    ForeignInstallation,
    /// The token's role may not do this.
    RoleNotAllowed,
    /// The token does not name this region, or there is no such region.
    RegionNotAllowed,
    /// This edge does not replicate the region.
    RegionNotServed,
    /// Neither side speaks the other's version of the protocol.
    UnsupportedVersion,
    /// The digests say that the rows received do not continue the receiver's history.
    BrokenChain,
    /// A fault on this side.
    Internal,
}

/// What the closed side should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Connect again with the usual jittered back-off, to any address.
    Backoff,
    /// Connect again, but not before this time: somebody else is doing the work.
    After(Duration),
    /// Trying again as is cannot help: something has to be set right first. Try rarely.
    Fix,
}

impl CloseReason {
    /// All reasons.
    pub const ALL: [Self; 17] = [
        Self::GoingAway,
        Self::Superseded,
        Self::Malformed,
        Self::TooLarge,
        Self::TimedOut,
        Self::Overloaded,
        Self::RateLimited,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::ForeignInstallation,
        Self::RoleNotAllowed,
        Self::RegionNotAllowed,
        Self::RegionNotServed,
        Self::UnsupportedVersion,
        Self::BrokenChain,
        Self::Internal,
    ];

    /// The close code.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::GoingAway => 4000,
            Self::Superseded => 4001,
            Self::Malformed => 4002,
            Self::TooLarge => 4003,
            Self::TimedOut => 4004,
            Self::Overloaded => 4005,
            Self::RateLimited => 4006,
            Self::TokenInvalid => 4010,
            Self::TokenExpired => 4011,
            Self::TokenRevoked => 4012,
            Self::ForeignInstallation => 4013,
            Self::RoleNotAllowed => 4014,
            Self::RegionNotAllowed => 4015,
            Self::RegionNotServed => 4016,
            Self::UnsupportedVersion => 4017,
            Self::BrokenChain => 4018,
            Self::Internal => 4500,
        }
    }

    /// The reason sent with the code, logged, and used as a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GoingAway => "going-away",
            Self::Superseded => "superseded",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::TimedOut => "timed-out",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate-limited",
            Self::TokenInvalid => "token-invalid",
            Self::TokenExpired => "token-expired",
            Self::TokenRevoked => "token-revoked",
            Self::ForeignInstallation => "foreign-installation",
            Self::RoleNotAllowed => "role-not-allowed",
            Self::RegionNotAllowed => "region-not-allowed",
            Self::RegionNotServed => "region-not-served",
            Self::UnsupportedVersion => "unsupported-version",
            Self::BrokenChain => "broken-chain",
            Self::Internal => "internal",
        }
    }

    /// The text of a QUIC close: the reason's name, how long this side asks the other to stay away, if it does, and
    /// words for people.
    #[must_use]
    pub fn phrase(self, retry_after: Option<Duration>, message: &str) -> String {
        match retry_after {
            Some(delay) => {
                let millis = delay.as_millis();
                format!("{}; {RETRY_AFTER}{millis}: {message}", self.as_str())
            }
            None => format!("{}: {message}", self.as_str()),
        }
    }

    /// How long the text of a QUIC close asks to stay away; nobody can ask for more than five minutes.
    #[must_use]
    pub fn retry_after(phrase: &str) -> Option<Duration> {
        let (name, _) = phrase.split_once(':')?;
        let (_, millis) = name.split_once(RETRY_AFTER)?;
        let delay = Duration::from_millis(millis.parse().ok()?);
        Some(delay.min(LONGEST_RETRY))
    }

    /// What the closed side should do.
    #[must_use]
    pub fn retry(self) -> Retry {
        match self {
            Self::GoingAway
            | Self::TimedOut
            | Self::Overloaded
            | Self::BrokenChain
            | Self::Internal => Retry::Backoff,
            // Two edges with one id would otherwise throw each other out several times a second.
            // A client that says too much would say it again at once.
            Self::Superseded | Self::RateLimited => Retry::After(Duration::from_secs(30)),
            Self::Malformed
            | Self::TooLarge
            | Self::TokenInvalid
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::ForeignInstallation
            | Self::RoleNotAllowed
            | Self::RegionNotAllowed
            | Self::RegionNotServed
            | Self::UnsupportedVersion => Retry::Fix,
        }
    }

    /// The reason behind a code, `None` for codes of a newer peer or of the transport itself.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| u64::from(reason.code()) == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_says_how_long_to_stay_away_if_it_does() {
        let reason = CloseReason::Overloaded;
        let asked = reason.phrase(Some(Duration::from_millis(1_500)), "many: too many");
        assert_eq!(asked, "overloaded; retry-after-ms=1500: many: too many");
        let told = |text: &str| CloseReason::retry_after(text);
        assert_eq!(told(&asked), Some(Duration::from_millis(1_500)));
        assert_eq!(
            told("overloaded; retry-after-ms=999999999: x"),
            Some(LONGEST_RETRY)
        );
        for silent in [
            &*reason.phrase(None, "retry-after-ms=5: x"),
            "overloaded; retry-after-ms=soon: x",
            "overloaded; retry-after-ms=5",
            "",
        ] {
            assert_eq!(told(silent), None, "{silent}");
        }
    }

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        for reason in CloseReason::ALL {
            assert_eq!(
                CloseReason::from_code(u64::from(reason.code())),
                Some(reason)
            );
            assert!((4000..5000).contains(&reason.code()));
        }
        assert_eq!(CloseReason::from_code(1000), None);
    }
}
