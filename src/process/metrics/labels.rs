//! The labels of the metrics, as types.
//!
//! A label takes few values: those of an enum here, of the table of components, words of the program's text, and kinds of
//! objects. Only IstioOperator resources are named.

use crate::api::component::Component;
use crate::cluster::connect::Verb;
use crate::install::ComponentResult;
use crate::object::OwnerId;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use std::fmt::{Debug, Error, Write};
use std::hash::Hash;

/// Labels that tell the series of one metric apart.
pub trait LabelSet: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<T: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static> LabelSet for T {}

impl EncodeLabelValue for Component {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        encoder.write_str(self.name())
    }
}

impl EncodeLabelValue for Verb {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        encoder.write_str(self.name())
    }
}

impl EncodeLabelValue for ComponentResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        encoder.write_str(self.name())
    }
}

/// Enums whose values are these texts.
macro_rules! label_values {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)+ })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
                encoder.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }
    )+ };
}

/// Sets of one label, made from its value.
macro_rules! label_sets {
    ($($(#[$doc:meta])* $name:ident { $label:ident: $value:ty })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name {
            /// Its value.
            pub $label: $value,
        }

        impl From<$value> for $name {
            fn from($label: $value) -> Self {
                Self { $label }
            }
        }
    )+ };
}

label_values! {
    /// Why a resource is reconciled.
    Trigger {
        /// It was created.
        Create = "create",
        /// Its spec was changed.
        Update = "update_generation",
        /// It is being deleted.
        Deleting = "update_deletion_timestamp",
        /// It has gone.
        Delete = "delete",
    }
    /// Why a resource cannot be read.
    ReadError {
        /// The watch failed.
        Unknown = "unknown",
    }
    /// Why a spec cannot be merged with its profile.
    MergeError {
        /// There is no such profile, or it cannot be read.
        Profile = "cannot_fetch_profile",
        /// It does not fit.
        Overlay = "overlay",
    }
    /// Why manifests cannot be rendered.
    RenderFailure {
        /// The chart cannot be read.
        NotStarted = "render_not_started",
        /// The chart fails.
        Chart = "helm_chart_render",
        /// An overlay of the spec cannot be applied.
        Overlay = "k8s_manifest_patch",
    }
    /// How a reconcile ended.
    ReconcileResult {
        /// All that could be done was done.
        Ok = "ok",
        /// It is tried again.
        Failed = "failed",
        /// The spec is refused.
        Invalid = "invalid",
    }
}

label_sets! {
    /// Why a resource is reconciled.
    ByTrigger { reason: Trigger }
    /// Why a resource cannot be read.
    ByReadError { reason: ReadError }
    /// Why a spec cannot be merged with its profile.
    ByMergeError { error_type: MergeError }
    /// A component.
    ByComponent { component: Component }
    /// A kind, as `group/Kind`.
    ByKind { kind: String }
    /// How a reconcile ended.
    ByResult { result: ReconcileResult }
    /// The reason of an event or of an error, a word of the program's text.
    ByReason { reason: &'static str }
    /// The verb of a request.
    ByVerb { verb: Verb }
    /// Whether a resource is ready.
    ByReady { ready: bool }
    /// A version of Istio.
    ByVersion { version: String }
}

/// What could not be rendered. A chart that cannot be read is named itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenderedPart {
    /// A component.
    Component(Component),
    /// The chart of a component; each has another.
    ChartOf(Component),
    /// Nothing less than the whole.
    Whole,
}

impl EncodeLabelValue for RenderedPart {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        encoder.write_str(match self {
            Self::Component(component) => component.name(),
            Self::ChartOf(component) => component.info().chart,
            Self::Whole => "",
        })
    }
}

/// What could not be rendered, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByRenderFailure {
    /// What it is of.
    pub component: RenderedPart,
    /// Why.
    pub render_error: RenderFailure,
}

/// What became of a component.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByComponentResult {
    /// The component.
    pub component: Component,
    /// How it stands.
    pub result: ComponentResult,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BuildInfo {
    /// The version of the operator.
    pub version: &'static str,
    /// The revision that it works on, empty for all.
    pub revision: String,
}

/// An IstioOperator resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResource {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl From<&OwnerId> for ByResource {
    fn from(OwnerId { namespace, name }: &OwnerId) -> Self {
        Self { namespace: namespace.clone(), name: name.clone() }
    }
}

/// An IstioOperator resource and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResourceInfo {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `status.status`.
    pub status: String,
    /// The version of Istio that it is at.
    pub version: String,
}
