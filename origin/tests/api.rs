//! The REST contract: who may do what, what is refused and how, and what is true afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

mod api {
    mod approvals;
    mod calendar;
    mod catalog;
    mod concurrency;
    mod deployments;
    mod document;
    mod edges;
    mod engagement;
    mod erasures;
    mod events;
    mod extensions;
    mod guarded;
    mod hostile;
    mod hostile_events;
    mod identity;
    mod issuers;
    mod lifecycle;
    mod lists;
    mod logins;
    mod metrics;
    mod once;
    mod operations;
    mod overlaps;
    mod participation;
    mod previews;
    mod quotas;
    mod refusals;
    mod regions;
    mod roles;
    mod rollbacks;
    mod schema;
    mod segments;
    mod segments_served;
    mod stops;
    mod validation;
}
