//! Applies what has come due of events' lives by themselves: openings, closings, and occurrences that come within the
//! horizon. Called by the scheduler, and by every command before it is judged.
//!
//! The caller has locked the events' rows, has read the time since then, and owns the transaction. All that has closed goes
//! out of its regions by one change; each series is topped up by one of its own. That takes longer, so whoever looks at many
//! at once leaves it for later, and a stop does not wait for all of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::schedule::Occurrence;
use serde_json::json;
use sqlx::PgConnection;

use crate::change::{self, ChangeError, Committed, Decision, Edit, Request};
use crate::event::lifecycle::Command;
use crate::event::outlook::{Held, Outlook, Transition, outlook};
use crate::event::overlap::{self, Asked, Collision};
use crate::event::record::Event;
use crate::event::series;
use crate::event::wall_clock::Zone;
use crate::rollout::place::set_schedule;
use crate::store::audit::{self, Deed};
use crate::store::{StoreError, assignments, course, deployments, overlaps, region_log, regions};

/// Who has done it, in the audit log and in changes.
pub const ACTOR: &str = "scheduler";

/// When an event is looked at again whose occurrences cannot be computed, as no accepted one's can.
const PUZZLED: SignedDuration = SignedDuration::from_hours(1);

/// How much is to be done of what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    All,
    /// Series are left as they are, and due.
    WithoutSeries,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Settled {
    /// Which events have gone on.
    pub transitions: Vec<(EventId, Transition)>,
    /// The kinds of the changes made.
    pub changes: Vec<&'static str>,
    /// Occurrences that regions were given.
    pub added: usize,
    /// Occurrences that they were not given, since another event of the category has the time.
    pub skipped: usize,
    /// Series that were left.
    pub left: Vec<EventId>,
}

type Served = BTreeMap<EventId, BTreeMap<RegionId, Assignment>>;

/// Applies what is due of some events.
///
/// # Errors
/// If it cannot be written; the caller drops the transaction then.
pub async fn settle(
    conn: &mut PgConnection,
    events: &[Event],
    extent: Extent,
    now: Timestamp,
    trace_id: Option<&str>,
) -> Result<Settled, ChangeError> {
    let zones = regions::list(conn).await?.into_iter();
    let zones: BTreeMap<RegionId, Zone> = zones.map(|region| (region.id, region.zone)).collect();
    let ids: Vec<EventId> = events.iter().map(|event| event.id.clone()).collect();
    // When an event is shown changes only under its lock, so that this may be read before the regions are locked.
    let mut served = assignments::of_events(conn, &ids).await?;
    let looks: Vec<(&Event, Outlook)> = events
        .iter()
        .map(|event| (event, look(event, served.get(&event.id), &zones, now)))
        .collect();
    let ended: Vec<&EventId> = looks
        .iter()
        .filter(|(_, look)| ends(look))
        .map(|(event, _)| &event.id)
        .collect();
    if !ended.is_empty() {
        deployments::end(conn, &ended).await?;
    }
    let adds = |look: &Outlook| extent == Extent::All && !look.lacking.is_empty();
    let concerned: BTreeSet<RegionId> = looks
        .iter()
        .filter(|(_, look)| ends(look) || adds(look))
        .filter_map(|(event, _)| served.get(&event.id))
        .flat_map(|regions| regions.keys().cloned())
        .collect();
    if !concerned.is_empty() {
        let concerned: Vec<RegionId> = concerned.into_iter().collect();
        region_log::lock(conn, &concerned).await?;
        // Somebody may have stopped them meanwhile.
        served = assignments::of_events(conn, &ids).await?;
    }
    let mut settler = Settler {
        conn,
        served,
        now,
        trace_id,
        settled: Settled::default(),
    };
    let completion = settler.remove(&ended).await?;
    settler.record(&looks, completion.as_ref()).await?;
    let mut looked_at = Vec::with_capacity(looks.len());
    for (event, look) in &looks {
        if adds(look) {
            settler.top_up(event, look).await?;
        } else if !look.lacking.is_empty() {
            settler.settled.left.push(event.id.clone());
            continue;
        }
        looked_at.push((&event.id, look.next));
    }
    course::settle(settler.conn, &looked_at).await?;
    Ok(settler.settled)
}

