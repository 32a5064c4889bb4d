//! What a game server lacks and no shard writes to it: it is further behind, or ahead, or new.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::message::{Ahead, Cursor, ServerMessage};
use tokio::io::AsyncRead;
use tokio::task::yield_now;

use super::{Connection, End, Lack};
use crate::replica::{Press, Published, Step, Told};

/// A snapshot on its way.
pub(super) struct Pieces {
    frames: Arc<[Bytes]>,
    next: usize,
    /// Where it leads.
    to: Cursor,
}

impl<R: AsyncRead + Unpin> Connection<R> {
    /// Does one thing of what is to be done.
    pub(super) async fn supply(&mut self, lack: Lack) -> Result<(), End> {
        let (published, step) = match lack {
            Lack::Word(message) => return self.link.send(self.frame(&message)?),
            Lack::Notices(published) => {
                let servers = &self.serving.metrics.servers;
                self.link.send_notices(&published).count(servers);
                yield_now().await;
                return Ok(());
            }
            Lack::Players(published, switches) => {
                return self.tell_players(&published, switches).await;
            }
            Lack::Step(published, step) => (published, step),
        };
        let now = self.serving.clock.now();
        let press = Press {
            now,
            encodings: &self.serving.metrics.encodings,
        };
        let selection = self.link.selection();
        let step = match step {
            Step::Delta(from) => match published.delta(from, selection, press).await? {
                Told::Frame(frame) => {
                    if self.link.bring_on(&frame, published.cursor())? {
                        self.serving.metrics.fanout.catch_ups.inc();
                        self.count("delta", frame.len());
                    }
                    return Ok(());
                }
                Told::Nothing => {
                    self.link.spare(published.cursor());
                    self.serving.metrics.fanout.spared.inc();
                    return Ok(());
                }
                Told::Everything => Step::Snapshot,
            },
            step => step,
        };
        match step {
            Step::Snapshot => {
                let held = self.link.held();
                let (frames, to) = published.snapshot(held, selection, press).await?;
                self.pieces = Some(Box::new(Pieces {
                    frames,
                    next: 0,
                    to,
                }));
                Ok(())
            }
            Step::Ahead => {
                if let Some(ahead) = self.link.told_ahead() {
                    self.serving.cache.look(self.link.region().id(), ahead);
                }
                self.tell_ahead(&published, now)
            }
            Step::Current | Step::Delta(_) => Ok(()),
        }
    }

    fn tell_ahead(&self, published: &Published, time: Timestamp) -> Result<(), End> {
        let Cursor { epoch, version } = published.cursor();
        let ahead = Ahead {
            epoch,
            version,
            time,
        };
        self.link.send(self.frame(&ServerMessage::Ahead(ahead))?)
    }

    pub(super) fn send_piece(&mut self) -> Result<(), End> {
        let Some(pieces) = &mut self.pieces else {
            return Ok(());
        };
        if let Some(piece) = pieces.frames.get(pieces.next) {
            pieces.next += 1;
            let size = piece.len();
            self.link.send(piece.clone())?;
            self.count("snapshot", size);
        } else {
            let to = pieces.to;
            self.pieces = None;
            self.link.has(to);
        }
        Ok(())
    }
}
