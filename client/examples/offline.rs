//! Starts from the last known state, with every edge away if need be, and says where what it shows comes from.
//!
//! Run it once with an edge there, stop it, stop the edge, and run it again.
//!
//! ```text
//! cargo run -p liveevents-client --example offline -- us-east ws://127.0.0.1:8090 token.txt last.state
//! ```

use std::error::Error;

use liveevents_client::{Client, ClientConfig, Keys, Source, StateFile, Token};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [region, edges, token_file, state_file] = arguments.as_slice() else {
        return Err("usage: offline REGION EDGE[,EDGE…] TOKEN_FILE STATE_FILE".into());
    };
    let edges = edges.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let token = std::fs::read_to_string(token_file)?;
    let mut config = ClientConfig::new(region.parse()?, edges, Token::fixed(token.trim()));
    config.state_file = Some(state_file.into());
    let client = Client::connect(config)?;
    if let StateFile::Refused(why) = client.state_file() {
        println!("{why}");
    }

    // At once with a file; without one, when an edge answers.
    let ready = client.ready().await;
    match ready.source {
        Source::Edge => println!("version {}, from an edge", ready.cursor.version),
        Source::StateFile { current_at } => {
            println!(
                "version {}, from the file, current at {current_at:?}",
                ready.cursor.version
            );
        }
    }
    for event in client.shown(Keys(&[("player", "player-1")])) {
        println!("  {} until {:?}", event.content.display_name, event.closes);
    }
    tokio::select! {
        () = client.synced() => println!("an edge has made it current"),
        stop = tokio::signal::ctrl_c() => stop?,
    }
    client.close().await;
    Ok(())
}