fn look(
    event: &Event,
    served: Option<&BTreeMap<RegionId, Assignment>>,
    zones: &BTreeMap<RegionId, Zone>,
    now: Timestamp,
) -> Outlook {
    let held = held(served, zones);
    let end = event.newest.document.bounds.1;
    outlook(event.state, event.times(), end, &held, now).unwrap_or_else(|error| {
        let error = liveevents_service::logs::chain(&error);
        tracing::error!(event = %event.id, error, "an event's occurrences cannot be computed");
        Outlook {
            next: now.checked_add(PUZZLED).ok(),
            ..Outlook::default()
        }
    })
}

/// What each region shows of an event, with the region's zone.
#[must_use]
pub fn held<'a>(
    served: Option<&'a BTreeMap<RegionId, Assignment>>,
    zones: &'a BTreeMap<RegionId, Zone>,
) -> BTreeMap<RegionId, Held<'a>> {
    let held = served
        .into_iter()
        .flatten()
        .filter_map(|(region, assignment)| {
            let held = Held {
                zone: zones.get(region)?,
                schedule: &assignment.schedule,
            };
            Some((region.clone(), held))
        });
    held.collect()
}

fn ends(look: &Outlook) -> bool {
    look.transitions.iter().any(|step| step.to.is_over())
}

struct Settler<'a> {
    conn: &'a mut PgConnection,
    served: Served,
    now: Timestamp,
    trace_id: Option<&'a str>,
    settled: Settled,
}

