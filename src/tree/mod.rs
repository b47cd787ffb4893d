//! Pure functions over [`serde_json::Value`] trees: address, change and merge them.
//!
//! | module | in → out |
//! |---|---|
//! | [`path`] | `a.b[name:x].c` → elements; look-up in a tree |
//! | [`positions`] | a path → where it stands in a document's text |
//! | [`patch`] | write or delete at a path |
//! | [`set`] | a `path=value` line → path and typed value |
//! | [`merge`] | two layers → one (JSON merge patch, `IstioOperator` overlay) |
//! | [`strategic`] | two layers → one, with lists merged by key as a schema says |
//! | [`suggest`] | an unknown name → the names it may stand for |
//!
//! Guarantees: no input or output, no global state, no panic on any input. Depth and size of what is read are limited
//! (see [`helm_template::yaml::read`]), so that functions that recurse over a tree are safe on trees that came from there.

pub mod merge;
pub mod patch;
pub mod path;
pub mod positions;
pub mod set;
pub mod strategic;
pub mod suggest;
