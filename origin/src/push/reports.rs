//! What edges have told of their game servers and is not written down yet: added up, so that what waits is bounded.
//!
//! Of what game servers hold the newest word counts. Times and nacks are sums, by version; while the database is away
//! there are no new versions, so these sums do not grow without end either, and nacks, which name what strangers
//! please, have a bound of their own.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use liveevents_protocol::delay::Delays;
use liveevents_protocol::frame::Delivery;
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_protocol::version::Version;
use sqlx::PgConnection;

use crate::limits::MAX_WAITING_NACKS;
use crate::store::StoreError;
use crate::store::delivery::{self, Complaint, Counted, Degraded, Passage, Report};

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Reports {
    standings: BTreeMap<(EdgeId, RegionId), Report>,
    times: BTreeMap<Passage, Delays>,
    nacks: BTreeMap<Complaint, Counted>,
    degraded: BTreeMap<(EdgeId, RegionId), Degraded>,
}

impl Reports {
    /// Adds what an edge has told.
    pub(super) fn add(&mut self, edge: &EdgeId, delivery: Delivery, at: Timestamp) {
        let Delivery {
            region,
            epoch,
            connected,
            standings,
            arrivals,
            nacks,
        } = delivery;
        let passage = |version: Version| Passage {
            region: region.clone(),
            epoch,
            version,
            edge: edge.clone(),
        };
        for arrivals in arrivals {
            let times = self.times.entry(passage(arrivals.version)).or_default();
            times.merge(&arrivals.delays);
        }
        for nack in nacks {
            let complaint = Complaint {
                of: passage(nack.version),
                event: nack.event,
                revision: nack.revision,
                reason: nack.reason,
            };
            let counted = Counted {
                count: u64::from(nack.count),
                first_at: at,
                last_at: at,
            };
            self.complain(complaint, counted);
        }
        let report = Report {
            edge: edge.clone(),
            region: region.clone(),
            epoch,
            connected,
            standings,
            at,
        };
        self.standings.insert((edge.clone(), region), report);
    }

    /// Notes what an edge cannot apply.
    pub(super) fn degrade(&mut self, list: Degraded) {
        self.degraded
            .insert((list.edge.clone(), list.region.clone()), list);
    }

    /// Puts what could not be written under what has come since.
    pub(super) fn put_back(&mut self, earlier: Self) {
        for (key, report) in earlier.standings {
            self.standings.entry(key).or_insert(report);
        }
        for (passage, delays) in earlier.times {
            self.times.entry(passage).or_default().merge(&delays);
        }
        for (complaint, counted) in earlier.nacks {
            self.complain(complaint, counted);
        }
        for (key, list) in earlier.degraded {
            self.degraded.entry(key).or_insert(list);
        }
    }

    fn complain(&mut self, complaint: Complaint, counted: Counted) {
        let full = self.nacks.len() >= MAX_WAITING_NACKS;
        match self.nacks.entry(complaint) {
            Entry::Occupied(mut there) => {
                let sum = there.get_mut();
                sum.count = sum.count.saturating_add(counted.count);
                sum.first_at = sum.first_at.min(counted.first_at);
                sum.last_at = sum.last_at.max(counted.last_at);
            }
            Entry::Vacant(_) if full => {}
            Entry::Vacant(free) => {
                free.insert(counted);
            }
        }
    }

    /// Writes all of it.
    pub(super) async fn write(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        if !self.standings.is_empty() {
            let standings: Vec<_> = self.standings.values().collect();
            delivery::record_reports(conn, &standings).await?;
        }
        if !self.times.is_empty() {
            let times: Vec<_> = self.times.iter().collect();
            delivery::record_times(conn, &times).await?;
        }
        if !self.nacks.is_empty() {
            let nacks: Vec<_> = self.nacks.iter().collect();
            delivery::record_nacks(conn, &nacks).await?;
        }
        if !self.degraded.is_empty() {
            let lists: Vec<_> = self.degraded.values().collect();
            delivery::record_degraded(conn, &lists).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use liveevents_protocol::frame::{Arrivals, Nack, Standing};
    use liveevents_protocol::version::{Epoch, Revision};
    use uuid::Uuid;

    use super::*;

    fn delivery(applied: u32, millis: u64, nacks: &[(&str, u32)]) -> Delivery {
        let mut delays = Delays::default();
        delays.record(Duration::from_millis(millis));
        Delivery {
            region: "us-east".parse().unwrap(),
            epoch: Epoch(Uuid::from_u128(1)),
            connected: 9,
            standings: vec![Standing {
                version: Version(7),
                received: 9,
                applied,
                deferred: 0,
            }],
            arrivals: vec![Arrivals {
                version: Version(7),
                delays,
            }],
            nacks: nacks
                .iter()
                .map(|(reason, count)| Nack {
                    event: "sale".parse().unwrap(),
                    revision: Some(Revision(2)),
                    version: Version(7),
                    count: *count,
                    reason: (*reason).to_owned(),
                })
                .collect(),
        }
    }

    /// A reason, how many gave it, the first and the last second.
    type Row = (String, u64, i64, i64);

    fn told(reports: &Reports) -> (Vec<u32>, Vec<u64>, Vec<Row>) {
        let applied = reports.standings.values().map(|r| r.standings[0].applied);
        let times = reports.times.values().map(Delays::count);
        let nacks = reports.nacks.iter().map(|(complaint, counted)| {
            let (first, last) = (counted.first_at.as_second(), counted.last_at.as_second());
            (complaint.reason.clone(), counted.count, first, last)
        });
        (applied.collect(), times.collect(), nacks.collect())
    }

    #[test]
    fn the_newest_word_counts_and_sums_add_up_also_when_put_back() {
        let edge: EdgeId = "e".parse().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut reports = Reports::default();
        reports.add(&edge, delivery(3, 5, &[("no", 1)]), at(10));
        reports.add(&edge, delivery(4, 6, &[("no", 2), ("why", 1)]), at(20));
        let no = |count, first, last| ("no".to_owned(), count, first, last);
        let why = || ("why".to_owned(), 1, 20, 20);
        assert_eq!(
            told(&reports),
            (vec![4], vec![2], vec![no(3, 10, 20), why()])
        );

        let mut later = Reports::default();
        later.add(&edge, delivery(9, 7, &[("no", 1)]), at(30));
        later.put_back(reports);
        assert_eq!(told(&later), (vec![9], vec![3], vec![no(4, 10, 30), why()]));
    }

    #[test]
    fn however_many_reasons_strangers_give_there_is_a_limit() {
        let edge: EdgeId = "e".parse().unwrap();
        let mut reports = Reports::default();
        for n in 0..MAX_WAITING_NACKS + 5 {
            let reason = n.to_string();
            reports.add(
                &edge,
                delivery(0, 1, &[(&reason, 1)]),
                Timestamp::UNIX_EPOCH,
            );
        }
        reports.add(&edge, delivery(0, 1, &[("0", 1)]), Timestamp::UNIX_EPOCH);
        assert_eq!(reports.nacks.len(), MAX_WAITING_NACKS);
        let first = reports.nacks.values().map(|counted| counted.count).max();
        assert_eq!(first, Some(2), "what is there is still counted");
    }
}