impl Settler<'_> {
    fn decision(&self, kind: &'static str, event: Option<&EventId>) -> Decision {
        Decision {
            kind,
            actor: ACTOR.to_owned(),
            reason: None,
            event: event.cloned(),
            deployment: None,
            trace_id: self.trace_id.map(str::to_owned),
        }
    }

    async fn commit(&mut self, request: &Request) -> Result<Committed, ChangeError> {
        self.settled.changes.push(request.decision.kind);
        change::commit(self.conn, request).await
    }

    /// Takes events that are over out of their regions.
    async fn remove(&mut self, events: &[&EventId]) -> Result<Option<Committed>, ChangeError> {
        let mut edits: BTreeMap<RegionId, Vec<Edit>> = BTreeMap::new();
        for event in events {
            for region in self.served.get(*event).into_iter().flat_map(BTreeMap::keys) {
                let edits = edits.entry(region.clone()).or_default();
                edits.push(Edit::Remove((*event).clone()));
            }
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let only = match events {
            [only] => Some(*only),
            _ => None,
        };
        let request = Request {
            decision: self.decision("Completion", only),
            edits,
            contents: Vec::new(),
        };
        self.commit(&request).await.map(Some)
    }

    /// Writes down what has happened to events, and when.
    async fn record(
        &mut self,
        looks: &[(&Event, Outlook)],
        completion: Option<&Committed>,
    ) -> Result<(), StoreError> {
        let (mut deeds, mut moves) = (Vec::new(), Vec::new());
        for (event, look) in looks {
            let mut state = event.state;
            for step in &look.transitions {
                let action = match step.command {
                    Command::FirstOpening => "event.open",
                    _ => "event.complete",
                };
                let change = completion.filter(|_| step.to.is_over());
                deeds.push(Deed {
                    actor: ACTOR,
                    action,
                    subject: event.id.as_str(),
                    before: Some(json!({ "state": state })),
                    after: Some(json!({
                        "state": step.to,
                        "dueAt": step.at,
                        "changeId": change.map(|committed| committed.change),
                    })),
                    trace_id: self.trace_id,
                });
                tracing::info!(event = %event.id, state = %step.to, due = %step.at, "event went on");
                self.settled.transitions.push((event.id.clone(), *step));
                state = step.to;
            }
            if let Some(last) = look.transitions.last() {
                let ended_at = Some(last.at).filter(|_| last.to.is_over());
                moves.push((&event.id, last.to, ended_at));
            }
        }
        if moves.is_empty() {
            return Ok(());
        }
        audit::record_all(self.conn, &deeds, self.now).await?;
        course::set_states(self.conn, &moves, self.now).await
    }

    /// Gives regions the occurrences that have come within the horizon.
    async fn top_up(&mut self, event: &Event, look: &Outlook) -> Result<(), ChangeError> {
        if look.lacking.is_empty() {
            return Ok(());
        }
        let own = overlaps::of_event(self.conn, &event.id).await?;
        let categories: BTreeSet<String> =
            own.values().flat_map(BTreeMap::values).cloned().collect();
        let categories: Vec<String> = categories.into_iter().collect();
        let regions: Vec<RegionId> = look.lacking.keys().cloned().collect();
        let beside = overlaps::beside(self.conn, Some(&event.id), &regions, &categories).await?;
        let (mut edits, mut added) = (BTreeMap::new(), BTreeMap::new());
        for (region, lacking) in &look.lacking {
            let assignment = self
                .served
                .get(&event.id)
                .and_then(|served| served.get(region));
            let Some(assignment) = assignment.cloned() else {
                continue;
            };
            let categories: BTreeSet<String> = own
                .get(region)
                .into_iter()
                .flat_map(BTreeMap::values)
                .cloned()
                .collect();
            let mut free = Vec::new();
            for occurrence in lacking {
                let asked = Asked {
                    region: region.clone(),
                    categories: categories.clone(),
                    stretches: vec![*occurrence],
                };
                match overlap::collisions(&[asked], &beside, self.now).pop() {
                    Some(collision) => self.skip(event, *occurrence, &collision).await?,
                    None => free.push(*occurrence),
                }
            }
            if free.is_empty() {
                continue;
            }
            let schedule = series::extended(&assignment.schedule, &free, self.now);
            let Ok(schedule) = schedule else {
                // Openings a day and the horizon are bounded so that this fits.
                tracing::error!(event = %event.id, %region, "a schedule has no room for further occurrences");
                continue;
            };
            added.insert(region.clone(), free.len());
            let edit = Edit::Put(set_schedule(&assignment, schedule));
            edits.insert(region.clone(), vec![edit]);
        }
        if edits.is_empty() {
            return Ok(());
        }
        let request = Request {
            decision: self.decision("TopUp", Some(&event.id)),
            edits,
            contents: Vec::new(),
        };
        let committed = self.commit(&request).await?;
        self.settled.added += added.values().sum::<usize>();
        let deed = Deed {
            actor: ACTOR,
            action: "event.top-up",
            subject: event.id.as_str(),
            before: None::<()>,
            after: Some(json!({
                "occurrences": added,
                "changeId": committed.change,
                "regions": committed.regions,
            })),
            trace_id: self.trace_id,
        };
        audit::record(self.conn, deed, self.now).await?;
        Ok(())
    }

    /// An occurrence is left out, which nobody is there to be told.
    async fn skip(
        &mut self,
        event: &Event,
        occurrence: Occurrence,
        collision: &Collision,
    ) -> Result<(), StoreError> {
        let Collision {
            region,
            event: beside,
            category,
            ..
        } = collision;
        tracing::warn!(
            event = %event.id,
            %region,
            %beside,
            category,
            opens = %occurrence.opens,
            "an occurrence is left out, since another event of its category is shown then"
        );
        self.settled.skipped += 1;
        let deed = Deed {
            actor: ACTOR,
            action: "event.skip-occurrence",
            subject: event.id.as_str(),
            before: None::<()>,
            after: Some(json!({
                "region": region,
                "occurrence": occurrence,
                "beside": beside,
                "category": category,
            })),
            trace_id: self.trace_id,
        };
        audit::record(self.conn, deed, self.now).await
    }
}
