DROP PROCEDURE bench_fill;
DROP TABLE bench_events, bench_sketches;
VACUUM ANALYZE engagement;
SELECT grain, rows, bytes, indexes
FROM (SELECT grain, count(*) AS rows FROM engagement GROUP BY grain) AS counted
    JOIN (VALUES ('Hour', 'engagement_hours'), ('Minute', 'engagement_minutes')) AS name (grain, part) USING (grain)
    CROSS JOIN LATERAL (
        SELECT sum(pg_total_relation_size(relid)) AS bytes, sum(pg_indexes_size(relid)) AS indexes
        FROM pg_partition_tree(part::regclass) WHERE isleaf) AS size
ORDER BY grain;
