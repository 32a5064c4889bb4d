-- Edges, and what each has acked.
--
-- The newest connection of an edge id wins, also across replicas of the origin: each connection takes
-- the next claim of its edge, and may write only while it still holds it.
--
-- Acks are kept twice. edge_positions is where each edge stands now: one row per edge and region,
-- rewritten by every ack, which is what convergence asks. region_acks is when each version reached
-- each edge, for the figures of GET /changes/{id}. It is written for every edge and change, so it has
-- no foreign keys (each would be a look-up per ack), and it outlives a forgotten edge. It goes with the rows
-- of region_log that it tells of.

CREATE TABLE edges (
    edge_id       text PRIMARY KEY CONSTRAINT edges_id_is_plain CHECK (edge_id ~ '^[A-Za-z0-9._-]{1,100}$'),
    region_id     text NOT NULL CONSTRAINT edges_region REFERENCES regions, -- its home
    regions       text[] NOT NULL, -- every region that it replicates, home included
    boot_id       uuid NOT NULL,
    claim         bigint NOT NULL CONSTRAINT edges_claim_is_taken CHECK (claim > 0),
    address       text NOT NULL,
    connected     boolean NOT NULL,
    connected_at  timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    signed_off_at timestamptz
);
CREATE INDEX edges_region ON edges (region_id);

CREATE TABLE edge_positions (
    edge_id   text NOT NULL CONSTRAINT edge_positions_edge REFERENCES edges ON DELETE CASCADE,
    region_id text NOT NULL CONSTRAINT edge_positions_region REFERENCES regions,
    epoch     uuid NOT NULL,
    version   bigint NOT NULL CONSTRAINT edge_positions_version_is_real CHECK (version >= 0),
    acked_at  timestamptz NOT NULL,
    PRIMARY KEY (edge_id, region_id)
);
CREATE INDEX edge_positions_region ON edge_positions (region_id, epoch, version);

CREATE TABLE region_acks (
    region_id text NOT NULL,
    epoch     uuid NOT NULL,
    version   bigint NOT NULL,
    edge_id   text NOT NULL,
    acked_at  timestamptz NOT NULL,
    PRIMARY KEY (region_id, epoch, version, edge_id)
);
