//! One connection to the origin, from hello to its end.
//!
//! Reading never waits for anything but the origin: frames are applied as they come, and only what is to be said
//! (acks, heartbeats, reports) is awaited, under a deadline. Of several acks due at once the newest of each region is
//! sent.
//!
//! An entry that cannot be applied is set aside, told to the origin, and holds up nothing.
//!
//! A region whose data is refused ends the connection, for the stream cannot be continued past it. The next hello
//! shows the position held as before, so that an origin whose history has changed under it notices. Refused again, or
//! if no row could be at fault, the position is left out, which asks for a snapshot. So it is if entries were set aside by
//! a process before this one: only a snapshot offers them again.

mod word;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::codec::{self, FrameDecoder, RawFrame};
use liveevents_protocol::frame::{
    DIRECTORY, DRAIN, ENGAGEMENT, EdgeFrame, FORGET, Hello, OriginFrame, PLACES, Quarantined, Rows,
    SEGMENTS, SnapshotChunk,
};
use liveevents_protocol::id::{ErasureId, RegionId};
use liveevents_protocol::limits::{HEARTBEAT, LIVE_WITHIN, MAX_BODY};
use liveevents_protocol::position::Position;
use liveevents_protocol::trust::SignedTrust;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::trust::verify_trust;
use quinn::{ReadError, RecvStream, SendStream};
use secrecy::ExposeSecret;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::dial::Line;
use super::end::End;
use super::{OriginAddress, Status, Strikes, Uplink};
use crate::engagement::Rules;
use crate::limits::{
    CLOCK_OFF, CONNECT_DEADLINE, GOODBYE_DEADLINE, MAX_DRAIN, UPLINK_WRITE_DEADLINE,
    WELCOME_DEADLINE,
};
use crate::replica::{Assembly, Publication, Published, Refused, Region, apply_rows};

/// Refusals in a row after which a snapshot is asked for.
const STRIKES: u8 = 2;

/// One connection.
pub(super) struct Session<'a> {
    uplink: &'a Uplink,
    origin: &'a OriginAddress,
    strikes: &'a mut Strikes,
    line: &'a Line,
    send: SendStream,
    recv: RecvStream,
    frames: FrameDecoder,
    /// Whether the origin has said welcome.
    welcomed: bool,
    snapshots: BTreeMap<RegionId, Assembly>,
    /// Due, the newest of each region.
    acks: BTreeMap<RegionId, (Epoch, Version)>,
    /// What the origin has been told of entries set aside; nothing where there is none.
    degraded: BTreeMap<RegionId, Vec<Quarantined>>,
    /// Whether that may have changed.
    look_aside: bool,
    /// A heartbeat that is to be answered: what it says, and when it was sent.
    beat: Option<(Timestamp, Instant)>,
    /// When what game servers have reported may be told again.
    tell_at: Instant,
    /// An aggregate that is to be answered, and when it was told.
    told: Option<(u64, Instant)>,
    /// What has been forgotten of players and is to be said, before anything more is read.
    forgotten: Vec<ErasureId>,
}

