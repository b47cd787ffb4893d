//! From what a person writes to a resolved spec.
//!
//! | module | in → out |
//! |---|---|
//! | [`request`] | files and `--set`, or a resource → one [`request::Request`], with where each field was written |
//! | [`resolve`] | a request and the profiles → [`resolve::Resolved`]: every component with its values, or all problems at once |
//!
//! What is wrong with a spec is a [`problem::Problem`]. Both are made of functions over [`serde_json::Value`] trees, which the
//! stages after this one use as well:
//!
//! | module | in → out |
//! |---|---|
//! | [`path`] | `a.b[name:x].c` → elements; look-up in a tree |
//! | [`place`] | a path → what the API says of it |
//! | [`positions`] | a path → its position in a document's text |
//! | [`patch`] | write or delete at a path |
//! | [`set`] | a `path=value` line → path and typed value |
//! | [`exact`] | paths and `--set` lines as a release's own command line takes them |
//! | [`merge`] | two layers → one (JSON merge patch, `IstioOperator` overlay) |
//! | [`switches`] | the files of a release package → what differs in that release |
//! | [`strategic`] | two layers → one, with lists merged by key as the description of the API says |
//!
//! These have no input or output, no global state, and no panic on any input. Depth and size of what is read are limited
//! (see [`helm_template::yaml::read`]), so that functions that recurse over a tree are safe on trees that came from there.

pub mod exact;
pub mod merge;
pub mod patch;
pub mod path;
pub mod place;
pub mod positions;
pub mod problem;
pub mod request;
pub mod resolve;
pub mod set;
pub mod strategic;
pub mod switches;
