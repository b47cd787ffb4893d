//! From a resolved request to objects: each enabled component's chart, with its values.

use crate::api::component::Component;
use crate::failure::Retry;
use crate::object::{self, Object, ReadError, Reading};
use crate::release::ComponentChart;
use crate::spec::resolve::Enabled;
use crate::spec::switches::Switches;
use helm_template::helm::RenderFailed;
use helm_template::number::to_floats;
use helm_template::{Capabilities, KubeVersion, ReleaseOptions};
use std::time::Duration;

/// The release name of every component (release 1.17).
const RELEASE: &str = "istio";

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
pub fn capabilities(version: Option<&(String, String, String)>, switches: &Switches) -> Capabilities {
    let (version, major, minor) = version.cloned().unwrap_or_else(|| switches.offline_kubernetes());
    Capabilities { kube_version: KubeVersion { version, major, minor }, ..Capabilities::default() }
}

/// What begins a line of a chart's notes that a person should read.
const WARNING: &str = "WARNING: ";

/// The objects of one component, in the order of the chart's files, CRDs last; and what its notes warn of.
///
/// # Errors
/// See [`ComponentError`].
pub fn render(
    enabled: &Enabled,
    chart: &ComponentChart,
    capabilities: &Capabilities,
    switches: &Switches,
) -> Result<(Vec<Object>, Vec<String>), ComponentError> {
    let release =
        ReleaseOptions { revision: 0, is_install: false, ..ReleaseOptions::install(RELEASE, &enabled.namespace) };
    let (mut objects, warnings) = render_release(enabled, chart, &release, capabilities, switches)?;
    if enabled.wants_crds() {
        objects.extend(chart.crds.iter().cloned());
    }
    Ok((objects, warnings))
}

/// The same as a Helm release of its own, without the CRDs of its folder `crds/`.
///
/// # Errors
/// See [`ComponentError`].
pub fn render_release(
    enabled: &Enabled,
    chart: &ComponentChart,
    release: &ReleaseOptions,
    capabilities: &Capabilities,
    switches: &Switches,
) -> Result<(Vec<Object>, Vec<String>), ComponentError> {
    let component = enabled.component;
    let mut values = enabled.values.clone();
    to_floats(&mut values);
    let values = values.as_object().cloned().unwrap_or_default();
    let files = chart
        .render(&values, release, capabilities, PATIENCE)
        .map_err(|cause| ComponentError::Chart { component, cause: Box::new(cause) })?;
    let is_notes = |name: &str| name.rsplit('.').next() == Some("txt");
    let reading =
        Reading { keeps_newline: switches.documents_end_with_newline(), takes_nameless: switches.is_upstream };
    let (mut objects, mut warnings) = (vec![], vec![]);
    for (_, text) in files.iter().filter(|(name, _)| is_notes(name)) {
        warnings.extend(text.lines().filter_map(|line| line.strip_prefix(WARNING)).map(str::to_owned));
    }
    for (file, text) in files.into_iter().filter(|(name, _)| !is_notes(name)) {
        let read = object::read_as(text.into(), reading);
        objects.extend(read.map_err(|cause| ComponentError::Document { component, file, cause })?);
    }
    for object in objects.iter_mut().filter(|_| !switches.is_upstream) {
        object.settle(enabled.home());
    }
    Ok((objects, warnings))
}
