//! A region's events ready to be shown: what evaluation looks at side by side, in the order in which players are told,
//! with each content's JSON printed once.
//!
//! It is derived from the state and goes with it. A change replaces the events that it touches; everything else is
//! shared with the state before, down to the printed JSON. The events are kept in blocks of [`BLOCK`]: a change copies
//! the pointers of one block and the list of blocks , so it costs the same however many
//! events there are, and a read still runs through memory in order, which a tree would make four times slower.
//!
//! JSON is printed when somebody first needs it: what nobody reads costs nothing, and the change path prints nothing.

mod printed;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use liveevents_protocol::bucketing::Salted;
use liveevents_protocol::entry::{EntryKey, Value};
use liveevents_protocol::evaluate::{Asker, Moment, Offer, Outcome, evaluate};
use liveevents_protocol::filter::Filter;
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::Assignment;
use liveevents_protocol::segment::Segments;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::told;
use liveevents_protocol::version::Revision;

pub(crate) use printed::{Printed, Wording};

/// Events of a block, at most. A change copies half of it on average; a list of a thousand events has 16 blocks or more.
const BLOCK: usize = 64;

/// Room made at once for the events that a player is shown.
const TYPICAL: usize = 32;

type Block = Vec<Arc<Ready>>;

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    /// In order; none is empty.
    blocks: Vec<Arc<Block>>,
    /// The segments that the events name. They change by themselves: an event is the same when one of its segments is
    /// another.
    segments: Segments,
}

/// One event: what one region serves of it, and the contents to choose from.
#[derive(Debug)]
pub(crate) struct Ready {
    assignment: Arc<Assignment>,
    live: Option<Arc<Printed>>,
    candidate: Option<Arc<Printed>>,
    salted: Salted,
    /// The higher of both contents'.
    priority: i32,
    /// The end of the occurrence last asked for, printed.
    closes: ArcSwapOption<Closes>,
}

#[derive(Debug)]
struct Closes {
    at: Timestamp,
    text: String,
}

/// Where an event stands: the highest priority first, then in order of event.
type Place<'a> = (Reverse<i32>, &'a EventId);

impl Offers {
    /// A state's events. What is the same in `before` is shared with it.
    pub(super) fn of(state: &RegionState, before: &Self) -> Self {
        let held: HashMap<&EventId, &Arc<Ready>> =
            before.iter().map(|ready| (ready.event(), ready)).collect();
        let mut events: Vec<_> = state
            .values()
            .filter_map(|(_, value)| match value {
                Value::Assignment(assignment) => {
                    let held = held.get(&assignment.event_id).copied();
                    Some(Ready::of(state, assignment, held))
                }
                Value::Segment(_) | Value::Content(_) => None,
            })
            .collect();
        events.sort_unstable_by(|a, b| a.place().cmp(&b.place()));
        let blocks = events.chunks(BLOCK).map(|block| Arc::new(block.to_vec()));
        Self {
            blocks: blocks.collect(),
            segments: state.segments().clone(),
        }
    }

    /// The events of `next`, which was made by applying changes to `state`, whose events these are. `None` if it
    /// cannot be told any more what they changed.
    pub(super) fn after(&self, state: &RegionState, next: &RegionState) -> Option<Self> {
        let changes = next.since(state.version())?.entries;
        let events: BTreeSet<EventId> = changes
            .into_iter()
            .filter_map(|stamped| stamped.entry.key().event().cloned())
            .collect();
        let mut offers = self.clone();
        offers.segments = next.segments().clone();
        for event in &events {
            let key = EntryKey::Assignment(event.clone());
            let held = match state.value(&key) {
                Some(Value::Assignment(assignment)) => {
                    let priority = priority(state, assignment);
                    offers.take((Reverse(priority), event))
                }
                Some(Value::Segment(_) | Value::Content(_)) | None => None,
            };
            if let Some(Value::Assignment(assignment)) = next.value(&key) {
                offers.put(Ready::of(next, assignment, held.as_ref()));
            }
        }
        Some(offers)
    }

