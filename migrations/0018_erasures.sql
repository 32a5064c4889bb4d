-- Players who are to be forgotten, and which edges have.
--
-- A record has the player's name only until every edge that was registered when it was made has confirmed, or was
-- forgotten itself: edges have to be told it. After that a keyed hash is what is left, by which the record is found when
-- somebody asks for the player again. Of a player there is one record at a time that is not done.
--
-- Whoever confirms, forgets an edge, or asks again locks the record first, so that of the last two who do one completes it.

CREATE TABLE erasures (
    erasure_id   uuid PRIMARY KEY,
    player       text CONSTRAINT erasures_name_somebody CHECK (player <> ''), -- none once it is done
    player_hash  bytea NOT NULL CONSTRAINT erasures_hash_is_sha256 CHECK (octet_length(player_hash) = 32),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    tokens       bigint NOT NULL CONSTRAINT erasures_count_tokens CHECK (tokens >= 0), -- of the player, that were withdrawn
    segments     text[] NOT NULL, -- whose lists named the player; erasing does not change them
    done_at      timestamptz,
    CONSTRAINT erasures_forget_the_name CHECK ((done_at IS NULL) = (player IS NOT NULL))
);
CREATE UNIQUE INDEX erasures_one_at_a_time ON erasures (player_hash) WHERE done_at IS NULL;
CREATE INDEX erasures_player ON erasures (player_hash, erasure_id);

CREATE TABLE erasure_edges (
    erasure_id   uuid NOT NULL CONSTRAINT erasure_edges_erasure REFERENCES erasures,
    edge_id      text NOT NULL, -- it may have been forgotten since
    confirmed_at timestamptz,
    dropped_at   timestamptz,   -- the edge was forgotten, and is waited for no more
    PRIMARY KEY (erasure_id, edge_id),
    CONSTRAINT erasure_edges_end_once CHECK (confirmed_at IS NULL OR dropped_at IS NULL)
);
CREATE INDEX erasure_edges_awaited ON erasure_edges (edge_id, erasure_id) WHERE confirmed_at IS NULL AND dropped_at IS NULL;

-- Tokens of a player, to be withdrawn and shown.
CREATE INDEX tokens_players ON tokens (subject) WHERE role = 'Player';

-- The audit log names tokens of players by their ids alone: it is kept for good, and players have a right to be forgotten.
UPDATE audit_log SET before = before - 'subject' - 'claims', after = after - 'subject' - 'claims'
WHERE action IN ('token.create', 'token.revoke') AND 'Player' IN (before ->> 'role', after ->> 'role');

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON erasures, erasure_edges TO liveevents_service;
    END IF;
END
$$;
