//! Kubeconfigs: for each of them the operator's own client and kubectl get the same answer, or both refuse.
//!
//! Both ask the API server who they are. Where it matters what is sent, or what is in between, small servers and proxies of
//! this test stand in its place, or before it.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "kubeconfig/ask.rs"]
mod ask;
#[path = "kubeconfig/clusters.rs"]
mod clusters;
mod controlplane;
#[path = "kubeconfig/files.rs"]
mod files;
#[path = "kubeconfig/front.rs"]
mod front;
#[path = "kubeconfig/long.rs"]
mod long;
#[path = "kubeconfig/proxies.rs"]
mod proxies;
#[path = "kubeconfig/users.rs"]
mod users;
#[path = "kubeconfig/world.rs"]
mod world;
