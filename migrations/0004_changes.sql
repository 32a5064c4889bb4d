-- What regions serve, the ordered log of how it came to be so, and whose history the log belongs to.
--
-- A change is one decision, in one or several regions, committed in all of them by one transaction:
-- it takes the next version of each region (region_heads, by ascending id), rewrites that region's
-- assignments and contents, and appends one row to its log. The tables of current state carry the
-- version that last touched each row, and tombstones remember what was removed, so that a snapshot
-- or a delta is read from them without replaying the log, and the log can be compacted.

CREATE TABLE epoch (
    only_one    boolean PRIMARY KEY DEFAULT true CONSTRAINT epoch_is_one_row CHECK (only_one),
    epoch       uuid NOT NULL,  -- UUIDv7: a later one is greater
    fingerprint jsonb NOT NULL, -- of the database it was minted under
    minted_at   timestamptz NOT NULL,
    reason      text NOT NULL
);

CREATE TABLE epoch_history (
    epoch       uuid PRIMARY KEY,
    fingerprint jsonb NOT NULL,
    minted_at   timestamptz NOT NULL,
    reason      text NOT NULL
);

CREATE TABLE changes (
    change_id     uuid PRIMARY KEY,
    kind          text NOT NULL CONSTRAINT changes_have_a_kind CHECK (kind <> ''),
    event_id      text CONSTRAINT changes_event REFERENCES live_events, -- none if it spans several events
    deployment_id uuid, -- foreign key in 0005, where deployments are
    reason        text,
    actor         text NOT NULL,
    created_at    timestamptz NOT NULL,
    trace_id      text
);
CREATE INDEX changes_newest_first ON changes (created_at DESC, change_id);
CREATE INDEX changes_event ON changes (event_id, created_at) WHERE event_id IS NOT NULL;
CREATE INDEX changes_deployment ON changes (deployment_id, created_at) WHERE deployment_id IS NOT NULL;

-- Kept for good, unlike the log: it answers GET /changes/{id} after the log has been compacted.
CREATE TABLE change_regions (
    change_id uuid NOT NULL CONSTRAINT change_regions_change REFERENCES changes,
    region_id text NOT NULL CONSTRAINT change_regions_region REFERENCES regions,
    epoch     uuid NOT NULL,
    version   bigint NOT NULL CONSTRAINT change_regions_version_is_taken CHECK (version > 0),
    PRIMARY KEY (change_id, region_id)
);

CREATE TABLE region_log (
    region_id    text NOT NULL CONSTRAINT region_log_region REFERENCES regions,
    version      bigint NOT NULL CONSTRAINT region_log_version_is_taken CHECK (version > 0),
    epoch        uuid NOT NULL,
    change_id    uuid NOT NULL CONSTRAINT region_log_change REFERENCES changes,
    format       smallint NOT NULL, -- protocol version that the entries are encoded for
    entries      bytea NOT NULL,
    digest       bytea NOT NULL CONSTRAINT region_log_digest_is_whole CHECK (octet_length(digest) = 32),
    committed_at timestamptz NOT NULL,
    PRIMARY KEY (region_id, version)
);

CREATE TABLE assignments (
    region_id text NOT NULL CONSTRAINT assignments_region REFERENCES regions,
    event_id  text NOT NULL CONSTRAINT assignments_event REFERENCES live_events,
    live      integer,
    candidate integer,
    exposure  integer CONSTRAINT assignments_exposure_is_a_share CHECK (exposure BETWEEN 0 AND 10000),
    bucket_by text,
    schedule  jsonb NOT NULL, -- occurrences [opens, closes)
    paused    boolean NOT NULL,
    stopped   boolean NOT NULL,
    salt      text NOT NULL,
    version   bigint NOT NULL CONSTRAINT assignments_version_is_taken CHECK (version > 0),
    PRIMARY KEY (region_id, event_id),
    CONSTRAINT assignments_live_revision FOREIGN KEY (event_id, live) REFERENCES revisions,
    CONSTRAINT assignments_candidate_revision FOREIGN KEY (event_id, candidate) REFERENCES revisions,
    CONSTRAINT assignments_expose_a_candidate CHECK ((candidate IS NULL) = (exposure IS NULL))
);
CREATE INDEX assignments_event ON assignments (event_id);
CREATE INDEX assignments_changed ON assignments (region_id, version);

-- Contents that a region holds: sent once per (event, revision), shared by its assignments.
CREATE TABLE region_contents (
    region_id text NOT NULL CONSTRAINT region_contents_region REFERENCES regions,
    event_id  text NOT NULL,
    revision  integer NOT NULL,
    version   bigint NOT NULL CONSTRAINT region_contents_version_is_taken CHECK (version > 0),
    PRIMARY KEY (region_id, event_id, revision),
    CONSTRAINT region_contents_revision FOREIGN KEY (event_id, revision) REFERENCES revisions
);
CREATE INDEX region_contents_changed ON region_contents (region_id, version);

CREATE TABLE region_tombstones (
    region_id text NOT NULL CONSTRAINT region_tombstones_region REFERENCES regions,
    kind      text NOT NULL CONSTRAINT region_tombstones_kind_is_known CHECK (kind IN ('Assignment', 'Content')),
    event_id  text NOT NULL CONSTRAINT region_tombstones_event REFERENCES live_events,
    revision  integer, -- of a content; an assignment has none
    version   bigint NOT NULL CONSTRAINT region_tombstones_version_is_taken CHECK (version > 0),
    CONSTRAINT region_tombstones_once UNIQUE NULLS NOT DISTINCT (region_id, kind, event_id, revision),
    CONSTRAINT region_tombstones_name_a_revision CHECK ((kind = 'Content') = (revision IS NOT NULL))
);
CREATE INDEX region_tombstones_changed ON region_tombstones (region_id, version);
