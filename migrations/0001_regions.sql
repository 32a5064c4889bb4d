-- Regions and the heads of their logs.
--
-- A region is a place with its own players, edges and time zone. Everything that is deployed names
-- one, so regions come first. The ten that every installation begins with are seeded here; an
-- operator may add others or correct zone and countries, so nothing below relies on these ten.
--
-- region_heads is apart from regions because it is what every change locks (rows by ascending id)
-- and rewrites: editing a region's name must never wait for a change, nor a change for an edit.

CREATE TABLE regions (
    region_id    text PRIMARY KEY CONSTRAINT regions_id_is_a_slug CHECK (region_id ~ '^[a-z0-9-]{1,64}$'),
    display_name text NOT NULL CONSTRAINT regions_are_named CHECK (btrim(display_name) <> ''),
    timezone     text NOT NULL, -- IANA; region-local times are wall clock here
    countries    text[] NOT NULL -- ISO 3166-1 alpha-2
);

CREATE TABLE region_heads (
    region_id text PRIMARY KEY CONSTRAINT region_heads_region REFERENCES regions,
    version   bigint NOT NULL, -- of the newest row in region_log; 0 before the first change
    floor     bigint NOT NULL, -- the oldest cursor that the log and the tombstones can still serve by delta
    digest    bytea NOT NULL,  -- of that newest row, chained from its predecessors; zeros before the first change
    CONSTRAINT region_heads_are_in_order CHECK (0 <= floor AND floor <= version),
    CONSTRAINT region_heads_digest_is_whole CHECK (octet_length(digest) = 32)
);

INSERT INTO regions (region_id, display_name, timezone, countries) VALUES
    ('us-east',      'US East',        'America/New_York',    '{US,CA}'),
    ('us-west',      'US West',        'America/Los_Angeles', '{US,CA}'),
    ('us-central',   'US Central',     'America/Chicago',     '{US,MX}'),
    ('eu-west',      'Western Europe', 'Europe/London',       '{GB,IE,FR,BE,NL,ES,PT}'),
    ('eu-central',   'Central Europe', 'Europe/Berlin',       '{DE,AT,CH,PL,CZ,IT,SE,DK}'),
    ('ap-southeast', 'Southeast Asia', 'Asia/Singapore',      '{SG,MY,ID,TH,VN,PH,AU,NZ}'),
    ('ap-northeast', 'Northeast Asia', 'Asia/Tokyo',          '{JP,KR,TW}'),
    ('sa-east',      'South America',  'America/Sao_Paulo',   '{BR,AR,CL,UY}'),
    ('me-central',   'Middle East',    'Asia/Dubai',          '{AE,SA,QA,KW,BH,OM}'),
    ('af-south',     'Africa',         'Africa/Johannesburg', '{ZA,NA,BW,KE,NG}');

INSERT INTO region_heads (region_id, version, floor, digest)
SELECT region_id, 0, 0, decode(repeat('00', 32), 'hex') FROM regions;
