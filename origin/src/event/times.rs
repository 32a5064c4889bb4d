//! When an event happens by now: what was announced, and that somebody activated it.
//!
//! From its first deployment on an event's times are its own, whichever revision is served. An activated event is open
//! in every region from that moment on, also in one that it comes into later: if it happens once, until its end; if it
//! recurs, for as long as each of its occurrences lasts, or until the next one opens. What was announced stays.

use jiff::Timestamp;
use liveevents_protocol::schedule::{Occurrence, Schedule};

use super::schedule::{self, Expansion, Unschedulable};
use super::timing::Timing;
use super::wall_clock::Zone;

/// An event's times.
#[derive(Debug, Clone, Copy)]
pub struct Times<'a> {
    /// What was announced.
    pub timing: &'a Timing,
    /// When somebody activated it.
    pub activated: Option<Timestamp>,
}

impl Times<'_> {
    /// What a region shows up to the horizon, what has closed by `now` left out.
    ///
    /// # Errors
    /// If a time is out of range or a rule opens too often.
    pub fn expand(self, region: &Zone, now: Timestamp) -> Result<Expansion, Unschedulable> {
        let expansion = schedule::expand(self.timing, region, now)?;
        let Some(activated) = self.activated else {
            return Ok(expansion);
        };
        let Some(opened) = self.opened_by_hand(activated, region, now)? else {
            return Ok(expansion);
        };
        let announced = expansion.schedule.occurrences().iter().copied();
        // Of an event that happens once it is the same window, which opens earlier.
        let others = announced.filter(|occurrence| occurrence.opens >= opened.closes);
        let mut occurrences = vec![opened];
        occurrences.extend(others);
        Ok(Expansion {
            schedule: Schedule::new(occurrences)?,
            ..expansion
        })
    }

    /// The occurrence that an activation has made. None if it is over, or an announced one is there at that moment.
    fn opened_by_hand(
        self,
        activated: Timestamp,
        region: &Zone,
        now: Timestamp,
    ) -> Result<Option<Occurrence>, Unschedulable> {
        let (start, end) = self.timing.window.within(region)?;
        let Some(recurrence) = &self.timing.recurrence else {
            let opened = Occurrence {
                opens: start.min(activated),
                closes: end,
            };
            return Ok(Some(opened).filter(|o| o.opens < o.closes && o.closes > now));
        };
        let zone = schedule::rule_zone(self.timing, recurrence, region);
        let lasting = zone.after(activated, recurrence.duration.0)?.min(end);
        if lasting <= now {
            return Ok(None);
        }
        let horizon = schedule::horizon(start, now);
        let (since, beyond) = schedule::between(self.timing, region, activated.min(now), horizon)?;
        if since
            .iter()
            .any(|o| o.opens <= activated && activated < o.closes)
        {
            return Ok(None);
        }
        let next = since
            .iter()
            .map(|o| o.opens)
            .find(|opens| *opens > activated);
        let opened = Occurrence {
            opens: activated,
            closes: next.or(beyond).map_or(lasting, |next| lasting.min(next)),
        };
        Ok(Some(opened).filter(|o| o.opens < o.closes && o.closes > now))
    }
}

#[cfg(test)]
mod tests;
