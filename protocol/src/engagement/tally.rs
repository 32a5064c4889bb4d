//! What happened, counted.

use super::{Cents, Distinct, Sentiment};

/// Plain counts and sums of what happened. They add up, and stay at the largest number rather than begin anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Sessions begun.
    pub session_starts: u64,
    /// Sessions ended.
    pub session_ends: u64,
    /// Seconds of the sessions ended, together.
    pub session_seconds: u64,
    /// Players taking part, as often as they were said to.
    pub participations: u64,
    /// Players done, as often.
    pub completions: u64,
    /// Purchases.
    pub purchases: u64,
    /// What they brought, in US cents.
    pub revenue: u64,
    /// Feedback, by sentiment.
    pub positive: u64,
    /// See there.
    pub neutral: u64,
    /// See there.
    pub negative: u64,
    /// Scores of 9 and 10.
    pub promoters: u64,
    /// Scores of 7 and 8.
    pub passives: u64,
    /// Scores of 0 to 6.
    pub detractors: u64,
    /// Errors.
    pub errors: u64,
}

impl Sums {
    /// How many there are.
    pub const COUNT: usize = 14;

    /// All of them, in the order of their declaration.
    #[must_use]
    pub fn to_array(&self) -> [u64; Self::COUNT] {
        [
            self.session_starts,
            self.session_ends,
            self.session_seconds,
            self.participations,
            self.completions,
            self.purchases,
            self.revenue,
            self.positive,
            self.neutral,
            self.negative,
            self.promoters,
            self.passives,
            self.detractors,
            self.errors,
        ]
    }

    /// From all of them, in the order of their declaration.
    #[must_use]
    pub fn from_array(sums: [u64; Self::COUNT]) -> Self {
        let [
            session_starts,
            session_ends,
            session_seconds,
            participations,
            completions,
            purchases,
            revenue,
            positive,
            neutral,
            negative,
            promoters,
            passives,
            detractors,
            errors,
        ] = sums;
        Self {
            session_starts,
            session_ends,
            session_seconds,
            participations,
            completions,
            purchases,
            revenue,
            positive,
            neutral,
            negative,
            promoters,
            passives,
            detractors,
            errors,
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        let mut sums = self.to_array();
        for (sum, more) in sums.iter_mut().zip(other.to_array()) {
            *sum = sum.saturating_add(more);
        }
        *self = Self::from_array(sums);
    }
}

/// What happened, and to how many different players.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub sums: Sums,
    /// Players of whom anything was reported.
    pub active: Distinct,
    /// Players who take part.
    pub participants: Distinct,
    /// Players who have done all.
    pub completers: Distinct,
    /// Players who bought something.
    pub payers: Distinct,
}

/// What happened to one player, with money as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A session begun.
    SessionStart,
    /// A session of so many seconds ended.
    SessionEnd(u32),
    /// Takes part.
    Participation,
    /// Has done all.
    Completion,
    /// Bought something for so much.
    Purchase(Cents),
    /// What the player thinks, with a score of at most 10.
    Feedback(Sentiment, Option<u8>),
    /// Something went wrong.
    Error,
}

impl Sums {
    /// Counts what happened.
    pub fn count(&mut self, happened: Counted) {
        let one = |sum: &mut u64| *sum = sum.saturating_add(1);
        match happened {
            Counted::SessionStart => one(&mut self.session_starts),
            Counted::SessionEnd(seconds) => {
                one(&mut self.session_ends);
                self.session_seconds = self.session_seconds.saturating_add(seconds.into());
            }
            Counted::Participation => one(&mut self.participations),
            Counted::Completion => one(&mut self.completions),
            Counted::Purchase(Cents(cents)) => {
                one(&mut self.purchases);
                self.revenue = self.revenue.saturating_add(cents);
            }
            Counted::Feedback(sentiment, score) => {
                one(match sentiment {
                    Sentiment::Positive => &mut self.positive,
                    Sentiment::Neutral => &mut self.neutral,
                    Sentiment::Negative => &mut self.negative,
                });
                match score {
                    None => {}
                    Some(0..=6) => one(&mut self.detractors),
                    Some(7..=8) => one(&mut self.passives),
                    Some(_) => one(&mut self.promoters),
                }
            }
            Counted::Error => one(&mut self.errors),
        }
    }
}

impl Tally {
    /// Counts what happened to a player, who is a keyed hash here.
    pub fn count(&mut self, player: u64, happened: Counted) {
        self.sums.count(happened);
        self.active.note(player);
        match happened {
            Counted::Participation => self.participants.note(player),
            Counted::Completion => self.completers.note(player),
            Counted::Purchase(_) => self.payers.note(player),
            Counted::SessionStart
            | Counted::SessionEnd(_)
            | Counted::Feedback(..)
            | Counted::Error => {}
        }
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.sums.add(&other.sums);
        self.active.merge(&other.active);
        self.participants.merge(&other.participants);
        self.completers.merge(&other.completers);
        self.payers.merge(&other.payers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_counted_where_it_belongs_and_adds_up() {
        let happened = [
            (1, Counted::SessionStart),
            (1, Counted::SessionEnd(60)),
            (1, Counted::Participation),
            (2, Counted::Participation),
            (2, Counted::Participation),
            (2, Counted::Completion),
            (1, Counted::Purchase(Cents(499))),
            (3, Counted::Feedback(Sentiment::Positive, Some(9))),
            (3, Counted::Feedback(Sentiment::Neutral, Some(8))),
            (3, Counted::Feedback(Sentiment::Negative, Some(0))),
            (3, Counted::Feedback(Sentiment::Negative, None)),
            (4, Counted::Error),
        ];
        let expected = [1, 1, 60, 3, 1, 1, 499, 1, 1, 2, 1, 1, 1, 1];
        let mut whole = Tally::default();
        let mut parts = [Tally::default(), Tally::default()];
        for (at, (player, counted)) in happened.into_iter().enumerate() {
            whole.count(player, counted);
            parts[at % 2].count(player, counted);
        }
        assert_eq!(whole.sums.to_array(), expected);
        let [mut sum, other] = parts;
        sum.add(&other);
        assert_eq!(sum.sums, whole.sums);
        for (players, many) in [
            (&sum.active, 4.0),
            (&sum.participants, 2.0),
            (&sum.completers, 1.0),
            (&sum.payers, 1.0),
        ] {
            assert!((players.estimate() - many).abs() < 0.01);
        }
        assert_eq!(Sums::from_array(expected).to_array(), expected);
    }

    #[test]
    fn sums_end_at_the_largest_number() {
        let mut sums = Sums {
            revenue: u64::MAX - 1,
            ..Sums::default()
        };
        sums.add(&Sums {
            revenue: 7,
            ..Sums::default()
        });
        assert_eq!(sums.revenue, u64::MAX);
    }
}
