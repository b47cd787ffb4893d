//! The operator as a process against a real API server, with real controllers.
//!
//! Each test has a control plane of its own, one at a time. The operator runs with the service account and the role of
//! `config/default`, so a permission that is missing there fails a test.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod controlplane;

#[path = "server/crd.rs"]
mod crd;
#[path = "server/days.rs"]
mod days;
#[path = "server/deletion.rs"]
mod deletion;
#[path = "server/dice.rs"]
mod dice;
#[path = "server/drift.rs"]
mod drift;
#[path = "server/faults.rs"]
mod faults;
#[path = "server/inject.rs"]
mod inject;
#[path = "server/install.rs"]
mod install;
#[path = "server/invalid.rs"]
mod invalid;
#[path = "server/invariants.rs"]
mod invariants;
#[path = "server/kills.rs"]
mod kills;
#[path = "server/lab.rs"]
mod lab;
#[path = "server/proxy.rs"]
mod proxy;
#[path = "server/restart.rs"]
mod restart;
#[path = "server/revisions.rs"]
mod revisions;
#[path = "server/sections.rs"]
mod sections;
#[path = "server/sharing.rs"]
mod sharing;
#[path = "server/start.rs"]
mod start;
#[path = "server/takeover.rs"]
mod takeover;
#[path = "server/upgrade.rs"]
mod upgrade;
