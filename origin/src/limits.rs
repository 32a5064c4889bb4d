//! Every bound of the origin, with its reason. Bounds of what travels are in `protocol::limits`.

/// An event as stored, in bytes of JSON: the contract's 256 KB.
pub const MAX_EVENT: usize = 256 * 1024;

/// A display name, in characters: fits a banner in any language.
pub const MAX_NAME: usize = 200;

/// A category or tag, in characters.
pub const MAX_TAG: usize = 64;

/// Tags of one event.
pub const MAX_TAGS: usize = 50;

/// Languages of one event: more than any game ships, few enough to look through.
pub const MAX_LOCALIZATIONS: usize = 100;

/// How far ahead occurrences of a recurring event are computed and sent.
pub const HORIZON_DAYS: i64 = 60;

/// Openings a day of a recurring event. With the horizon this keeps a schedule below the protocol's
/// 1,000 occurrences: 16 × (60 + 1) = 976.
pub const MAX_OPENINGS_A_DAY: usize = 16;

/// Openings that a rule is followed through from its start, which takes about 0.2 s: ten years of 16
/// a day.
pub const MAX_OPENINGS: usize = 60_000;

/// Exceptions of a recurring event: daily, for a year.
pub const MAX_EXCEPTIONS: usize = 366;

/// Years that events may lie in. Beyond them is a slip of the finger, and zones have no rules.
pub const YEARS: std::ops::RangeInclusive<i16> = 2000..=2200;

/// How far in the past a draft may start: the time it takes to fill in a form.
pub const MAX_PAST_START_SECONDS: i64 = 5 * 60;
