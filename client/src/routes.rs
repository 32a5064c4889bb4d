//! Which edge to try next, and when. Pure: time and randomness are arguments.
//!
//! - Every failure moves on to the next address, after a delay by exponential back-off with full jitter.
//! - An address that said "not now" or "not like this" is left alone for a while; the others are not.
//! - The failures are forgotten when something has worked, not when a connection was made: an edge that
//!   accepts and then sends nonsense is not hammered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::close::Retry;

use crate::address::Address;
use crate::config::Timing;
use crate::disconnected::Disconnected;

pub(crate) struct Routes {
    current: Route,
    /// In the order of their turns.
    others: VecDeque<Route>,
    backoff: Backoff,
    fix_rest: Duration,
    /// Whether the last connection did.
    has_worked: bool,
}

struct Route {
    address: Address,
    /// Not to be tried before.
    rests_until: Option<Instant>,
}

impl Route {
    /// When it may be tried, if not before `soonest`.
    fn start(&self, soonest: Instant) -> Instant {
        self.rests_until.map_or(soonest, |until| until.max(soonest))
    }
}

impl Routes {
    /// `None` without addresses. `random` is uniform in `[0, 1)`, and spreads a crowd over them.
    pub(crate) fn new(addresses: Vec<Address>, timing: &Timing, random: f64) -> Option<Self> {
        let mut routes: VecDeque<Route> = addresses
            .into_iter()
            .map(|address| Route {
                address,
                rests_until: None,
            })
            .collect();
        let first = (random.clamp(0.0, 1.0) * routes.len() as f64) as usize;
        routes.rotate_left(first.min(routes.len().saturating_sub(1)));
        Some(Self {
            current: routes.pop_front()?,
            others: routes,
            backoff: Backoff::new(timing.backoff_base, timing.backoff_max),
            fix_rest: timing.fix_rest,
            has_worked: false,
        })
    }

    /// Where to connect to.
    pub(crate) fn current(&self) -> &Address {
        &self.current.address
    }

    /// Whether there is another.
    pub(crate) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Something has worked.
    pub(crate) fn worked(&mut self) {
        self.backoff.reset();
        self.has_worked = true;
    }

    /// The connection to the current address is over: moves on, and says how long to wait first.
    pub(crate) fn ended(
        &mut self,
        why: &Disconnected,
        retry: Retry,
        random: f64,
        now: Instant,
    ) -> Duration {
        let wait = match (why, retry) {
            // The edge has spread its game servers, and leaving is no failure, unless it is all it does.
            (Disconnected::Goaway(delay), _) if self.has_worked => *delay,
            (Disconnected::Goaway(delay), _) => self.backoff.fail(random).max(*delay),
            (_, Retry::Backoff) => self.backoff.fail(random),
            (_, Retry::After(delay)) => self.rest(delay, random, now),
            (_, Retry::Fix) => self.rest(self.fix_rest.mul_f64(0.5 + random / 2.0), random, now),
        };
        self.has_worked = false;
        let soonest = now + wait;
        let starts = self.others.iter().map(|route| route.start(soonest));
        let (turn, start) = starts
            .enumerate()
            .min_by_key(|&(_, start)| start)
            .unwrap_or((0, soonest));
        if start <= self.current.start(soonest)
            && let Some(next) = self.others.remove(turn)
        {
            self.others
                .push_back(std::mem::replace(&mut self.current, next));
        }
        self.current.start(soonest).saturating_duration_since(now)
    }

    fn rest(&mut self, rest: Duration, random: f64, now: Instant) -> Duration {
        self.current.rests_until = Some(now + rest);
        self.backoff.fail(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use liveevents_protocol::close::CloseReason;

    fn routes(addresses: &[&str], random: f64) -> Routes {
        let timing = Timing {
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_secs(4),
            fix_rest: Duration::from_secs(60),
            ..Timing::default()
        };
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Routes::new(addresses, &timing, random).unwrap()
    }

    fn ended(routes: &mut Routes, why: &Disconnected, random: f64, now: Instant) -> Duration {
        routes.ended(why, why.retry(), random, now)
    }

    fn current(routes: &Routes) -> String {
        routes.current().host().to_owned()
    }

    fn fix() -> Disconnected {
        Disconnected::Closed {
            reason: CloseReason::TokenInvalid,
            message: None,
        }
    }

    #[test]
    fn a_crowd_starts_everywhere() {
        let starts = [0.0, 0.3, 0.4, 0.7, 0.99]
            .map(|random| current(&routes(&["ws://a", "ws://b", "ws://c"], random)));
        assert_eq!(starts, ["a", "a", "b", "c", "c"]);
    }

    #[test]
    fn goes_round_with_growing_delays_until_something_works() {
        let now = Instant::now();
        let mut routes = routes(&["ws://a", "ws://b"], 0.0);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let wait = ended(&mut routes, &Disconnected::Ended, 1.0, now);
            seen.push((current(&routes), wait.as_secs()));
        }
        let expected = [("b", 1), ("a", 2), ("b", 4), ("a", 4)];
        assert_eq!(seen, expected.map(|(a, s)| (a.to_owned(), s)));
        routes.worked();
        assert_eq!(
            ended(&mut routes, &Disconnected::Ended, 0.5, now),
            Duration::from_millis(500)
        );
    }

    #[test]
    fn an_address_that_wants_something_fixed_is_left_alone() {
        let now = Instant::now();
        let mut routes = routes(&["ws://a", "ws://b"], 0.0);
        // a is left alone for 45 s; b is tried soon, fails twice, and a is not its stand-in.
        assert_eq!(
            ended(&mut routes, &fix(), 0.5, now),
            Duration::from_millis(500)
        );
        assert_eq!(current(&routes), "b");
        ended(&mut routes, &Disconnected::Ended, 0.5, now);
        assert_eq!(current(&routes), "b");
        // Both: wait for the first that may be tried again.
        let later = now + Duration::from_secs(10);
        assert_eq!(
            ended(&mut routes, &fix(), 0.5, later),
            Duration::from_secs(35)
        );
        assert_eq!(current(&routes), "a");
    }

    #[test]
    fn a_single_address_waits_its_rest_out() {
        let now = Instant::now();
        let mut routes = routes(&["ws://a"], 0.9);
        assert_eq!(
            ended(&mut routes, &fix(), 0.0, now),
            Duration::from_secs(30)
        );
        assert_eq!(current(&routes), "a");
        assert!(!routes.has_others());
    }

    #[test]
    fn goaway_is_obeyed_and_no_failure() {
        let now = Instant::now();
        let mut routes = routes(&["ws://a", "ws://b"], 0.0);
        let goaway = Disconnected::Goaway(Duration::from_millis(700));
        routes.worked();
        assert_eq!(
            ended(&mut routes, &goaway, 1.0, now),
            Duration::from_millis(700)
        );
        assert_eq!(current(&routes), "b");
        // An edge that does nothing else is like any that fails.
        assert_eq!(
            ended(&mut routes, &goaway, 1.0, now),
            Duration::from_secs(1)
        );
        assert_eq!(
            ended(&mut routes, &goaway, 1.0, now),
            Duration::from_secs(2)
        );
    }
}
