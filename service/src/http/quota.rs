//! So many requests a minute for each of any number of callers, in a fixed amount of memory.
//!
//! The rule is GCRA: a caller who has been quiet may ask `limit` times at once, and then as often as the limit comes
//! to in the long run; there is no window at whose edge twice as much would pass. All that it needs of a caller is
//! the moment at which their quota will be whole again, and a caller whose quota is whole is the same as one who
//! never came. So a place in the table whose moment has passed is free for anybody, nothing has to be swept, and a
//! caller who asks once a second takes a place for 60 ms (at 1,000 a minute).
//!
//! Should every place that a caller may take be taken by others who are busy, the caller is let through uncounted:
//! memory is bounded, and nobody is refused for what others do. Nothing waits here: a place is one atomic number.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::error::ApiError;
use crate::limits::QUOTA_PLACES;

/// Places where a caller may be.
const WAYS: usize = 8;

/// Resolution of moments: 61 µs, so that the longest limit that can be set is kept to within half a percent.
const TICKS_PER_SECOND: u64 = 1 << 14;

/// The time in which a quota that was used up is whole again.
const WINDOW: u64 = 60 * TICKS_PER_SECOND;

/// Bits of a place that say when; the others tell callers apart, with one false match in two million look-ups. After
/// two years of running moments start over, and whatever is then more than a window ahead is of the past.
const MOMENT_BITS: u32 = 40;
const MOMENT: u64 = (1 << MOMENT_BITS) - 1;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// See the [module](self).
pub struct Quota {
    limit: u32,
    /// Ticks that one request costs.
    cost: u64,
    start: Instant,
    places: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// What is left to a caller who was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    limit: u32,
    remaining: u32,
    whole_in: Duration,
}

impl Quota {
    /// The most that may be allowed a minute; above it the resolution of moments would show.
    pub const MAX: u32 = 10_000;

