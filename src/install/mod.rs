//! Makes a cluster match manifests.

pub mod apply;
pub mod plan;
pub mod readiness;
