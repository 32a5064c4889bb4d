//! What designers and operators are told of engagement: rates and means, from what was added up.
//!
//! Pure. The formulas are the usual ones of game analytics; `docs/operations.md` has them with their sources. What there is
//! nobody or nothing of has no rate: `None`, not 0.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::engagement::Tally;
use serde::Serialize;
use utoipa::ToSchema;

/// How players took part.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Engagement {
    /// Different players of whom anything was reported, within 1.6 % (standard error).
    pub active_players: u64,
    /// Different players who took part, likewise.
    pub participants: u64,
    /// `participants / activePlayers`, from 0 to 1.
    pub participation_rate: Option<f64>,
    /// How often players were done.
    pub completions: u64,
    /// Different players who were done, of `participants`, from 0 to 1.
    pub completion_rate: Option<f64>,
    /// Sessions begun.
    pub sessions: u64,
    /// Mean length of the sessions that ended, in seconds.
    pub average_session_seconds: Option<f64>,
    /// Errors that players met.
    pub errors: u64,
    /// Errors per active player.
    pub error_rate: Option<f64>,
}

/// What it brought, in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revenue {
    /// Exact to the cent, as purchases were converted.
    pub total: f64,
    /// How many there were.
    pub purchases: u64,
    /// Different players who bought something, within 1.6 % (standard error).
    pub paying_players: u64,
    /// Average revenue per active player.
    pub arpu: Option<f64>,
    /// Average revenue per paying player.
    pub arppu: Option<f64>,
    /// `payingPlayers / activePlayers`, from 0 to 1.
    pub conversion_rate: Option<f64>,
}

/// What players thought of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Opinion {
    /// Feedback, by sentiment.
    pub positive: u64,
    /// See there.
    pub neutral: u64,
    /// See there.
    pub negative: u64,
    /// Net promoter score, from -100 to 100: the share of scores of 9 and 10 less that of 0 to 6, in percent.
    pub nps: Option<f64>,
    /// How many scores that is of.
    pub scores: u64,
}

impl Engagement {
    /// Of what happened.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        let sums = &tally.sums;
        let (active, participants) = (tally.active.estimate(), tally.participants.estimate());
        Self {
            active_players: whole(active),
            participants: whole(participants),
            participation_rate: share(participants, active),
            completions: sums.completions,
            completion_rate: share(tally.completers.estimate(), participants),
            sessions: sums.session_starts,
            average_session_seconds: ratio(float(sums.session_seconds), float(sums.session_ends)),
            errors: sums.errors,
            error_rate: ratio(float(sums.errors), active),
        }
    }
}

impl Revenue {
    /// Of what happened.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        let dollars = float(tally.sums.revenue) / 100.0;
        let (active, payers) = (tally.active.estimate(), tally.payers.estimate());
        Self {
            total: dollars,
            purchases: tally.sums.purchases,
            paying_players: whole(payers),
            arpu: ratio(dollars, active),
            arppu: ratio(dollars, payers),
            conversion_rate: share(payers, active),
        }
    }
}

impl Opinion {
    /// Of what was said.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        let sums = &tally.sums;
        let scores = sums
            .promoters
            .saturating_add(sums.passives)
            .saturating_add(sums.detractors);
        let balance = float(sums.promoters) - float(sums.detractors);
        Self {
            positive: sums.positive,
            neutral: sums.neutral,
            negative: sums.negative,
            nps: ratio(100.0 * balance, float(scores)),
            scores,
        }
    }
}

/// A stretch of time and what happened in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When it begins.
    pub from: Timestamp,
    /// What happened.
    pub tally: Tally,
}

