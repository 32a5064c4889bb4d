//! Every metric of the origin.

mod push;

pub use push::PushMetrics;
