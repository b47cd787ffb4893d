//! From a resolved request to objects: each enabled component's chart, with its values.

use crate::api::component::Component;
use crate::failure::Retry;
use crate::object::{self, Object, ReadError};
use crate::release::ComponentChart;
use crate::render::overlay::home;
use crate::spec::resolve::Enabled;
use helm_template::helm::RenderFailed;
use helm_template::number::to_floats;
use helm_template::{Budgets, Capabilities, KubeVersion, ReleaseOptions, RenderOptions};
use serde_json::Value;
use std::time::Duration;

/// The release name of every component (release 1.17).
const RELEASE: &str = "istio";
/// The Kubernetes version that charts see without a cluster: the oldest that release 1.17 supports.
const OFFLINE_VERSION: (&str, &str, &str) = ("v1.23.0", "1", "23");

/// How long it may take to render a component. It takes milliseconds; but with a CPU limit of a hundredth of a core a good
/// chart must not be reported as wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a component cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The chart refuses the values, or is wrong.
    #[error("component {component}: {cause}")]
    Chart {
        /// The component.
        component: Component,
        /// What the engine says.
        cause: Box<RenderFailed>,
    },
    /// What a template printed is not a Kubernetes object.
    #[error("component {component}: {file}: {cause}")]
    Document {
        /// The component.
        component: Component,
        /// The template.
        file: String,
        /// Why.
        cause: ReadError,
    },
}

impl ComponentError {
    /// When it is tried again: after a while if rendering ran out of time, otherwise when something changes.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Chart { cause, .. } if cause.is_retryable() => Retry::Backoff,
            Self::Chart { .. } | Self::Document { .. } => Retry::OnChange,
        }
    }
}

/// What charts see of a cluster as `.Capabilities`.
#[must_use]
pub fn capabilities(version: Option<&(String, String, String)>) -> Capabilities {
    let (version, major, minor) = match version {
        Some((version, major, minor)) => (version.clone(), major.clone(), minor.clone()),
        None => (OFFLINE_VERSION.0.into(), OFFLINE_VERSION.1.into(), OFFLINE_VERSION.2.into()),
    };
    Capabilities { kube_version: KubeVersion { version, major, minor }, ..Capabilities::default() }
}

/// The objects of one component, in the order of the chart's files, CRDs last.
///
/// # Errors
/// See [`ComponentError`].
pub fn render(
    enabled: &Enabled,
    chart: &ComponentChart,
    capabilities: &Capabilities,
) -> Result<Vec<Object>, ComponentError> {
    let component = enabled.component;
    let mut values = enabled.values.clone();
    to_floats(&mut values);
    let release =
        ReleaseOptions { revision: 0, is_install: false, ..ReleaseOptions::install(RELEASE, &enabled.namespace) };
    let values = values.as_object().cloned().unwrap_or_default();
    let budgets = Budgets { time: Some(PATIENCE), ..Budgets::default() };
    // One spec always renders to the same bytes.
    let options = RenderOptions { budgets, ..RenderOptions::fixed() };
    let rendered = chart
        .chart
        .render(&values, &release, capabilities, &options)
        .map_err(|cause| ComponentError::Chart { component, cause: Box::new(cause) })?;
    let mut objects = vec![];
    for (file, text) in rendered.files.iter().filter(|(name, _)| name.rsplit('.').next() != Some("txt")) {
        let read = object::read_all(text);
        objects.extend(read.map_err(|cause| ComponentError::Document { component, file: file.clone(), cause })?);
    }
    for object in &mut objects {
        object.settle(home(enabled));
    }
    let wants_crds = enabled.values.pointer("/base/enableIstioConfigCRDs") != Some(&Value::Bool(false));
    if component != Component::Base || wants_crds {
        objects.extend(chart.crds.iter().cloned());
    }
    Ok(objects)
}
