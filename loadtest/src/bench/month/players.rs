//! Players of an hour, as sketches of some sizes: of each size some, which share players as hours do.

use std::fmt::Write as _;

use liveevents_protocol::engagement::Distinct;

/// How many players there are in a stretch, by size.
const SIZES: [u64; 13] = [
    3, 10, 30, 60, 100, 150, 250, 400, 700, 20_000, 60_000, 150_000, 300_000,
];

/// The size of a large event's busiest hour; others' are below [`SMALL`].
const LARGEST: usize = 12;

/// Sizes of usual events.
const SMALL: usize = 9;

/// Sketches of each size.
const VARIANTS: u64 = 64;

/// Players that usual events have in a month, and large ones.
const POOL: u64 = 50_000;
const LARGE_POOL: u64 = 3_000_000;

/// The size of an event in its busiest hours: 150 to 700 players, or 300,000.
pub(super) fn size(number: usize, is_large: bool) -> usize {
    match is_large {
        true => LARGEST,
        false => SMALL - 1 - number % 4,
    }
}

/// All sketches, as a script for `psql`.
pub(super) fn copied() -> String {
    let mut script = "COPY bench_sketches (size, variant, players, active, participants, completers, payers) FROM STDIN;\n".to_owned();
    for (size, players) in SIZES.into_iter().enumerate() {
        let pool = if size < SMALL { POOL } else { LARGE_POOL };
        for variant in 0..VARIANTS {
            let first = variant * 7_919 * players;
            let _ = write!(script, "{size}\t{variant}\t{players}");
            // Half take part, an eighth is done, a thirtieth pays.
            for share in [1, 2, 8, 30] {
                script.push_str("\t\\\\x");
                for byte in some(first, players / share, pool).to_bytes() {
                    let _ = write!(script, "{byte:02x}");
                }
            }
            script.push('\n');
        }
    }
    script.push_str("\\.\n");
    script
}

/// So many of a pool.
fn some(first: u64, many: u64, pool: u64) -> Distinct {
    let mut players = Distinct::default();
    for number in first..first + many {
        players.note(hash(number % pool));
    }
    players
}

/// SplitMix64's finalizer, in place of a keyed hash.
fn hash(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_it_says() {
        for (many, pool) in [(3, POOL), (700, POOL), (300_000, LARGE_POOL)] {
            let estimate = some(pool - 1, many, pool).estimate();
            assert!(
                (estimate / many as f64 - 1.0).abs() < 0.07,
                "{many}: {estimate}"
            );
        }
        assert!(size(0, true) < SIZES.len());
        assert!((0..8).all(|number| (5..SMALL).contains(&size(number, false))));
    }
}
