//! Every metric of the origin.

mod control;
mod delivery;
mod engagement;
mod figures;
mod push;
mod scheduler;

pub use control::{ApiMetrics, Cause, TakenBack, TrustMetrics};
pub use delivery::DeliveryMetrics;
pub use engagement::EngagementMetrics;
pub use figures::FigureMetrics;
pub use push::PushMetrics;
pub use scheduler::SchedulerMetrics;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use liveevents_service::metrics::{HttpMetrics, Metrics, section};
    use sqlx::PgPool;

    use super::*;
    use crate::password::Passwords;

    const DOCUMENT: &str = include_str!("../../docs/metrics.md");

    #[tokio::test]
    async fn the_document_has_every_metric() {
        let metrics = Metrics::new().unwrap();
        let pool = PgPool::connect_lazy("postgres://nobody@localhost/nothing").unwrap();
        HttpMetrics::new(&metrics).unwrap();
        ApiMetrics::new(&metrics, &pool).unwrap();
        TrustMetrics::new(&metrics).unwrap();
        Passwords::new(&metrics).unwrap();
        PushMetrics::new(&metrics).unwrap();
        SchedulerMetrics::new(&metrics).unwrap();
        FigureMetrics::new(&metrics).unwrap();
        let table = metrics.table();
        let is_told = section(DOCUMENT, "origin") == Some(table.as_str());
        assert!(is_told, "docs/metrics.md, origin, is to be:\n{table}");
    }

    /// The names that a text has, without what a histogram appends to its own.
    fn names(text: &str) -> BTreeSet<&str> {
        let starts = text.match_indices("liveevents_").map(|(start, _)| start);
        let names = starts.filter_map(|start| {
            let rest = text.get(start..)?;
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest.get(..end.unwrap_or(rest.len()))
        });
        let base = |name| {
            let ends = ["_bucket", "_sum", "_count"].into_iter();
            let mut histogram = ends.filter_map(|end| str::strip_suffix(name, end));
            histogram
                .find(|base| base.ends_with("_seconds"))
                .unwrap_or(name)
        };
        names.map(base).collect()
    }

    #[test]
    fn rules_and_dashboard_ask_for_metrics_that_there_are() {
        let told = |name| section(DOCUMENT, name).map(names).unwrap_or_default();
        let known: BTreeSet<&str> = &told("origin") | &told("edge");
        for (file, text) in [
            ("metrics.md", DOCUMENT),
            (
                "alerts.yml",
                include_str!("../../deploy/prometheus/alerts.yml"),
            ),
            (
                "liveevents.json",
                include_str!("../../deploy/grafana/liveevents.json"),
            ),
        ] {
            let asked = names(text);
            assert!(asked.len() > 10, "{file}: {asked:?}");
            let unknown: Vec<_> = asked.difference(&known).collect();
            assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
        }
        let dashboard = include_str!("../../deploy/grafana/liveevents.json");
        let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        assert!(
            dashboard["panels"]
                .as_array()
                .is_some_and(|panels| !panels.is_empty())
        );
    }
}
