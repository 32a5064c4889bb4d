-- What was taken back, kept for good: rollbacks of deployments and of events, with what each region went from and to. The
-- region logs are compacted, and assignments only know the present.

CREATE TABLE rollbacks (
    change_id     uuid PRIMARY KEY CONSTRAINT rollbacks_change REFERENCES changes,
    event_id      text NOT NULL CONSTRAINT rollbacks_event REFERENCES live_events,
    deployment_id uuid CONSTRAINT rollbacks_deployment REFERENCES deployments, -- none if it was the event's
    actor         text NOT NULL,
    reason        text,
    at            timestamptz NOT NULL,
    regions       jsonb NOT NULL -- by region: live and candidate before, and after
);
CREATE INDEX rollbacks_newest_first ON rollbacks (event_id, at DESC);

INSERT INTO rollbacks (change_id, event_id, deployment_id, actor, reason, at, regions)
SELECT d.rollback_change_id, d.event_id, d.deployment_id, d.rolled_back_by, d.rollback_reason, d.rolled_back_at,
       jsonb_object_agg(r.region_id, jsonb_build_object(
           'from', jsonb_build_object('live', r.after->'live', 'candidate', r.after->'candidate'->'revision'),
           'to', jsonb_build_object('live', r.before->'live', 'candidate', r.before->'candidate'->'revision')))
FROM deployments d JOIN deployment_regions r USING (deployment_id)
WHERE d.status = 'RolledBack' AND d.rollback_change_id IS NOT NULL
GROUP BY d.deployment_id;

-- As in 0008, which could not grant what was not there yet.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        GRANT SELECT, INSERT ON rollbacks TO liveevents_service;
    END IF;
END
$$;
