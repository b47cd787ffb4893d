//! What an upgrade of a resource to another release would change, before anything is done.
//!
//! In: the user's spec; what it renders to with the present release and with the other one ([`Side`]); what is known of the
//! cluster. Out: an [`UpgradePlan`]. Guarantee: what could not be found out is said to be unknown, and never left out as if it
//! was nothing. Pure.

mod fields;
mod hazards;
mod objects;
mod operators;
mod proxies;
mod side;
mod words;

pub use fields::{AddedField, GoneField};
pub use hazards::{HAZARDS, Hazard, Warning};
pub use objects::PlannedChange;
pub use operators::Operators;
pub use proxies::{NamespaceProxies, Proxies, Proxy, ProxyPlan};
pub use side::{Side, SpecRefused};

use crate::api::annotations::without_v;
use crate::diff::{self, ObjectChange, Selection, Summary};
use crate::spec::switches::{Release, minors_between};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The minor version of its Kubernetes 1; `None` where that is not known.
    pub kubernetes: Option<u32>,
    /// The proxies of the resource's revision, but for those of its own gateways; or why they are not known.
    pub proxies: Proxies,
    /// Istio's own operators, which move what they reconcile back to their release.
    pub operators: Operators,
}

/// What an upgrade would change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradePlan {
    /// The resource, or the file.
    pub resource: String,
    /// The release that it is of now.
    pub from: String,
    /// What says so.
    pub from_source: String,
    /// The release that it is to get.
    pub to: String,
    /// Why it cannot have it; empty where nothing is in the way.
    pub blocked_by: Vec<String>,
    /// Minor releases that are left out.
    pub skipped_minors: Vec<String>,
    /// The oldest Kubernetes that the release supports.
    pub needs_kubernetes: String,
    /// Fields of the spec that the release does not know any more.
    pub gone_fields: Vec<GoneField>,
    /// Fields that the release has beyond those of the present one.
    pub added_fields: Vec<AddedField>,
    /// The objects that differ; `None` where that is not known.
    pub objects: Option<PlannedObjects>,
    /// The workloads whose pods are replaced; `None` where that is not known.
    pub restarts: Option<Vec<String>>,
    /// The proxies.
    pub proxies: ProxyPlan,
    /// What may go wrong.
    pub hazards: Vec<Warning>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// The objects that differ.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedObjects {
    /// How many.
    pub summary: Summary,
    /// Which.
    pub changes: Vec<PlannedChange>,
}

/// What an upgrade is asked about.
pub struct Upgrade<'a> {
    /// The resource, or the file.
    pub resource: String,
    /// What says which release it is of now.
    pub from_source: String,
    /// The user's spec.
    pub spec: &'a Value,
    /// The spec of the profile that it is merged over now; `None` where that is not known.
    pub profile: Option<&'a Value>,
    /// With the release that it is of now.
    pub from: &'a Side,
    /// With the other one.
    pub to: &'a Side,
    /// The older release that the resource may be moved to, as its annotation says.
    pub allowed_release: Option<&'a str>,
    /// The cluster.
    pub cluster: &'a ClusterFacts,
}

impl Upgrade<'_> {
    /// What it would change.
    #[must_use]
    pub fn plan(&self) -> UpgradePlan {
        let Self { from, to, cluster, .. } = self;
        let changes = self.changes();
        let minors = (from.switches.described_minor(), to.switches.described_minor());
        let case = hazards::Case {
            spec: self.spec,
            from,
            to,
            changes: changes.as_deref().unwrap_or_default(),
            kubernetes: cluster.kubernetes,
            operators: &cluster.operators,
        };
        let enabled = [to, from].into_iter().find_map(|side| side.manifests());
        UpgradePlan {
            resource: self.resource.clone(),
            from: from.release.clone(),
            from_source: self.from_source.clone(),
            to: to.release.clone(),
            blocked_by: self.blocks(),
            skipped_minors: minors_between(from.minor(), to.minor()).map(|minor| format!("1.{minor}")).collect(),
            needs_kubernetes: to
                .switches
                .offline_kubernetes()
                .0
                .trim_end_matches(".0")
                .trim_start_matches('v')
                .to_owned(),
            gone_fields: fields::gone(self.spec, self.profile, minors),
            added_fields: fields::added(enabled, minors),
            restarts: changes.as_ref().map(|changes| {
                changes.iter().filter(|change| change.replaces_pods()).map(|change| change.key.to_string()).collect()
            }),
            objects: changes.as_ref().map(|changes| PlannedObjects {
                summary: Summary::of(changes),
                changes: changes.iter().map(PlannedChange::of).collect(),
            }),
            proxies: proxies::plan(&cluster.proxies, from, to),
            hazards: hazards::find(&case),
            notes: self.notes(),
        }
    }

    /// The objects that differ, where both releases take the spec.
    fn changes(&self) -> Option<Vec<ObjectChange>> {
        let (before, after) = (self.from.manifests()?, self.to.manifests()?);
        Some(diff::compare(before.objects(), after.objects(), &Selection::default()))
    }

    fn blocks(&self) -> Vec<String> {
        let Self { from, to, .. } = self;
        let refused = |side: &Side| side.outcome.as_ref().err().map(SpecRefused::problems).unwrap_or_default();
        let (before, mut blocks) = (refused(from), refused(to));
        for block in blocks.iter_mut().filter(|block| before.contains(block)) {
            let _ = write!(block, " ({} refuses it, too)", from.release);
        }
        let is_allowed = self.allowed_release.is_some_and(|allowed| without_v(allowed.trim()) == to.release);
        if is_older(&to.release, &from.release) && !is_allowed {
            blocks.push(format!(
                "release {} is older than {}: a control plane is not moved to an older release, unless the resource is \
                 annotated {}={}",
                to.release,
                from.release,
                crate::api::ALLOW_DOWNGRADE,
                to.release
            ));
        }
        blocks
    }

    fn notes(&self) -> Vec<String> {
        let Self { from, to, .. } = self;
        let mut notes = vec![];
        if let Err(refused) = &from.outcome {
            notes.push(format!(
                "release {} refuses the spec as it is, so that it is not known which objects differ: {}",
                from.release,
                refused.problems().join("; ")
            ));
        }
        for side in [from, to].into_iter().filter(|side| side.switches.release.minor != side.switches.described_minor())
        {
            let known = side.switches.described_minor();
            notes.push(format!(
                "the fields of release {} are not described here; 1.{known} is taken instead",
                side.release
            ));
        }
        let warnings = to.manifests().map(|manifests| manifests.warnings.as_slice()).unwrap_or_default();
        notes.extend(warnings.iter().cloned());
        notes
    }
}

/// Whether a release is older than another one; one that is not a release is not.
fn is_older(release: &str, than: &str) -> bool {
    match (Release::of_tag(release), Release::of_tag(than)) {
        (Some(release), Some(than)) => release < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