    /// Allows `limit` requests a minute, at least one and at most [`Quota::MAX`].
    #[must_use]
    pub fn per_minute(limit: u32) -> Self {
        let limit = limit.clamp(1, Self::MAX);
        Self {
            limit,
            cost: WINDOW / u64::from(limit),
            start: Instant::now(),
            places: (0..QUOTA_PLACES).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Counts a request of `who`.
    ///
    /// # Errors
    /// `RateLimited` if there was none left; it is not counted.
    pub fn take(&self, who: &impl Hash, now: Instant) -> Result<Allowance, ApiError> {
        let hash = self.hasher.hash_one(who);
        let tag = hash >> MOMENT_BITS;
        let now = self.ticks(now);
        let places = self.places(hash);
        loop {
            let mut free = None;
            let mut mine = None;
            for place in places {
                let held = place.load(Ordering::Relaxed);
                // From now until their quota is whole; none if it is.
                let ahead = (held & MOMENT).wrapping_sub(now) & MOMENT;
                let busy = held != 0 && ahead > 0 && ahead <= WINDOW;
                if busy && held >> MOMENT_BITS == tag {
                    mine = Some((place, held, ahead));
                    break;
                }
                if !busy && free.is_none() {
                    free = Some((place, held, 0));
                }
            }
            let Some((place, held, ahead)) = mine.or(free) else {
                return Ok(self.allowance(self.cost));
            };
            let next = ahead + self.cost;
            if next > self.cost * u64::from(self.limit) {
                return Err(ApiError::RateLimited {
                    limit: self.limit,
                    retry_after: duration(next - self.cost * u64::from(self.limit)),
                });
            }
            let moment = now.wrapping_add(next) & MOMENT;
            let counted = place.compare_exchange_weak(
                held,
                tag << MOMENT_BITS | moment,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            // Else somebody else was counted there: look again.
            if counted.is_ok() {
                return Ok(self.allowance(next));
            }
        }
    }

    /// Forgets that `who` ever asked.
    pub fn forget(&self, who: &impl Hash) {
        let hash = self.hasher.hash_one(who);
        for place in self.places(hash) {
            let held = place.load(Ordering::Relaxed);
            if held != 0 && held >> MOMENT_BITS == hash >> MOMENT_BITS {
                // Else somebody is counted there just now: whoever it is came after.
                let _ = place.compare_exchange(held, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    fn allowance(&self, ahead: u64) -> Allowance {
        let used = u32::try_from(ahead.div_ceil(self.cost)).unwrap_or(self.limit);
        Allowance {
            limit: self.limit,
            remaining: self.limit.saturating_sub(used),
            whole_in: duration(ahead),
        }
    }

    fn ticks(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        let fraction = u64::from(since.subsec_nanos()) * TICKS_PER_SECOND / 1_000_000_000;
        since
            .as_secs()
            .wrapping_mul(TICKS_PER_SECOND)
            .wrapping_add(fraction)
            & MOMENT
    }

    fn places(&self, hash: u64) -> &[AtomicU64] {
        // The table's length and the number of ways are powers of two.
        let low = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default();
        let start = (low * WAYS) & (self.places.len() - 1);
        self.places.get(start..start + WAYS).unwrap_or_default()
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Allowance {
    /// Says it in the headers of an answer.
    pub fn tell(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(seconds(self.whole_in)));
    }
}

/// In the headers of a refusal.
pub(super) fn tell_refused(limit: u32, retry_after: Duration, headers: &mut HeaderMap) {
    let refused = Allowance {
        limit,
        remaining: 0,
        whole_in: retry_after,
    };
    refused.tell(headers);
    let seconds = HeaderValue::from(seconds(retry_after));
    headers.insert(axum::http::header::RETRY_AFTER, seconds);
}

/// Rounded up: a caller who comes back in the named second finds room.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn duration(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * 1_000_000_000 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn remaining(quota: &Quota, who: &str, at: Instant) -> Option<u32> {
        quota.take(&who, at).ok().map(|left| left.remaining)
    }

    #[test]
    fn a_caller_may_ask_so_often_at_once_and_then_at_that_rate() {
        let quota = Quota::per_minute(60);
        let start = quota.start;
        for left in (0..60).rev() {
            assert_eq!(remaining(&quota, "a", start), Some(left));
        }
        let Err(ApiError::RateLimited { limit, retry_after }) = quota.take(&"a", start) else {
            panic!("a 61st was let through");
        };
        assert_eq!((limit, retry_after), (60, SECOND));
        assert_eq!(remaining(&quota, "a", start + SECOND / 2), None);
        assert_eq!(
            remaining(&quota, "b", start),
            Some(59),
            "others are not concerned"
        );
        assert_eq!(remaining(&quota, "a", start + SECOND), Some(0));
        assert_eq!(remaining(&quota, "a", start + SECOND), None);
        assert_eq!(remaining(&quota, "a", start + 11 * SECOND), Some(9));
        // Whole again, and no more than whole.
        assert_eq!(remaining(&quota, "a", start + 3_600 * SECOND), Some(59));
    }

    #[test]
    fn who_is_forgotten_is_as_one_who_never_came_and_others_are_not_concerned() {
        let quota = Quota::per_minute(60);
        let left = |who: &str| remaining(&quota, who, quota.start);
        assert_eq!(
            (left("a"), left("a"), left("b")),
            (Some(59), Some(58), Some(59))
        );
        // As a text of any kind.
        quota.forget(&"a".to_owned());
        quota.forget(&"nobody");
        assert_eq!((left("a"), left("b")), (Some(59), Some(58)));
    }

    #[test]
    fn any_limit_is_kept_closely_over_time() {
        for limit in [1, 7, 60, 1_000, Quota::MAX] {
            let quota = Quota::per_minute(limit);
            let at = |minute: u32| quota.start + minute * 60 * SECOND;
            let burst = (0..=limit).filter(|_| remaining(&quota, "a", at(0)).is_some());
            assert_eq!(burst.count(), limit as usize, "{limit} at once");
            let step = 60 * SECOND / (4 * limit);
            let later =
                (0..4 * limit).filter(|&i| remaining(&quota, "a", at(1) + i * step).is_some());
            // What was whole at the beginning, and what grew back within the minute.
            let (later, limit) = (later.count(), limit as usize);
            assert!(
                later.abs_diff(2 * limit) <= 1 + limit / 100,
                "{limit}: {later}"
            );
        }
    }

    #[test]
    fn moments_that_start_over_shut_nobody_out() {
        let quota = Quota::per_minute(60);
        let end = Duration::from_secs((1 << MOMENT_BITS) / TICKS_PER_SECOND);
        let before = quota.start + end - SECOND;
        for left in (0..60).rev() {
            assert_eq!(remaining(&quota, "a", before), Some(left));
        }
        assert_eq!(remaining(&quota, "a", before), None);
        // Two seconds later the count of ticks has begun anew.
        assert_eq!(remaining(&quota, "a", before + 2 * SECOND), Some(1));
        assert_eq!(remaining(&quota, "b", before + 2 * SECOND), Some(59));
        assert_eq!(remaining(&quota, "a", before + 70 * SECOND), Some(59));
    }

    #[test]
    fn more_callers_than_places_are_let_through_and_the_busy_ones_stay_limited() {
        let quota = Quota::per_minute(2);
        for _ in 0..2 {
            assert!(quota.take(&"busy", quota.start).is_ok());
        }
        for other in 0..4 * QUOTA_PLACES {
            assert!(quota.take(&other, quota.start).is_ok());
        }
        assert!(quota.take(&"busy", quota.start).is_err());
    }

    #[test]
    fn many_at_once_are_counted_one_by_one() {
        let quota = Quota::per_minute(10_000);
        let passed: usize = std::thread::scope(|scope| {
            let ask = || {
                (0..5_000)
                    .filter(|_| quota.take(&"a", quota.start).is_ok())
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(passed, 10_000);
    }
}
