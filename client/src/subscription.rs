//! The client's one task: a connection after another, with the right pause between.

use std::sync::Arc;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{Link, Shared};
use crate::config::ClientConfig;
use crate::connection::{Connection, Context, End};
use crate::disconnected::Disconnected;
use crate::routes::Routes;

/// Runs until `shutdown`.
pub(crate) async fn run(
    config: ClientConfig,
    mut routes: Routes,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let context = Context {
        has_others: routes.has_others(),
        config: &config,
        shared: &shared,
        shutdown: &shutdown,
    };
    loop {
        let End::Disconnected(because) = subscribe(&context, &mut routes).await else {
            return;
        };
        let retry_in = routes.ended(&because, rand::random(), std::time::Instant::now());
        report(&because, retry_in);
        shared.link.send_replace(Link::Away { because, retry_in });
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(retry_in) => {}
        }
    }
}

async fn subscribe(context: &Context<'_>, routes: &mut Routes) -> End {
    let address = routes.current().clone();
    context.shared.link.send_replace(Link::Connecting {
        address: address.clone(),
    });
    let opened = tokio::select! {
        () = context.shutdown.cancelled() => return End::Shutdown,
        opened = Box::pin(Connection::open(context, &address)) => opened,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(disconnected) => return End::Disconnected(disconnected),
    };
    let since = Instant::now();
    let end = connection.run().await;
    if connection.has_worked || since.elapsed() >= context.config.timing.stable_after {
        routes.worked();
    }
    connection.leave(&end).await;
    end
}

fn report(because: &Disconnected, retry_in: std::time::Duration) {
    use liveevents_protocol::close::Retry;
    let cause = std::error::Error::source(because).map(ToString::to_string);
    let retry_in_ms = retry_in.as_millis();
    match because.retry() {
        Retry::Fix => tracing::error!(%because, cause, retry_in_ms, "refused by the edge"),
        _ => tracing::warn!(%because, cause, retry_in_ms, "not connected to an edge"),
    }
}