    /// Every event, the highest priority first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Ready>> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// How many events.
    pub(crate) fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.len()).sum()
    }

    /// One of the events as evaluation wants it.
    pub(crate) fn offer<'a>(&'a self, ready: &'a Ready) -> Offer<'a> {
        Offer {
            assignment: &ready.assignment,
            live: ready.live.as_deref().map(Printed::content),
            candidate: ready.candidate.as_deref().map(Printed::content),
            salted: Some(&ready.salted),
            segments: Some(&self.segments),
        }
    }

    /// What somebody is shown at a moment.
    pub(crate) fn shown(&self, asker: &Asker<'_>, at: Moment) -> Shown<'_> {
        self.shown_of(asker, at, |_| true)
    }

    /// What somebody is shown of the events that pass a filter.
    pub(crate) fn passing(&self, filter: &Filter, asker: &Asker<'_>, at: Moment) -> Shown<'_> {
        self.shown_of(asker, at, |ready| ready.passes(filter))
    }

    fn shown_of(
        &self,
        asker: &Asker<'_>,
        at: Moment,
        wanted: impl Fn(&Ready) -> bool,
    ) -> Shown<'_> {
        let mut shown = Vec::with_capacity(TYPICAL);
        let mut in_order = true;
        for ready in self.iter().filter(|ready| wanted(ready)) {
            let Some(printed) = ready.chosen(evaluate(self.offer(ready), asker, at)) else {
                continue;
            };
            in_order &= printed.content().priority == ready.priority;
            shown.push(Showing {
                ready,
                printed,
                closes: ready.assignment.schedule.next_switch(at.now),
            });
        }
        if !in_order {
            shown.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        Shown(shown)
    }

    /// The block that an event is in or belongs into, and its place there.
    fn locate(&self, place: Place<'_>) -> Option<(usize, Result<usize, usize>)> {
        let ends_before =
            |block: &Arc<Block>| block.last().is_some_and(|ready| ready.place() < place);
        let after = self.blocks.partition_point(ends_before);
        let at = after.min(self.blocks.len().checked_sub(1)?);
        let block = self.blocks.get(at)?;
        Some((
            at,
            block.binary_search_by(|ready| ready.place().cmp(&place)),
        ))
    }

    fn take(&mut self, place: Place<'_>) -> Option<Arc<Ready>> {
        let (at, Ok(index)) = self.locate(place)? else {
            return None;
        };
        let block = Arc::make_mut(self.blocks.get_mut(at)?);
        let taken = block.remove(index);
        if block.is_empty() {
            self.blocks.remove(at);
        } else {
            self.join(at);
            self.join(at.wrapping_sub(1));
        }
        Some(taken)
    }

    /// Makes one of a block and the next if both are small: else blocks of one would be left where many events were.
    fn join(&mut self, at: usize) {
        let size = |at: usize| self.blocks.get(at).map(|block| block.len());
        let next = at.wrapping_add(1);
        let Some(both) = size(at).zip(size(next)).map(|(this, next)| this + next) else {
            return;
        };
        if both <= BLOCK / 2 {
            let rest = self.blocks.remove(next);
            if let Some(block) = self.blocks.get_mut(at) {
                Arc::make_mut(block).extend(rest.iter().cloned());
            }
        }
    }

    fn put(&mut self, ready: Arc<Ready>) {
        let Some((at, place)) = self.locate(ready.place()) else {
            self.blocks.push(Arc::new(vec![ready]));
            return;
        };
        let Some(block) = self.blocks.get_mut(at).map(Arc::make_mut) else {
            return;
        };
        let (Ok(index) | Err(index)) = place;
        block.insert(index, ready);
        if block.len() > BLOCK {
            let second = block.split_off(BLOCK / 2);
            self.blocks.insert(at + 1, Arc::new(second));
        }
    }
}

impl Ready {
    /// An event of a state; `held` again where it is the same.
    fn of(
        state: &RegionState,
        assignment: &Arc<Assignment>,
        held: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let printed = |revision: Revision| {
            let key = EntryKey::Content(assignment.event_id.clone(), revision);
            let Some(Value::Content(content)) = state.value(&key) else {
                return None;
            };
            let held = held.and_then(|held| held.printed(revision));
            let same = held.filter(|held| held.is_of(content));
            Some(same.map_or_else(|| Arc::new(Printed::new(Arc::clone(content))), Arc::clone))
        };
        let candidate = assignment.candidate.as_ref();
        let live = assignment.live.and_then(printed);
        let candidate = candidate.and_then(|candidate| printed(candidate.revision));
        if let Some(held) = held
            && (Arc::ptr_eq(&held.assignment, assignment) || held.assignment == *assignment)
            && same(held.live.as_ref(), live.as_ref())
            && same(held.candidate.as_ref(), candidate.as_ref())
        {
            return Arc::clone(held);
        }
        Arc::new(Self {
            assignment: Arc::clone(assignment),
            live,
            candidate,
            salted: Salted::new(&assignment.salt),
            priority: priority(state, assignment),
            closes: ArcSwapOption::empty(),
        })
    }

    pub(crate) fn event(&self) -> &EventId {
        &self.assignment.event_id
    }

    fn passes(&self, filter: &Filter) -> bool {
        let mut contents = [&self.live, &self.candidate].into_iter().flatten();
        filter.names(self.event())
            && (!filter.looks_inside() || contents.any(|printed| filter.fits(printed.content())))
    }

    fn place(&self) -> Place<'_> {
        (Reverse(self.priority), self.event())
    }

    fn printed(&self, revision: Revision) -> Option<&Arc<Printed>> {
        [&self.live, &self.candidate]
            .into_iter()
            .flatten()
            .find(|printed| printed.content().revision == revision)
    }

    /// What an outcome shows.
    fn chosen(&self, outcome: Outcome) -> Option<&Printed> {
        match outcome {
            Outcome::Live(_) => self.live.as_deref(),
            Outcome::Candidate(_) => self.candidate.as_deref(),
            Outcome::Suspended
            | Outcome::Closed { .. }
            | Outcome::Nothing
            | Outcome::WrongBuild(_)
            | Outcome::OutsideSegments(_)
            | Outcome::Stale(_) => None,
        }
    }

    /// Appends the end of an occurrence, as the next member of an object.
    fn print_closes(&self, at: Timestamp, text: &mut Vec<u8>) {
        let held = self.closes.load();
        if let Some(held) = held.as_ref().filter(|held| held.at == at) {
            return text.extend_from_slice(held.text.as_bytes());
        }
        let printed = told::closes(at);
        text.extend_from_slice(printed.as_bytes());
        self.closes
            .store(Some(Arc::new(Closes { at, text: printed })));
    }
}

