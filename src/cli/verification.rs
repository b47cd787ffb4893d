//! Whether objects are in a cluster and ready, told one by one.

use super::cluster::Connected;
use super::screen::Screen;
use crate::cluster::Cluster;
use crate::install::Autoscalers;
use crate::install::readiness::{Readiness, readiness};
use crate::object::{Object, order};
use futures::{StreamExt, stream};
use kube::api::DynamicObject;

/// How many objects are read at once.
const AT_ONCE: usize = 32;

/// Checks objects, tells of each and of all, and gives the exit code. What cannot be read is not as it should be.
pub(super) fn verify(connected: &Connected, objects: Vec<Object>, namespace: &str, screen: &mut Screen<'_>) -> u8 {
    verify_with(connected, objects, namespace, &[], screen)
}

/// The same, where it is known what else is wrong.
pub(super) fn verify_with(
    connected: &Connected,
    mut objects: Vec<Object>,
    namespace: &str,
    others_wrong: &[String],
    screen: &mut Screen<'_>,
) -> u8 {
    if objects.is_empty() {
        screen.note("Error: there is nothing to verify, since no object is wanted");
        return 1;
    }
    order::sort_for_output(&mut objects);
    let autoscalers = Autoscalers::among(&objects);
    let checks = objects.iter().map(|object| check(&connected.cluster, object, &autoscalers));
    let found: Vec<Result<(), String>> = connected.wait(stream::iter(checks).buffered(AT_ONCE).collect());
    let (mut crds, mut deployments, mut wrong) = (0, 0, 0);
    for (object, found) in objects.iter().zip(&found) {
        // Upstream names a namespace for every object.
        let namespace = if object.namespace().is_empty() { namespace } else { object.namespace() };
        let name = format!("{}: {}.{namespace}", object.kind(), object.name());
        match found {
            Ok(()) => screen.tick(&format!("{name} checked successfully")),
            Err(why) => {
                wrong += 1;
                screen.cross(&format!("{name}: {why}"));
            }
        }
        crds += usize::from(object.is_crd());
        deployments += usize::from(object.kind() == "Deployment");
    }
    screen.say(&format!("Checked {crds} custom resource definitions"));
    screen.say(&format!("Checked {deployments} Istio Deployments"));
    for why in others_wrong {
        screen.cross(why);
    }
    if wrong == 0 && others_wrong.is_empty() {
        screen.tick("Istio is installed and verified successfully");
        return 0;
    }
    if wrong > 0 {
        screen.note(&format!("Error: {wrong} of {} objects are missing, not ready or not known", objects.len()));
    } else {
        screen.note(
            "Error: every object is there and ready, and yet what the operator reconciles is not as it should be",
        );
    }
    1
}

/// What is wrong with an object of the cluster.
async fn check(cluster: &Cluster, object: &Object, autoscalers: &Autoscalers) -> Result<(), String> {
    let live: Option<DynamicObject> = match cluster.get(object.api_version(), &object.key()).await {
        Err(error) if error.is_absent() => None,
        other => other.map_err(|error| error.to_string())?,
    };
    let live = live.ok_or("not found")?;
    let least = autoscalers.scaling(cluster, object, Some(&live)).await.least;
    match readiness(object.group(), object.kind(), &live, least) {
        Readiness::Ready => Ok(()),
        Readiness::Waiting(why) | Readiness::Failed(why) => Err(why),
    }
}
