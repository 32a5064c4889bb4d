//! What one player is shown: suspension, then schedule, then candidate or live, then what the revision demands.
//!
//! A revision demands a game build, and segments of players: it is for those of any of its target segments, if it has
//! any, and for nobody of an excluded one. Where nobody can say whether a player is in a segment, since it is not held or
//! has a criterion that is not known here, the answer is no either way.
//!
//! The rules apply in this order, and the first that says no is the answer. A missing bucketing key is
//! not exposed: such a player gets what everybody gets who does not get the candidate. So does a player whom the candidate is
//! not for, by build or by segment.

mod explain;

use std::time::Duration;

use jiff::Timestamp;

use crate::attribute::Attributes;
use crate::bucketing::{Salted, bucket};
use crate::build::Build;
use crate::id::SegmentId;
use crate::model::{Assignment, BucketBy, Candidate, Content};
use crate::schedule::Occurrence;
use crate::segment::{Membership, Segments};
use crate::state::RegionState;
use crate::version::Revision;

pub use explain::{Asked, Explanation, Finding, Step, Weighed, explain};

/// The bucketing keys that a request names: `player`, and whatever else the studio buckets by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys<'a>(pub &'a [(&'a str, &'a str)]);

impl<'a> Keys<'a> {
    /// The value given for a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asker<'a> {
    /// What buckets are computed from.
    pub keys: Keys<'a>,
    /// The game's build, if it is said.
    pub build: Option<Build>,
    /// What is known of the player. Only what somebody said who may: never the player's own client.
    pub attributes: Attributes<'a>,
}

impl<'a> Asker<'a> {
    /// The player's own identifier, which segments list.
    fn player(&self) -> Option<&'a str> {
        self.keys.find(BucketBy::PLAYER)
    }
}

impl<'a> From<Keys<'a>> for Asker<'a> {
    fn from(keys: Keys<'a>) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }
}

/// When it is asked, and how old the news are by which it is answered.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// How long ago the origin was last heard.
    pub age: Duration,
}

impl Moment {
    /// With fresh news.
    #[must_use]
    pub fn fresh(now: Timestamp) -> Self {
        Self {
            now,
            age: Duration::ZERO,
        }
    }
}

/// What there is of one event to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Who gets what, and when.
    pub assignment: &'a Assignment,
    /// The live revision's content.
    pub live: Option<&'a Content>,
    /// The candidate's content.
    pub candidate: Option<&'a Content>,
    /// The assignment's salt, hashed already where somebody keeps that.
    pub salted: Option<&'a Salted>,
    /// Where the segments that the contents name are looked up; without them none is held.
    pub segments: Option<&'a Segments>,
}

impl<'a> Offer<'a> {
    /// Of an assignment of a state.
    #[must_use]
    pub fn of(state: &'a RegionState, assignment: &'a Assignment) -> Self {
        let content = |revision| state.content(&assignment.event_id, revision);
        Self {
            assignment,
            live: assignment.live.and_then(content),
            candidate: assignment
                .candidate
                .as_ref()
                .and_then(|candidate| content(candidate.revision)),
            salted: None,
            segments: Some(state.segments()),
        }
    }

    /// Whether a player belongs to a segment.
    fn membership(&self, segment: &SegmentId, asker: &Asker<'_>) -> Membership {
        self.segments.map_or(Membership::Missing, |segments| {
            segments.membership(segment, asker.player(), &asker.attributes)
        })
    }

    /// The bucket of a key.
    fn bucket(&self, key: &str) -> u16 {
        match self.salted {
            Some(salted) => salted.bucket(key),
            None => bucket(&self.assignment.salt, key),
        }
    }

    /// The content of what an outcome shows.
    #[must_use]
    pub fn content(&self, outcome: Outcome) -> Option<&'a Content> {
        match outcome {
            Outcome::Live(_) => self.live,
            Outcome::Candidate(_) => self.candidate,
            Outcome::Suspended
            | Outcome::Closed { .. }
            | Outcome::Nothing
            | Outcome::WrongBuild(_)
            | Outcome::OutsideSegments(_)
            | Outcome::Stale(_) => None,
        }
    }
}

