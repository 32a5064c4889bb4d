//! Sees each change arrive: at game servers with a bar for each region, at edges by what the origin says of
//! their acks. Keeps what was not as it should be.

use std::collections::BTreeMap;
use std::time::Instant;

use liveevents_protocol::id::{ChangeId, EventId, RegionId};
use liveevents_protocol::version::{Epoch, Revision, Version};
use tokio::task::JoinSet;

use super::cast::{Cast, PLAYERS, audience};
use super::stage::{Stage, drawn};
use crate::failure::Failure;
use crate::limits;
use crate::receipts::{Change, Commits, arrivals};
use crate::rest::{ChangeRecord, Changed, Rest};

/// Sees, says and remembers.
pub(super) struct Witness<'a> {
    stage: &'a Stage,
    rest: &'a Rest,
    cast: &'a Cast,
    wrong: Vec<String>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(stage: &'a Stage, rest: &'a Rest, cast: &'a Cast) -> Self {
        Self {
            stage,
            rest,
            cast,
            wrong: Vec::new(),
        }
    }

    /// What was not as it should be.
    pub(super) fn wrong(self) -> Vec<String> {
        self.wrong
    }

    /// Whether all game servers of a region are where an edge says it is.
    pub(super) fn all_at(&self, region: &RegionId, epoch: Epoch, version: Version) -> bool {
        self.cast.of(region).all(|(server, _)| {
            let state = server.client.state();
            state.is_some_and(|s| s.epoch() == epoch && s.version() == version)
        })
    }

    /// Watches a change arrive, and says how long it took. One that does not arrive everywhere ends the show.
    pub(super) async fn watch(
        &mut self,
        changed: &Changed,
        answered: Instant,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limits::ARRIVAL;
        self.fill_bars(&changed.regions, deadline).await;
        let record = self.acks(changed, deadline).await?;
        let before = self.wrong.len();
        for (region, &version) in &changed.regions {
            let line = self.arrival(changed.change_id, region, version, answered, &record);
            self.stage.say(line).await;
        }
        // What follows would only fail again, after as long a wait each.
        if self.wrong.len() > before {
            return Err(Failure::Wrong(self.wrong.clone()));
        }
        Ok(())
    }

    /// Waits until every game server of these regions holds its version, with a bar for each region.
    async fn fill_bars(&self, regions: &BTreeMap<RegionId, Version>, deadline: Instant) {
        let deadline = tokio::time::Instant::from_std(deadline);
        let mut waiting = JoinSet::new();
        let mut bars = BTreeMap::new();
        for (region, &version) in regions {
            let servers = self.cast.of(region);
            for (server, _) in servers {
                let (region, mut changed) = (region.clone(), server.client.changed());
                waiting.spawn(async move {
                    let held = changed.wait_for(|c| c.is_some_and(|c| c.version >= version));
                    let held = tokio::time::timeout_at(deadline, held).await;
                    (region, matches!(held, Ok(Ok(_))))
                });
            }
            bars.insert(
                region,
                self.stage
                    .bar(region.as_str(), self.cast.of(region).count()),
            );
        }
        while let Some(Ok((region, held))) = waiting.join_next().await {
            if let (true, Some(bar)) = (held, bars.get(&region)) {
                bar.advance();
            }
        }
    }

    /// Asks the origin until every edge has acked, or for so long.
    async fn acks(&self, changed: &Changed, deadline: Instant) -> Result<ChangeRecord, Failure> {
        loop {
            let record = self.rest.change(changed.change_id).await?;
            if record.converged || Instant::now() >= deadline {
                return Ok(record);
            }
            tokio::time::sleep(limits::ASK_AGAIN).await;
        }
    }

    /// How a change arrived in one region, as a line; what is missing is wrong.
    fn arrival(
        &mut self,
        id: ChangeId,
        region: &RegionId,
        version: Version,
        answered: Instant,
        record: &ChangeRecord,
    ) -> String {
        let servers: Vec<_> = self
            .cast
            .of(region)
            .map(|(_, own)| (region.clone(), own.to_vec()))
            .collect();
        let (Some(epoch), Some(reach)) = (self.cast.epoch(), record.regions.get(region)) else {
            self.wrong
                .push(format!("version {version} of {region} is not known"));
            return format!("  {:<13}nothing is known", region.as_str());
        };
        let commits = Commits::from([((region.clone(), version), reach.committed_at)]);
        let change = Change {
            id,
            answered,
            regions: BTreeMap::from([(region.clone(), version)]),
        };
        let found = arrivals(epoch, &commits, &[change], &servers);
        let (of, edges) = (servers.len(), &reach.edges);
        let have = of.saturating_sub(usize::try_from(found.lost).unwrap_or(of));
        if have < of || edges.applied < edges.of || edges.of == 0 {
            self.wrong.push(format!(
                "version {version} of {region} reached {have} of {of} game servers and {} of {} edges in \
                 {:?}",
                edges.applied,
                edges.of,
                limits::ARRIVAL
            ));
        }
        let took = |to: f64, from: &str| format!(", {from} + {to:.1} ms");
        let last = found.answer_to_last.quantiles().map(|answer| {
            let commit = took(found.commit_to_last.max(), "commit");
            commit + &took(answer.max_ms, "answer")
        });
        let acked = reach
            .milliseconds
            .edges
            .as_ref()
            .map(|acks| took(acks.last, "commit"));
        format!(
            "  {:<13}{} {have}/{of} game servers at version {version}{}; {}/{} edges acked{}",
            region.as_str(),
            drawn(have, of),
            last.unwrap_or_default(),
            edges.applied,
            edges.of,
            acked.unwrap_or_default(),
        )
    }

    /// Every game server of both regions shows it to so many, and to the same ones.
    pub(super) async fn expect_audience(
        &mut self,
        event: &EventId,
        is_right: impl Fn(usize) -> bool,
        expected: &str,
    ) {
        let audiences: Vec<usize> = self
            .cast
            .all()
            .map(|server| audience(server, event))
            .collect();
        let Some(&seen) = audiences.first() else {
            return;
        };
        let alike = audiences.iter().all(|&other| other == seen) && is_right(seen);
        let claim = format!(
            "{seen} of {PLAYERS} players are shown {event}, on every game server alike ({expected})"
        );
        self.expect(alike, claim).await;
    }

    /// Every game server shows this revision to everybody.
    pub(super) async fn expect_revision(&mut self, event: &EventId, revision: Revision) {
        let right = self.cast.all().all(|server| {
            let state = server.client.state();
            let assignment = state.as_deref().and_then(|state| state.assignment(event));
            assignment.is_some_and(|a| a.live == Some(revision) && a.candidate.is_none())
        });
        self.expect(
            right,
            format!("every game server shows revision {revision} of {event}"),
        )
        .await;
    }

    /// Says whether it holds, and remembers if not.
    pub(super) async fn expect(&mut self, holds: bool, claim: String) {
        if holds {
            self.stage.say(format!("  ok: {claim}")).await;
        } else {
            self.stage.say(format!("  NOT SO: {claim}")).await;
            self.wrong.push(format!("not so: {claim}"));
        }
    }
}
