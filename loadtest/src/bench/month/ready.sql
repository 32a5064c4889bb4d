-- What a month of metrics is made up from. Its partitions are made day by day, as they were when the days came.
SELECT count(engagement_partitions((now() AT TIME ZONE 'UTC')::date + days))
FROM generate_series(-30, 0) AS days;

UPDATE live_events SET activated_at = now() - interval '30 days';

CREATE UNLOGGED TABLE bench_events (
    number   integer PRIMARY KEY,
    event_id text NOT NULL,
    size     integer NOT NULL, -- of its busiest hours
    active   boolean NOT NULL, -- there are minutes of it
    regions  integer NOT NULL
);

CREATE UNLOGGED TABLE bench_sketches (
    size         integer NOT NULL,
    variant      integer NOT NULL,
    players      integer NOT NULL,
    active       bytea NOT NULL,
    participants bytea NOT NULL,
    completers   bytea NOT NULL,
    payers       bytea NOT NULL,
    PRIMARY KEY (size, variant)
);

-- Stretches from so many before the present one on, to so many. One event in five tries a candidate. At night there are
-- fewer players, and in a minute fewer than in an hour: by so many sizes.
CREATE PROCEDURE bench_fill(grain text, first integer, last integer) LANGUAGE plpgsql AS $$
DECLARE
    step interval := ('1 ' || grain)::interval;
    present timestamptz := date_trunc(grain, now());
    moment timestamptz;
BEGIN
    FOR n IN REVERSE first..last + 1 LOOP
        moment := present - step * (n - 1);
        INSERT INTO engagement (grain, bucket, event_id, region_id, revision, variant, cohort, segment, session_starts,
            session_ends, session_seconds, participations, completions, purchases, revenue_cents, positive, neutral,
            negative, promoters, passives, detractors, errors, active, participants, completers, payers)
        SELECT grain, moment, e.event_id, r.name, c.revision, '', c.name, '', s.players + s.players / 5, s.players,
            s.players * 900, s.players / 2, s.players / 8, s.players / 30, s.players / 30 * 499, s.players / 12,
            s.players / 20, s.players / 50, s.players / 15, s.players / 20, s.players / 30, s.players / 100,
            s.active, s.participants, s.completers, s.payers
        FROM bench_events e
            JOIN (VALUES (1, 'us-east'), (2, 'eu-west'), (3, 'ap-south')) AS r (number, name) ON r.number <= e.regions
            JOIN (VALUES (false, 1, 'Everybody', 0), (true, 1, 'Control', 1), (true, 2, 'Exposed', 2))
                AS c (tries, revision, name, less) ON c.tries = (e.number % 5 = 0)
            JOIN bench_sketches s
                ON s.size = greatest(0, e.size - c.less - CASE WHEN extract(hour FROM moment) BETWEEN 1 AND 8 THEN 2 ELSE 0 END
                    - CASE WHEN grain = 'Minute' THEN 3 ELSE 0 END)
                AND s.variant = (e.number * 31 + n * 7 + r.number * 13 + c.less * 5) % 64
        WHERE e.active OR grain = 'Hour';
        COMMIT;
    END LOOP;
END
$$;

-- What regions took in.
INSERT INTO region_revenue (bucket, region_id, edge_id, cents)
SELECT date_trunc('hour', now()) - interval '1 hour' * hours, region, region || '-' || edge, 1000000
FROM generate_series(0, 719) AS hours, unnest(ARRAY['us-east', 'eu-west', 'ap-south']) AS region, generate_series(1, 2) AS edge
ON CONFLICT DO NOTHING;