impl<'a> Session<'a> {
    /// Speaks with the origin until one of the two has had enough.
    pub(super) async fn run(
        uplink: &'a Uplink,
        origin: &'a OriginAddress,
        line: &'a Line,
        strikes: &'a mut Strikes,
        shutdown: &CancellationToken,
    ) -> End {
        // Opening waits for the origin's leave.
        let opened = timeout(CONNECT_DEADLINE, line.connection.open_bi()).await;
        let (send, recv) = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return error.into(),
            Err(_) => return End::Silent,
        };
        let mut session = Self {
            uplink,
            origin,
            strikes,
            line,
            send,
            recv,
            frames: FrameDecoder::new(MAX_BODY),
            welcomed: false,
            snapshots: BTreeMap::new(),
            acks: BTreeMap::new(),
            degraded: BTreeMap::new(),
            look_aside: false,
            beat: None,
            tell_at: Instant::now(),
            told: None,
            forgotten: Vec::new(),
        };
        let end = match session.talk(shutdown).await {
            Ok(()) => {
                session.say_goodbye().await;
                End::Shutdown
            }
            Err(end) => end,
        };
        if session.welcomed {
            uplink.metrics.connected.set(0);
            uplink.engagement.end();
            if session.told.is_some() {
                uplink.engagement_metrics.unanswered();
            }
            uplink.replica.cut_off();
            let since = uplink
                .replica
                .contact()
                .unwrap_or_else(|| uplink.clock.now());
            uplink.authority.cut_off(since);
        }
        end
    }

    async fn talk(&mut self, shutdown: &CancellationToken) -> Result<(), End> {
        self.say(&EdgeFrame::Hello(self.hello())).await?;
        let mut heard = Instant::now();
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let silent_at = heard
                + if self.welcomed {
                    LIVE_WITHIN
                } else {
                    WELCOME_DEADLINE
                };
            let mut beats = false;
            let report_at = self.report_at();
            let tells = self.welcomed && self.tell_at > Instant::now();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                chunk = self.recv.read_chunk(MAX_BODY, true) => match chunk {
                    Ok(Some(chunk)) => {
                        heard = Instant::now();
                        self.frames.push(&chunk.bytes);
                    }
                    Ok(None) => return Err(self.closed_without_word().await),
                    Err(ReadError::ConnectionLost(error)) => return Err(error.into()),
                    Err(error) => return Err(End::lost(error)),
                },
                _ = beat.tick(), if self.welcomed => beats = true,
                () = self.uplink.ledgers.rung(), if self.welcomed => {}
                () = self.uplink.engagement.rings(), if self.welcomed => {}
                () = sleep_until(self.tell_at), if tells => {}
                () = sleep_until(report_at.unwrap_or(silent_at)), if report_at.is_some() => {}
                () = sleep_until(silent_at) => return Err(End::Silent),
            }
            while let Some(frame) = self.frames.next_frame().map_err(End::violation)? {
                self.take(&frame)?;
            }
            self.say_acks().await?;
            self.say_forgotten().await?;
            if self.welcomed {
                self.say_degraded().await?;
                self.say_reports().await?;
                self.say_engagement().await?;
            }
            if beats {
                let sent_at = self.uplink.clock.now();
                self.beat.get_or_insert((sent_at, Instant::now()));
                self.say(&EdgeFrame::Heartbeat { sent_at }).await?;
            }
        }
    }

    fn hello(&self) -> Hello {
        let identity = &self.uplink.identity;
        let regions = self.uplink.replica.regions().map(|region| {
            let distrusted = self.strikes.get(region.id()).is_some_and(|&n| n >= STRIKES);
            let held = region.load().filter(|held| {
                let remembered = !held.is_confirmed() && !held.quarantine().is_empty();
                !distrusted && !remembered
            });
            (region.id().clone(), held.map(|held| *held.sealed()))
        });
        Hello {
            installation: identity.installation.clone(),
            edge: identity.edge.clone(),
            boot: identity.boot,
            token: identity.token.expose_secret().to_owned(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: [DRAIN, DIRECTORY, SEGMENTS, ENGAGEMENT, PLACES, FORGET]
                .map(str::to_owned)
                .to_vec(),
            address: identity.address.clone(),
            regions: regions.collect(),
        }
    }

    fn take(&mut self, frame: &RawFrame) -> Result<(), End> {
        let frame = codec::decode_origin_frame(frame).map_err(End::violation)?;
        match frame {
            OriginFrame::Welcome { session, trust, .. } if !self.welcomed => {
                self.trust(trust)?;
                self.welcome(session);
                Ok(())
            }
            OriginFrame::Welcome { .. } => Err(End::violation("a second welcome")),
            _ if !self.welcomed => Err(End::violation("a frame before the welcome")),
            OriginFrame::Trust(trust) => self.trust(trust),
            OriginFrame::Rows(rows) => {
                self.uplink.metrics.rows.inc_by(rows.rows.len() as u64);
                self.rows(&rows)
            }
            OriginFrame::SnapshotChunk(chunk) => {
                self.uplink.metrics.chunks.inc();
                self.chunk(&chunk)
            }
            // Not asked for yet: the hello names no such capability.
            OriginFrame::Heartbeat { echo, time } => {
                self.heartbeat(echo, time);
                Ok(())
            }
            OriginFrame::Drain { spread_ms } => {
                let spread = Duration::from_millis(spread_ms).min(MAX_DRAIN);
                self.uplink.drain.begin(spread);
                Ok(())
            }
            OriginFrame::Counting { key, currencies } => {
                self.uplink.engagement.count_by(Rules { key, currencies });
                Ok(())
            }
            OriginFrame::Claimed(sessions) => {
                self.uplink.engagement.claimed(sessions);
                Ok(())
            }
            OriginFrame::Counted { id, refused } => {
                self.counted(id, &refused);
                Ok(())
            }
            OriginFrame::Forget { id, player } => {
                self.uplink.forget.player(&player);
                self.forgotten.push(id);
                Ok(())
            }
            OriginFrame::Directory(regions) => {
                self.uplink.directory.replace(regions);
                Ok(())
            }
        }
    }

    fn trust(&mut self, signed: SignedTrust) -> Result<(), End> {
        let bundle = verify_trust(&signed, &self.uplink.trust_key).map_err(End::Distrusted)?;
        self.uplink
            .verifier
            .replace(&bundle)
            .map_err(End::Distrusted)?;
        self.uplink.cache.keep_trust(bundle.serial, signed);
        Ok(())
    }

    fn welcome(&mut self, session: u64) {
        let Uplink {
            clock,
            metrics,
            authority,
            status,
            ..
        } = self.uplink;
        self.welcomed = true;
        self.look_aside = true;
        for ledger in self.uplink.ledgers.iter() {
            ledger.begin();
        }
        self.uplink.engagement.begin();
        authority.in_contact();
        metrics.connected.set(1);
        metrics.connections.inc();
        status.set(Status::Connected {
            origin: self.origin.to_string(),
            since: clock.now(),
            session,
        });
        info!(origin = %self.origin, session, "connected to the origin");
    }

    /// The origin has nothing more for the regions whose data it is not in the middle of.
    fn heartbeat(&mut self, echo: Timestamp, time: Timestamp) {
        let now = self.uplink.clock.now();
        self.measure(echo, time, now);
        if let Some((_, sent)) = self.beat.take_if(|(sent_at, _)| *sent_at == echo) {
            for ledger in self.uplink.ledgers.iter() {
                ledger.settle(sent);
            }
        }
        for region in self.uplink.replica.regions() {
            let whole = region.load().is_some() && !self.snapshots.contains_key(region.id());
            if whole {
                region.contacted(now);
            }
        }
    }

    /// How far the clocks are apart. An answer that was long on its way says nothing about it.
    fn measure(&self, echo: Timestamp, time: Timestamp, now: Timestamp) {
        let Ok(round_trip) = Duration::try_from(now.duration_since(echo)) else {
            return;
        };
        let metrics = &self.uplink.metrics;
        metrics.round_trip.set(round_trip.as_secs_f64());
        if let Ok(half) = SignedDuration::try_from(round_trip / 2)
            && round_trip <= CLOCK_OFF
        {
            let offset = time.duration_since(echo).saturating_sub(half);
            metrics.clock_offset.set(offset.as_secs_f64());
            self.uplink.offset.measured(offset);
        }
    }

    fn rows(&mut self, rows: &Rows) -> Result<(), End> {
        let region = self.region(&rows.region)?;
        if let Some(ledger) = self.uplink.ledgers.region(&rows.region) {
            ledger.told(rows, self.uplink.clock.now());
        }
        let current = region.load();
        let trial = self.uplink.journal.trial(region.id());
        let applied = apply_rows(current.as_deref(), rows, &trial);
        self.applied(region, rows.position.position, applied)
    }

    fn chunk(&mut self, chunk: &SnapshotChunk) -> Result<(), End> {
        let region = self.region(&chunk.region)?;
        let mut slot = self.snapshots.remove(&chunk.region);
        let current = region.load();
        let trial = self.uplink.journal.trial(region.id());
        let assembled = Assembly::add(&mut slot, chunk, current.as_deref(), &trial);
        if let Some(pending) = slot {
            self.snapshots.insert(chunk.region.clone(), pending);
            return Ok(());
        }
        let whole = matches!(assembled, Ok(Some(_)));
        self.applied(region, chunk.position.position, assembled)?;
        if whole {
            // The origin may have sent it because somebody wants the cache warm.
            self.uplink.cache.rewrite(region.id());
        }
        Ok(())
    }

    fn region(&self, id: &RegionId) -> Result<&'a Region, End> {
        let region = self.uplink.replica.region(id);
        region
            .map(AsRef::as_ref)
            .ok_or_else(|| End::violation("data of a region not asked for"))
    }

    /// Publishes what came of data up to `told`, notes the ack that is due, or counts the strike. The ack is of what
    /// was told, even if more is held: the origin takes word only of what it has sent.
    fn applied(
        &mut self,
        region: &Region,
        told: Position,
        applied: Result<Option<Published>, Refused>,
    ) -> Result<(), End> {
        let now = self.uplink.clock.now();
        let publication = match applied {
            Ok(Some(next)) => {
                self.note_aside(region, &next);
                let theirs = next.state().epoch();
                match (region.publish(next, now), region.load()) {
                    (Publication::EarlierEpoch, Some(held)) => Err(Refused::EarlierEpoch {
                        ours: held.state().epoch(),
                        theirs,
                    }),
                    _ => Ok(()),
                }
            }
            Ok(None) => Ok(()),
            Err(why) => Err(why),
        };
        if let Err(why) = publication {
            self.uplink
                .metrics
                .refused
                .with_label_values(&[why.as_str()])
                .inc();
            let strikes = self.strikes.entry(region.id().clone()).or_default();
            // Only a history that has changed under the origin is worth showing it our position again.
            let again = *strikes >= STRIKES;
            *strikes = match why {
                Refused::BrokenChain => strikes.saturating_add(1),
                _ => STRIKES,
            };
            let region = region.id().clone();
            return Err(End::Refused { region, why, again });
        }
        self.strikes.remove(region.id());
        region.contacted(now);
        debug!(region = %region.id(), version = %told.version, "applied");
        let due = self
            .acks
            .entry(region.id().clone())
            .or_insert((told.epoch, told.version));
        *due = (*due).max((told.epoch, told.version));
        Ok(())
    }

    async fn say(&mut self, frame: &EdgeFrame) -> Result<(), End> {
        let bytes = codec::encode_edge_frame(frame).map_err(End::violation)?;
        match timeout(UPLINK_WRITE_DEADLINE, self.send.write_all(&bytes)).await {
            Ok(Ok(())) => Ok(()),
            // The reason stands in the connection.
            Ok(Err(error)) => Err(match self.line.connection.close_reason() {
                Some(reason) => reason.into(),
                None => End::lost(error),
            }),
            Err(_) => Err(End::Silent),
        }
    }

    /// The origin ended its side of the stream: the close that says why may be a packet behind.
    async fn closed_without_word(&self) -> End {
        match timeout(GOODBYE_DEADLINE, self.line.connection.closed()).await {
            Ok(reason) => reason.into(),
            Err(_) => End::violation("the end of the stream"),
        }
    }

    async fn say_goodbye(&mut self) {
        let bye = async {
            self.say(&EdgeFrame::Bye).await?;
            self.send.finish().map_err(End::lost)?;
            self.send.stopped().await.map_err(End::lost)
        };
        match timeout(GOODBYE_DEADLINE, bye).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                warn!(origin = %self.origin, "the origin did not hear the goodbye")
            }
        }
    }
}
