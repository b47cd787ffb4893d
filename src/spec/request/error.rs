//! Why files and flags, or a resource, give no request.

use super::gateways::Ambiguity;
use crate::spec::exact::ExactError;
use crate::spec::merge::MergeError;
use crate::spec::path::PathError;
use crate::spec::problem::{self, Problem};
use crate::spec::set::SetError;
use helm_template::yaml::{Position, YamlError};

/// Why files and flags, or a resource, give no request. Every message contains that of its cause.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A file is not YAML.
    #[error("{file}:{}:{}: {}", .cause.line, .cause.column, .cause.message)]
    Yaml {
        /// The file.
        file: String,
        /// Where and why.
        cause: YamlError,
    },
    /// A file holds no object.
    #[error("{0}: holds no IstioOperator resource (apiVersion: install.istio.io/v1alpha1, kind: IstioOperator)")]
    NoResource(String),
    /// A file holds other objects only.
    #[error(
        "{file}:{}:{}: is {found}, not an IstioOperator resource (apiVersion: install.istio.io/v1alpha1, kind: \
         IstioOperator){hint}", .place.line, .place.column
    )]
    OtherKind {
        /// The file.
        file: String,
        /// Where the first of them says what it is.
        place: Position,
        /// What it is, and how many there are beside it.
        found: String,
        /// What may have been meant, as the end of a sentence.
        hint: String,
    },
    /// The resource is of another version or group.
    #[error(
        "{file}:{}:{}: apiVersion: {found:?} is not that of an IstioOperator resource; write install.istio.io/v1alpha1",
        .place.line, .place.column
    )]
    OtherVersion {
        /// The file.
        file: String,
        /// Where it stands.
        place: Position,
        /// What stands there.
        found: String,
    },
    /// A document has no kind.
    #[error("{file}:{line}: the document has no kind; an IstioOperator resource begins with apiVersion and kind{hint}")]
    NoKind {
        /// The file.
        file: String,
        /// Where the document begins.
        line: usize,
        /// What may have been meant, as the end of a sentence.
        hint: &'static str,
    },
    /// A file holds several resources.
    #[error("{0}: contains multiple IstioOperator resources, only one per file is supported")]
    Several(String),
    /// A part of the resource is not a map.
    #[error("{0}: {1} must be a map")]
    NotAMap(String, &'static str),
    /// Fields beside the spec are unknown, or have a wrong type.
    #[error("{}", problem::list(.0))]
    Fields(Vec<Problem>),
    /// Files cannot be merged.
    #[error("{file}: cannot be merged with the files before it: {cause}")]
    Merge {
        /// The file.
        file: String,
        /// Why.
        cause: MergeError,
    },
    /// A `--set` flag is wrong.
    #[error("--set {flag}: {cause}")]
    Set {
        /// The flag's argument.
        flag: String,
        /// What is wrong.
        cause: Box<FlagError>,
    },
}

/// What is wrong with a `--set` flag.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// It is not `path=value`.
    #[error(transparent)]
    Line(#[from] SetError),
    /// Nothing can be set at its path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The release's own command line sets nothing there.
    #[error(transparent)]
    Exact(#[from] ExactError),
    /// Several gateways may be meant.
    #[error(transparent)]
    Ambiguous(#[from] Ambiguity),
}