fn same(a: Option<&Arc<Printed>>, b: Option<&Arc<Printed>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// The higher of the priorities of the contents that an assignment names.
fn priority(state: &RegionState, assignment: &Assignment) -> i32 {
    assignment
        .revisions()
        .filter_map(|revision| state.content(&assignment.event_id, revision))
        .map(|content| content.priority)
        .max()
        .unwrap_or_default()
}

/// What somebody is shown, in the order shown.
#[derive(Debug)]
pub(crate) struct Shown<'a>(Vec<Showing<'a>>);

/// One event of it.
#[derive(Debug)]
struct Showing<'a> {
    ready: &'a Ready,
    printed: &'a Printed,
    /// When the current occurrence ends.
    closes: Option<Timestamp>,
}

impl Showing<'_> {
    fn place(&self) -> Place<'_> {
        (Reverse(self.printed.content().priority), self.ready.event())
    }
}

impl Shown<'_> {
    /// How many events.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The same for whoever is shown the same, within an epoch: each event's revision, until when it is shown, and
    /// whether it is full.
    pub(crate) fn fingerprint(&self) -> u64 {
        // Odd, with ones and zeros in no order. Identities are spread evenly already, so multiplying is mixing enough.
        const MIX: u64 = 0x517c_c1b7_2722_0a95;
        self.0.iter().fold(0, |print: u64, showing| {
            let closes = showing.closes.map_or(0, Timestamp::as_microsecond);
            let print = (print.rotate_left(23) ^ showing.printed.identity()).wrapping_mul(MIX);
            let print = (print.rotate_left(23) ^ closes.cast_unsigned()).wrapping_mul(MIX);
            print ^ u64::from(showing.ready.assignment.full)
        })
    }

    /// Appends a JSON array of the events, from what is printed already.
    pub(crate) fn print(&self, wording: Wording<'_>, text: &mut Vec<u8>) {
        text.push(b'[');
        for (index, showing) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.extend_from_slice(showing.printed.opening(wording.language).as_bytes());
            if let Some(closes) = showing.closes {
                showing.ready.print_closes(closes, text);
            }
            if showing.ready.assignment.full {
                text.extend_from_slice(told::FULL.as_bytes());
            }
            if wording.configuration {
                let configuration = &showing.printed.content().configuration;
                text.extend_from_slice(br#","configuration":"#);
                text.extend_from_slice(configuration.as_str().as_bytes());
            }
            text.push(b'}');
        }
        text.push(b']');
    }
}
