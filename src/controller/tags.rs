//! Revision tags that a resource no longer wants and that still inject pods: without the webhook of such a tag, new pods in the
//! namespaces that name it would have no proxy.
//!
//! Guarantee: a tag that is in use, or of which that cannot be found out, is kept until no namespace names it, or until a
//! person has it removed (`install.istio.io/force-prune: TAG`). The tag `default` is removed at once if the unnamed revision
//! takes its place, and a tag of a control plane that is removed goes with it.

use super::context::Context;
use super::held::{Held, is_insisted};
use super::usage::{self, ASK_AGAIN};
use crate::api::FORCE_PRUNE;
use crate::api::status::HeldRevision;
use crate::cluster::ClusterError;
use crate::controller::status::{LONGEST_NOTE, bounded};
use crate::install::Candidate;
use crate::install::webhooks;
use crate::object::labels::{DEFAULT, REVISION, TAG};
use crate::object::manifests::Manifests;
use kube::ResourceExt;
use std::collections::BTreeSet;

/// Finds the tags among what is not wanted that have to stay, but for those that stay anyway. `insisted` are the revisions and
/// tags that a person wants gone.
///
/// # Errors
/// The webhooks cannot be read.
pub(super) async fn held(
    context: &Context,
    insisted: &str,
    wanted: &Manifests,
    unwanted: &[Candidate],
    planes: &[Held],
) -> Result<Vec<Held>, ClusterError> {
    let mut held = vec![];
    let is_kept = |object: &&Candidate| planes.iter().any(|plane| plane.kept.keys.contains(&object.key));
    for object in unwanted.iter().filter(|object| object.key.kind == webhooks::KIND && !is_kept(object)) {
        let Some(live) = context.cluster.get(&object.entry.api_version, &object.key).await? else { continue };
        let label = |name: &str| live.labels().get(name).map_or("", String::as_str);
        let tag = label(TAG);
        let revision = label(REVISION);
        let is_served = (wanted.has_control_plane() && wanted.revision_label() == revision)
            || planes.iter().any(|plane| plane.told.revision == revision);
        if tag.is_empty() || !is_served || is_insisted(insisted, tag) {
            continue;
        }
        if tag == DEFAULT && webhooks::has_unnamed(&context.engine(), wanted).await? {
            continue;
        }
        let insist = format!("annotate the resource {FORCE_PRUNE}={tag} to remove it all the same");
        let (used_by, message) = match usage::users_of_tag(&context.cluster, tag).await {
            Ok(users) if users.is_empty() => continue,
            Ok(users) => {
                let why = "kept while pods are injected by it; it is deleted when nobody names it any more";
                (users.names, format!("{why}, or {insist}"))
            }
            Err(error) => (vec![], format!("kept since it is not known who names it: {error}; {insist}")),
        };
        let told = HeldRevision {
            revision: revision.to_owned(),
            namespace: wanted.namespace.clone(),
            tag: Some(tag.to_owned()),
            used_by,
            message: bounded(&message, LONGEST_NOTE),
            ..HeldRevision::default()
        };
        held.push(Held::without_manifests(told, BTreeSet::from([object.key.clone()]), ASK_AGAIN));
    }
    Ok(held)
}