/// What the rules said of one event, for one player at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Paused or stopped.
    Suspended,
    /// Not open; when it next is, if ever.
    Closed {
        /// The next opening.
        opens: Option<Timestamp>,
    },
    /// Open, but there is no live revision and the player does not get the candidate.
    Nothing,
    /// This revision would be shown, but is not for the player's build.
    WrongBuild(Revision),
    /// This revision would be shown, but is for the players of segments that the player is not in, or not for those of
    /// one that the player is in.
    OutsideSegments(Revision),
    /// This revision would be shown, but nothing was heard from the origin for longer than it allows.
    Stale(Revision),
    /// The live revision.
    Live(Revision),
    /// The candidate.
    Candidate(Revision),
}

impl Outcome {
    /// The revision shown.
    #[must_use]
    pub fn revision(self) -> Option<Revision> {
        match self {
            Self::Live(revision) | Self::Candidate(revision) => Some(revision),
            Self::Suspended
            | Self::Closed { .. }
            | Self::Nothing
            | Self::WrongBuild(_)
            | Self::OutsideSegments(_)
            | Self::Stale(_) => None,
        }
    }
}

/// Judges one event.
#[must_use]
pub fn evaluate(offer: Offer<'_>, asker: &Asker<'_>, at: Moment) -> Outcome {
    judge(offer, &mut Rules::new(asker, at, Deaf))
}

/// The rules in their order. [`evaluate`] and [`explain`] are both this, so that an explanation is never of something
/// else than what players get.
fn judge<'a>(offer: Offer<'a>, rules: &mut Rules<'a, impl Hear<'a>>) -> Outcome {
    let assignment = offer.assignment;
    if !rules.suspension(assignment) {
        return Outcome::Suspended;
    }
    let occurrence = assignment.schedule.current_or_next(rules.at.now);
    if !rules.schedule(occurrence) {
        return Outcome::Closed {
            opens: occurrence.map(|occurrence| occurrence.opens),
        };
    }
    if let (Some(candidate), Some(content)) = (&assignment.candidate, offer.candidate)
        && rules.requires(content)
        && rules.segments(offer, content)
        && rules.exposure(offer, candidate)
    {
        return match rules.when_stale(content) {
            true => Outcome::Candidate(content.revision),
            false => Outcome::Stale(content.revision),
        };
    }
    rules.live(offer.live);
    match offer.live {
        None => Outcome::Nothing,
        Some(content) if !rules.requires(content) => Outcome::WrongBuild(content.revision),
        Some(content) if !rules.segments(offer, content) => {
            Outcome::OutsideSegments(content.revision)
        }
        Some(content) if !rules.when_stale(content) => Outcome::Stale(content.revision),
        Some(content) => Outcome::Live(content.revision),
    }
}

/// Who is told what each rule saw.
trait Hear<'a> {
    fn hear(&mut self, admits: bool, finding: impl FnOnce() -> Finding<'a>);
}

/// Who only wants the outcome: nothing is put together.
struct Deaf;

impl<'a> Hear<'a> for Deaf {
    fn hear(&mut self, _: bool, _: impl FnOnce() -> Finding<'a>) {}
}

/// Each rule says whether it admits, and who hears is told what it saw.
struct Rules<'a, H> {
    asker: &'a Asker<'a>,
    at: Moment,
    heard: H,
}

