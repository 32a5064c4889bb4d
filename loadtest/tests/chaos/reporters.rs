//! Game servers that report while everything breaks: guarantee 9.

use std::time::Duration;

use liveevents_client::{Happening, Report, Seen};
use tokio::time::{Instant, sleep};

use crate::common::eventually;
use crate::scene::{Scene, Watched};

/// An event that nothing else is done with.
pub(crate) const REPORTED: &str = "reported";

/// Between two reports of a game server.
const PACE: Duration = Duration::from_millis(10);

impl Scene {
    /// Every game server goes on reporting until then.
    pub(crate) async fn report_until(&mut self, end: Instant) {
        while Instant::now() < end {
            for (at, watched) in self.servers.iter_mut().enumerate() {
                report(at, watched);
            }
            // The pace of what happens to players; nothing waits for it.
            sleep(PACE.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Every report is counted, once, whoever has heard of it.
    pub(crate) async fn assert_counted(&self) {
        let all: u64 = self.servers.iter().map(|watched| watched.reported).sum();
        eventually("every report was counted", || async {
            let heard = self.servers.iter().all(|watched| {
                let reported = watched.server.client.reported();
                let reported = reported.borrow();
                assert_eq!((reported.dropped, reported.refused), (0, 0), "{reported:?}");
                reported.counted == watched.reported
            });
            heard.then_some(())
        })
        .await;
        for grain in ["Minute", "Hour"] {
            let counted = self.cluster.database.number(&format!(
                "SELECT coalesce(sum(participations), 0) FROM engagement WHERE event_id = '{REPORTED}' AND grain = '{grain}'"
            ));
            assert_eq!(u64::try_from(counted).unwrap(), all, "{grain}");
        }
    }
}

fn report(at: usize, watched: &mut Watched) {
    let report = Report {
        event_id: REPORTED.parse().unwrap(),
        player: format!("p-{at}-{}", watched.reported % 50),
        happening: Happening::Participation,
        seen: Seen::default(),
        attributes: Default::default(),
        platform: None,
    };
    watched.server.client.report(report).unwrap();
    watched.reported += 1;
}
