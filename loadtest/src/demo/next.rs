//! What to try next: commands that work as printed, with fresh tokens.

use liveevents_protocol::id::EventId;

use super::stage::Stage;
use crate::address::EdgeAddress;
use crate::failure::Failure;
use crate::rest::Rest;

/// Prints them.
pub(super) async fn print(
    stage: &Stage,
    rest: &Rest,
    edges: &[EdgeAddress],
    star: &EventId,
) -> Result<(), Failure> {
    let Some(edge) = edges.first() else {
        return Ok(());
    };
    let regions = edges
        .iter()
        .map(|edge| edge.region.clone())
        .collect::<Vec<_>>();
    let token = rest
        .service_token("GameServer", "demo visitor", &regions)
        .await?;
    stage.title("Try it yourself").await;
    stage.say(commands(rest, edge, &token, star)).await;
    Ok(())
}

fn commands(rest: &Rest, edge: &EdgeAddress, token: &str, star: &EventId) -> String {
    let (origin, http, region) = (rest.base(), &edge.http, &edge.region);
    let subscribe = &edge.subscribe;
    let json = "-H 'Content-Type: application/json'";
    format!(
        r#"# Two tokens: an admin's for the origin, a game server's for the edges.
ADMIN='{admin}'
SERVER='{token}'

# What is player-7 shown in {region}, and what does the region serve?
curl -s -H "Authorization: Bearer $SERVER" '{http}/api/v1/players/player-7/events?region={region}'
curl -s -H "Authorization: Bearer $SERVER" {http}/api/v1/regions/{region}/events

# Stop {star} everywhere, and let it go on. Watch the game servers here.
curl -s -H "Authorization: Bearer $ADMIN" {json} -d '{{"events":["{star}"],"reason":"trying"}}' {origin}/api/v1/stop
curl -s -H "Authorization: Bearer $ADMIN" {json} -d '{{"events":["{star}"],"reason":"tried"}}' {origin}/api/v1/resume

# Be a game server: by the reference client,
printf %s "$SERVER" > server.token
cargo run -q -p liveevents-client --example follow -- {region} {ws} server.token
# or by any WebSocket client (https://github.com/vi/websocat).
echo '{{"type":"hello","region":"{region}","level":"Region"}}' |
  websocat -n --protocol liveevents.v1 -H "Authorization: Bearer $SERVER" {subscribe}
"#,
        admin = rest.token(),
        ws = http.to_string().replacen("http://", "ws://", 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_complete() {
        let rest = Rest::new(&"http://origin:1".parse().unwrap())
            .unwrap()
            .bearing("a.b.c");
        let edge = "us-east=http://edge:2".parse().unwrap();
        let text = commands(&rest, &edge, "d.e.f", &"sale".parse().unwrap());
        for part in [
            "ADMIN='a.b.c'",
            "SERVER='d.e.f'",
            "'http://edge:2/api/v1/players/player-7/events?region=us-east'",
            r#"-d '{"events":["sale"],"reason":"trying"}' http://origin:1/api/v1/stop"#,
            "-- us-east ws://edge:2 server.token",
            r#"{"type":"hello","region":"us-east","level":"Region"}"#,
            "ws://edge:2/api/v1/subscribe",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
