-- What the service may do, as a role apart from the owner of the schema.
--
-- Migrations run as the owner; the service connects as liveevents_service, or as a login that is a
-- member of it. It reads and writes everything but cannot change the schema, and cannot alter or
-- delete an audit row. The role is shared by all databases of a server, so it may exist already, or
-- be made by a migration of another database at this very moment. Where the owner may not create
-- roles and nobody has, everything stays with the owner and this is a no-op: an administrator then
-- creates the role and runs the grants below by hand.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'liveevents_service') THEN
        BEGIN
            CREATE ROLE liveevents_service NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role liveevents_service is missing and may not be created: nothing granted';
                RETURN;
        END;
    END IF;

    GRANT USAGE ON SCHEMA public TO liveevents_service;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO liveevents_service;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO liveevents_service;
    REVOKE UPDATE, DELETE ON audit_log FROM liveevents_service;
    -- So that a start can tell whether the schema is current; only the owner migrates.
    IF to_regclass('public._sqlx_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM liveevents_service;
    END IF;
END
$$;
