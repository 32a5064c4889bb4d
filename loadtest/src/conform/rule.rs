//! The rules, in the order in which they are tried: those that make the client rest come last.

use super::Level;

/// One rule of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// How it asks for a connection.
    Upgrade,
    /// What it says first.
    Hello,
    /// Its first state.
    FirstSync,
    /// What changes afterwards.
    Change,
    /// A delta over several versions, and one without entries.
    Merged,
    /// What a newer edge says.
    Unknown,
    /// Notices.
    Notices,
    /// What leaves the filter, or a player's events.
    Removals,
    /// A message in fragments.
    Fragments,
    /// A long message.
    Large,
    /// A sign of life.
    Ping,
    /// Acks are not more than wanted.
    AckInterval,
    /// Going on where it was.
    Resume,
    /// A delta that does not continue what is held.
    Gap,
    /// Something older.
    NeverBack,
    /// An edge that is behind.
    Ahead,
    /// A later history.
    Epoch,
    /// An earlier history.
    EarlierEpoch,
    /// A delta of a later history.
    LaterDelta,
    /// An edge that goes.
    Goaway,
    /// An edge that goes at once.
    GoawayClosed,
    /// An edge that is full.
    RetryAfter,
    /// An edge that fails, and fails again.
    BackOff,
    /// A code of a newer edge.
    UnknownCode,
    /// A token that is about to expire.
    TokenExpiring,
    /// A token that is not taken.
    Unauthorized,
    /// A token that has expired.
    TokenExpired,
    /// What trying again cannot mend.
    Fix,
    /// Too many messages.
    RateLimited,
}

impl Rule {
    /// All of them, in order.
    pub const ALL: [Self; 29] = [
        Self::Upgrade,
        Self::Hello,
        Self::FirstSync,
        Self::Change,
        Self::Merged,
        Self::Unknown,
        Self::Notices,
        Self::Removals,
        Self::Fragments,
        Self::Large,
        Self::Ping,
        Self::AckInterval,
        Self::Resume,
        Self::Gap,
        Self::NeverBack,
        Self::Ahead,
        Self::Epoch,
        Self::EarlierEpoch,
        Self::LaterDelta,
        Self::Goaway,
        Self::GoawayClosed,
        Self::RetryAfter,
        Self::BackOff,
        Self::UnknownCode,
        Self::TokenExpiring,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Fix,
        Self::RateLimited,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What a client has to do.
    #[must_use]
    pub fn expected(self) -> &'static str {
        self.row().1
    }

    /// Whether it says anything about clients of this level.
    #[must_use]
    pub fn concerns(self, level: Option<Level>) -> bool {
        !(level == Some(Level::Watch)
            && matches!(self, Self::Merged | Self::Gap | Self::LaterDelta))
    }

    /// Whether it is about a client that has its first state.
    #[must_use]
    pub(super) fn needs_a_state(self) -> bool {
        !matches!(self, Self::Upgrade | Self::Hello | Self::FirstSync)
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Upgrade => (
                "upgrade",
                "GET /api/v1/subscribe that offers liveevents.v1 and carries a bearer token",
            ),
            Self::Hello => ("hello", "says hello first, with region and level"),
            Self::FirstSync => (
                "first-sync",
                "acks its first state once the last part of it is there, and not before",
            ),
            Self::Change => ("change", "takes a change and acks it"),
            Self::Merged => (
                "merged",
                "takes a delta over several versions, and one without entries",
            ),
            Self::Unknown => (
                "unknown",
                "ignores types, fields, kinds of entry and values that it does not know",
            ),
            Self::Notices => (
                "notices",
                "takes activated, deactivated, contact and refused without harm",
            ),
            Self::Removals => (
                "removals",
                "takes removals, also of what it never had; a player without events",
            ),
            Self::Fragments => (
                "fragments",
                "takes a message in fragments, and answers a ping between them",
            ),
            Self::Large => ("large", "takes a message of 8 MiB"),
            Self::Ping => ("ping", "answers a ping with its payload"),
            Self::AckInterval => (
                "ack-interval",
                "acks not more often than welcome's ackIntervalMs says, and the newest in the end",
            ),
            Self::Resume => (
                "resume",
                "connects again after a cut with the position it holds, and goes on from there",
            ),
            Self::Gap => (
                "gap",
                "does not take a delta that starts after what it holds, and connects again with its own position",
            ),
            Self::NeverBack => ("never-back", "never goes back within an epoch"),
            Self::Ahead => ("ahead", "keeps what it has when the edge is behind"),
            Self::Epoch => ("epoch", "takes a snapshot of a later epoch"),
            Self::EarlierEpoch => ("earlier-epoch", "refuses what is of an earlier epoch"),
            Self::LaterDelta => ("later-delta", "does not take a delta of another epoch"),
            Self::Goaway => (
                "goaway",
                "connects again after goaway's delay, not earlier, with its position",
            ),
            Self::GoawayClosed => (
                "goaway-closed",
                "keeps to goaway's delay also when the edge closes at once",
            ),
            Self::RetryAfter => (
                "retry-after",
                "connects again after the Retry-After of a 503, not earlier",
            ),
            Self::BackOff => (
                "back-off",
                "connects again after closes with 4500, with growing pauses",
            ),
            Self::UnknownCode => (
                "unknown-code",
                "connects again after a close code that it does not know, with its position",
            ),
            Self::TokenExpiring => (
                "token-expiring",
                "answers tokenExpiring with a token message, and stays",
            ),
            Self::Unauthorized => (
                "unauthorized",
                "after a 401 comes with another token, or rarely",
            ),
            Self::TokenExpired => (
                "token-expired",
                "after a close with 4011 comes with another token, or rarely",
            ),
            Self::Fix => ("fix", "after a close with 4002 tries again only rarely"),
            Self::RateLimited => (
                "rate-limited",
                "after a close with 4006 stays away for half a minute",
            ),
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.name() == text)
            .ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}
