-- People, and every token that is valid because the origin once signed it.
--
-- Tokens themselves are never stored, only that they exist, so that one can be listed and revoked.
-- A login is a token too (session = true): revoking the sessions of a person who was removed or
-- given another role ends what the old role could do at once instead of at their expiry.
--
-- Edges and the other replicas learn of revocations by the trust bundle, whose serial only grows: it is
-- raised in the transaction that revokes, to the time in microseconds where that is higher, so that a
-- restored database soon passes what edges already hold.
--
-- Who did something (created_by, approved_by, actor, ...) is text without a foreign key throughout
-- the schema: it may be a service token's subject, and it has to outlive the person's account.

CREATE TABLE users (
    username      text PRIMARY KEY CONSTRAINT users_name_is_plain CHECK (username ~ '^[A-Za-z0-9._@+-]{1,100}$'),
    password_hash text NOT NULL, -- argon2id in PHC form
    role          text NOT NULL CONSTRAINT users_role_is_a_persons
                  CHECK (role IN ('Admin', 'Operator', 'GameDesigner', 'Developer')),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE TABLE tokens (
    token_id        uuid PRIMARY KEY, -- the jti claim
    session         boolean NOT NULL, -- from a login, not from POST /tokens
    role            text NOT NULL CONSTRAINT tokens_role_is_known
                    CHECK (role IN ('Admin', 'Operator', 'GameDesigner', 'Developer', 'Player', 'GameServer', 'Edge')),
    subject         text NOT NULL CONSTRAINT tokens_have_a_subject CHECK (subject <> ''),
    regions         text[] NOT NULL,
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    revoked_at      timestamptz,
    idempotency_key text,
    CONSTRAINT tokens_expire_after_creation CHECK (expires_at > created_at),
    -- The token cannot be shown a second time, so a repeated request is a conflict, not a replay.
    CONSTRAINT tokens_idempotency_key UNIQUE (created_by, idempotency_key)
);

-- What a trust bundle carries: the revoked ones that have not expired.
CREATE INDEX tokens_revoked ON tokens (expires_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX tokens_subject ON tokens (subject, expires_at);

CREATE TABLE trust (
    only_one boolean PRIMARY KEY DEFAULT true CONSTRAINT trust_is_one_row CHECK (only_one),
    serial   bigint NOT NULL CONSTRAINT trust_serial_is_positive CHECK (serial > 0)
);
