//! A database of a test's own, and Postgres' own programs.

use std::path::Path;
use std::process::Command;

use super::{unique, variable};

/// One of Postgres' programs, in the version that the test command chose.
pub fn postgres(program: &str) -> Command {
    Command::new(Path::new(&variable("TEST_PG_BIN")).join(program))
}

/// A database.
#[derive(Debug, Clone)]
pub struct Database {
    /// How to reach it, as superuser.
    pub url: String,
}

impl Database {
    /// A new empty one on the test command's server.
    pub fn create() -> Self {
        Self::create_on(&variable("DATABASE_URL"))
    }

    /// A new empty one on a given server.
    pub fn create_on(server: &str) -> Self {
        let name = unique("system").replace('-', "_");
        let admin = Self {
            url: server.to_owned(),
        };
        admin.query(&format!("CREATE DATABASE {name}"));
        let (base, _) = server.rsplit_once('/').unwrap();
        Self {
            url: format!("{base}/{name}"),
        }
    }

    /// What `psql` prints, unaligned, without headers.
    pub fn query(&self, sql: &str) -> String {
        let output = postgres("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", &self.url, "-c", sql])
            .output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Like `query`, for one number.
    pub fn number(&self, sql: &str) -> i64 {
        self.query(sql).parse().unwrap()
    }

    /// Every region log must be whole: versions without gap or repetition from the first row that is kept,
    /// at or below the floor's successor, to the head; and every change in all its regions.
    pub fn assert_logs_are_whole(&self) {
        let broken = self.query(
            "SELECT h.region_id, h.version, h.floor, count(l.version), min(l.version), max(l.version)
             FROM region_heads h LEFT JOIN region_log l USING (region_id)
             GROUP BY h.region_id, h.version, h.floor
             HAVING h.version > 0 AND (max(l.version) <> h.version OR min(l.version) > h.floor + 1
                 OR count(l.version) <> max(l.version) - min(l.version) + 1)",
        );
        assert_eq!(
            broken, "",
            "logs with gaps (region, head, floor, rows, first, last)"
        );
        let half = self.query(
            "SELECT c.change_id FROM change_regions c
                 JOIN region_heads h USING (region_id)
                 LEFT JOIN region_log l ON l.region_id = c.region_id AND l.version = c.version
                     AND l.change_id = c.change_id
             WHERE l.version IS NULL AND c.version >= h.floor
             UNION SELECT d.change_id FROM deployments d
             WHERE d.status = 'Completed' AND d.change_id IS NOT NULL AND cardinality(d.regions) <>
                 (SELECT count(*) FROM change_regions c WHERE c.change_id = d.change_id)",
        );
        assert_eq!(half, "", "changes that are half there");
    }
}
