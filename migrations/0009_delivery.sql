-- What edges tell of the way from them to their game servers, and what operators tell edges.
--
-- Edges report for each region, at most once a second or when a version has reached all: how many game
-- servers hold which version (the whole picture, so one row an edge and region, rewritten by each report),
-- how long versions took to them (histograms, which add up), what game servers could not apply (nacks),
-- and which entries the edge itself could not apply (the whole list at each change of it).
--
-- delivery_times and nacks tell of rows of region_log and go with them. Like region_acks they have no
-- foreign keys, which would be a look-up a row, and they outlive a forgotten edge. What an edge has now
-- (standings, quarantined entries) goes with the edge.
--
-- Every column added to a table of an earlier release is one that it need not know.

ALTER TABLE edges
    ADD COLUMN build           text,   -- its release, as of its last hello
    ADD COLUMN capabilities    text[] NOT NULL DEFAULT '{}',
    ADD COLUMN clock_offset_us bigint, -- its clock minus the origin's, estimated from heartbeats
    ADD COLUMN draining_boot   uuid;   -- it was told to send its game servers elsewhere, in this run of its process

-- A change with more entries than a row holds has several versions in a region; `version` is the last.
ALTER TABLE change_regions
    ADD COLUMN versions integer NOT NULL DEFAULT 1
        CONSTRAINT change_regions_has_versions CHECK (versions >= 1 AND versions <= version);

CREATE TABLE game_server_standings (
    edge_id     text NOT NULL CONSTRAINT game_server_standings_edge REFERENCES edges ON DELETE CASCADE,
    region_id   text NOT NULL CONSTRAINT game_server_standings_region REFERENCES regions,
    epoch       uuid NOT NULL,
    connected   bigint NOT NULL CONSTRAINT game_server_standings_count CHECK (connected >= 0),
    standings   jsonb NOT NULL, -- [[version, received, applied, deferred], ...]: of so many this is the newest
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (edge_id, region_id)
);

CREATE TABLE delivery_times (
    region_id text NOT NULL,
    epoch     uuid NOT NULL,
    version   bigint NOT NULL,
    edge_id   text NOT NULL,
    delays    jsonb NOT NULL, -- bucket of protocol::delay to number of game servers
    max_us    bigint NOT NULL, -- the longest, in microseconds
    PRIMARY KEY (region_id, epoch, version, edge_id)
);

CREATE TABLE nacks (
    region_id text NOT NULL,
    epoch     uuid NOT NULL,
    version   bigint NOT NULL,
    event_id  text NOT NULL,
    revision  integer, -- none if the game server named none
    edge_id   text NOT NULL,
    reason    text NOT NULL,
    count     bigint NOT NULL CONSTRAINT nacks_are_counted CHECK (count > 0),
    first_at  timestamptz NOT NULL,
    last_at   timestamptz NOT NULL,
    CONSTRAINT nacks_once UNIQUE NULLS NOT DISTINCT (region_id, epoch, version, event_id, revision, edge_id, reason)
);

CREATE TABLE quarantined_entries (
    edge_id   text NOT NULL CONSTRAINT quarantined_entries_edge REFERENCES edges ON DELETE CASCADE,
    region_id text NOT NULL CONSTRAINT quarantined_entries_region REFERENCES regions,
    kind      text NOT NULL CONSTRAINT quarantined_entries_kind_is_known CHECK (kind IN ('Assignment', 'Content')),
    event_id  text NOT NULL,
    revision  integer, -- of a content; an assignment has none
    epoch     uuid NOT NULL,
    version   bigint NOT NULL, -- of the entry that could not be applied
    reason    text NOT NULL,
    since     timestamptz NOT NULL,
    CONSTRAINT quarantined_entries_once UNIQUE NULLS NOT DISTINCT (edge_id, region_id, kind, event_id, revision),
    CONSTRAINT quarantined_entries_name_a_revision CHECK ((kind = 'Content') = (revision IS NOT NULL))
);
CREATE INDEX quarantined_entries_region ON quarantined_entries (region_id, epoch, version);

-- How often an operator has asked for every region to be pushed again. Each origin does it once it sees
-- the number risen: a notification may be lost, a number is still there.
CREATE TABLE cache_warming (
    only_one boolean PRIMARY KEY DEFAULT true CONSTRAINT cache_warming_is_one_row CHECK (only_one),
    orders   bigint NOT NULL
);
INSERT INTO cache_warming (orders) VALUES (0);

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE
            ON game_server_standings, delivery_times, nacks, quarantined_entries, cache_warming
            TO liveevents_service;
    END IF;
END
$$;
