//! The in-cluster operator for `IstioOperator` resources, and its command line.
//!
//! One pure pipeline leads from a spec to Kubernetes objects, and one level-triggered controller makes a cluster match them:
//!
//! bytes or resource → [`request`] → [`resolve`] → [`render`] → [`overlay`] → [`plan`] → [`apply`] → [`observe`] → [`status`]
//!
//! Left of `apply` nothing waits, reads a clock, or talks to anyone. Modules import only from those to their left, in this
//! order (a test holds them to it): `tree`; `api`, `component`, `object`, `request`,
//! `resolve`, `overlay`, `render`, `pipeline`, `plan`, `inject`; `cluster`; `apply`, `observe`, `status`; `metrics`, `server`,
//! `telemetry`; `controller`; `cli`.

pub mod api;
pub mod apply;
pub mod cli;
pub mod cluster;
pub mod component;
pub mod controller;
pub mod inject;
pub mod metrics;
pub mod object;
pub mod observe;
pub mod overlay;
pub mod pipeline;
pub mod plan;
pub mod render;
pub mod request;
pub mod resolve;
pub mod server;
pub mod status;
pub mod telemetry;
pub mod tree;
