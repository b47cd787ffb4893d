#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

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

pub use gotmpl::{Budgets, Host};
pub use helm::{
    Capabilities, Chart, ChartError, Hook, KubeVersion, Manifest, Manifests, ParsedChart, ReleaseOptions, RenderError,
    RenderFailed, RenderOptions, Rendered,
};
