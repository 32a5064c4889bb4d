//! Follows a region and prints what a player is shown whenever that changes.
//!
//! ```text
//! cargo run --example follow -- us-east ws://127.0.0.1:8090 token.txt player-1
//! ```

use std::error::Error;
use std::path::Path;

use liveevents_client::{Client, ClientConfig, Keys, Token};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [region, edges, token_file, player] = arguments.as_slice() else {
        return Err("usage: follow REGION EDGE[,EDGE…] TOKEN_FILE PLAYER".into());
    };
    let edges = edges.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let token = std::fs::read_to_string(Path::new(token_file))?;
    let config = ClientConfig::new(region.parse()?, edges, Token::fixed(token.trim()));
    let client = Client::connect(config)?;

    let mut changed = client.changed();
    loop {
        // What happened meanwhile is seen at once: a wake says that there is something newer, not what.
        if let Some(cursor) = *changed.borrow_and_update() {
            println!("version {}:", cursor.version);
            for event in client.shown(Keys(&[("player", player)])) {
                let kind = if event.candidate { "candidate" } else { "live" };
                println!("  {} ({kind})", event.content.display_name);
            }
        }
        // An event may also open or close by itself.
        let state = client.state();
        let now = client.edge_time();
        let next = state
            .iter()
            .flat_map(|state| state.assignments())
            .filter_map(|assignment| assignment.schedule.next_switch(now))
            .min();
        let pause = next.and_then(|next| next.duration_since(now).try_into().ok());
        tokio::select! {
            woken = changed.changed() => woken?,
            () = tokio::time::sleep(pause.unwrap_or(std::time::Duration::MAX)) => {}
            stop = tokio::signal::ctrl_c() => {
                stop?;
                client.close().await;
                return Ok(());
            }
        }
    }
}
