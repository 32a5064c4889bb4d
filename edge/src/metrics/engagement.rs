//! What game servers report of players, and how it is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use liveevents_service::metrics::{Metrics, MetricsError, SECONDS};
use prometheus::{Histogram, IntCounter, IntCounterVec};

/// Every kind of report, as it is written, and last what is none.
const KINDS: [&str; 8] = [
    "SessionStart",
    "SessionEnd",
    "Participation",
    "Completion",
    "Purchase",
    "Feedback",
    "Error",
    "unknown",
];

/// How many reports of each kind were taken, and how many were refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(BTreeMap<(&'static str, Judged), u64>);

/// Whether a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Judged {
    /// It does.
    Taken,
    /// It does not, and the sender is told why.
    Refused,
}

impl Judged {
    fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
        }
    }
}

impl Kinds {
    /// Notes a report as it was written.
    pub(crate) fn note(&mut self, written: &serde_json::Value, judged: Judged) {
        let named = written.get("kind").and_then(serde_json::Value::as_str);
        let kind = KINDS.into_iter().find(|kind| named == Some(*kind));
        *self
            .0
            .entry((kind.unwrap_or("unknown"), judged))
            .or_default() += 1;
    }
}

/// What the sender of a batch was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It counts.
    Counted,
    /// Another batch is to come first, or the session is another edge's.
    OutOfPlace,
    /// To send it again later: there is no origin, or no room.
    Later,
    /// That it is none.
    Refused,
}

impl Told {
    const ALL: [Self; 4] = [Self::Counted, Self::OutOfPlace, Self::Later, Self::Refused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::OutOfPlace => "out_of_place",
            Self::Later => "later",
            Self::Refused => "refused",
        }
    }
}

/// Handles; clones count together.
#[derive(Clone)]
pub(crate) struct EngagementMetrics {
    reports: IntCounterVec,
    batches: IntCounterVec,
    counted: IntCounter,
    refused: IntCounter,
    unanswered: IntCounter,
    answer: Histogram,
}

impl EngagementMetrics {
    pub(super) fn new(m: &Metrics) -> Result<Self, MetricsError> {
        let reports = m.counters(
            "engagement_reports_total",
            "Reports of game servers, by kind: taken, each once however often it is sent; refused with a reason.",
            &["kind", "result"],
        )?;
        for kind in KINDS {
            for judged in [Judged::Taken, Judged::Refused] {
                reports.with_label_values(&[kind, judged.as_str()]);
            }
        }
        let batches = m.counters(
            "engagement_batches_total",
            "Batches of reports, as often as they were sent, by what the sender was told: counted; out_of_place, since \
             another is to come first or the session is another edge's; to send it later again; refused.",
            &["result"],
        )?;
        for told in Told::ALL {
            batches.with_label_values(&[told.as_str()]);
        }
        let aggregates = m.counters(
            "engagement_aggregates_total",
            "Aggregates of reports told to the origin: counted; refused, since other edges have taken over a session in \
             them; unanswered, as the connection was lost before.",
            &["result"],
        )?;
        Ok(Self {
            reports,
            batches,
            counted: aggregates.with_label_values(&["counted"]),
            refused: aggregates.with_label_values(&["refused"]),
            unanswered: aggregates.with_label_values(&["unanswered"]),
            answer: m.histogram(
                "engagement_answer_seconds",
                "From telling an aggregate to the origin's answer that it is counted, or refused.",
                SECONDS,
            )?,
        })
    }

    /// The reports of a batch were judged, and the batch was taken.
    pub(crate) fn taken(&self, kinds: Kinds) {
        for ((kind, judged), reports) in kinds.0 {
            self.reports
                .with_label_values(&[kind, judged.as_str()])
                .inc_by(reports);
        }
    }

    /// A sender was told of its batch.
    pub(crate) fn told(&self, told: Told) {
        self.batches.with_label_values(&[told.as_str()]).inc();
    }

    /// The origin answered to an aggregate after so long.
    pub(crate) fn answered(&self, is_counted: bool, took: Duration) {
        self.answer.observe(took.as_secs_f64());
        if is_counted {
            self.counted.inc();
        } else {
            self.refused.inc();
        }
    }

    /// The connection was lost before the origin answered.
    pub(crate) fn unanswered(&self) {
        self.unanswered.inc();
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::engagement::{Happening, Sentiment};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_has_its_own_label_and_what_is_none_a_common_one() {
        let happenings = [
            Happening::SessionStart,
            Happening::SessionEnd { seconds: 1 },
            Happening::Participation,
            Happening::Completion,
            Happening::Purchase {
                amount: serde_json::from_value(json!("4.99")).unwrap(),
                currency: "EUR".to_owned(),
            },
            Happening::Feedback {
                sentiment: Sentiment::Neutral,
                score: None,
            },
            Happening::Error,
        ];
        let mut kinds = Kinds::default();
        for happening in &happenings {
            kinds.note(&serde_json::to_value(happening).unwrap(), Judged::Taken);
        }
        let expected = KINDS[..7].iter().map(|kind| ((*kind, Judged::Taken), 1));
        assert_eq!(kinds, Kinds(expected.collect()));

        let mut kinds = Kinds::default();
        for written in [json!({ "kind": "Dance" }), json!({ "kind": 7 }), json!([])] {
            kinds.note(&written, Judged::Refused);
        }
        assert_eq!(kinds, Kinds([(("unknown", Judged::Refused), 3)].into()));
    }
}
