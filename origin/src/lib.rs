//! The origin: owns Postgres and every decision, answers the REST API, and pushes to edges.
//!
//! In reading order: how it is configured and wired, what events are, what a deployment makes of them,
//! how a change is committed and when it has arrived, where it is stored, and how it is asked for.

pub mod config;
pub mod limits;

pub mod database;
pub mod password;
pub mod private_file;
pub mod tls;

pub mod development;
pub mod first_admin;
pub mod issuer;
pub mod login;
pub mod outbound;
pub mod quotas;
pub mod studio;
pub mod trust;

pub mod calendar;
pub mod country;
pub mod engagement;
pub mod erasure;
pub mod event;
pub mod region;
pub mod rollout;
pub mod segment;

pub mod change;
pub mod convergence;
pub mod epoch;
pub mod seal;
pub mod store;

pub mod inspect;
pub mod participation;
pub mod scheduler;
pub mod settle;

pub mod compaction;
pub mod figures;
pub mod push;
pub mod quic;

pub mod api;

pub mod metrics;
pub mod run;
