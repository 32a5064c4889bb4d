//! Evaluates for players by the local copy (level Local): asks once a second what each of two players is shown.
//!
//! ```text
//! cargo run -p liveevents-client --example local -- us-east ws://127.0.0.1:8090 token.txt 1.4.0
//! ```

use std::error::Error;
use std::time::Duration;

use liveevents_client::{
    AckPolicy, Asker, Attribute, Attributes, Client, ClientConfig, Keys, Level, Token,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [region, edges, token_file, build] = arguments.as_slice() else {
        return Err("usage: local REGION EDGE[,EDGE…] TOKEN_FILE BUILD".into());
    };
    let edges = edges.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let token = std::fs::read_to_string(token_file)?;
    let mut config = ClientConfig::new(region.parse()?, edges, Token::fixed(token.trim()));
    config.level = Level::Local;
    config.build = Some(build.parse()?);
    // Players of a match that runs go on with what they have; the edge is told when it ends.
    config.ack_policy = AckPolicy::ByApplication;
    let client = Client::connect(config)?;
    println!("ready: {:?}", client.ready().await);

    for round in 0_u64.. {
        // One look for both, so that both see the same version at the same moment.
        if let Some(view) = client.view() {
            for player in ["player-1", "player-2"] {
                let known = [("level".to_owned(), Attribute::Number(12.into()))].into();
                let asker = Asker {
                    keys: Keys(&[("player", player), ("match", "m-17")]),
                    attributes: Attributes::new(&known),
                    ..Asker::default()
                };
                let shown = view.shown(asker).into_iter();
                let names: Vec<_> = shown.map(|s| s.content.display_name.as_str()).collect();
                println!("{player}: {}", names.join(", "));
            }
        }
        // A match of ten seconds.
        let held = *client.changed().borrow();
        if let Some(held) = held.filter(|_| round % 10 == 9) {
            client.applied(held);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            stop = tokio::signal::ctrl_c() => {
                stop?;
                break;
            }
        }
    }
    client.close().await;
    Ok(())
}