/// What happened, in steps of a length from a beginning on: every step up to the end, also those in which nothing did.
#[must_use]
pub fn series<'a>(
    from: Timestamp,
    to: Timestamp,
    step: SignedDuration,
    rows: impl IntoIterator<Item = (Timestamp, &'a Tally)>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut begins = from;
    while begins < to {
        steps.push(Step {
            from: begins,
            tally: Tally::default(),
        });
        match begins.checked_add(step) {
            Ok(next) if next > begins => begins = next,
            _ => break,
        }
    }
    for (at, tally) in rows {
        let index = steps.partition_point(|step| step.from <= at);
        if let Some(step) = index.checked_sub(1).and_then(|index| steps.get_mut(index)) {
            step.tally.add(tally);
        }
    }
    steps
}

/// One part of a whole. A sketch may say a little more than the whole.
fn share(part: f64, whole: f64) -> Option<f64> {
    ratio(part, whole).map(|share| share.min(1.0))
}

fn ratio(of: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| of / by)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums of a month are far below 2^53"
)]
fn float(sum: u64) -> f64 {
    sum as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is not negative, and far below 2^53"
)]
fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::engagement::{Cents, Counted, Sentiment};

    use super::*;

    fn tally() -> Tally {
        let mut tally = Tally::default();
        for player in 0..10 {
            tally.count(player, Counted::SessionStart);
        }
        for (player, counted) in [
            (0, Counted::SessionEnd(100)),
            (1, Counted::SessionEnd(200)),
            (0, Counted::Participation),
            (1, Counted::Participation),
            (2, Counted::Participation),
            (3, Counted::Participation),
            (0, Counted::Completion),
            (0, Counted::Purchase(Cents(499))),
            (0, Counted::Purchase(Cents(501))),
            (1, Counted::Purchase(Cents(1000))),
            (4, Counted::Feedback(Sentiment::Positive, Some(10))),
            (5, Counted::Feedback(Sentiment::Positive, Some(9))),
            (6, Counted::Feedback(Sentiment::Neutral, Some(7))),
            (7, Counted::Feedback(Sentiment::Negative, Some(3))),
            (8, Counted::Error),
        ] {
            tally.count(player, counted);
        }
        tally
    }

    #[track_caller]
    fn near(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < 0.001,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn rates_are_of_who_was_there() {
        let engagement = Engagement::of(&tally());
        assert_eq!(
            (engagement.active_players, engagement.participants),
            (10, 4)
        );
        near(engagement.participation_rate, 0.4);
        near(engagement.completion_rate, 0.25);
        near(engagement.average_session_seconds, 150.0);
        near(engagement.error_rate, 0.1);
        let revenue = Revenue::of(&tally());
        assert_eq!((revenue.purchases, revenue.paying_players), (3, 2));
        near(Some(revenue.total), 20.0);
        near(revenue.arpu, 2.0);
        near(revenue.arppu, 10.0);
        near(revenue.conversion_rate, 0.2);
        let opinion = Opinion::of(&tally());
        assert_eq!(
            (
                opinion.positive,
                opinion.neutral,
                opinion.negative,
                opinion.scores
            ),
            (2, 1, 1, 4)
        );
        near(opinion.nps, 25.0);
    }

    #[test]
    fn of_nothing_there_is_no_rate() {
        let nothing = Tally::default();
        let engagement = Engagement::of(&nothing);
        assert_eq!(
            (engagement.active_players, engagement.participation_rate),
            (0, None)
        );
        assert_eq!(
            (Revenue::of(&nothing).arpu, Opinion::of(&nothing).nps),
            (None, None)
        );
    }

    #[test]
    fn a_series_has_every_step_and_loses_nothing() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let tally = tally();
        let rows = [(at(60), &tally), (at(119), &tally), (at(240), &tally)];
        let steps = series(at(0), at(300), SignedDuration::from_secs(60), rows);
        let sessions: Vec<u64> = steps
            .iter()
            .map(|step| step.tally.sums.session_starts)
            .collect();
        assert_eq!(sessions, [0, 20, 0, 0, 10]);
        assert_eq!(steps[1].from, at(60));
        let one = series(at(0), at(300), SignedDuration::from_secs(300), rows);
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].tally.sums.session_starts, 30);
    }
}
