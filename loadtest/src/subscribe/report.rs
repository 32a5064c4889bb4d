//! What was found, as a table for people and as JSON for programs.

use std::path::Path;
use std::{fmt, io};

use serde::Serialize;

use crate::failure::Failure;
use crate::receipts::Arrivals;
use crate::spread::Quantiles;

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Game servers that took part.
    pub servers: usize,
    /// Edges that they were spread over.
    pub edges: usize,
    /// Regions of those edges.
    pub regions: usize,
    /// Changes made.
    pub changes: usize,
    /// Changes a second asked for.
    pub rate_asked: f64,
    /// Changes a second made.
    pub rate_made: f64,
    /// Seconds until every game server held its region.
    pub connect_seconds: f64,
    /// From the REST answer to the last receiver; zero if that was faster than the answer.
    pub answer_to_last: Option<Quantiles>,
    /// From the commit to the last receiver.
    pub commit_to_last: Option<Quantiles>,
    /// From the commit to each receiver.
    pub commit_to_each: Option<Quantiles>,
    /// How long the origin took to answer.
    pub request: Option<Quantiles>,
    /// Deliveries expected: changes times receivers of their regions.
    pub deliveries: u64,
    /// Those that did not arrive in time.
    pub lost: u64,
    /// Game servers that ended with something else than what was last deployed.
    pub wrong: u64,
    /// Game servers without a connection at the end.
    pub away: u64,
}

impl Report {
    /// Takes the arrivals in.
    #[must_use]
    pub fn with_arrivals(self, arrivals: &Arrivals) -> Self {
        Self {
            answer_to_last: arrivals.answer_to_last.quantiles(),
            commit_to_last: arrivals.commit_to_last.quantiles(),
            commit_to_each: arrivals.commit_to_each.quantiles(),
            deliveries: arrivals.expected,
            lost: arrivals.lost,
            ..self
        }
    }

    /// Writes it to a file, as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(self).map_err(io::Error::from);
        json.and_then(|json| std::fs::write(file, json + "\n"))
            .map_err(|source| Failure::File {
                path: file.to_owned(),
                source,
            })
    }

    /// Whether everything arrived, and nothing else.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.wrong == 0 && self.deliveries > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} game servers on {} edge(s) of {} region(s), connected in {:.1} s",
            self.servers, self.edges, self.regions, self.connect_seconds
        )?;
        writeln!(
            f,
            "{} changes at {:.1} a second ({:.1} asked for), {} deliveries",
            self.changes, self.rate_made, self.rate_asked, self.deliveries
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:<32}{:>10}{:>10}{:>10}{:>10}",
            "milliseconds", "p50", "p95", "p99", "max"
        )?;
        for (name, quantiles) in [
            ("REST answer to last receiver", self.answer_to_last),
            ("commit to last receiver", self.commit_to_last),
            ("commit to each receiver", self.commit_to_each),
            ("REST call", self.request),
        ] {
            match quantiles {
                Some(q) => writeln!(
                    f,
                    "{name:<32}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
                    q.p50_ms, q.p95_ms, q.p99_ms, q.max_ms
                )?,
                None => writeln!(f, "{name:<32}{:>10}", "unknown")?,
            }
        }
        writeln!(f)?;
        write!(
            f,
            "lost {}, wrong {}, away {}",
            self.lost, self.wrong, self.away
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let quantiles = Quantiles {
            count: 2,
            p50_ms: 1.5,
            p95_ms: 2.0,
            p99_ms: 10.25,
            max_ms: 11.0,
        };
        Report {
            servers: 1000,
            edges: 1,
            regions: 1,
            changes: 2,
            rate_asked: 10.0,
            rate_made: 9.96,
            connect_seconds: 0.84,
            answer_to_last: Some(quantiles),
            commit_to_last: None,
            commit_to_each: None,
            request: Some(quantiles),
            deliveries: 2000,
            lost: 0,
            wrong: 0,
            away: 0,
        }
    }

    #[test]
    fn is_a_table() {
        let expected = "\
1000 game servers on 1 edge(s) of 1 region(s), connected in 0.8 s
2 changes at 10.0 a second (10.0 asked for), 2000 deliveries

milliseconds                           p50       p95       p99       max
REST answer to last receiver          1.50      2.00     10.25     11.00
commit to last receiver            unknown
commit to each receiver            unknown
REST call                             1.50      2.00     10.25     11.00

lost 0, wrong 0, away 0";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn is_json() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["answerToLast"]["p99Ms"], 10.25);
        assert_eq!(json["commitToLast"], serde_json::Value::Null);
        assert_eq!(json["lost"], 0);
    }

    #[test]
    fn is_good_only_if_everything_arrived() {
        assert!(report().is_good());
        assert!(
            !Report {
                lost: 1,
                ..report()
            }
            .is_good()
        );
        assert!(
            !Report {
                wrong: 1,
                ..report()
            }
            .is_good()
        );
        assert!(
            !Report {
                deliveries: 0,
                ..report()
            }
            .is_good()
        );
    }
}
