-- Events and their revisions.
--
-- An event is configuration: a JSON document. A revision is one immutable, numbered document, and
-- approval belongs to it. live_events holds the one row per event that commands lock, with the
-- newest revision's columns beside it for lists and for operators, who query
-- live_events(event_id, state, start_time, end_time) by hand and in dashboards.
--
-- The document is json, not jsonb: free-form configuration keeps its text, so numbers and the order
-- of keys reach game servers as the designer wrote them.

CREATE TABLE live_events (
    event_id     text PRIMARY KEY CONSTRAINT live_events_id_is_a_slug CHECK (event_id ~ '^[a-z0-9-]{1,100}$'),
    state        text NOT NULL CONSTRAINT live_events_state_is_known
                 CHECK (state IN ('Draft', 'Scheduled', 'Active', 'Paused', 'Completed', 'Cancelled')),
    event_type   text NOT NULL CONSTRAINT live_events_type_is_known
                 CHECK (event_type IN ('SeasonalPromotion', 'LimitedTimeOffer', 'CompetitiveEvent',
                                       'ContentRelease', 'RetentionCampaign', 'ABTestVariant')),
    category     text,
    display_name text NOT NULL,
    start_time   timestamptz NOT NULL, -- of a region-local event: its wall-clock start, in the event's own zone
    end_time     timestamptz NOT NULL, -- likewise; nothing of the event is shown from its end on
    timezone     text NOT NULL,        -- IANA
    region_local boolean NOT NULL,     -- start and end are wall clock in each region's zone
    revision     integer NOT NULL,     -- the newest one
    priority     integer NOT NULL,
    tags         text[] NOT NULL,
    salt         text NOT NULL,        -- random at creation; decides which side of an exposure a key is on
    created_at   timestamptz NOT NULL,
    created_by   text NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT live_events_end_after_start CHECK (end_time > start_time)
);

CREATE TABLE revisions (
    event_id        text NOT NULL CONSTRAINT revisions_event REFERENCES live_events ON DELETE CASCADE,
    revision        integer NOT NULL CONSTRAINT revisions_count_from_one CHECK (revision >= 1),
    document        json NOT NULL, -- the whole event as accepted, defaults filled in
    approval_status text NOT NULL CONSTRAINT revisions_approval_is_known
                    CHECK (approval_status IN ('Pending', 'Approved', 'Rejected')),
    approved_by     text, -- or rejected by
    approved_at     timestamptz,
    notes           text,
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL,
    PRIMARY KEY (event_id, revision),
    CONSTRAINT revisions_judged_by_somebody CHECK (
        (approval_status = 'Pending') = (approved_by IS NULL)
        AND (approved_by IS NULL) = (approved_at IS NULL))
);

-- The event row and its first revision name each other, so this is checked at commit.
ALTER TABLE live_events ADD CONSTRAINT live_events_newest_revision
    FOREIGN KEY (event_id, revision) REFERENCES revisions DEFERRABLE INITIALLY DEFERRED;

CREATE INDEX live_events_state ON live_events (state, start_time);
CREATE INDEX live_events_window ON live_events (start_time, end_time);
CREATE INDEX live_events_category ON live_events (category) WHERE category IS NOT NULL;
CREATE INDEX live_events_tags ON live_events USING gin (tags);
CREATE INDEX live_events_newest_first ON live_events (created_at DESC, event_id);
