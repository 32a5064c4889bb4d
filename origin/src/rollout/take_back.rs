//! What taking an event's newest revision back makes of a region: pure.
//!
//! - The newest revision is that of the event's newest deployment in force. Only regions in which that has a part go back,
//!   each to what it served before: another revision, with a candidate if there was one, or nothing.
//! - Asked for a revision, every region serves that one and no candidate, and what had been deployed since is over.
//! - Live and candidate are all that changes, as with a deployment: schedule and suspension are the lifecycle's.

use std::collections::BTreeMap;

use liveevents_protocol::id::{DeploymentId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::Revision;

use super::deployment::Deployment;

/// What a rollback does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakeBack {
    /// What each region that changes serves then; none is nothing.
    pub regions: BTreeMap<RegionId, Option<Assignment>>,
    /// The deployments that are taken back by it, newest first.
    pub deployments: Vec<DeploymentId>,
}

/// Takes the event's newest revision back, or everything since `to`. `in_force` are its deployments that were not taken
/// back, newest first, `served` is what its regions serve. Nothing where nothing would change.
#[must_use]
pub fn take_back(
    served: &BTreeMap<RegionId, Assignment>,
    in_force: &[Deployment],
    to: Option<Revision>,
) -> TakeBack {
    match to {
        Some(revision) => back_to(served, in_force, revision),
        None => one_back(served, in_force),
    }
}

fn one_back(served: &BTreeMap<RegionId, Assignment>, in_force: &[Deployment]) -> TakeBack {
    let Some(newest) = in_force.first() else {
        return TakeBack::default();
    };
    let undone = in_force
        .iter()
        .take_while(|deployment| deployment.revision == newest.revision);
    let mut back = TakeBack::default();
    for deployment in undone {
        back.deployments.push(deployment.id);
        for step in &deployment.steps {
            let Some(now) = served.get(&step.region) else {
                continue;
            };
            let after = step.before.as_ref().map(|before| Assignment {
                live: before.live,
                candidate: before.candidate.clone(),
                ..now.clone()
            });
            // Of several the oldest says what was there before all of them.
            back.regions.insert(step.region.clone(), after);
        }
    }
    back.regions
        .retain(|region, after| after.as_ref() != served.get(region));
    back
}

