//! Why a chart cannot be rendered.

use crate::gotmpl::{ExecError, Exhausted};

/// The most documents of a chart. Once it is read, a small document takes a hundred times its length.
pub(super) const MAX_DOCUMENTS: usize = 50_000;

/// Why a chart cannot be rendered; the texts are Helm's.
///
/// [`is_retryable`](Self::is_retryable) tells what may go away by itself from what only a change of the chart or its values
/// puts right.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The values do not fit the chart's structure.
    #[error("{0}")]
    Values(String),
    /// The values break a schema.
    #[error("{0}")]
    Schema(String),
    /// A budget ran out before the first template: while the values were put together or checked.
    #[error("{message}")]
    Preparation {
        /// What was done, and which budget ran out.
        message: String,
        /// The budget.
        exhausted: Exhausted,
    },
    /// The chart is for other clusters.
    #[error("chart requires kubeVersion: {required} which is incompatible with Kubernetes {actual}")]
    KubeVersion {
        /// The range in `Chart.yaml`.
        required: String,
        /// The version of the cluster.
        actual: String,
    },
    /// A template cannot be parsed.
    #[error("parse error at ({location}): {message}")]
    Parse {
        /// `file:line`
        location: String,
        /// The last part of Go's text.
        message: String,
    },
    /// `fail` or `required` ended the render.
    #[error("execution error at ({location}): {message}")]
    Aborted {
        /// `file:line:column` in the file that was being rendered.
        location: String,
        /// The chart's words.
        message: String,
    },
    /// A template failed, or a budget ran out in it.
    #[error("{0}")]
    Template(ExecError),
    /// A file renders to bytes that are not UTF-8.
    #[error("YAML parse error on {0}: error converting YAML to JSON: yaml: invalid leading UTF-8 octet")]
    NotText(String),
    /// The chart renders to more documents than anybody installs.
    #[error("{0}: the chart renders to more than {MAX_DOCUMENTS} documents; make it render fewer")]
    TooMany(String),
    /// The thread for the render could not be started.
    #[error("rendering template failed: {0}")]
    Thread(std::io::Error),
    /// The rendering thread panicked: a fault of this library.
    #[error("rendering template failed: the rendering thread panicked")]
    Panicked,
}

impl RenderError {
    /// Whether Helm fails while rendering, and not while it prepares to.
    #[must_use]
    pub fn in_templates(&self) -> bool {
        !matches!(self, Self::Values(_) | Self::Schema(_) | Self::Preparation { .. })
    }

    /// Whether the same render may succeed if it is tried again: it ran out of time, its thread could not be started, or a
    /// [`Lookup`](super::Lookup) was not answered. For all else the chart or its values must change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Preparation { exhausted, .. } => exhausted.is_retryable(),
            Self::Template(error) => error.is_retryable(),
            Self::Thread(_) => true,
            _ => false,
        }
    }

    /// The budget that ran out, if that is why the render failed.
    #[must_use]
    pub fn exhausted(&self) -> Option<Exhausted> {
        match self {
            Self::Preparation { exhausted, .. } => Some(*exhausted),
            Self::Template(error) => error.exhausted(),
            _ => None,
        }
    }
}

/// A render that failed, and what was logged until then.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct RenderFailed {
    /// Why.
    pub problem: RenderError,
    /// What Helm logs before it fails.
    pub warnings: Vec<String>,
}

impl RenderFailed {
    /// As [`RenderError::is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.problem.is_retryable()
    }
}
