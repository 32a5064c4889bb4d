-- Who else is believed about players, and where people log in from.
--
-- An issuer is a studio's own service that signs its players' tokens. `keys` are its public keys as they were last
-- had, from its key set's address or by hand: they stay in force while the address cannot be asked. The origins take
-- turns to ask: whoever moves `fetch_due_at` on does it, and nobody waits for anybody.
--
-- A network from which somebody has logged in (an IPv4 address, or the first 64 bits of an IPv6 one) is theirs: guesses
-- made elsewhere slow their own logins down nowhere but there.

CREATE TABLE issuers (
    issuer_id    text PRIMARY KEY CONSTRAINT issuers_id_is_a_slug CHECK (issuer_id ~ '^[a-z0-9-]{1,64}$'),
    issuer       text NOT NULL CONSTRAINT issuers_issuer UNIQUE, -- the iss claim of its tokens
    document     jsonb NOT NULL, -- audience, algorithms, key set's address, claims, regions
    keys         jsonb NOT NULL, -- public JWKs
    fetch_due_at timestamptz, -- none: the keys were given by hand
    fetched_at   timestamptz, -- when the address last gave usable keys
    failed_at    timestamptz, -- when it last did not, if that was later
    problem      text,        -- and why
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    updated_by   text NOT NULL
);
CREATE INDEX issuers_due ON issuers (fetch_due_at) WHERE fetch_due_at IS NOT NULL;

CREATE TABLE known_networks (
    username text NOT NULL CONSTRAINT known_networks_user REFERENCES users ON DELETE CASCADE,
    network  text NOT NULL,
    seen_at  timestamptz NOT NULL,
    PRIMARY KEY (username, network)
);

-- What a player's token says of the player, to be looked up: attributes and bucketing keys.
ALTER TABLE tokens ADD COLUMN claims jsonb;

-- The list of service tokens, newest first.
CREATE INDEX tokens_listed ON tokens (created_at DESC, token_id) WHERE NOT session;

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON issuers, known_networks TO liveevents_service;
    END IF;
END
$$;
