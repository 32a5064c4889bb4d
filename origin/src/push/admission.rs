//! Who is judged now, and who later: after an outage of the origin all edges come at once.
//!
//! Judging a hello takes the database, which others need too. So few are judged at a time, the others wait in line,
//! and when the line is long, whoever comes is sent away with a time to come again, drawn so that those sent away
//! do not all return together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use liveevents_protocol::close::CloseReason;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::hello::Refusal;
use crate::limits::{ADMISSION_DEADLINE, HELLOS_A_SECOND, HELLOS_AT_ONCE, HELLOS_WAITING};

/// The line before the judge.
#[derive(Debug)]
pub struct Admission {
    judges: Semaphore,
    waiting: AtomicUsize,
    longest: usize,
}

impl Default for Admission {
    fn default() -> Self {
        Self::of(HELLOS_AT_ONCE, HELLOS_WAITING)
    }
}

/// One who waits; leaves the line when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// So many judged at a time while so many wait.
    #[must_use]
    pub fn of(at_once: usize, longest: usize) -> Self {
        Self {
            judges: Semaphore::new(at_once),
            waiting: AtomicUsize::new(0),
            longest,
        }
    }

    /// Waits for a turn, and holds it until dropped.
    ///
    /// # Errors
    /// If too many wait, or it took too long: when to come again.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        let turn = async {
            if before >= self.longest {
                return None;
            }
            let turn = timeout(ADMISSION_DEADLINE, self.judges.acquire()).await;
            turn.ok()?.ok()
        };
        turn.await.ok_or_else(|| Refusal {
            reason: CloseReason::Overloaded,
            message: format!("{before} edges wait to be admitted"),
            retry_after: Some(come_again(before, rand::random())),
        })
    }
}

/// When to come again: once those who wait now have had their turns, and as long again at the most; `random` is
/// uniform in `[0, 1)`.
fn come_again(waiting: usize, random: f64) -> Duration {
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    let line = (f64::from(waiting) / HELLOS_A_SECOND).max(1.0);
    Duration::from_secs_f64(line * (1.0 + random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_sent_away_come_again_after_the_line_and_spread() {
        let at = |waiting, random| come_again(waiting, random).as_secs_f64();
        assert_eq!((at(0, 0.0), at(0, 1.0)), (1.0, 2.0));
        assert_eq!((at(1_000, 0.0), at(1_000, 1.0)), (5.0, 10.0));
    }

    #[tokio::test]
    async fn some_are_judged_some_wait_and_the_others_are_sent_away() {
        let admission = Admission::of(1, 1);
        let first = admission.enter().await.unwrap();
        let second = admission.enter();
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        let third = admission.enter().await.unwrap_err();
        assert_eq!(third.reason, CloseReason::Overloaded);
        assert!(third.retry_after >= Some(Duration::from_secs(1)));
        drop(first);
        drop(second.await.unwrap());
        drop(admission.enter().await.unwrap());
    }
}
