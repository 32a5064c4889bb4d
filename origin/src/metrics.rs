//! Every metric of the origin.

mod control;
mod delivery;
mod engagement;
mod figures;
mod push;
mod scheduler;

pub use control::{ApiMetrics, Cause, TakenBack, TrustMetrics};
pub use delivery::DeliveryMetrics;
pub use engagement::EngagementMetrics;
pub use figures::FigureMetrics;
pub use push::PushMetrics;
pub use scheduler::SchedulerMetrics;
