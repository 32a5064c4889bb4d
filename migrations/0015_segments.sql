-- Segments: named criteria over players' attributes, in revisions, one of which is in effect.
--
-- Designers edit, which makes a revision; what is in effect is what was published last. Publications pile up: each knows
-- the one below it, which is in effect again once it is rolled back. All of them are kept for good, with who and when.
-- A segment that is deleted stays for the record too, and so that a rollback can bring back an event that was for it;
-- its name is not given to another.
--
-- A publication takes the heads of all regions, as a change takes those of its own, so that whoever holds a head reads
-- what is in effect there until the end of its transaction.

CREATE TABLE segments (
    segment_id  text PRIMARY KEY CONSTRAINT segments_id_is_a_slug CHECK (segment_id ~ '^[a-z0-9-]{1,100}$'),
    revision    integer NOT NULL, -- the newest one
    publication integer,          -- the one in effect; none before the first
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL,
    updated_at  timestamptz NOT NULL,
    deleted_at  timestamptz
);

CREATE TABLE segment_revisions (
    segment_id   text NOT NULL CONSTRAINT segment_revisions_segment REFERENCES segments,
    revision     integer NOT NULL CONSTRAINT segment_revisions_count_from_one CHECK (revision >= 1),
    display_name text NOT NULL,
    description  text NOT NULL,
    criteria     json NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text NOT NULL,
    PRIMARY KEY (segment_id, revision)
);

CREATE TABLE segment_publications (
    segment_id  text NOT NULL CONSTRAINT segment_publications_segment REFERENCES segments,
    publication integer NOT NULL CONSTRAINT segment_publications_count_from_one CHECK (publication >= 1),
    revision    integer NOT NULL,
    below       integer,          -- what is in effect once this one is rolled back
    rollback    boolean NOT NULL, -- this one took back the one before it
    change_id   uuid CONSTRAINT segment_publications_change REFERENCES changes, -- none of what came with the installation
    actor       text NOT NULL,
    reason      text,
    at          timestamptz NOT NULL,
    PRIMARY KEY (segment_id, publication),
    CONSTRAINT segment_publications_revision FOREIGN KEY (segment_id, revision) REFERENCES segment_revisions,
    CONSTRAINT segment_publications_below FOREIGN KEY (segment_id, below) REFERENCES segment_publications,
    CONSTRAINT segment_publications_pile_up CHECK (below < publication)
);

-- The segment, its newest revision and its publication name each other, so these are checked at commit.
ALTER TABLE segments
    ADD CONSTRAINT segments_newest_revision
        FOREIGN KEY (segment_id, revision) REFERENCES segment_revisions DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT segments_in_effect
        FOREIGN KEY (segment_id, publication) REFERENCES segment_publications DEFERRABLE INITIALLY DEFERRED;

-- Which segments a revision of an event names, wanted or unwanted; its document says the same.
CREATE TABLE revision_segments (
    event_id   text NOT NULL,
    revision   integer NOT NULL,
    segment_id text NOT NULL CONSTRAINT revision_segments_segment REFERENCES segments,
    PRIMARY KEY (event_id, revision, segment_id),
    CONSTRAINT revision_segments_revision FOREIGN KEY (event_id, revision) REFERENCES revisions ON DELETE CASCADE
);
CREATE INDEX revision_segments_segment ON revision_segments (segment_id);

-- What regions hold of segments: those that their contents name, in the revision in effect. A row without a revision is
-- the memory of one that went, as region_tombstones are of the rest, and goes with them.
CREATE TABLE region_segments (
    region_id  text NOT NULL CONSTRAINT region_segments_region REFERENCES regions,
    segment_id text NOT NULL CONSTRAINT region_segments_segment REFERENCES segments,
    revision   integer,
    version    bigint NOT NULL CONSTRAINT region_segments_version_is_taken CHECK (version > 0),
    PRIMARY KEY (region_id, segment_id),
    CONSTRAINT region_segments_revision FOREIGN KEY (segment_id, revision) REFERENCES segment_revisions
);
CREATE INDEX region_segments_segment ON region_segments (segment_id) WHERE revision IS NOT NULL;

-- Edges may set a segment aside too: `event_id` is its name then.
ALTER TABLE quarantined_entries
    DROP CONSTRAINT quarantined_entries_kind_is_known,
    ADD CONSTRAINT quarantined_entries_kind_is_known CHECK (kind IN ('Assignment', 'Content', 'Segment'));

-- What every title has. Spending is in the studio's own currency: the bounds are to begin with, and edited like any other.
WITH seeds (segment_id, display_name, description, criteria) AS (VALUES
    ('vip-tier-1', 'VIP tier 1', 'Players who have spent from 100 to below 500.', '{"lifetimeSpend":[100,499.99]}'),
    ('vip-tier-2', 'VIP tier 2', 'Players who have spent from 500 to below 2,000.', '{"lifetimeSpend":[500,1999.99]}'),
    ('vip-tier-3', 'VIP tier 3', 'Players who have spent 2,000 or more.', '{"lifetimeSpend":[2000,null]}'),
    ('new-players', 'New players', 'Accounts of at most a week.', '{"accountAgeDays":[0,7]}'),
    ('inactive-players', 'Inactive players', 'Away for two weeks or more.', '{"daysSinceLastLogin":[14,null]}'),
    ('high-engagement', 'High engagement', 'Twenty sessions or more of late.', '{"recentSessionCount":[20,null]}'),
    ('at-risk', 'At risk', 'Here for a month or longer, and now away for five days to two weeks.',
     '{"accountAgeDays":[30,null],"daysSinceLastLogin":[5,13]}')
), made AS (
    INSERT INTO segments (segment_id, revision, publication, created_at, created_by, updated_at)
    SELECT segment_id, 1, 1, now(), 'liveevents', now() FROM seeds
), revised AS (
    INSERT INTO segment_revisions (segment_id, revision, display_name, description, criteria, created_at, created_by)
    SELECT segment_id, 1, display_name, description, criteria::json, now(), 'liveevents' FROM seeds
)
INSERT INTO segment_publications (segment_id, publication, revision, rollback, actor, at)
SELECT segment_id, 1, 1, false, 'liveevents', now() FROM seeds;

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE ON segments TO liveevents_service;
        GRANT SELECT, INSERT ON segment_revisions, segment_publications TO liveevents_service;
        GRANT SELECT, INSERT, UPDATE, DELETE ON revision_segments, region_segments TO liveevents_service;
    END IF;
END
$$;
