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
