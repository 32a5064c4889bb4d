//! Who waits for what, without anybody waiting.

use super::*;

fn logins() -> Logins {
    Logins::new(Rules {
        lifetime: SignedDuration::from_hours(1),
        proxies: Vec::new(),
        per_minute: 10,
        delays: Delays::default(),
    })
}

fn anybody(name: &str) -> Who<'_> {
    Who { name, known: None }
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Of whoever tries now.
fn delay(logins: &Logins, who: Who<'_>, now: Timestamp) -> Duration {
    let wait = logins.queue(who, now).unwrap();
    wait.map_or(Duration::ZERO, |wait| wait.delay)
}

#[test]
fn each_wrong_password_makes_the_next_try_wait_longer_up_to_a_bound() {
    let logins = logins();
    let mut delays = Vec::new();
    for _ in 0..FREE_FAILURES + 40 {
        delays.push(delay(&logins, anybody("ada"), now()));
        logins.failed(anybody("ada"), now());
    }
    let free = FREE_FAILURES as usize;
    assert!(delays[..free].iter().all(Duration::is_zero), "{delays:?}");
    assert_eq!(delays[free], LOGIN_DELAY);
    assert_eq!(delays[free + 1], 2 * LOGIN_DELAY);
    assert_eq!(*delays.last().unwrap(), MAX_LOGIN_DELAY);
    assert!(delays.is_sorted());
    // Of others, one in thousands shares the place: not all of three do.
    let others = ["grace", "alan", "edsger"];
    let waits = others.map(|name| delay(&logins, anybody(name), now()));
    assert!(waits.iter().any(Duration::is_zero), "{waits:?}");
    // The right one ends it, and so does time.
    logins.succeeded(anybody("ada"));
    assert_eq!(delay(&logins, anybody("ada"), now()), Duration::ZERO);
    for _ in 0..FREE_FAILURES {
        logins.failed(anybody("ada"), now());
    }
    assert_eq!(
        delay(&logins, anybody("ada"), now() + REMEMBER_FAILURES),
        LOGIN_DELAY
    );
    let later = now() + REMEMBER_FAILURES + SignedDuration::from_secs(1);
    assert_eq!(delay(&logins, anybody("ada"), later), Duration::ZERO);
}

#[test]
fn whoever_comes_from_where_they_always_do_does_not_wait_for_others_guesses() {
    let logins = logins();
    for _ in 0..100 {
        logins.failed(anybody("ada"), now());
    }
    // Again, one in thousands shares the place.
    let at_home = ["1.2.3.4", "1.2.3.5", "1.2.3.6"].map(|ip| Who {
        name: "ada",
        known: Some(Home::of(ip.parse().unwrap())),
    });
    let waits = at_home.map(|who| delay(&logins, who, now()));
    assert!(waits.iter().any(Duration::is_zero), "{waits:?}");
    // Guesses made there count there.
    for _ in 0..FREE_FAILURES {
        logins.failed(at_home[0], now());
    }
    assert!(delay(&logins, at_home[0], now()) >= LOGIN_DELAY);
}

#[test]
fn so_many_wait_at_once_and_a_place_is_given_back() {
    let logins = logins();
    for _ in 0..FREE_FAILURES {
        logins.failed(anybody("ada"), now());
    }
    let mut waiting: Vec<_> = (0..LOGINS_WAITING_FOR_ONE)
        .map(|_| logins.queue(anybody("ada"), now()).unwrap().unwrap())
        .collect();
    let refused = logins.queue(anybody("ada"), now()).err().unwrap();
    assert!(matches!(refused, ApiError::TooMany { .. }), "{refused:?}");
    waiting.pop();
    assert!(logins.queue(anybody("ada"), now()).unwrap().is_some());
    waiting.clear();
    assert_eq!(logins.0.waiting.available_permits(), LOGINS_WAITING);
    assert!(
        logins
            .0
            .names
            .lock()
            .iter()
            .all(|failures| failures.waiting == 0)
    );
}

#[test]
fn an_address_has_so_many_tries_a_minute_and_another_its_own() {
    let logins = logins();
    let (here, there) = (
        Home::of("1.2.3.4".parse().unwrap()),
        Home::of("1.2.3.5".parse().unwrap()),
    );
    let start = Instant::now();
    for _ in 0..10 {
        assert!(logins.admit(here, start).is_ok());
    }
    let refused = logins.admit(here, start).unwrap_err();
    assert!(matches!(refused, ApiError::RateLimited { limit: 10, .. }));
    assert!(logins.admit(there, start).is_ok());
    assert!(logins.admit(here, start + Duration::from_secs(6)).is_ok());
}
