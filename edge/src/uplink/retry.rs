//! How long to wait after a connection has ended. Pure.

use std::time::Duration;

use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::close::Retry;

use super::end::End;
use crate::limits::FIX_RETRY;

/// The delay before the next try; `random` is uniform in `[0, 1)`.
pub(super) fn delay(end: &End, backoff: &mut Backoff, random: f64) -> Duration {
    let jittered = backoff.fail(random);
    match end {
        End::Closed(reason, asked) => match reason.retry() {
            // Drawn by the origin for each edge anew, so spread already.
            Retry::Backoff => asked.unwrap_or(jittered),
            Retry::After(least) => least + jittered,
            Retry::Fix => FIX_RETRY + jittered,
        },
        End::Distrusted(_) | End::Refused { again: true, .. } => FIX_RETRY + jittered,
        End::Shutdown
        | End::Unreachable(_)
        | End::Lost(_)
        | End::Silent
        | End::Violation(_)
        | End::Refused { again: false, .. } => jittered,
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::close::CloseReason;
    use liveevents_service::trust::TrustError;

    use super::*;
    use crate::replica::Refused;

    #[test]
    fn the_reason_decides_how_long() {
        let refused = |again| End::Refused {
            region: "us-east".parse().unwrap(),
            why: Refused::BrokenChain,
            again,
        };
        let table = [
            (End::Closed(CloseReason::GoingAway, None), 0),
            (End::Closed(CloseReason::Internal, None), 0),
            (End::Closed(CloseReason::Superseded, None), 30),
            (End::Closed(CloseReason::TokenInvalid, None), 30),
            (End::Closed(CloseReason::RegionNotAllowed, None), 30),
            (End::Distrusted(TrustError::BadSignature), 30),
            (End::Silent, 0),
            (refused(false), 0),
            (refused(true), 30),
        ];
        for (end, least) in table {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
            let delays: Vec<_> = (0..4)
                .map(|_| delay(&end, &mut backoff, 1.0).as_secs())
                .collect();
            assert_eq!(
                delays,
                [least + 1, least + 2, least + 4, least + 4],
                "{end:?}"
            );
            assert_eq!(delay(&end, &mut backoff, 0.0).as_secs(), least, "{end:?}");
        }
    }

    #[test]
    fn an_overloaded_origin_says_when() {
        let asked = Duration::from_millis(6_500);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
        let end = End::Closed(CloseReason::Overloaded, Some(asked));
        assert_eq!(delay(&end, &mut backoff, 0.5), asked);
        // It cannot make less of what a reason demands.
        let end = End::Closed(CloseReason::TokenInvalid, Some(asked));
        assert!(delay(&end, &mut backoff, 0.0) >= FIX_RETRY);
    }
}
