//! What a long-running process shows of itself, and which of several does the work.

pub mod health;
pub mod leader;
pub mod metrics;
pub mod server;
pub mod telemetry;
