//! What a pass costs, to be measured by hand:
//! `cargo test --release -p liveevents-edge --lib watch::tests::cost -- --ignored --nocapture`

use super::*;

const PLAYERS: usize = 5_000;

/// Passes until nothing is left to do: their time, and how many players were told.
fn passes(desk: &mut Desk) -> (std::time::Duration, usize) {
    let started = std::time::Instant::now();
    let told = desk
        .all()
        .iter()
        .filter(|sent| matches!(sent, Sent::Player(..)))
        .count();
    (started.elapsed(), told)
}

#[test]
#[ignore = "a measurement, for who wants to know"]
fn what_a_pass_over_5000_players_costs() {
    for events in [100, 1_000] {
        let players = (0..PLAYERS).map(|id| player(&format!("player-{id}")));
        let mut desk = Desk::watching(players.collect());
        // One in five is shown.
        let all = (0..events).flat_map(|id| {
            let name = format!("event-{id}");
            let mut assignment = assignment(&name, 1);
            assignment.suspension.paused = id % 5 != 0;
            [content(&name, 1).into(), assignment.into()]
        });
        desk.change(all.collect());
        passes(&mut desk);
        desk.change(vec![content("unseen", 1).into()]);
        desk.now += PASS_INTERVAL;
        let (quiet, told) = passes(&mut desk);
        assert_eq!(told, 0);
        let started = std::time::Instant::now();
        desk.change(put("event-0", 2));
        desk.now += PASS_INTERVAL;
        let mut bytes = 0;
        while let Next::Player(text) = desk.next() {
            bytes += text.len();
        }
        let loud = started.elapsed();
        println!(
            "{events} events: {quiet:?} if nobody is concerned, {loud:?} and {bytes} bytes if all are"
        );
    }
}
