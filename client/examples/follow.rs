//! Follows a region and prints what changes, as it changes: events that come, change and go, open and close.
//!
//! ```text
//! cargo run -p liveevents-client --example follow -- us-east ws://127.0.0.1:8090 token.txt
//! ```

use std::error::Error;

use liveevents_client::{Client, ClientConfig, Token, What};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [region, edges, token_file] = arguments.as_slice() else {
        return Err("usage: follow REGION EDGE[,EDGE…] TOKEN_FILE".into());
    };
    let edges = edges.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let token = std::fs::read_to_string(token_file)?;
    let config = ClientConfig::new(region.parse()?, edges, Token::fixed(token.trim()));
    let client = Client::connect(config)?;

    let mut changes = client.changes();
    loop {
        tokio::select! {
            change = changes.next() => {
                let Some(change) = change else { return Ok(()) };
                let what = match change.what {
                    What::Appeared => "has appeared".to_owned(),
                    What::Changed => "has changed".to_owned(),
                    What::Removed => "is gone".to_owned(),
                    What::Activated { closes: Some(closes) } => format!("is active until {closes}"),
                    What::Activated { closes: None } => "is active".to_owned(),
                    What::Deactivated { opens: Some(opens) } => format!("is over until {opens}"),
                    What::Deactivated { opens: None } => "is over".to_owned(),
                };
                println!("{} {} {what} (version {})", change.at, change.event, change.cursor.version);
            }
            stop = tokio::signal::ctrl_c() => {
                stop?;
                client.close().await;
                return Ok(());
            }
        }
    }
}
