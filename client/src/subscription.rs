//! The client's one task: a connection after another, with the right pause between.

use std::sync::Arc;

use liveevents_protocol::close::Retry;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::ClientConfig;
use crate::connection::{Connection, Context, End};
use crate::disconnected::Disconnected;
use crate::link::Link;
use crate::requests::Requests;
use crate::role::Role;
use crate::routes::Routes;
use crate::shared::Shared;

/// Runs until `shutdown`.
pub(crate) async fn run(
    config: Arc<ClientConfig>,
    mut routes: Routes,
    shared: Arc<Shared>,
    role: Role,
    mut requests: Requests,
    shutdown: CancellationToken,
) {
    let context = Context {
        has_others: routes.has_others(),
        config: &config,
        shared: &shared,
        role: &role,
        shutdown: &shutdown,
    };
    loop {
        let token = config.token.get();
        let end = subscribe(&context, &mut routes, &mut requests, token.clone()).await;
        let End::Disconnected(because) = end else {
            return;
        };
        let retry = advice(&because, || config.token.get() != token);
        let retry_in = routes.ended(&because, retry, rand::random(), std::time::Instant::now());
        report(&because, retry, retry_in);
        shared.link.send_replace(Link::Away { because, retry_in });
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(retry_in) => {}
            () = requests.while_away() => {}
        }
    }
}

async fn subscribe(
    context: &Context<'_>,
    routes: &mut Routes,
    requests: &mut Requests,
    token: String,
) -> End {
    let address = routes.current().clone();
    context.shared.link.send_replace(Link::Connecting {
        address: address.clone(),
    });
    let opened = tokio::select! {
        () = context.shutdown.cancelled() => return End::Shutdown,
        opened = Box::pin(Connection::open(context, &address, token)) => opened,
        () = requests.while_away() => return End::Shutdown,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(disconnected) => return End::Disconnected(disconnected),
    };
    let since = Instant::now();
    let end = Box::pin(connection.run(requests)).await;
    if connection.has_worked || since.elapsed() >= context.config.timing.stable_after {
        routes.worked();
    }
    connection.leave(&end).await;
    end
}

/// A token that was refused is no reason to stay away once there is another.
fn advice(because: &Disconnected, is_renewed: impl FnOnce() -> bool) -> Retry {
    match because.retry() {
        Retry::Fix if because.is_about_the_token() && is_renewed() => Retry::Backoff,
        retry => retry,
    }
}

fn report(because: &Disconnected, retry: Retry, retry_in: std::time::Duration) {
    let cause = std::error::Error::source(because).map(ToString::to_string);
    let retry_in_ms = retry_in.as_millis();
    match retry {
        Retry::Fix => tracing::error!(%because, cause, retry_in_ms, "refused by the edge"),
        _ => tracing::warn!(%because, cause, retry_in_ms, "not connected to an edge"),
    }
}
