//! Helm's chart rendering, as version 3.22 does it: without knowledge of Istio or of clusters.
//!
//! | module | in → out |
//! |---|---|
//! | [`source`], [`ignore`] | directory, archive → files |
//! | [`chart`], [`metadata`] | files → [`Chart`], checked |
//! | [`strvals`] | `--set` arguments → values |
//! | [`dependencies`] | chart, values → the subcharts that take part |
//! | [`values`] | defaults and given values → what templates see |
//! | [`engine`], [`functions`] | chart, values → [`Rendered`] files |
//! | [`manifest`] | rendered files → sorted documents and their text |
//!
//! Guarantees: the same input gives the same output (where Helm's own order is random, ours is by name); errors and log
//! lines read as Helm's; nothing is read but the chart, no network is used, `lookup` asks only the [`Lookup`] given.
//!
//! Whatever a chart holds, it ends soon and in little memory, by an error that says where:
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

pub mod capabilities;
pub mod chart;
mod decode;
pub mod dependencies;
pub mod engine;
pub mod files;
pub mod functions;
pub mod glob;
pub mod ignore;
pub mod manifest;
pub mod metadata;
mod record;
pub mod release;
mod schema;
pub mod source;
pub mod strvals;
mod text;
pub mod values;

pub use capabilities::{Capabilities, KubeVersion};
pub use chart::{Chart, ChartError};
pub use engine::{ParsedChart, RenderError, RenderFailed, Rendered, Surroundings};
pub use functions::{Lookup, Offline};
pub use release::ReleaseOptions;
