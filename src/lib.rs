//! The in-cluster operator for `IstioOperator` resources, and its command line.
//!
//! One pure pipeline leads from a spec to Kubernetes objects, and one level-triggered controller makes a cluster match them:
//!
//! files or resource → [`spec::request`] → [`spec::resolve`] → [`render`] → [`install`] → [`controller::status`]
//!
//! What goes into `install` is made without waiting, without a clock, and without talking to anyone: so are all modules left of
//! `cluster` below. Modules import only from those to their left, in this order (`tests/architecture.rs` checks both): `failure`,
//! `api`, `object`, `spec`, `release`, `render`, `inject`, `diff`, `translation`, `upgrade`, `cluster`, `source`, `install`,
//! `process`, `controller`, `cli`. The chart engine is the crate [`helm_template`].

pub mod api;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod diff;
pub mod failure;
pub mod inject;
pub mod install;
pub mod object;
pub mod process;
pub mod release;
pub mod render;
pub mod source;
pub mod spec;
pub mod translation;
pub mod upgrade;
