//! Lets the edge evaluate (level Watch): names players, and prints each one's events whenever they change.
//!
//! ```text
//! cargo run -p liveevents-client --example watch -- us-east ws://127.0.0.1:8090 token.txt player-1 player-2
//! ```

use std::collections::BTreeMap;
use std::error::Error;

use liveevents_client::{Attribute, ClientConfig, PlayerMessage, Token, WatchClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [region, edges, token_file, players @ ..] = arguments.as_slice() else {
        return Err("usage: watch REGION EDGE[,EDGE…] TOKEN_FILE PLAYER…".into());
    };
    let edges = edges.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let token = std::fs::read_to_string(token_file)?;
    let config = ClientConfig::new(region.parse()?, edges, Token::fixed(token.trim()));
    let client = WatchClient::connect(config)?;
    client.watch(players.iter().map(|player| PlayerMessage {
        player: player.clone(),
        keys: BTreeMap::from([("match".to_owned(), "m-17".to_owned())]),
        attributes: BTreeMap::from([("level".to_owned(), Attribute::Number(12.into()))]),
        language: Some("de".to_owned()),
        platform: None,
        build: None,
    }))?;

    let mut updates = client.updates();
    loop {
        tokio::select! {
            update = updates.next() => {
                let Some(update) = update else { return Ok(()) };
                println!("{} (version {}):", update.player, update.version);
                for event in &update.events {
                    println!("  {}", event.as_str());
                }
            }
            stop = tokio::signal::ctrl_c() => {
                stop?;
                client.close().await;
                return Ok(());
            }
        }
    }
}
