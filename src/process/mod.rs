//! Health, metrics, logs and traces of a long-running process, and leader election.

pub mod health;
pub mod leader;
pub mod metrics;
pub mod server;
pub mod telemetry;
