//! The operator as a process against a real API server, with real controllers.
//!
//! Each test has a control plane for itself, four at a time, which is then brought back to what it was (see
//! [`controlplane::pool`]); one that a test breaks is another test's no more. The operator runs with the service account and the role of
//! `config/default`, so a permission that is missing there fails a test.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod controlplane;

#[path = "server/account.rs"]
mod account;
#[path = "server/addons.rs"]
mod addons;
#[path = "server/adoption.rs"]
mod adoption;
// What waits longest begins first: tests begin in the order of their names.
#[path = "server/blind.rs"]
mod blind;
#[path = "server/bug_report.rs"]
mod bug_report;
#[path = "server/canary.rs"]
mod canary;
#[path = "server/chaos_objects.rs"]
mod chaos_objects;
#[path = "server/chaos_rules.rs"]
mod chaos_rules;
#[path = "server/chaos_steps.rs"]
mod chaos_steps;
#[path = "server/chaos_users.rs"]
mod chaos_users;
#[path = "server/chaos_watch.rs"]
mod chaos_watch;
#[path = "server/chaos_world.rs"]
mod chaos_world;
#[path = "server/commands_forecast.rs"]
mod commands_forecast;
#[path = "server/commands_install.rs"]
mod commands_install;
#[path = "server/commands_operator.rs"]
mod commands_operator;
#[path = "server/commands_revision.rs"]
mod commands_revision;
#[path = "server/commands_run.rs"]
mod commands_run;
#[path = "server/commands_takeover.rs"]
mod commands_takeover;
#[path = "server/commands_uninstall.rs"]
mod commands_uninstall;
#[path = "server/commands_verify.rs"]
mod commands_verify;
#[path = "server/crd.rs"]
mod crd;
#[path = "server/dashboard.rs"]
mod dashboard;
#[path = "server/days.rs"]
mod days;
#[path = "server/deletion.rs"]
mod deletion;
#[path = "server/deletion_guard.rs"]
mod deletion_guard;
#[path = "server/deletion_scale.rs"]
mod deletion_scale;
#[path = "server/deletion_waits.rs"]
mod deletion_waits;
#[path = "server/deploy.rs"]
mod deploy;
#[path = "server/deploy_helm.rs"]
mod deploy_helm;
#[path = "server/dice.rs"]
mod dice;
#[path = "server/drift.rs"]
mod drift;
#[path = "server/engine.rs"]
mod engine;
#[path = "server/faults.rs"]
mod faults;
#[path = "server/gitops.rs"]
mod gitops;
#[path = "server/inject.rs"]
mod inject;
#[path = "server/install.rs"]
mod install;
#[path = "server/invalid.rs"]
mod invalid;
#[path = "server/invariants.rs"]
mod invariants;
#[path = "server/kept.rs"]
mod kept;
#[path = "server/kills.rs"]
mod kills;
#[path = "server/lab.rs"]
mod lab;
#[path = "server/leader.rs"]
mod leader;
#[path = "server/messages.rs"]
mod messages;
#[path = "server/neighbours.rs"]
mod neighbours;
#[path = "server/older.rs"]
mod older;
#[path = "server/outage.rs"]
mod outage;
#[path = "server/plan.rs"]
mod plan;
#[path = "server/process.rs"]
mod process;
#[path = "server/proxy.rs"]
mod proxy;
#[path = "server/readme.rs"]
mod readme;
#[path = "server/real_releases.rs"]
mod real_releases;
#[path = "server/releases.rs"]
mod releases;
#[path = "server/restart.rs"]
mod restart;
#[path = "server/revisions.rs"]
mod revisions;
#[path = "server/scaling.rs"]
mod scaling;
#[path = "server/sections.rs"]
mod sections;
#[path = "server/shapes.rs"]
mod shapes;
#[path = "server/sharing.rs"]
mod sharing;
#[path = "packages/small.rs"]
mod small;
#[path = "server/spelling.rs"]
mod spelling;
#[path = "server/start.rs"]
mod start;
#[path = "server/state.rs"]
mod state;
#[path = "server/takeover.rs"]
mod takeover;
#[path = "server/tenants.rs"]
mod tenants;
#[path = "server/tutorial.rs"]
mod tutorial;
#[path = "server/upgrade.rs"]
mod upgrade;
#[path = "server/waves.rs"]
mod waves;
#[path = "overlays/shapes.rs"]
mod wrong_shapes;
