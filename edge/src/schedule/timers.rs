//! The one timer structure: every event of every region, and the next moment at which it may switch. Pure; time is told
//! to it.
//!
//! It remembers what game servers have been told of each event. At each look, the events whose moment has come and
//! those that were changed are compared with that, and the difference is what is told now. So however the clock jumps,
//! and whatever is changed meanwhile, no switch is told twice and none is missed that has not been undone. What a region
//! holds when first seen is told as state, not as switches.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use liveevents_protocol::entry::Stamped;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::message::Cause;
use liveevents_protocol::schedule::Occurrence;
use liveevents_protocol::state::RegionState;

use super::standing::{At, Outlook, Standing};

/// What a region holds, compared with the last look at it.
#[derive(Debug, Clone, Copy)]
pub(super) enum News<'a> {
    /// The same.
    Same,
    /// A later version of the same history.
    Later(&'a RegionState),
    /// Whatever: a first state, another history, or one that corrects what had not been confirmed.
    Other(&'a RegionState),
}

/// An event has begun or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switch {
    pub(super) event: EventId,
    /// The moment of it: as scheduled, or when it was noticed if it could not be foreseen.
    pub(super) at: Timestamp,
    pub(super) cause: Cause,
    pub(super) to: Side,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// It is shown, in this occurrence.
    On(Occurrence),
    /// It is not shown any more; with the occurrence that is to come.
    Off(Option<Occurrence>),
}

/// What a look at a region has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether time alone may have changed what somebody is shown.
    pub(super) switched: bool,
    /// In order of their moments.
    pub(super) switches: Vec<Switch>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Timers {
    regions: BTreeMap<RegionId, Board>,
    moments: BTreeSet<(Timestamp, RegionId, EventId)>,
}

/// One region.
#[derive(Debug)]
struct Board {
    state: RegionState,
    at: At,
    events: BTreeMap<EventId, Told>,
    /// Those that the origin's silence can hide.
    hiding: BTreeSet<EventId>,
}

/// What is known of an event: what has been told, and when to look again.
#[derive(Debug, Clone, Copy)]
struct Told {
    standing: Standing,
    next: Option<Timestamp>,
}

impl Timers {
    /// The next moment at which something may switch.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.moments.first().map(|(moment, _, _)| *moment)
    }

    /// Looks at a region, and takes what it finds for told.
    pub(super) fn look(&mut self, region: &RegionId, news: News<'_>, at: At) -> Found {
        let Self { regions, moments } = self;
        let Some(board) = regions.get_mut(region) else {
            if let News::Later(state) | News::Other(state) = news {
                let board = Board::new(state.clone(), at, |event, next| {
                    moments.insert((next, region.clone(), event));
                });
                regions.insert(region.clone(), board);
            }
            return Found::default();
        };
        let (before, changed) = board.take(news);
        let due = board.due(moments, region, at);
        board.at = at;
        let mut switches = Vec::new();
        for event in changed.union(&due) {
            let outlook = Outlook::of(&board.state, event, at);
            let told = board.tell(event, outlook);
            if let Some(moment) = told.next {
                moments.remove(&(moment, region.clone(), event.clone()));
            }
            if let Some(moment) = outlook.next {
                moments.insert((moment, region.clone(), event.clone()));
            }
            // What time alone would have done is not the change's doing.
            let by_change = before.as_ref().is_some_and(|before| {
                let unchanged = Outlook::of(before, event, at).standing;
                unchanged.is_shown() != outlook.standing.is_shown()
            });
            let told = differences(told.standing, outlook.standing, by_change, at.now);
            switches.extend(told.into_iter().flatten().map(|(at, cause, to)| Switch {
                event: event.clone(),
                at,
                cause,
                to,
            }));
        }
        switches.sort_by_key(|switch| switch.at);
        Found {
            switched: !due.is_empty(),
            switches,
        }
    }
}

impl Board {
    fn new(state: RegionState, at: At, mut next: impl FnMut(EventId, Timestamp)) -> Self {
        let mut board = Self {
            at,
            events: BTreeMap::new(),
            hiding: BTreeSet::new(),
            state: state.clone(),
        };
        for event in events_of(&state) {
            let outlook = Outlook::of(&state, &event, at);
            board.tell(&event, outlook);
            if let Some(moment) = outlook.next {
                next(event, moment);
            }
        }
        board
    }

