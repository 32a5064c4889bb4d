-- Requests that created something under an Idempotency-Key, so that sent again they get the first answer again.
--
-- A row is written in the transaction that creates, with the answer. It is forgotten a day later; until then it is not
-- looked for by anything but its whole key, nor by age but to be forgotten. The fingerprint is keyed with the
-- installation's secret, since what was sent may have a password in it.

CREATE TABLE idempotency_keys (
    caller      text NOT NULL,
    path        text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL CONSTRAINT idempotency_fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32),
    location    text,
    etag        text,
    body        text NOT NULL DEFAULT '', -- JSON; empty only within the transaction that creates
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (caller, path, key)
);

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO liveevents_service;
    END IF;
END
$$;
