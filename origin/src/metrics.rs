//! Every metric of the origin.

mod control;
mod delivery;
mod push;

pub use control::{ApiMetrics, TrustMetrics};
pub use delivery::DeliveryMetrics;
pub use push::PushMetrics;
