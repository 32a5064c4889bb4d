//! What a deployment, its rollback, a stop and the lifecycle make of one region's assignment: pure.
//!
//! - Only the first deployment into a region sets its schedule; after that a deployment writes live and
//!   candidate and nothing else, and the lifecycle and stops write what a deployment does not.
//! - A rollback restores live and candidate, and only where they still are what the deployment made them.

use liveevents_protocol::id::EventId;
use liveevents_protocol::model::{Assignment, BucketBy, Candidate, Suspension};
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::{BasisPoints, Revision};

/// What comes into the regions.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    /// Of which event.
    pub event: &'a EventId,
    /// The event's salt.
    pub salt: &'a str,
    /// Which revision.
    pub revision: Revision,
    /// To which share of bucketing keys.
    pub percentage: BasisPoints,
    /// Whose bucketing key decides.
    pub bucket_by: &'a BucketBy,
    /// Whether the event is paused, in a region that it now comes into.
    pub paused: bool,
}

/// The assignment after a deployment; `schedule` is asked for only where there is none before.
///
/// # Errors
/// What `schedule` fails with.
pub fn deploy<E>(
    placement: Placement<'_>,
    before: Option<&Assignment>,
    schedule: impl FnOnce() -> Result<Schedule, E>,
) -> Result<Assignment, E> {
    let base = match before {
        Some(before) => before.clone(),
        None => Assignment {
            event_id: placement.event.clone(),
            salt: placement.salt.to_owned(),
            live: None,
            candidate: None,
            schedule: schedule()?,
            suspension: Suspension {
                paused: placement.paused,
                stopped: false,
            },
            full: false,
        },
    };
    Ok(if placement.percentage == BasisPoints::ALL {
        Assignment {
            live: Some(placement.revision),
            candidate: None,
            ..base
        }
    } else {
        let candidate = Candidate {
            revision: placement.revision,
            exposure: placement.percentage,
            bucket_by: placement.bucket_by.clone(),
        };
        Assignment {
            candidate: Some(candidate),
            ..base
        }
    })
}

/// A region serves something else than the deployment left there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedSince;

/// The assignment after taking a deployment's step back; `None` where there was none before it.
///
/// # Errors
/// If somebody changed live or candidate since.
pub fn roll_back(
    before: Option<&Assignment>,
    after: &Assignment,
    now: Option<&Assignment>,
) -> Result<Option<Assignment>, ChangedSince> {
    let now = now
        .filter(|now| now.live == after.live && now.candidate == after.candidate)
        .ok_or(ChangedSince)?;
    Ok(before.map(|before| Assignment {
        live: before.live,
        candidate: before.candidate.clone(),
        ..now.clone()
    }))
}

/// The assignment stopped, or no longer so.
#[must_use]
pub fn set_stopped(assignment: &Assignment, stopped: bool) -> Assignment {
    Assignment {
        suspension: Suspension {
            stopped,
            ..assignment.suspension
        },
        ..assignment.clone()
    }
}

/// The assignment paused, or no longer so. A stop stays.
#[must_use]
pub fn set_paused(assignment: &Assignment, paused: bool) -> Assignment {
    Assignment {
        suspension: Suspension {
            paused,
            ..assignment.suspension
        },
        ..assignment.clone()
    }
}

/// The assignment shown at other times.
#[must_use]
pub fn set_schedule(assignment: &Assignment, schedule: Schedule) -> Assignment {
    Assignment {
        schedule,
        ..assignment.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use liveevents_protocol::schedule::Occurrence;

    const FIVE_PERCENT: u16 = 500;

    fn schedule() -> Schedule {
        let opens = "2026-07-01T10:00:00Z".parse().unwrap();
        let closes = "2026-07-02T10:00:00Z".parse().unwrap();
        Schedule::new(vec![Occurrence { opens, closes }]).unwrap()
    }

    fn deployed(before: Option<&Assignment>, revision: u32, percentage: u16) -> Assignment {
        let event = EventId::new("fest").unwrap();
        let placement = Placement {
            event: &event,
            salt: "salt",
            revision: Revision(revision),
            percentage: BasisPoints::new(percentage).unwrap(),
            bucket_by: &BucketBy::default(),
            paused: false,
        };
        deploy::<()>(placement, before, || Ok(schedule())).unwrap()
    }

    #[test]
    fn all_is_live_and_less_is_a_candidate_beside_it() {
        let first = deployed(None, 1, 10_000);
        assert_eq!((first.live, &first.candidate), (Some(Revision(1)), &None));
        assert_eq!(first.schedule, schedule());

        let tried = deployed(Some(&first), 2, FIVE_PERCENT);
        assert_eq!(tried.live, Some(Revision(1)));
        assert_eq!(tried.candidate.as_ref().unwrap().revision, Revision(2));

        let done = deployed(Some(&tried), 2, 10_000);
        assert_eq!((done.live, &done.candidate), (Some(Revision(2)), &None));
    }

    #[test]
    fn a_later_deployment_leaves_schedule_and_suspension_alone() {
        let mut first = set_stopped(&deployed(None, 1, 10_000), true);
        first.schedule = Schedule::default();
        let second = deployed(Some(&first), 2, 10_000);
        assert_eq!(second.schedule, Schedule::default());
        assert!(second.suspension.stopped);
    }

    #[test]
    fn rolling_back_restores_what_was_changed_and_nothing_else() {
        let before = deployed(None, 1, 10_000);
        let after = deployed(Some(&before), 2, 10_000);
        let now = set_stopped(&after, true);
        let back = roll_back(Some(&before), &after, Some(&now))
            .unwrap()
            .unwrap();
        assert_eq!(back.live, Some(Revision(1)));
        assert!(back.suspension.stopped);
        assert_eq!(roll_back(None, &after, Some(&now)), Ok(None));
    }

    #[test]
    fn rolling_back_below_a_later_deployment_is_refused() {
        let before = deployed(None, 1, 10_000);
        let after = deployed(Some(&before), 2, FIVE_PERCENT);
        let later = deployed(Some(&after), 2, 5_000);
        assert_eq!(
            roll_back(Some(&before), &after, Some(&later)),
            Err(ChangedSince)
        );
        assert_eq!(roll_back(Some(&before), &after, None), Err(ChangedSince));
    }
}
