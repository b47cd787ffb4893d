//! The built-in charts of add-ons, which collect and show telemetry of a mesh. No profile names them, and nothing installs them
//! unless it is asked to.

use super::{ReleaseError, embedded};
use helm_template::helm::chart::Chart;

/// An add-on.
#[derive(Debug)]
pub struct Addon {
    /// By which it is asked for; also that of its chart, of its Deployment, and of its pods' label `app`.
    pub name: &'static str,
    /// For a person.
    pub title: &'static str,
}

/// All of them: those first that others read from.
pub const ADDONS: [Addon; 4] = [
    Addon { name: "prometheus", title: "Prometheus" },
    Addon { name: "jaeger", title: "Jaeger" },
    Addon { name: "grafana", title: "Grafana" },
    Addon { name: "kiali", title: "Kiali" },
];

impl Addon {
    /// Its chart.
    ///
    /// # Errors
    /// Never with the files we ship.
    pub fn chart(&self) -> Result<Chart, ReleaseError> {
        let chart = embedded::chart(&format!("addons/{}", self.name));
        chart.map_err(|cause| ReleaseError::Chart { name: self.name, cause: Box::new(cause) })
    }
}