    /// Takes over a change: the state before it, and the events that it touches.
    fn take(&mut self, news: News<'_>) -> (Option<RegionState>, BTreeSet<EventId>) {
        let (state, changed) = match news {
            News::Same => return (None, BTreeSet::new()),
            News::Later(state) => match state.since(self.state.version()) {
                Some(delta) if delta.epoch == self.state.epoch() => {
                    let events = delta.entries.iter();
                    let changed =
                        events.filter_map(|Stamped { entry, .. }| entry.key().event().cloned());
                    (state, changed.collect())
                }
                _ => (state, self.all_and_those_of(state)),
            },
            News::Other(state) => (state, self.all_and_those_of(state)),
        };
        let before = std::mem::replace(&mut self.state, state.clone());
        (Some(before), changed)
    }

    fn all_and_those_of(&self, state: &RegionState) -> BTreeSet<EventId> {
        self.events
            .keys()
            .cloned()
            .chain(events_of(state))
            .collect()
    }

    /// The events that time, or the origin's silence, may have switched since the last look.
    fn due(
        &self,
        moments: &BTreeSet<(Timestamp, RegionId, EventId)>,
        region: &RegionId,
        at: At,
    ) -> BTreeSet<EventId> {
        if at.now < self.at.now {
            return self.events.keys().cloned().collect();
        }
        let silence = (at.silent_since != self.at.silent_since).then_some(&self.hiding);
        moments
            .iter()
            .take_while(|(moment, _, _)| *moment <= at.now)
            .filter(|(_, of, _)| of == region)
            .map(|(_, _, event)| event)
            .chain(silence.into_iter().flatten())
            .cloned()
            .collect()
    }

    /// Notes an event as told; gives what was noted before.
    fn tell(&mut self, event: &EventId, outlook: Outlook) -> Told {
        let Outlook {
            standing,
            next,
            hides,
        } = outlook;
        if hides {
            self.hiding.insert(event.clone());
        } else {
            self.hiding.remove(event);
        }
        let told = if self.state.assignment(event).is_some() {
            self.events.insert(event.clone(), Told { standing, next })
        } else {
            self.events.remove(event)
        };
        told.unwrap_or(Told {
            standing: Standing::Hidden(None),
            next: None,
        })
    }
}

fn events_of(state: &RegionState) -> impl Iterator<Item = EventId> {
    state
        .assignments()
        .map(|assignment| assignment.event_id.clone())
}

/// What has to be told, in order.
fn differences(
    told: Standing,
    stands: Standing,
    by_change: bool,
    now: Timestamp,
) -> [Option<(Timestamp, Cause, Side)>; 2] {
    use Standing::{Hidden, Shown, Stale};
    let unless_changed = |at: Timestamp, cause| {
        if by_change {
            (now, Cause::Change)
        } else {
            // A clock that was followed back may be before the moment.
            (at.min(now), cause)
        }
    };
    let off = |(at, cause), next| Some((at, cause, Side::Off(next)));
    let on = |(at, cause), occurrence| Some((at, cause, Side::On(occurrence)));
    match (told, stands) {
        // One occurrence has ended, and the next begun.
        (Shown(told), Shown(current)) if told.closes <= current.opens && told.closes <= now => [
            off((told.closes, Cause::Schedule), Some(current)),
            on((current.opens, Cause::Schedule), current),
        ],
        (Shown(_), Shown(_)) | (Stale(_) | Hidden(_), Stale(_) | Hidden(_)) => [None, None],
        (Shown(_), Stale(at)) => [off(unless_changed(at, Cause::Stale), None), None],
        (Shown(told), Hidden(next)) => {
            let told = unless_changed(told.closes, Cause::Schedule);
            [off(told, next), None]
        }
        (Stale(_), Shown(current)) => [on(unless_changed(now, Cause::Stale), current), None],
        (Hidden(_), Shown(current)) => {
            let told = unless_changed(current.opens, Cause::Schedule);
            [on(told, current), None]
        }
    }
}

#[cfg(test)]
mod tests;
