-- The course of an event's life: the times in force, when to look at it next, and what may not be shown side by side.
--
-- From the first deployment on an event's times are its own and no revision's: extending or activating it changes them
-- here, while revisions stay what they are. The scheduler looks at an event at its due_at. None means that somebody has
-- changed its schedules and nobody has looked since, which is also what an origin of the release before leaves behind.

ALTER TABLE live_events
    ADD COLUMN timing       json,        -- start, end, zone, recurrence as the lifecycle has made them; none: as the newest revision says
    ADD COLUMN activated_at timestamptz, -- by hand; from then on it is open in every region
    ADD COLUMN ended_at     timestamptz, -- completed or cancelled
    ADD COLUMN due_at       timestamptz; -- infinity: never by itself

CREATE INDEX live_events_due ON live_events (due_at NULLS FIRST)
    WHERE state IN ('Scheduled', 'Active', 'Paused');

-- What events of one category in one region are compared by, without reading whole documents.
ALTER TABLE revisions
    ADD COLUMN category      text GENERATED ALWAYS AS (document->>'category') STORED,
    ADD COLUMN allow_overlap boolean GENERATED ALWAYS AS (coalesce(document->>'allowOverlap' = 'true', false)) STORED;

CREATE TABLE scheduler (
    only_one boolean PRIMARY KEY DEFAULT true CONSTRAINT scheduler_is_one_row CHECK (only_one),
    ran_at   timestamptz NOT NULL -- when the scheduler of any replica last found nothing more to do
);

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON scheduler TO liveevents_service;
    END IF;
END
$$;
