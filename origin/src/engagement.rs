//! What designers and operators are told of engagement: rates and means, from what was added up.
//!
//! Pure. The formulas are the usual ones of game analytics; `docs/operations.md` has them with their sources. What there is
//! nobody or nothing of has no rate: `None`, not 0.

mod baseline;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::engagement::{Distinct, Tally};
use serde::Serialize;
use utoipa::ToSchema;

pub use baseline::{Comparison, Hour, compare};

/// How players took part. Of a segment's players there are plain counts alone, and no rates of players.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Engagement {
    /// Different players of whom anything was reported, within 1.6 % (standard error).
    pub active_players: Option<u64>,
    /// Different players who took part, likewise.
    pub participants: Option<u64>,
    /// How often players began to take part.
    pub participations: u64,
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
    pub paying_players: Option<u64>,
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
    /// Of the players active in the stretch of the same length before, the share that is active in this one, from 0 to 1.
    pub retention: Option<f64>,
}

/// What happened in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// What.
    pub tally: &'a Tally,
    /// What happened in the stretch of the same length before, where that is known.
    pub before: Option<&'a Tally>,
    /// Nobody knows which players these were: what is counted of a segment.
    pub plain: bool,
}

impl<'a> Sample<'a> {
    /// Of everybody, without what was before.
    #[must_use]
    pub fn everybodys(tally: &'a Tally) -> Self {
        Self {
            tally,
            before: None,
            plain: false,
        }
    }

    fn players(&self, players: &Distinct) -> Option<f64> {
        (!self.plain).then(|| players.estimate())
    }
}

impl Engagement {
    /// Of what happened.
    #[must_use]
    pub fn of(sample: Sample<'_>) -> Self {
        let (tally, sums) = (sample.tally, &sample.tally.sums);
        let active = sample.players(&tally.active);
        let participants = sample.players(&tally.participants);
        Self {
            active_players: active.map(whole),
            participants: participants.map(whole),
            participations: sums.participations,
            participation_rate: share(participants, active),
            completions: sums.completions,
            completion_rate: share(sample.players(&tally.completers), participants),
            sessions: sums.session_starts,
            average_session_seconds: ratio(
                float(sums.session_seconds),
                Some(float(sums.session_ends)),
            ),
            errors: sums.errors,
            error_rate: ratio(float(sums.errors), active),
        }
    }
}

impl Revenue {
    /// Of what happened.
    #[must_use]
    pub fn of(sample: Sample<'_>) -> Self {
        let tally = sample.tally;
        let dollars = dollars(float(tally.sums.revenue));
        let (active, payers) = (sample.players(&tally.active), sample.players(&tally.payers));
        Self {
            total: dollars,
            purchases: tally.sums.purchases,
            paying_players: payers.map(whole),
            arpu: ratio(dollars, active),
            arppu: ratio(dollars, payers),
            conversion_rate: share(payers, active),
        }
    }
}

impl Opinion {
    /// Of what was said.
    #[must_use]
    pub fn of(sample: Sample<'_>) -> Self {
        let sums = &sample.tally.sums;
        let scores = sums
            .promoters
            .saturating_add(sums.passives)
            .saturating_add(sums.detractors);
        let balance = float(sums.promoters) - float(sums.detractors);
        let before = sample.before.filter(|_| !sample.plain);
        Self {
            positive: sums.positive,
            neutral: sums.neutral,
            negative: sums.negative,
            nps: ratio(100.0 * balance, Some(float(scores))),
            scores,
            retention: before.and_then(|before| retention(&before.active, &sample.tally.active)),
        }
    }
}

/// Of the players `before`, the share that is among those `now`: sketches know how many there are in both together, and
/// |A and B| = |A| + |B| - |A or B|. The error is that of the three, which is large where `now` has far more players.
fn retention(before: &Distinct, now: &Distinct) -> Option<f64> {
    let mut either = before.clone();
    either.merge(now);
    let both = before.estimate() + now.estimate() - either.estimate();
    share(Some(both.max(0.0)), Some(before.estimate()))
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
fn share(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    ratio(part?, whole).map(|share| share.min(1.0))
}

fn ratio(of: f64, by: Option<f64>) -> Option<f64> {
    by.filter(|by| *by > 0.0).map(|by| of / by)
}

fn dollars(cents: f64) -> f64 {
    cents / 100.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums of a month are far below 2^53"
)]
fn float(sum: u64) -> f64 {
    sum as f64
}

/// An estimate, to the whole.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is not negative, and far below 2^53"
)]
pub fn whole(estimate: f64) -> u64 {
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

    fn sample(tally: &Tally) -> Sample<'_> {
        Sample::everybodys(tally)
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
        let engagement = Engagement::of(sample(&tally()));
        assert_eq!(
            (engagement.active_players, engagement.participants),
            (Some(10), Some(4))
        );
        near(engagement.participation_rate, 0.4);
        near(engagement.completion_rate, 0.25);
        near(engagement.average_session_seconds, 150.0);
        near(engagement.error_rate, 0.1);
        let revenue = Revenue::of(sample(&tally()));
        assert_eq!((revenue.purchases, revenue.paying_players), (3, Some(2)));
        near(Some(revenue.total), 20.0);
        near(revenue.arpu, 2.0);
        near(revenue.arppu, 10.0);
        near(revenue.conversion_rate, 0.2);
        let opinion = Opinion::of(sample(&tally()));
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
        let engagement = Engagement::of(sample(&nothing));
        assert_eq!(
            (engagement.active_players, engagement.participation_rate),
            (Some(0), None)
        );
        let (revenue, opinion) = (Revenue::of(sample(&nothing)), Opinion::of(sample(&nothing)));
        assert_eq!(
            (revenue.arpu, opinion.nps, opinion.retention),
            (None, None, None)
        );
    }

    #[test]
    fn of_a_segment_there_are_counts_and_no_players() {
        let tally = tally();
        let plain = Sample {
            plain: true,
            before: Some(&tally),
            ..sample(&tally)
        };
        let engagement = Engagement::of(plain);
        assert_eq!(
            (
                engagement.active_players,
                engagement.participation_rate,
                engagement.participations
            ),
            (None, None, 4)
        );
        near(engagement.average_session_seconds, 150.0);
        let revenue = Revenue::of(plain);
        assert_eq!(
            (revenue.purchases, revenue.paying_players, revenue.arppu),
            (3, None, None)
        );
        assert_eq!(Opinion::of(plain).retention, None);
    }

    #[test]
    fn retention_is_of_those_who_were_there_before() {
        let (mut before, mut now) = (Tally::default(), Tally::default());
        for player in 0..40 {
            before.count(player, Counted::SessionStart);
        }
        for player in 30..100 {
            now.count(player, Counted::SessionStart);
        }
        let opinion = Opinion::of(Sample {
            before: Some(&before),
            ..sample(&now)
        });
        near(opinion.retention, 0.25);
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
