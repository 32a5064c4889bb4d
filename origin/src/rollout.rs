//! Deployments: moving one revision into regions.
//!
//! Here a deployment is one step, carried out at once: live at 100 %, candidate below.

pub mod deployment;
pub mod place;
pub mod take_back;
