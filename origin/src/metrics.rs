//! Every metric of the origin.

mod control;
mod delivery;
mod push;
mod scheduler;

pub use control::{ApiMetrics, TrustMetrics};
pub use delivery::DeliveryMetrics;
pub use push::PushMetrics;
pub use scheduler::SchedulerMetrics;
