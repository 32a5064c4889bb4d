-- Engagement by segment, and how many take part in an event.
--
-- A row of a segment counts what is in the row of everybody too, by sums alone: its sketches are empty.

ALTER TABLE engagement ADD COLUMN segment text NOT NULL DEFAULT ''; -- '' for everybody

DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT t.relid::regclass AS name, c.conname FROM pg_partition_tree('engagement') t
            JOIN pg_constraint c ON c.conrelid = t.relid AND c.contype = 'p' WHERE t.isleaf LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD PRIMARY KEY
            (event_id, bucket, region_id, revision, variant, cohort, segment)', part.name, part.conname);
    END LOOP;
END
$$;

-- As in 0016, but for the keys.
CREATE OR REPLACE FUNCTION engagement_partitions(today date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    whole record;
    part record;
    day date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('engagement_partitions'));
    FOR whole IN SELECT * FROM (VALUES ('engagement_minutes', 2), ('engagement_hours', 30)) AS w (name, days) LOOP
        FOR day IN SELECT today + n FROM generate_series(-1, 1) AS n LOOP
            IF to_regclass('public.' || whole.name || to_char(day, '_YYYYMMDD')) IS NULL THEN
                EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
                    whole.name || to_char(day, '_YYYYMMDD'), whole.name,
                    day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
                EXECUTE format('ALTER TABLE public.%I ADD PRIMARY KEY
                    (event_id, bucket, region_id, revision, variant, cohort, segment)',
                    whole.name || to_char(day, '_YYYYMMDD'));
            END IF;
        END LOOP;
        FOR part IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = ('public.' || whole.name)::regclass
              AND c.relname < whole.name || to_char(today - whole.days, '_YYYYMMDD')
        LOOP
            EXECUTE format('DROP TABLE public.%I', part.relname);
        END LOOP;
    END LOOP;
END
$$;

-- Everybody who ever took part, by region: a sketch, and about how many that is.
CREATE TABLE event_participants (
    event_id  text NOT NULL,
    region_id text NOT NULL,
    players   bytea NOT NULL DEFAULT '',
    many      bigint NOT NULL DEFAULT 0 CONSTRAINT event_participants_are_counted CHECK (many >= 0),
    PRIMARY KEY (event_id, region_id)
);

-- What came in by hour, whatever event it was of; kept as long as hours are. A row for each edge, so that they do not wait for
-- one another.
CREATE TABLE region_revenue (
    bucket    timestamptz NOT NULL,
    region_id text NOT NULL,
    edge_id   text NOT NULL,
    cents     bigint NOT NULL,
    PRIMARY KEY (bucket, region_id, edge_id)
);

-- For how many a revision is, which is in its document too.
ALTER TABLE revisions ADD COLUMN max_participants bigint
    GENERATED ALWAYS AS ((document ->> 'maxParticipants')::bigint) STORED;
CREATE INDEX revisions_with_places ON revisions (event_id, revision) WHERE max_participants IS NOT NULL;

-- As many take part as the event has places for.
ALTER TABLE assignments ADD COLUMN is_full boolean NOT NULL DEFAULT false;
CREATE INDEX assignments_full ON assignments (event_id) WHERE is_full;

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON event_participants, region_revenue TO liveevents_service;
    END IF;
END
$$;
