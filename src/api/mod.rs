//! The `IstioOperator` API (install.istio.io/v1alpha1): its description, and the CRD that is made of it.
//!
//! [`schema`] is the one description of the API: what a spec, its values and mesh configuration, and injected pods look like.
//! The CRD is made of it, opened up so that the API server keeps every field that upstream's schemaless CRD kept; a spec is
//! checked by it strictly, so that every unknown field and wrong type is named. The status is described by its type.

pub mod component;
pub mod crd;
pub mod quantity;
pub mod schema;
pub mod status;
pub mod suggest;
pub mod text;

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
/// The finalizer, upstream's, so that resources finalized by it can be taken over.
pub const FINALIZER: &str = "istio-finalizer.install.istio.io";
/// A resource annotated so with `"true"` is not reconciled.
pub const IGNORE_RECONCILE: &str = "install.istio.io/ignoreReconcile";
/// A resource annotated so with `"true"` is planned, and nothing of it is applied.
pub const DRY_RUN: &str = "install.istio.io/dryRun";
/// A resource annotated so with `"true"` is deleted although its control plane is in use, or although not everything it
/// installed can be deleted.
pub const FORCE_DELETE: &str = "install.istio.io/force-delete";
/// A resource annotated so with another value than before has everything that it installed read anew, whatever is known of
/// it. The value that was obeyed is `status.lastHandledReconcileAt`, as Flux has it.
pub const RECONCILE_AT: &str = "install.istio.io/reconcile-requested-at";
/// An object annotated so with `"true"` is left as it is.
pub const IGNORE: &str = "install.istio.io/ignore";
/// An object annotated so with `"false"` is never deleted.
pub const PRUNE: &str = "install.istio.io/prune";
/// A resource annotated so with a duration like `24h` is deleted once its revision has not been in use for so long.
pub const PRUNE_UNUSED_AFTER: &str = "install.istio.io/prune-unused-after";
/// A resource annotated so with revisions (`default` for the unnamed one), separated by commas, gives up their control planes
/// that its spec no longer wants, although they are in use.
pub const FORCE_PRUNE: &str = "install.istio.io/force-prune";
/// A resource annotated so with a release like `1.17.8` may be moved to it from a newer one.
pub const ALLOW_DOWNGRADE: &str = "install.istio.io/allow-downgrade-to";
/// Resources whose name starts so are records of installations, not requests.
pub const INSTALLED_STATE: &str = "installed-state";
