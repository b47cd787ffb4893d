//! Helm's chart rendering, as version 3.22 does it, without a cluster.
//!
//! | module | in → out |
//! |---|---|
//! | `source`, `ignore`, `glob` | directory or archive → files |
//! | [`chart`], [`metadata`] | files → [`Chart`], checked |
//! | [`strvals`] | `--set` and its siblings → values |
//! | `dependencies`, `node` | chart and values → the subcharts that take part |
//! | `values`, `tables`, `schema` | defaults and given values → what templates see, checked |
//! | `engine`, `functions`, `files`, `release`, `capabilities` | chart and values → [`Rendered`] files |
//! | [`manifest`] | rendered files → sorted documents and their text |
//!
//! Guarantees: the same input gives the same output (where Helm's own order is random, ours is by name); errors and log
//! lines read as Helm's; nothing is read but the chart, no network is used, and `lookup` asks only the [`Lookup`] given.
//!
//! Whatever a chart holds, its render ends soon and in little memory, at worst with an error that says where:
//!
//! | what | most | why |
//! |---|---|---|
//! | files, subcharts' and archives' included | 100 MiB in 50000 files, 5 MiB each | Helm's own bounds; Helm has none for directories and nested archives |
//! | subcharts in subcharts | 50 deep | as far as errors and paths can be read |
//! | one YAML document | 16 MiB, 500000 nodes | a node takes some 300 bytes while it is read |
//! | templates | 32 MiB, 300000 nodes | a node takes some 250 bytes |
//! | values, templates, schemas: one render | work, bytes, output and time of [`Budgets`](crate::gotmpl::Budgets) | see [`usage`](crate::gotmpl::usage) |
//! | documents | 50000 | each is read by itself |
//! | errors | 320 KiB | a thousand nested inclusions are told in full |

mod capabilities;
pub mod chart;
mod decode;
mod dependencies;
mod engine;
mod error;
mod files;
mod functions;
mod glob;
mod go_struct;
mod ignore;
pub mod manifest;
pub mod metadata;
mod node;
mod preparation;
mod release;
mod schema;
mod source;
pub mod strvals;
mod tables;
mod text;
mod values;

pub use capabilities::{Capabilities, KubeVersion, KubeVersionError};
pub use chart::{Chart, ChartError};
pub use engine::{MakeHost, ParsedChart, RenderOptions, Rendered};
pub use error::{RenderError, RenderFailed};
pub use functions::{Lookup, LookupError, Offline};
pub use glob::BadPattern;
pub use ignore::IgnoreError;
pub use manifest::{Hook, Manifest, ManifestError, Manifests, ShowOnlyError};
pub use release::ReleaseOptions;
pub use source::{ChartFile, MAX_ARCHIVE, MAX_FILE, SourceError, os_text};
pub use strvals::SetError;
pub use tables::merge_values;
pub use text::NotInteger;
