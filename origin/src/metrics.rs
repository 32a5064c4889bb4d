//! Every metric of the origin.

mod control;
mod push;

pub use control::{ApiMetrics, TrustMetrics};
pub use push::PushMetrics;
