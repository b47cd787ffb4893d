//! The `IstioOperator` API (install.istio.io/v1alpha1): its description, and the CRD that is made from it.
//!
//! [`schema`] is the one description of the API: what a spec, its values and mesh configuration, and injected pods look like.
//! The CRD is made from it, but the API server still keeps every field, as with upstream's CRD, which had no schema. A spec is
//! checked against it strictly, so that every unknown field and wrong type is named. The status is described by its type.

pub mod annotations;
pub mod component;
pub mod crd;
pub mod quantity;
pub mod schema;
pub mod status;
pub mod suggest;
pub mod text;

/// How times are written in a status and in what is told of it: as the API server writes them, in UTC and without fractions.
pub const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";
/// The longest value of a label (Kubernetes, and RFC 1123 for a part of a DNS name, which has the same limit).
pub const LONGEST_LABEL: usize = 63;
/// The longest name of an object: that of a DNS name (RFC 1123).
pub const LONGEST_NAME: usize = 253;
/// The API group.
pub const GROUP: &str = "install.istio.io";
/// The API version.
pub const VERSION: &str = "v1alpha1";
/// `group/version`, as resources write it.
pub const API_VERSION: &str = "install.istio.io/v1alpha1";
/// The kind.
pub const KIND: &str = "IstioOperator";
/// The plural, as in URLs.
pub const PLURAL: &str = "istiooperators";
/// The finalizer. It is upstream's, so that resources of upstream's operator can be taken over.
pub const FINALIZER: &str = "istio-finalizer.install.istio.io";
/// Annotation of a resource: with `"true"` it is not reconciled. What this and the following ones say is read by
/// [`annotations`].
pub const IGNORE_RECONCILE: &str = "install.istio.io/ignoreReconcile";
/// Annotation of a resource: with `"true"` its status says what would be done, and nothing is applied.
pub const DRY_RUN: &str = "install.istio.io/dryRun";
/// Annotation of a resource: with `"true"` it can be deleted although its control plane is in use, or although not everything
/// it installed can be deleted.
pub const FORCE_DELETE: &str = "install.istio.io/force-delete";
/// Annotation of a resource: whenever its value changes, everything that the resource installed is read from the API server
/// again and reconciled. The value that was handled last is `status.lastHandledReconcileAt`, as in Flux.
pub const RECONCILE_AT: &str = "install.istio.io/reconcile-requested-at";
/// Annotation of an object: with `"true"` it is left as it is.
pub const IGNORE: &str = "install.istio.io/ignore";
/// Annotation of an object: with `"false"` it is never deleted.
pub const PRUNE: &str = "install.istio.io/prune";
/// Annotation of a resource: it is deleted once its revision has not been in use for this duration, such as `24h`.
pub const PRUNE_UNUSED_AFTER: &str = "install.istio.io/prune-unused-after";
/// Annotation of a resource: revisions (`default` for the unnamed one), separated by commas, whose control planes are deleted
/// once the spec no longer wants them, although they are in use.
pub const FORCE_PRUNE: &str = "install.istio.io/force-prune";
/// Annotation of a resource: the release of Istio, such as `1.30.3`, that it gets.
pub const RELEASE: &str = "install.istio.io/release";
/// Annotation of a resource: the release, such as `1.17.8`, that it may be moved to from a newer one.
pub const ALLOW_DOWNGRADE: &str = "install.istio.io/allow-downgrade-to";
/// Annotation of injection webhooks: `true` for those of a control plane that has the revision tag `default` without having been
/// asked to, as the first one of its cluster. On a resource `false` says that it does not want it.
pub const DEFAULT_REVISION: &str = "install.istio.io/default-revision";
/// Annotation of a record: which of the fields of its spec are null, as JSON pointers; an apply cannot say so, and for charts
/// null is not the same as absent.
pub const NULL_FIELDS: &str = "install.istio.io/null-fields";
/// Annotation of a record: the digest of the control plane's objects that its spec came to, so that who renders it again, maybe
/// with another version of the operator, can tell whether it comes to the same.
pub const OBJECTS_DIGEST: &str = "install.istio.io/objects-digest";
/// Resources whose name begins with this are records of installations, not requests.
pub const INSTALLED_STATE: &str = "installed-state";
