//! The table of metrics for people, in docs/metrics.md: every one that is registered, whether it has moved yet or not.

use std::fmt::Write;

use super::{Metrics, PREFIX};

impl Metrics {
    /// All of them as a Markdown table, by name.
    #[must_use]
    pub fn table(&self) -> String {
        let mut told = self.told.lock().clone();
        told.sort_by(|a, b| a.fq_name.cmp(&b.fq_name));
        let mut text = String::from("| name | labels | meaning |\n|---|---|---|\n");
        for desc in told {
            let labels: Vec<_> = desc
                .variable_labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let _ = writeln!(
                text,
                "| `{PREFIX}_{}` | {} | {} |",
                desc.fq_name,
                labels.join(", "),
                desc.help.replace('|', "\\|"),
            );
        }
        text
    }
}

/// What stands between `<!-- metrics:NAME -->` and `<!-- /metrics:NAME -->` in a document, for a test that compares it
/// with the table it was made from.
#[must_use]
pub fn section<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<!-- metrics:{name} -->\n"))?;
    let (section, _) = rest.split_once(&format!("<!-- /metrics:{name} -->"))?;
    Some(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_moved_is_in_the_table_too() {
        let metrics = Metrics::new().unwrap();
        metrics
            .counters("falls_total", "Falls | by cause.", &["cause", "height"])
            .unwrap();
        metrics.pulled("age_seconds", "Age.", || 1.0).unwrap();
        let table = metrics.table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows[0], "| `liveevents_age_seconds` |  | Age. |");
        assert!(rows[1].starts_with("| `liveevents_errors_total` | `source` | "));
        assert_eq!(
            rows[2],
            "| `liveevents_falls_total` | `cause`, `height` | Falls \\| by cause. |"
        );
        let document = format!("before\n<!-- metrics:x -->\n{table}<!-- /metrics:x -->\n");
        assert_eq!(section(&document, "x"), Some(table.as_str()));
    }

    #[test]
    fn failures_are_counted_under_both_names() {
        let metrics = Metrics::new().unwrap();
        let failures = metrics.failures("falls", "falls_total", "Falls.").unwrap();
        failures.inc();
        metrics.errors("slips").inc();
        let text = metrics.render().unwrap();
        for line in [
            "liveevents_falls_total 1",
            "liveevents_errors_total{source=\"falls\"} 1",
            "liveevents_errors_total{source=\"slips\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
