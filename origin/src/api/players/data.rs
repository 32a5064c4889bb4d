//! `GET /players/{playerId}/data`: all that the installation holds of a player, and what edges may hold. Edges are not
//! asked: whatever they hold under a player's name is gone with the game server that has named the player.

use axum::extract::State;
use liveevents_protocol::id::SegmentId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Json, Path};
use liveevents_service::token::Role;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::erasure::{ErasureView, player};
use crate::api::Api;
use crate::api::access::Routes;
use crate::api::roles::ADMINS;
use crate::api::tokens::View as TokenView;
use crate::limits::{IDEMPOTENCY_LIFE_HOURS, MAX_ERASURES_TOLD, MAX_TOKENS_TOLD};
use crate::store::players::{self, Listing};
use crate::store::tokens::{self, Filter};
use crate::store::{self, Page, erasures};

pub(super) fn routes() -> Routes {
    Routes::new().add(ADMINS, routes!(held))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PlayerData)]
struct Data {
    player_id: String,
    /// The newest ones that were made for the player. They are never stored themselves.
    tokens: Vec<TokenView>,
    /// How many there are.
    total_tokens: u64,
    /// Revisions of segments that have the player on one of their lists. Erasing leaves them.
    segments: Vec<ListedView>,
    /// The newest ones of the player.
    erasures: Vec<ErasureView>,
    /// What else may be held of any player, wherever that is.
    elsewhere: Vec<Holding>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedInSegment)]
struct ListedView {
    segment_id: SegmentId,
    revision: Revision,
    /// On the list of those who belong to it.
    included: bool,
    /// On the list of those who do not.
    excluded: bool,
    /// Whether it is the revision in effect: regions, game servers and Redis may hold it.
    in_effect: bool,
    /// Whether it is the newest one.
    newest: bool,
}

/// One kind of thing that may be held of a player.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Holding {
    kind: Kind,
    places: &'static [Place],
    what: &'static str,
    /// Whether the player can be told from it.
    identifies: bool,
    kept: Kept,
    /// For how long at most, where it is kept for a time (ISO 8601).
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<String>,
    /// Whether erasing the player removes it.
    erased: bool,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = HoldingKind)]
enum Kind {
    WatchedPlayers,
    ReadAllowances,
    DistinctCounts,
    Participants,
    SegmentLists,
    AnswersKept,
    AuditLog,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = HoldingPlace)]
enum Place {
    Origin,
    Edges,
    Redis,
    GameServers,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = HoldingKept)]
enum Kept {
    /// Until the game server takes the player back, or its connection ends.
    UntilUnwatched,
    /// Until a later revision is in effect; in the segment's history for good.
    UntilRevised,
    ForATime,
    ForGood,
}

/// What there is, whoever the player is. A kind of thing that edges begin to hold has to be added here, and dropped there.
fn holdings() -> Vec<Holding> {
    let holding = |kind, places, what| Holding {
        kind,
        places,
        what,
        identifies: true,
        kept: Kept::ForATime,
        at_most: None,
        erased: false,
    };
    vec![
        Holding {
            kept: Kept::UntilUnwatched,
            erased: true,
            ..holding(
                Kind::WatchedPlayers,
                &[Place::Edges],
                "In memory: a player whom a game server has named at level Watch, with the attributes and keys that it gave.",
            )
        },
        Holding {
            identifies: false,
            at_most: Some("PT1M".to_owned()),
            erased: true,
            ..holding(
                Kind::ReadAllowances,
                &[Place::Edges],
                "In memory: how often the player's events were asked for, under some bits of a hash that is another in each process.",
            )
        },
        Holding {
            identifies: false,
            at_most: Some("P30D".to_owned()),
            ..holding(
                Kind::DistinctCounts,
                &[Place::Edges, Place::Origin],
                "Keyed sketches, by which different players are counted in what game servers report. Nobody can be told from them, nor taken out.",
            )
        },
        Holding {
            identifies: false,
            kept: Kept::ForGood,
            ..holding(
                Kind::Participants,
                &[Place::Origin],
                "The same of all who ever took part in an event, as long as there is the event.",
            )
        },
        Holding {
            kept: Kept::UntilRevised,
            ..holding(
                Kind::SegmentLists,
                &[
                    Place::Origin,
                    Place::Edges,
                    Place::Redis,
                    Place::GameServers,
                ],
                "Lists of players in segments, which people keep. Where the player is on one it is named here under segments.",
            )
        },
        Holding {
            at_most: Some(format!("PT{IDEMPOTENCY_LIFE_HOURS}H")),
            ..holding(
                Kind::AnswersKept,
                &[Place::Origin],
                "First answers to requests with an Idempotency-Key, those that made segments with their lists among them.",
            )
        },
        Holding {
            kept: Kept::ForGood,
            ..holding(
                Kind::AuditLog,
                &[Place::Origin],
                "Who made and edited segments, with their lists. Tokens of players, and erasures, are named by their ids alone.",
            )
        },
    ]
}

impl From<Listing> for ListedView {
    fn from(listing: Listing) -> Self {
        Self {
            segment_id: listing.segment,
            revision: listing.revision,
            included: listing.included,
            excluded: listing.excluded,
            in_effect: listing.in_effect,
            newest: listing.newest,
        }
    }
}

/// What is held of a player.
#[utoipa::path(
    get,
    path = "/players/{playerId}/data",
    params(("playerId" = String, Path)),
    responses((status = 200, description = "All of it, by kind; nothing of a player who is not known.", body = Data))
)]
async fn held(
    State(api): State<Api>,
    Path(player_id): Path<String>,
) -> Result<Json<Data>, ApiError> {
    let player_id = player(player_id)?;
    let now = api.clock.now();
    let filter = Filter {
        role: Some(Role::Player),
        subject: Some(player_id.clone()),
        ..Filter::default()
    };
    let page = Page {
        limit: MAX_TOKENS_TOLD,
        offset: 0,
    };
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let tokens = tokens::list(&mut tx, &filter, page).await?;
    let listings = players::listed_in(&mut tx, &player_id).await?;
    let known_as = api.names.all(&player_id);
    let erasures = erasures::of_player(&mut tx, &known_as, MAX_ERASURES_TOLD).await?;
    let erasures = erasures.into_iter();
    Ok(Json(Data {
        player_id,
        tokens: tokens.items.into_iter().map(TokenView::from).collect(),
        total_tokens: tokens.total,
        segments: listings.into_iter().map(ListedView::from).collect(),
        erasures: erasures.map(|one| ErasureView::new(one, now)).collect(),
        elsewhere: holdings(),
    }))
}
