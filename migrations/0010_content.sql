-- What events are judged by beside themselves, and what they are found by.
--
-- The item catalogue and the studio's JSON Schemas are configuration of the installation. Neither has a foreign key
-- from events: a revision is immutable, and what it names may go later; the next edit or deployment says so.
--
-- event_search holds what a search looks at, in lower case: apart from live_events, since that row is locked and
-- rewritten by every command, and each rewriting would index the text anew. A list without a search never reads it.
-- An event written by an origin of the release before is found by its text once it is edited again.

CREATE TABLE catalog (
    only_one   boolean PRIMARY KEY DEFAULT true CONSTRAINT catalog_is_one_row CHECK (only_one),
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);

CREATE TABLE catalog_items (
    item_id      text PRIMARY KEY CONSTRAINT catalog_items_have_an_id CHECK (item_id <> ''),
    display_name text
);

CREATE TABLE configuration_schemas (
    name       text PRIMARY KEY, -- an event type, or a category
    schema     json NOT NULL,    -- as it was written
    dialect    text NOT NULL,    -- the draft that it is read by
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);

CREATE TABLE event_search (
    event_id text PRIMARY KEY CONSTRAINT event_search_event REFERENCES live_events ON DELETE CASCADE,
    text     text NOT NULL -- identifier, name, tags and description of the newest revision, a line each
);

INSERT INTO event_search (event_id, text)
SELECT event_id, lower(concat_ws(E'\n', event_id, display_name, array_to_string(tags, E'\n'),
                                 left(r.document->>'description', 8000)))
FROM live_events JOIN revisions r USING (event_id, revision);

-- A trigram index finds any part of a word. The extension comes with every Postgres and may be created by a database's
-- owner; where it may not, searching reads all texts: right, and slower.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    -- Without a list of pending entries, which every search would have to read through.
    CREATE INDEX event_search_text ON event_search USING gin (text gin_trgm_ops) WITH (fastupdate = off);
EXCEPTION
    WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
        RAISE NOTICE 'extension pg_trgm is missing and may not be created: searching events is slow';
END
$$;

-- The one filter that had no index.
CREATE INDEX live_events_type ON live_events (event_type);

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE
            ON catalog, catalog_items, configuration_schemas, event_search
            TO liveevents_service;
    END IF;
END
$$;