fn back_to(
    served: &BTreeMap<RegionId, Assignment>,
    in_force: &[Deployment],
    revision: Revision,
) -> TakeBack {
    let since = in_force
        .iter()
        .take_while(|deployment| deployment.revision != revision);
    let others = served
        .iter()
        .filter(|(_, now)| now.live != Some(revision) || now.candidate.is_some());
    let regions = others.map(|(region, now)| {
        let after = Assignment {
            live: Some(revision),
            candidate: None,
            ..now.clone()
        };
        (region.clone(), Some(after))
    });
    TakeBack {
        regions: regions.collect(),
        deployments: since.map(|deployment| deployment.id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::model::{Candidate, Suspension};
    use liveevents_protocol::version::{BasisPoints, Version};
    use uuid::Uuid;

    use super::*;
    use crate::rollout::deployment::{Status, Step};

    /// `(live, candidate)`, paused.
    fn assignment((live, candidate): (Option<u32>, Option<u32>)) -> Assignment {
        Assignment {
            event_id: "fest".parse().unwrap(),
            salt: "s".to_owned(),
            live: live.map(Revision),
            candidate: candidate.map(|revision| Candidate {
                revision: Revision(revision),
                exposure: BasisPoints::new(1_000).unwrap(),
                bucket_by: Default::default(),
            }),
            schedule: Default::default(),
            suspension: Suspension {
                paused: true,
                stopped: false,
            },
            full: false,
        }
    }

    type Served = (Option<u32>, Option<u32>);

    /// A deployment: its revision, and what it changed where.
    type Made<'a> = (u32, &'a [(&'a str, Option<Served>, Served)]);

    /// Deployments in the order in which they were made.
    fn history(of: &[Made<'_>]) -> Vec<Deployment> {
        let made = of.iter().enumerate().map(|(number, (revision, steps))| {
            let step = |(region, before, after): &(&str, Option<Served>, Served)| Step {
                region: region.parse().unwrap(),
                // What was suspended then has nothing to say now.
                before: before.map(|before| Assignment {
                    suspension: Suspension::default(),
                    ..assignment(before)
                }),
                after: assignment(*after),
                version: Version(number as u64 + 1),
            };
            Deployment {
                id: DeploymentId(Uuid::from_u128(number as u128)),
                event: "fest".parse().unwrap(),
                revision: Revision(*revision),
                regions: Vec::new(),
                percentage: BasisPoints::ALL,
                status: Status::Completed,
                change: None,
                created_by: "ada".to_owned(),
                created_at: Default::default(),
                completed_at: None,
                rolled_back: None,
                steps: steps.iter().map(step).collect(),
            }
        });
        let mut made: Vec<Deployment> = made.collect();
        made.reverse();
        made
    }

    fn served(of: &[(&str, Served)]) -> BTreeMap<RegionId, Assignment> {
        let of = of.iter();
        of.map(|(region, what)| (region.parse().unwrap(), assignment(*what)))
            .collect()
    }

    fn undone(back: &TakeBack) -> Vec<u128> {
        back.deployments.iter().map(|id| id.0.as_u128()).collect()
    }

    fn becomes(of: &[(&str, Option<Served>)]) -> BTreeMap<RegionId, Option<Assignment>> {
        let of = of.iter();
        of.map(|(region, what)| (region.parse().unwrap(), what.map(assignment)))
            .collect()
    }

    #[test]
    fn the_newest_revision_goes_wherever_it_is_and_nothing_else() {
        let (one, two) = ((Some(1), None), (Some(2), None));
        let trying = (Some(1), Some(2));
        // One everywhere; two tried, then made live, in one region.
        let first: Made<'_> = (1, &[("east", None, one), ("west", None, one)]);
        let tried: Made<'_> = (2, &[("east", Some(one), trying)]);
        let made: Made<'_> = (2, &[("east", Some(trying), two)]);

        let now = served(&[("east", two), ("west", one)]);
        let back = take_back(&now, &history(&[first, tried, made]), None);
        assert_eq!(back.regions, becomes(&[("east", Some(one))]));
        assert_eq!(undone(&back), [2, 1]);

        // A candidate that is out is the newest revision.
        let now = served(&[("east", trying), ("west", one)]);
        let back = take_back(&now, &history(&[first, tried]), None);
        assert_eq!(back.regions, becomes(&[("east", Some(one))]));

        // Before the first there was nothing.
        let now = served(&[("east", one), ("west", one)]);
        let back = take_back(&now, &history(&[first]), None);
        assert_eq!(back.regions, becomes(&[("east", None), ("west", None)]));
        assert_eq!(take_back(&BTreeMap::new(), &[], None), TakeBack::default());
    }

    #[test]
    fn an_older_revision_deployed_anew_is_the_newest() {
        let (one, two) = ((Some(1), None), (Some(2), None));
        let first: Made<'_> = (1, &[("east", None, one), ("west", None, one)]);
        let second: Made<'_> = (2, &[("east", Some(one), two)]);
        let again: Made<'_> = (1, &[("east", Some(two), one)]);
        let now = served(&[("east", one), ("west", one)]);
        let back = take_back(&now, &history(&[first, second, again]), None);
        // The west has had nothing since, and keeps what it has.
        assert_eq!(back.regions, becomes(&[("east", Some(two))]));
        assert_eq!(undone(&back), [2]);
    }

    #[test]
    fn back_to_a_revision_every_region_serves_it_and_no_candidate() {
        let (one, two, three) = ((Some(1), None), (Some(2), None), (Some(2), Some(3)));
        let first: Made<'_> = (1, &[("east", None, one), ("west", None, one)]);
        let second: Made<'_> = (2, &[("east", Some(one), two)]);
        let third: Made<'_> = (3, &[("east", Some(two), three)]);
        let all = history(&[first, second, third]);
        let now = served(&[("east", three), ("west", one)]);
        let back = take_back(&now, &all, Some(Revision(1)));
        assert_eq!(back.regions, becomes(&[("east", Some(one))]));
        assert_eq!(undone(&back), [2, 1]);
        let back = take_back(&now, &all, Some(Revision(2)));
        assert_eq!(
            back.regions,
            becomes(&[("east", Some(two)), ("west", Some(two))])
        );
        assert_eq!(undone(&back), [2]);
        let now = served(&[("east", one), ("west", one)]);
        assert_eq!(
            take_back(&now, &history(&[first]), Some(Revision(1))),
            TakeBack::default()
        );
    }
}
