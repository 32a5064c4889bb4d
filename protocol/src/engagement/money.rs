//! Purchases: amounts in any currency, as whole US cents.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits after the point that count.
const DIGITS: usize = 6;

/// Millionths of one.
const ONE: u64 = 1_000_000;

/// The largest amount of one purchase, in millionths: a billion of any currency.
const MAX: u64 = 1_000_000_000 * ONE;

/// An amount of money: not negative, a billion at most, in millionths. JSON: a text such as `"4.99"`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

/// Not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a number from 0 to 1000000000 with at most {DIGITS} digits after the point, such as 4.99"
)]
pub struct NoAmount;

impl FromStr for Amount {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 10) || !digits(part, DIGITS) {
            return Err(NoAmount);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| NoAmount);
        let part = number(&format!("{part:0<DIGITS$}"))?;
        let micros = number(whole)?.saturating_mul(ONE).saturating_add(part);
        if micros > MAX {
            return Err(NoAmount);
        }
        Ok(Self(micros))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / ONE, self.0 % ONE);
        let part = format!("{part:0DIGITS$}");
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            part => write!(f, "{whole}.{part}"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }

        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whole US cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cents(pub u64);

/// What one unit of a currency is worth, in millionths of a US dollar: not 0, a million dollars at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// Of a US dollar.
    pub const DOLLAR: Self = Self(ONE);

    /// From millionths of a US dollar.
    #[must_use]
    pub fn new(micros: u64) -> Option<Self> {
        (1..=ONE * ONE).contains(&micros).then_some(Self(micros))
    }

    /// In millionths of a US dollar.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.0
    }

    /// An amount in cents: rounded to the nearest, halves up.
    #[must_use]
    pub fn cents(self, amount: Amount) -> Cents {
        const MICROS_OF_MICROS_IN_A_CENT: u128 = 10_000_000_000;
        let product = u128::from(amount.0) * u128::from(self.0);
        let cents = (product + MICROS_OF_MICROS_IN_A_CENT / 2) / MICROS_OF_MICROS_IN_A_CENT;
        Cents(u64::try_from(cents).unwrap_or(u64::MAX))
    }
}

impl FromStr for Rate {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let amount: Amount = text.parse()?;
        Self::new(amount.0).ok_or(NoAmount)
    }
}

/// What currencies are worth, by code (ISO 4217).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Currencies(BTreeMap<String, Rate>);

impl Currencies {
    /// What one is worth, if it is in the table.
    #[must_use]
    pub fn rate(&self, code: &str) -> Option<Rate> {
        self.0.get(code).copied()
    }

    /// All of them, by code.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Rate)> {
        self.0.iter().map(|(code, rate)| (code.as_str(), *rate))
    }
}

impl FromIterator<(String, Rate)> for Currencies {
    fn from_iter<I: IntoIterator<Item = (String, Rate)>>(rates: I) -> Self {
        Self(rates.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_is_what_it_says_and_nothing_near_it() {
        for text in ["0", "4.99", "0.000001", "1000000000", "12"] {
            assert_eq!(amount(text).to_string(), text);
        }
        assert_eq!(amount("4.990000"), amount("4.99"));
        for text in [
            "",
            ".",
            "4.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "4,99",
            "1000000000.000001",
            "1.0000001",
            "99999999999",
        ] {
            assert_eq!(text.parse::<Amount>(), Err(NoAmount), "{text}");
        }
        let read = |json: &str| serde_json::from_str::<Amount>(json);
        assert_eq!(read("\"4.99\"").unwrap(), read("4.99").unwrap());
        assert!(read("-4.99").is_err() && read("true").is_err() && read("\"x\"").is_err());
        assert_eq!(serde_json::to_string(&amount("4.99")).unwrap(), "\"4.99\"");
    }

    #[test]
    fn cents_are_rounded_to_the_nearest() {
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        for (price, worth, cents) in [
            ("4.99", "1", 499),
            ("4.99", "1.08", 539),
            ("100", "0.006711", 67),
            ("0.005", "1", 1),
            ("0.004999", "1", 0),
            ("1000000000", "1000000", 100_000_000_000_000_000),
        ] {
            assert_eq!(
                rate(worth).cents(amount(price)),
                Cents(cents),
                "{price} at {worth}"
            );
        }
        assert!("0".parse::<Rate>().is_err());
        assert_eq!(rate("1"), Rate::DOLLAR);
    }
}
