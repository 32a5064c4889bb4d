//! Why a REST call did not go as it should.

use reqwest::StatusCode;
use serde::Deserialize;

/// Why a call did not go as it should.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// No answer, or not the promised one.
    #[error("{call} failed")]
    Failed {
        /// Method and URL.
        call: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An error of the contract, or of something in between.
    #[error("{call} was answered with {status}: {said}")]
    Refused {
        /// Method and URL.
        call: String,
        /// The HTTP status.
        status: StatusCode,
        /// What the answer said.
        said: String,
    },
}

impl RestError {
    /// Whether the answer was this status.
    #[must_use]
    pub fn is(&self, expected: StatusCode) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == expected)
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Complaint,
}

#[derive(Deserialize)]
struct Complaint {
    code: String,
    message: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    field: String,
    message: String,
}

/// The contract's error envelope in one line, or the beginning of whatever else it is.
pub(super) fn said(body: &str) -> String {
    match serde_json::from_str(body) {
        Ok(Envelope { error }) => {
            let details = error
                .details
                .iter()
                .map(|d| format!("; {} {}", d.field, d.message));
            format!(
                "{} {}{}",
                error.code,
                error.message,
                details.collect::<String>()
            )
        }
        Err(_) => body.chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_an_error_in_one_line() {
        let body = r#"{"error": {"code": "VALIDATION_ERROR", "message": "the event is not valid",
            "details": [{"field": "endTime", "message": "must be after startTime"}], "traceId": "0"}}"#;
        assert_eq!(
            said(body),
            "VALIDATION_ERROR the event is not valid; endTime must be after startTime"
        );
        assert_eq!(said("Bad Gateway"), "Bad Gateway");
    }
}
