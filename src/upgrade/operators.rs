//! Operators of Istio's own, which reconcile what is upgraded.

/// Istio's own operators in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operators {
    /// All of them.
    Known(Vec<String>),
    /// Why they are not known.
    Unknown(String),
}

impl Default for Operators {
    fn default() -> Self {
        Self::Unknown("no cluster was asked".to_owned())
    }
}