impl<'a, H: Hear<'a>> Rules<'a, H> {
    fn new(asker: &'a Asker<'a>, at: Moment, heard: H) -> Self {
        Self { asker, at, heard }
    }

    fn say(&mut self, admits: bool, finding: impl FnOnce() -> Finding<'a>) -> bool {
        self.heard.hear(admits, finding);
        admits
    }

    fn suspension(&mut self, assignment: &Assignment) -> bool {
        let suspension = assignment.suspension;
        self.say(!suspension.is_suspended(), || Finding::Suspension {
            paused: suspension.paused,
            stopped: suspension.stopped,
        })
    }

    /// The occurrence at the moment, or the next.
    fn schedule(&mut self, occurrence: Option<&Occurrence>) -> bool {
        let now = self.at.now;
        self.say(
            occurrence.is_some_and(|occurrence| occurrence.opens <= now),
            || Finding::Schedule {
                now,
                opens: occurrence.map(|occurrence| occurrence.opens),
                closes: occurrence.map(|occurrence| occurrence.closes),
            },
        )
    }

    fn exposure(&mut self, offer: Offer<'a>, candidate: &'a Candidate) -> bool {
        let key = self.asker.keys.find(&candidate.bucket_by.0);
        let bucket = key.map(|key| offer.bucket(key));
        self.say(
            bucket.is_some_and(|bucket| bucket < candidate.exposure.value()),
            || Finding::Exposure {
                revision: candidate.revision,
                bucket_by: &candidate.bucket_by.0,
                key,
                bucket,
                exposure: candidate.exposure,
            },
        )
    }

    fn live(&mut self, live: Option<&Content>) -> bool {
        let revision = live.map(|content| content.revision);
        self.say(revision.is_some(), || Finding::Live { revision })
    }

    fn requires(&mut self, content: &Content) -> bool {
        let build = self.asker.build;
        self.say(content.requires.admits(build), || Finding::Requires {
            revision: content.revision,
            build,
            demanded: content.requires,
        })
    }

    fn segments(&mut self, offer: Offer<'a>, content: &'a Content) -> bool {
        let (targets, excludes) = (&content.target_segments, &content.exclude_segments);
        if targets.is_empty() && excludes.is_empty() {
            return true;
        }
        let asker = self.asker;
        let is = |segment: &SegmentId, expected| {
            offer.membership(segment, asker).is_in() == Some(expected)
        };
        let admits = (targets.is_empty() || targets.iter().any(|segment| is(segment, true)))
            && excludes.iter().all(|segment| is(segment, false));
        self.say(admits, || Finding::Segments {
            revision: content.revision,
            targets: explain::asked(offer, targets, asker),
            excludes: explain::asked(offer, excludes, asker),
        })
    }

    fn when_stale(&mut self, content: &Content) -> bool {
        let age = self.at.age;
        self.say(content.when_stale.keeps(age), || Finding::WhenStale {
            revision: content.revision,
            age,
            rule: content.when_stale,
        })
    }
}

/// An event that a player is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Where it comes from.
    pub assignment: &'a Assignment,
    /// What is shown.
    pub content: &'a Content,
    /// Whether it is the candidate.
    pub candidate: bool,
    /// When the current occurrence ends.
    pub closes: Option<Timestamp>,
}

/// What a player is shown of one event, if anything.
#[must_use]
pub fn shown_of<'a>(offer: Offer<'a>, asker: &Asker<'_>, at: Moment) -> Option<Shown<'a>> {
    let outcome = evaluate(offer, asker, at);
    Some(Shown {
        assignment: offer.assignment,
        content: offer.content(outcome)?,
        candidate: matches!(outcome, Outcome::Candidate(_)),
        closes: offer.assignment.schedule.next_switch(at.now),
    })
}

/// All that a player is shown, highest priority first, then in order of event.
#[must_use]
pub fn shown<'a>(state: &'a RegionState, asker: &Asker<'_>, at: Moment) -> Vec<Shown<'a>> {
    let mut shown: Vec<Shown<'a>> = state
        .assignments()
        .filter_map(|assignment| shown_of(Offer::of(state, assignment), asker, at))
        .collect();
    shown.sort_by_key(|shown| std::cmp::Reverse(shown.content.priority));
    shown
}

#[cfg(test)]
mod tests;
