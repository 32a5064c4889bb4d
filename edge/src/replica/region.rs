//! One region as everybody here sees it: the state in force, when the origin was last heard, and the bell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;
use liveevents_protocol::evaluate::Moment;
use liveevents_protocol::id::RegionId;
use tokio::sync::watch;

use super::{Published, place};
use crate::schedule::{Notice, Notices};

/// No contact yet, as the number in the atomic.
const NEVER: i64 = i64::MIN;

/// One replicated region.
#[derive(Debug)]
pub(crate) struct Region {
    id: RegionId,
    published: ArcSwapOption<Published>,
    /// Microseconds since 1970.
    contact: AtomicI64,
    /// Whether the origin is heard all the time.
    in_contact: AtomicBool,
    /// How often time has changed what is shown.
    switches: AtomicU64,
    notices: Notices,
    wake: watch::Sender<()>,
    /// Rung with `wake`, for whoever waits for any region.
    changed: watch::Sender<()>,
}

/// What became of a state offered for publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publication {
    /// It is in force.
    Published,
    /// What is in force is at least as new.
    Held,
    /// It belongs to an earlier epoch than what is in force.
    EarlierEpoch,
}

impl Region {
    pub(super) fn new(id: RegionId, changed: watch::Sender<()>) -> Self {
        Self {
            id,
            published: ArcSwapOption::empty(),
            contact: AtomicI64::new(NEVER),
            in_contact: AtomicBool::new(false),
            switches: AtomicU64::new(0),
            notices: Notices::default(),
            wake: watch::Sender::new(()),
            changed,
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &RegionId {
        &self.id
    }

    /// The state in force, `None` before the first.
    pub(crate) fn load(&self) -> Option<Arc<Published>> {
        self.published.load_full()
    }

    /// Wakes when another state is in force. Mark it seen, then read: a change in between wakes again.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.wake.subscribe()
    }

    /// Puts a state in force, if it succeeds the one that is; `heard` is when the origin was last known to have
    /// nothing newer.
    pub(crate) fn publish(&self, mut next: Published, heard: Timestamp) -> Publication {
        let mut current = self.published.load();
        loop {
            if let Some(held) = &*current {
                let succession = succession(held, &next);
                if succession != Publication::Published {
                    return succession;
                }
                next.succeed(held);
            }
            // First, so that no reader finds a state without an age.
            self.heard(heard);
            let offer = Arc::new(next);
            let before = self
                .published
                .compare_and_swap(&*current, Some(Arc::clone(&offer)));
            if same(&before, &current) {
                self.wake.send_replace(());
                self.changed.send_replace(());
                return Publication::Published;
            }
            // Nobody has seen it: it is ours alone.
            let Some(unseen) = Arc::into_inner(offer) else {
                return Publication::Held;
            };
            next = unseen;
            current = before;
        }
    }

    /// The origin was heard at `at`, and had nothing for this region that is not in force.
    pub(crate) fn contacted(&self, at: Timestamp) {
        self.heard(at);
        self.in_contact.store(true, Ordering::Release);
    }

    /// The connection to the origin has ended.
    pub(crate) fn cut_off(&self) {
        self.in_contact.store(false, Ordering::Release);
    }

    fn heard(&self, at: Timestamp) {
        self.contact
            .fetch_max(at.as_microsecond(), Ordering::Relaxed);
    }

    /// When the origin was last heard.
    pub(crate) fn contact(&self) -> Option<Timestamp> {
        match self.contact.load(Ordering::Relaxed) {
            NEVER => None,
            micros => Timestamp::from_microsecond(micros).ok(),
        }
    }

    /// How long ago the origin was last heard; `None` if never. A clock set back gives zero.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        let age = now.duration_since(self.contact()?);
        Some(Duration::try_from(age).unwrap_or_default())
    }

    /// When the origin was last heard, if the connection to it has ended. While it stands nothing is hidden for its
    /// silence, whatever a clock says that was just set.
    pub(crate) fn silent_since(&self) -> Option<Timestamp> {
        if self.in_contact.load(Ordering::Acquire) {
            return None;
        }
        self.contact()
    }

    /// What players are evaluated by at a time.
    pub(crate) fn moment(&self, now: Timestamp) -> Moment {
        let age = self.silent_since().map(|since| now.duration_since(since));
        let age = age.and_then(|age| Duration::try_from(age).ok());
        Moment {
            now,
            age: age.unwrap_or_default(),
        }
    }

    /// Grows whenever time alone may have changed what somebody is shown: an occurrence has begun or ended, or the
    /// origin has been silent for too long.
    pub(crate) fn switches(&self) -> u64 {
        self.switches.load(Ordering::Acquire)
    }

    /// The notices of events that have begun or ended.
    pub(crate) fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Makes known what the clock has done; wakes who waits for changes.
    pub(crate) fn switch(&self, switched: bool, notices: Vec<Notice>) {
        if !switched && notices.is_empty() {
            return;
        }
        self.notices.add(notices);
        if switched {
            self.switches.fetch_add(1, Ordering::AcqRel);
        }
        self.wake.send_replace(());
    }
}

fn same(a: &Guard<Option<Arc<Published>>>, b: &Guard<Option<Arc<Published>>>) -> bool {
    match (&**a, &**b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// What is to become of `next` with `current` in force.
///
/// There is no way back behind what the origin has confirmed. A state that came from the cache and that the origin has
/// not confirmed yields to whatever the origin says: it may be anything.
fn succession(current: &Published, next: &Published) -> Publication {
    let (ours, theirs) = (current.cursor(), next.cursor());
    let confirmed = current.confirmed().map(place);
    let corrects = next.is_confirmed()
        && !current.is_confirmed()
        && confirmed.is_none_or(|confirmed| place(theirs) >= confirmed);
    // The same version of another history: the origin's word counts.
    let replaces = theirs == ours
        && next.is_confirmed()
        && next.sealed().position.digest != current.sealed().position.digest;
    // The same version, and more of it can be applied.
    let heals =
        theirs == ours && next.is_confirmed() && next.quarantine().improves(current.quarantine());
    if place(theirs) > place(ours) || corrects || replaces || heals {
        Publication::Published
    } else if confirmed.is_some_and(|(epoch, _)| epoch > theirs.epoch) || ours.epoch > theirs.epoch
    {
        Publication::EarlierEpoch
    } else {
        Publication::Held
    }
}
