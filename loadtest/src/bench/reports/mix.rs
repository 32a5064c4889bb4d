//! What is reported: the usual kinds, spread over events and players; and what it comes to.

use std::ops::AddAssign;

use liveevents_protocol::engagement::{Amount, Happening, Report, Seen, Sentiment};
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;

use crate::failure::Failure;
use crate::rest::Metrics;

/// Of what reports are.
#[derive(Debug)]
pub(super) struct Mix {
    /// Events.
    pub(super) events: Vec<EventId>,
    /// How many players there are.
    pub(super) players: u64,
}

/// Counts as the API tells them, money in cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts([u64; 9]);

impl Mix {
    /// One of many, the same for the same number.
    pub(super) fn report(&self, number: u64) -> Result<Report, Failure> {
        let draw = scatter(number);
        let at = usize::try_from(draw % 65_521).unwrap_or(0) % self.events.len().max(1);
        let event = self.events.get(at);
        let event = event.ok_or_else(|| Failure::Wrong(vec!["there are no events".to_owned()]))?;
        let player = format!("player-{}", (draw >> 17) % self.players.max(1));
        Ok(report(event.clone(), player, happening(draw >> 40)?))
    }
}

/// Of a player who saw the first revision.
pub(super) fn report(event_id: EventId, player: String, happening: Happening) -> Report {
    Report {
        event_id,
        player,
        happening,
        seen: Seen {
            revision: Some(Revision(1)),
            ..Seen::default()
        },
        attributes: std::collections::BTreeMap::new(),
        platform: None,
    }
}

/// A purchase of 4.99 dollars.
pub(super) fn purchase() -> Result<Happening, Failure> {
    let amount: Result<Amount, _> = "4.99".parse();
    Ok(Happening::Purchase {
        amount: amount.map_err(|error| Failure::Wrong(vec![error.to_string()]))?,
        currency: "USD".to_owned(),
    })
}

/// Of twenty.
fn happening(draw: u64) -> Result<Happening, Failure> {
    let sentiment = match (draw / 20) % 3 {
        0 => Sentiment::Positive,
        1 => Sentiment::Neutral,
        _ => Sentiment::Negative,
    };
    Ok(match draw % 20 {
        0..4 => Happening::SessionStart,
        4..8 => Happening::SessionEnd { seconds: 900 },
        8..14 => Happening::Participation,
        14..16 => Happening::Completion,
        16 => purchase()?,
        17..19 => Happening::Feedback {
            sentiment,
            score: Some(8),
        },
        _ => Happening::Error,
    })
}

/// SplitMix64's finalizer: neighbours are not alike.
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Counts {
    /// What is shown.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "dollars of a benchmark"
    )]
    pub(super) fn of(shown: &Metrics) -> Self {
        let (engagement, revenue) = (&shown.engagement, &shown.revenue);
        let sentiment = &shown.sentiment;
        Self([
            engagement.sessions,
            engagement.participations,
            engagement.completions,
            engagement.errors,
            revenue.purchases,
            (revenue.total * 100.0).round() as u64,
            sentiment.positive,
            sentiment.neutral,
            sentiment.negative,
        ])
    }

    /// Takes in what one report adds.
    pub(super) fn note(&mut self, happening: &Happening) {
        let [
            sessions,
            participations,
            completions,
            errors,
            purchases,
            cents,
            positive,
            neutral,
            negative,
        ] = &mut self.0;
        match happening {
            Happening::SessionStart => *sessions += 1,
            // Told as a mean.
            Happening::SessionEnd { .. } => {}
            Happening::Participation => *participations += 1,
            Happening::Completion => *completions += 1,
            Happening::Purchase { .. } => {
                *purchases += 1;
                *cents += 499;
            }
            Happening::Feedback { sentiment, .. } => match sentiment {
                Sentiment::Positive => *positive += 1,
                Sentiment::Neutral => *neutral += 1,
                Sentiment::Negative => *negative += 1,
            },
            Happening::Error => *errors += 1,
        }
    }

    /// How far they are from others, all together.
    pub(super) fn off(&self, other: &Self) -> u64 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(one, other)| one.abs_diff(*other)).sum()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn is_of_every_kind_event_and_many_players() {
        let mix = Mix {
            events: ["a", "b", "c"].map(|id| id.parse().unwrap()).to_vec(),
            players: 1_000,
        };
        let (mut players, mut counts) = (BTreeSet::new(), Counts::default());
        for number in 0..20_000 {
            let report = mix.report(number).unwrap();
            assert_eq!(report, mix.report(number).unwrap());
            counts.note(&report.happening);
            players.insert((report.event_id, report.player));
        }
        // Of 3,000 pairs some are never drawn.
        assert!(
            (2_900..=3_000).contains(&players.len()),
            "{}",
            players.len()
        );
        // A share of each twentieth, within a tenth.
        let twentieths = [4, 6, 2, 1, 1, 499];
        for (found, expected) in counts.0.into_iter().zip(twentieths) {
            assert!(
                found.abs_diff(expected * 1_000) <= expected * 100,
                "{counts:?}"
            );
        }
        assert!(
            counts.0[6..].iter().all(|found| (600..740).contains(found)),
            "{counts:?}"
        );
    }

    #[test]
    fn knows_what_is_off() {
        let shown = json!({
            "engagement": { "activePlayers": 2, "participations": 3, "completions": 1, "sessions": 4, "errors": 0 },
            "revenue": { "total": 9.98, "purchases": 2 },
            "sentiment": { "positive": 1, "neutral": 0, "negative": 0 },
        });
        let shown = Counts::of(&serde_json::from_value(shown).unwrap());
        assert_eq!(shown, Counts([4, 3, 1, 0, 2, 998, 1, 0, 0]));
        let mut told = shown;
        told.note(&purchase().unwrap());
        told.note(&Happening::Error);
        assert_eq!((shown.off(&told), told.off(&shown)), (501, 501));
        told += shown;
        assert_eq!(told.0[5], 499 + 2 * 998);
    }
}
