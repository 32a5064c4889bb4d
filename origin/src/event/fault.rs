//! What is wrong with a field, and the collecting of all that is wrong.

use std::fmt::Display;

use crate::limits;

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field as the request names it, such as `configuration.rewards.items[0].amount`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

/// Everything wrong with a request, in the order found; of a great many the first, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    listed: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Notes one fault.
    pub fn add(&mut self, field: impl Into<String>, message: impl Display) {
        if self.listed.len() < limits::MAX_FAULTS {
            self.listed.push(Fault {
                field: field.into(),
                message: message.to_string(),
            });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// The value, or a note of why there is none.
    pub fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error);
                None
            }
        }
    }

    /// The value, or a note that the field has to be given.
    pub fn require<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, "must be given");
        }
        value
    }

    /// These, then the others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        for fault in others.listed {
            self.add(fault.field, fault.message);
        }
        self.more = self.more.saturating_add(others.more);
        self
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// `Ok` if nothing was wrong.
    ///
    /// # Errors
    /// Everything noted.
    pub fn or_ok(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The faults in the order found.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Fault> {
        if self.more > 0 {
            self.listed.push(Fault {
                field: "request".to_owned(),
                message: format!("has {} more faults, which are not listed", self.more),
            });
        }
        self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_great_many_are_counted_rather_than_listed() {
        let mut faults = Faults::default();
        for number in 0..limits::MAX_FAULTS + 7 {
            faults.add(format!("items[{number}]"), "is wrong");
        }
        let listed = faults.clone().and(faults).into_vec();
        assert_eq!(listed.len(), limits::MAX_FAULTS + 1);
        let last = listed.last().map(|fault| fault.message.clone());
        let more = limits::MAX_FAULTS + 14;
        assert_eq!(
            last.unwrap(),
            format!("has {more} more faults, which are not listed")
        );
    }
}
