//! `POST /segments/{id}/preview`: who would move if a revision took effect. Nothing is changed.
//!
//! What is known of players comes with the request: a sample, as large as the studio likes to take it. It is judged by the
//! code that edges judge by.

use std::collections::BTreeMap;

use axum::extract::State;
use liveevents_protocol::attribute::Attribute;
use liveevents_protocol::id::SegmentId;
use liveevents_protocol::segment::Membership;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Json, Path};
use liveevents_service::limits::{MAX_ATTRIBUTES, MAX_KEY};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::UseView;
use super::{MAX_USES, find, revision};
use crate::api::Api;
use crate::event::fault::Faults;
use crate::limits::MAX_SAMPLE;
use crate::segment::{Move, Moved};
use crate::store::{self, segments};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SegmentSample)]
pub(super) struct Sample {
    /// The revision that would take effect; the newest if it is not said.
    revision: Option<Revision>,
    /// Up to 1,000.
    #[serde(default)]
    players: Vec<Player>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SampledPlayer)]
struct Player {
    player_id: String,
    /// What is known of the player, such as `{"level": 12}`.
    #[serde(default)]
    attributes: BTreeMap<String, Attribute>,
}

/// Who would move, and where it would be felt.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SegmentPreview)]
pub(super) struct Preview {
    segment_id: SegmentId,
    /// What would take effect.
    revision: Revision,
    /// What is in effect; none before the first publication.
    published_revision: Option<Revision>,
    joins: usize,
    leaves: usize,
    stays: usize,
    outside: usize,
    used_by: UseView,
    /// In the order given.
    players: Vec<PlayerView>,
}

/// A player, whether they belong to the segment before and after, and by what.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PlayerMove)]
struct PlayerView {
    player_id: String,
    #[serde(rename = "move")]
    moved: Move,
    before: Membership,
    after: Membership,
}

/// Who of a sample of players would move if a revision took effect.
#[utoipa::path(
    post,
    path = "/segments/{id}/preview",
    params(("id" = SegmentId, Path)),
    responses((status = 200, description = "What would become of them.", body = Preview))
)]
pub(super) async fn preview(
    State(api): State<Api>,
    Path(id): Path<SegmentId>,
    Json(sample): Json<Sample>,
) -> Result<Json<Preview>, ApiError> {
    check(&sample)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let segment = find(&mut tx, &id).await?;
    let revised = revision(&mut tx, &segment, sample.revision).await?;
    let published = segment.published.as_ref().map(|before| before.revision);
    let before = match published {
        Some(published) => Some(revision(&mut tx, &segment, Some(published)).await?),
        None => None,
    };
    let used = segments::used(&mut tx, &id, MAX_USES).await?;
    drop(tx);
    let before = before.map(|before| before.description.criteria);
    let after = revised.description.criteria;
    let players = sample.players.into_iter().map(|player| {
        let Player {
            player_id,
            attributes,
        } = player;
        let moved = Moved::of(before.as_ref(), &after, &player_id, &attributes);
        PlayerView {
            player_id,
            moved: moved.name(),
            before: moved.before,
            after: moved.after,
        }
    });
    let players: Vec<PlayerView> = players.collect();
    let many = |moved| {
        players
            .iter()
            .filter(|player| player.moved == moved)
            .count()
    };
    Ok(Json(Preview {
        segment_id: id,
        revision: revised.revision,
        published_revision: published,
        joins: many(Move::Joins),
        leaves: many(Move::Leaves),
        stays: many(Move::Stays),
        outside: many(Move::Outside),
        used_by: used.into(),
        players,
    }))
}

/// What a game server may say of a player, and no more.
fn check(sample: &Sample) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    if sample.players.len() > MAX_SAMPLE {
        faults.add("players", format!("must be {MAX_SAMPLE} at most"));
    }
    let fits = |text: &str| (1..=MAX_KEY).contains(&text.len());
    for (index, player) in sample.players.iter().enumerate() {
        if !fits(&player.player_id) {
            let message = format!("must have 1 to {MAX_KEY} bytes");
            faults.add(format!("players[{index}].playerId"), message);
        }
        let text = |value: &Attribute| match value {
            Attribute::Text(text) => text.len() <= MAX_KEY,
            Attribute::Flag(_) | Attribute::Number(_) => true,
        };
        let attributes = &player.attributes;
        let short = attributes
            .iter()
            .all(|(name, value)| fits(name) && text(value));
        if attributes.len() > MAX_ATTRIBUTES || !short {
            let message = format!(
                "must be {MAX_ATTRIBUTES} at most, with names of 1 to {MAX_KEY} bytes and texts of at most {MAX_KEY}"
            );
            faults.add(format!("players[{index}].attributes"), message);
        }
    }
    Ok(faults.or_ok()?)
}
