//! What a game server asks about players: to have them watched, or what they are shown now.

use std::pin::Pin;
use std::task::{Context, Poll};

use liveevents_protocol::message::{
    Cursor, Level, Query, RefusedMessage, ServerMessage, Unwatch, Watch as WatchMessage,
};
use parking_lot::MutexGuard;
use tokio::io::AsyncRead;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use super::greeting::Entry;
use super::{Connection, End};
use crate::replica::Published;
use crate::serve::watch::{Fault, Next, View, Wants, Watch, Watcher};
use crate::serve::{Serving, query};
use crate::websocket::frame;

/// What one game server has said of its players.
pub(super) struct Players {
    wants: Wants,
    /// At level Watch.
    watch: Option<Watcher>,
    /// Until the next pass may begin.
    pause: Option<Pin<Box<Sleep>>>,
    /// What is to be answered.
    query: Option<Box<Query>>,
}

impl Players {
    pub(super) fn new(serving: &Serving, entry: &Entry) -> Self {
        let watches = entry.level == Level::Watch;
        Self {
            wants: entry.wants.clone(),
            watch: watches.then(|| serving.watchers.enter()),
            pause: None,
            query: None,
        }
    }

    /// Those who are watched, at level Watch.
    pub(super) fn watched(&self) -> Option<MutexGuard<'_, Watch>> {
        self.watch.as_ref().map(Watcher::lock)
    }

    /// What is to be answered before anything more is heard.
    pub(super) fn query(&mut self) -> Option<Box<Query>> {
        self.query.take()
    }

    /// Ready when players may be told.
    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pause) = &mut self.pause else {
            return Poll::Ready(());
        };
        let over = pause.as_mut().poll(cx);
        if over.is_ready() {
            self.pause = None;
        }
        over
    }
}

impl<R: AsyncRead + Unpin> Connection<R> {
    pub(super) fn watch(&mut self, players: WatchMessage) -> Result<(), End> {
        let Some(watch) = &self.players.watch else {
            return self.refuse_watch("watch");
        };
        let watched = watch.lock().watch(players);
        match watched {
            Ok(()) => {
                self.has_named();
                Ok(())
            }
            Err(fault) => self.refuse_fault("watch", None, fault),
        }
    }

    pub(super) fn unwatch(&mut self, players: &Unwatch) -> Result<(), End> {
        let Some(watch) = &self.players.watch else {
            return self.refuse_watch("unwatch");
        };
        watch.lock().unwatch(players);
        self.has_named();
        Ok(())
    }

    /// New ones do not wait for the next pass.
    fn has_named(&mut self) {
        self.players.pause = None;
        self.link.has_named();
    }

    /// Takes a query, to be answered next.
    pub(super) fn ask(&mut self, query: Query) -> Result<(), End> {
        match query::judge(&query) {
            Ok(()) => {
                self.players.query = Some(Box::new(query));
                Ok(())
            }
            Err(fault) => self.refuse_fault("query", Some(query.id), fault),
        }
    }

    pub(super) async fn answer_query(&mut self, query: Box<Query>) -> Result<(), End> {
        let region = self.link.region();
        let now = self.serving.clock.now();
        let held = region.load().zip(region.age(now));
        let Some((published, age)) = held else {
            let message = format!("this edge has not received {} yet", region.id());
            let fault = Fault::new("id", message);
            return self.refuse_fault("query", Some(query.id), fault);
        };
        let wants = &self.players.wants;
        let view = View {
            published: &published,
            at: region.moment(now),
            switches: region.switches(),
            wants: &wants.with_configuration(query.include_config),
            selection: &None,
        };
        match query::answer(view, &query, age).await? {
            Ok(text) => {
                let frame = frame::json(&text);
                self.count("result", frame.len());
                self.reply = Some(frame);
                Ok(())
            }
            Err(fault) => self.refuse_fault("query", Some(query.id), fault),
        }
    }

    /// Tells the next player whose events are others than told.
    pub(super) async fn tell_players(
        &mut self,
        published: &Published,
        switches: u64,
    ) -> Result<(), End> {
        let Players {
            wants,
            watch: Some(watch),
            ..
        } = &self.players
        else {
            return Ok(());
        };
        let view = View {
            published,
            // After the switches were counted: whatever they have switched, it is evaluated now.
            at: self.link.region().moment(self.serving.clock.now()),
            switches,
            wants,
            selection: self.link.selection(),
        };
        let next = watch.lock().next(&view, Instant::now())?;
        match next {
            Next::Player(text) => {
                let frame = frame::json(&text);
                self.count("player", frame.len());
                self.link.send(frame)?;
                yield_now().await;
            }
            Next::Current(current) => {
                let at = Cursor {
                    epoch: current.epoch,
                    version: current.version,
                };
                self.link
                    .send(self.frame(&ServerMessage::Current(current))?)?;
                self.link.has(at);
            }
            Next::Pause => yield_now().await,
            Next::Wait(until) => self.players.pause = Some(Box::pin(sleep_until(until))),
            Next::Nothing(mark) => self.link.has_told(mark),
        }
        Ok(())
    }

    fn refuse_watch(&mut self, about: &str) -> Result<(), End> {
        let fault = Fault::new("level", "players are watched at level Watch only");
        self.refuse_fault(about, None, fault)
    }

    fn refuse_fault(&mut self, about: &str, id: Option<String>, fault: Fault) -> Result<(), End> {
        self.answer(&ServerMessage::Refused(RefusedMessage {
            about: about.to_owned(),
            id,
            field: Some(fault.field),
            message: fault.message,
        }))
    }
}
