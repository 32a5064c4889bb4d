-- Deployments: moving one revision into regions.
--
-- deployment_regions remembers each region's assignment before and after, because a rollback
-- restores only what the deployment changed, and must tell whether a later one has changed the same.

CREATE TABLE deployments (
    deployment_id      uuid PRIMARY KEY,
    event_id           text NOT NULL,
    revision           integer NOT NULL,
    regions            text[] NOT NULL CONSTRAINT deployments_go_somewhere CHECK (cardinality(regions) > 0),
    percentage_bp      integer NOT NULL CONSTRAINT deployments_percentage_is_a_share CHECK (percentage_bp BETWEEN 0 AND 10000),
    status             text NOT NULL CONSTRAINT deployments_status_is_known
                       CHECK (status IN ('Pending', 'InProgress', 'Paused', 'Completed', 'Failed',
                                         'RollingBack', 'RolledBack', 'Cancelled')),
    -- The change that carried it out. The two name each other, so both are checked at commit.
    change_id          uuid CONSTRAINT deployments_change REFERENCES changes DEFERRABLE INITIALLY DEFERRED,
    created_by         text NOT NULL,
    created_at         timestamptz NOT NULL,
    completed_at       timestamptz,
    rolled_back_at     timestamptz,
    rolled_back_by     text,
    rollback_reason    text,
    rollback_change_id uuid CONSTRAINT deployments_rollback_change REFERENCES changes DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT deployments_revision FOREIGN KEY (event_id, revision) REFERENCES revisions,
    CONSTRAINT deployments_rolled_back_by_somebody CHECK (
        (rolled_back_at IS NULL) = (rolled_back_by IS NULL)
        AND (status = 'RolledBack') <= (rolled_back_at IS NOT NULL))
);
CREATE INDEX deployments_event ON deployments (event_id, created_at);
CREATE INDEX deployments_newest_first ON deployments (created_at DESC, deployment_id);

ALTER TABLE changes ADD CONSTRAINT changes_deployment
    FOREIGN KEY (deployment_id) REFERENCES deployments DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE deployment_regions (
    deployment_id uuid NOT NULL CONSTRAINT deployment_regions_deployment REFERENCES deployments,
    region_id     text NOT NULL CONSTRAINT deployment_regions_region REFERENCES regions,
    before        jsonb, -- the assignment, or none
    after         jsonb,
    version       bigint NOT NULL CONSTRAINT deployment_regions_version_is_taken CHECK (version > 0),
    PRIMARY KEY (deployment_id, region_id)
);
CREATE INDEX deployment_regions_region ON deployment_regions (region_id, version);
