-- Who did what, when, and what it was before and after. Written in the transaction of what it
-- records, kept for good, and append-only for the role that the service runs as (0008).

CREATE TABLE audit_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor    text NOT NULL,
    action   text NOT NULL CONSTRAINT audit_log_names_an_action CHECK (action <> ''),
    subject  text NOT NULL,
    before   jsonb,
    after    jsonb,
    trace_id text
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_subject ON audit_log (subject, id);
CREATE INDEX audit_log_actor ON audit_log (actor, id);
