//! The figures of a scenario: the median of several runs each, beside what is to be reached.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;

/// The figures of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// Which, and with what.
    pub title: String,
    /// One for each figure, in the order of their first mention.
    pub figures: Vec<Figure>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// In what.
    pub unit: &'static str,
    /// What is to be reached.
    pub bound: Option<Bound>,
    /// What each run gave.
    pub runs: Vec<f64>,
    /// Their median.
    pub median: f64,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Sheet {
    /// An empty one.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            figures: Vec::new(),
        }
    }

    /// Takes a run's figure in.
    pub fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        self.record(name, unit, None, value);
    }

    /// Takes a run's figure in for which there is something to be reached.
    pub fn judge(&mut self, name: &str, unit: &'static str, bound: Bound, value: f64) {
        self.record(name, unit, Some(bound), value);
    }

    fn record(&mut self, name: &str, unit: &'static str, bound: Option<Bound>, value: f64) {
        let known = self.figures.iter().position(|figure| figure.name == name);
        let at = known.unwrap_or_else(|| {
            self.figures.push(Figure {
                name: name.to_owned(),
                unit,
                bound,
                runs: Vec::new(),
                median: 0.0,
            });
            self.figures.len() - 1
        });
        let figure = &mut self.figures[at];
        figure.runs.push(value);
        figure.median = median(&figure.runs);
    }

    /// Writes it to a file, as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(self).map_err(std::io::Error::from);
        json.and_then(|json| std::fs::write(file, json + "\n"))
            .map_err(|source| Failure::File {
                path: file.to_owned(),
                source,
            })
    }
}

impl Bound {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
            Self::AtMost(bound) => write!(f, "<= {bound}"),
        }
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        write!(
            f,
            "{:<56}{:>12}{:>24}  target",
            "", "median", "lowest to highest"
        )?;
        for figure in &self.figures {
            let least = figure.runs.iter().copied().fold(f64::INFINITY, f64::min);
            let most = figure
                .runs
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            let name = format!("{}, {}", figure.name, figure.unit);
            let range = format!("{} to {}", short(least), short(most));
            write!(f, "\n{name:<56}{:>12}{range:>24}", short(figure.median))?;
            if let Some(bound) = figure.bound {
                let met = if bound.is_met(figure.median) {
                    "met"
                } else {
                    "MISSED"
                };
                write!(f, "  {bound} {met}")?;
            }
        }
        Ok(())
    }
}

/// Three digits, or all before the point.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_table_of_medians() {
        let mut sheet = Sheet::new("fan-out");
        for (ratio, p50) in [(0.95, 12.0), (0.7, 150.4), (0.91, 1.25)] {
            sheet.judge("ratio", "of the limit", Bound::AtLeast(0.9), ratio);
            sheet.judge("worst", "ms", Bound::AtMost(1.0), p50);
            sheet.add("p50", "ms", p50);
        }
        let expected = "\
fan-out
                                                              median       lowest to highest  target
ratio, of the limit                                             0.91            0.70 to 0.95  >= 0.9 met
worst, ms                                                       12.0             1.25 to 150  <= 1 MISSED
p50, ms                                                         12.0             1.25 to 150";
        assert_eq!(sheet.to_string(), expected);
        let json = serde_json::to_value(&sheet).unwrap();
        assert_eq!(json["figures"][0]["median"], 0.91);
        assert_eq!(json["figures"][0]["bound"]["atLeast"], 0.9);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
