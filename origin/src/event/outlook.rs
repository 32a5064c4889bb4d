//! What has come due of an event's life by itself, and when to look again: pure.
//!
//! Edges open and close by their own clocks; here it is recorded that they have. The first region's opening makes an
//! event Active, the last region's last closing Completed, each at its moment, however late somebody looks. A suspended
//! event opens and closes all the same: whoever resumes it finds it where it would have been.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::schedule::{Occurrence, Schedule};

use super::lifecycle::{Command, State};
use super::schedule::{Expansion, Unschedulable};
use super::series;
use super::times::Times;
use super::wall_clock::Zone;

/// A region that has an assignment.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// Where its wall clock hangs.
    pub zone: &'a Zone,
    /// What it shows when.
    pub schedule: &'a Schedule,
}

/// A step in the event's life that nobody commanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// What has happened.
    pub command: Command,
    /// The state since then.
    pub to: State,
    /// When.
    pub at: Timestamp,
}

/// What there is to do, and when there will be more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// In order.
    pub transitions: Vec<Transition>,
    /// The occurrences that have come within the horizon, by the region that lacks them.
    pub lacking: BTreeMap<RegionId, Vec<Occurrence>>,
    /// When to look again; none if nothing will happen by itself.
    pub next: Option<Timestamp>,
}

/// The least time until the next look: what is due at this very moment is looked at once, and not for ever.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// Looks at an event at `now`. `end` is its end where no region shows anything of it.
///
/// # Errors
/// If its occurrences cannot be computed.
pub fn outlook(
    mut state: State,
    times: Times<'_>,
    end: Timestamp,
    held: &BTreeMap<RegionId, Held<'_>>,
    now: Timestamp,
) -> Result<Outlook, Unschedulable> {
    let mut outlook = Outlook::default();
    let mut step = |state: &mut State, command, at: Option<Timestamp>| {
        let due = at.filter(|at| *at <= now);
        if let (Some(at), Ok(to)) = (due, state.on(command)) {
            outlook.transitions.push(Transition { command, to, at });
            *state = to;
        }
    };
    let first_opening = held.values().filter_map(opening).min();
    step(&mut state, Command::FirstOpening, first_opening);
    let mut ahead = BTreeMap::new();
    if times.timing.recurrence.is_some() {
        for (region, held) in held {
            ahead.insert(region, times.expand(held.zone, now)?);
        }
    }
    let last_closing = last_closing(held, &ahead, end);
    step(&mut state, Command::LastClosing, last_closing);
    match state {
        State::Scheduled => outlook.next = first_opening,
        State::Active | State::Paused => outlook.next = last_closing,
        State::Draft | State::Completed | State::Cancelled => return Ok(outlook),
    }
    for (region, expansion) in ahead {
        let Some(held) = held.get(region) else {
            continue;
        };
        let lacking = series::lacking(held.schedule, &expansion);
        if !lacking.is_empty() {
            outlook.lacking.insert(region.clone(), lacking);
        }
        outlook.next = outlook
            .next
            .into_iter()
            .chain(series::due(&expansion))
            .min();
    }
    let earliest = now.checked_add(PAUSE).unwrap_or(Timestamp::MAX);
    outlook.next = outlook
        .next
        .map(|next| if next > now { next } else { earliest });
    Ok(outlook)
}

fn opening(held: &Held<'_>) -> Option<Timestamp> {
    held.schedule.occurrences().first().map(|first| first.opens)
}

/// When everything is over in every region; none while a series goes on beyond the horizon.
fn last_closing(
    held: &BTreeMap<RegionId, Held<'_>>,
    ahead: &BTreeMap<&RegionId, Expansion>,
    end: Timestamp,
) -> Option<Timestamp> {
    if ahead.values().any(|expansion| expansion.beyond.is_some()) {
        return None;
    }
    let schedules = held.values().map(|held| held.schedule);
    let all = schedules.chain(ahead.values().map(|expansion| &expansion.schedule));
    let closings = all.filter_map(|schedule| schedule.occurrences().last());
    Some(closings.map(|last| last.closes).max().unwrap_or(end))
}

#[cfg(test)]
mod tests;
