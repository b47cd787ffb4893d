//! Pure functions over [`serde_json::Value`] trees: read, write, address, change and merge them.
//!
//! | module | in → out |
//! |---|---|
//! | [`yaml_read`] | YAML text → tree, with the YAML 1.1 scalar rules of Go's yaml.v2 |
//! | [`yaml_write`] | tree → YAML text, byte for byte as Helm's `toYaml` and `toYamlPretty` |
//! | [`json_write`] | tree → JSON text, byte for byte as Go's `encoding/json` |
//! | [`number`] | float → text, in the forms of Go's `strconv` and `fmt` |
//! | [`scalar`] | the text of a plain YAML scalar → its type and value |
//! | [`path`] | `a.b[name:x].c` → elements; look-up in a tree |
//! | [`patch`] | write or delete at a path |
//! | [`set`] | a `path=value` line → path and typed value |
//! | [`merge`] | two layers → one (JSON merge patch, `IstioOperator` overlay) |
//! | [`strategic`] | two layers → one, with lists merged by key as a schema says |
//! | [`suggest`] | an unknown name → the names it may stand for |
//!
//! Guarantees: no input or output, no global state, no panic on any input. Depth and size of what is read are limited
//! (see [`yaml_read`]), so that functions that recurse over a tree are safe on trees that came from there.

mod ascii;
pub mod json_write;
pub mod merge;
pub mod number;
pub mod patch;
pub mod path;
pub mod scalar;
pub mod set;
pub mod strategic;
pub mod suggest;
pub mod yaml_read;
pub mod yaml_write;
