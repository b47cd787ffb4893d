//! Helm charts, rendered as Helm renders them, without Go.
//!
//! ```text
//! chart (directory, archive, memory) + values + release → files → sorted manifests, or Helm's own error text
//! ```
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | [`yaml`], [`json`], [`number`] | text of trees, byte for byte as Go's libraries read and write it | `serde_json::Value` |
//! | [`gotmpl`] | Go's `text/template`: parser and evaluator, with budgets for work, memory and time | nothing of Helm |
//! | [`sprig`] | the functions of sprig, with Go's results and error texts | `gotmpl` |
//! | [`helm`] | charts, dependencies, values, schemas, `include`, `tpl`, `lookup`, manifests | all of these |
//! | [`threads`] | threads whose stack is deep enough for any chart | nothing |
//!
//! Each imports only from those above it in `yaml`/`json`/`number`/`threads` → `gotmpl` → `sprig` → `helm` → `cli`.
//!
//! Guarantees: no unsafe code; no panic, no stack overflow and no work without end on any chart (see [`helm`] for the
//! limits); the same input gives the same bytes, since time and randomness come from the caller alone
//! ([`gotmpl::Ambient`]); nothing is read but what is named, and no network is used.

mod ascii;
#[cfg(feature = "cli")]
pub mod cli;
pub mod gotmpl;
pub mod helm;
pub mod json;
pub mod number;
pub mod sprig;
pub mod threads;
pub mod yaml;
