//! Release packages as they are fetched: from web servers, registries and proxies that these tests start on this machine.
//!
//! What a person meets is shown by the binary, each time with a home of its own in which nothing but the cache may change;
//! what a server can do with time by the library, whose waits can be short.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "source/archives.rs"]
mod archives;
#[path = "source/at_hand.rs"]
mod at_hand;
#[path = "source/home.rs"]
mod home;
#[path = "source/library.rs"]
mod library;
#[path = "source/package.rs"]
mod package;
#[path = "source/policy.rs"]
mod policy;
#[path = "source/processes.rs"]
mod processes;
#[path = "source/proxy.rs"]
mod proxy;
#[path = "source/registry.rs"]
mod registry;
#[path = "source/releases.rs"]
mod releases;
#[path = "source/server.rs"]
mod server;
#[path = "source/web.rs"]
mod web;
