-- What game servers report of players, added up: by minute for 48 hours, by hour for 30 days.
--
-- A sender session is one run of whoever sends reports. An edge claims it before it takes its batches, and learns which
-- was counted last; an aggregate and the numbers of the batches in it commit together, so each batch counts once,
-- whatever is killed and whoever sends it again.
--
-- Rows are of places: a region, an event, a revision (0 for none), a variant ('' for none), a cohort. Sketches of players
-- are HyperLogLog, keyed, and empty for nobody; the service merges them, holding the rows locked in the order of their
-- keys. Old rows go by partition, a day each. Each partition has a primary key of its own, and the whole has none: one that
-- is inherited is what pg_restore --clean cannot drop.

CREATE TABLE report_sessions (
    session    uuid PRIMARY KEY,
    edge_id    text NOT NULL,   -- who takes its batches
    claim      bigint NOT NULL, -- over which connection of that edge
    batch      bigint NOT NULL CONSTRAINT report_sessions_batches_are_counted CHECK (batch >= 0),
    claimed_at timestamptz NOT NULL,
    counted_at timestamptz
);
CREATE INDEX report_sessions_oldest ON report_sessions (coalesce(counted_at, claimed_at));

CREATE TABLE engagement (
    grain           text NOT NULL, -- 'Minute' or 'Hour'
    bucket          timestamptz NOT NULL, -- when that began
    event_id        text NOT NULL,
    region_id       text NOT NULL,
    revision        integer NOT NULL,
    variant         text NOT NULL,
    cohort          text NOT NULL,
    session_starts  bigint NOT NULL DEFAULT 0,
    session_ends    bigint NOT NULL DEFAULT 0,
    session_seconds bigint NOT NULL DEFAULT 0,
    participations  bigint NOT NULL DEFAULT 0,
    completions     bigint NOT NULL DEFAULT 0,
    purchases       bigint NOT NULL DEFAULT 0,
    revenue_cents   bigint NOT NULL DEFAULT 0,
    positive        bigint NOT NULL DEFAULT 0,
    neutral         bigint NOT NULL DEFAULT 0,
    negative        bigint NOT NULL DEFAULT 0,
    promoters       bigint NOT NULL DEFAULT 0,
    passives        bigint NOT NULL DEFAULT 0,
    detractors      bigint NOT NULL DEFAULT 0,
    errors          bigint NOT NULL DEFAULT 0,
    active          bytea NOT NULL DEFAULT '',
    participants    bytea NOT NULL DEFAULT '',
    completers      bytea NOT NULL DEFAULT '',
    payers          bytea NOT NULL DEFAULT ''
) PARTITION BY LIST (grain);

CREATE TABLE engagement_minutes PARTITION OF engagement FOR VALUES IN ('Minute') PARTITION BY RANGE (bucket);
CREATE TABLE engagement_hours PARTITION OF engagement FOR VALUES IN ('Hour') PARTITION BY RANGE (bucket);

-- Makes the partitions of the day given and of those beside it, and drops what is over. As its owner: the service may not
-- change the schema.
CREATE FUNCTION engagement_partitions(today date) RETURNS void
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
                    (event_id, bucket, region_id, revision, variant, cohort)', whole.name || to_char(day, '_YYYYMMDD'));
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
REVOKE ALL ON FUNCTION engagement_partitions(date) FROM PUBLIC;

SELECT engagement_partitions((now() AT TIME ZONE 'UTC')::date);

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON report_sessions, engagement TO liveevents_service;
        GRANT EXECUTE ON FUNCTION engagement_partitions(date) TO liveevents_service;
    END IF;
END
$$;
