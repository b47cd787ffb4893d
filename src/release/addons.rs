//! The built-in charts of add-ons: what collects and shows what happens in a mesh. No profile names them, and nothing installs them
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
    /// The folder of its chart below `charts/`.
    folder: &'static str,
}

const fn addon(name: &'static str, title: &'static str, folder: &'static str) -> Addon {
    Addon { name, title, folder }
}

/// All of them: those first that others read from.
pub const ADDONS: [Addon; 4] = [
    addon("prometheus", "Prometheus", "addons/prometheus"),
    addon("jaeger", "Jaeger", "addons/jaeger"),
    addon("grafana", "Grafana", "addons/grafana"),
    addon("kiali", "Kiali", "addons/kiali"),
];

impl Addon {
    /// Its chart.
    ///
    /// # Errors
    /// Never with the files we ship.
    pub fn chart(&self) -> Result<Chart, ReleaseError> {
        embedded::chart(self.folder).map_err(|cause| ReleaseError::Chart { name: self.folder, cause: Box::new(cause) })
    }
}
