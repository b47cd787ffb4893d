//! Whether objects are in a cluster and ready, told one by one.

use super::cluster::Connected;
use super::screen::Screen;
use crate::cluster::Cluster;
use crate::install::Autoscalers;
use crate::install::readiness::{Readiness, readiness};
use crate::object::{Object, order};
use futures::{StreamExt, stream};
use serde::Serialize;

/// How many objects are read at once.
const AT_ONCE: usize = 32;

/// How an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Ready,
    Waiting,
    Failed,
    Missing,
    /// It could not be read.
    Unknown,
}

/// An object that was looked for.
#[derive(Debug, Serialize)]
struct Checked {
    kind: String,
    name: String,
    namespace: String,
    state: State,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verification {
    verified: bool,
    objects: Vec<Checked>,
    /// What else is not as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// Checks objects, tells of each and of all, and gives the exit code. What cannot be read is not as it should be.
pub(super) fn verify(connected: &Connected, objects: Vec<Object>, namespace: &str, screen: &mut Screen<'_>) -> u8 {
    Verification::of(connected, objects, namespace, vec![]).tell(screen)
}

impl Verification {
    /// Of objects, where it is known what else is wrong.
    pub(super) fn of(connected: &Connected, mut objects: Vec<Object>, namespace: &str, problems: Vec<String>) -> Self {
        order::sort_for_output(&mut objects);
        let autoscalers = Autoscalers::among(&objects);
        let checks = objects.iter().map(|object| check(&connected.cluster, object, &autoscalers));
        let found: Vec<(State, String)> = connected.wait(stream::iter(checks).buffered(AT_ONCE).collect());
        let checked = objects.iter().zip(found).map(|(object, (state, reason))| Checked {
            kind: object.kind().to_owned(),
            name: object.name().to_owned(),
            // Upstream names a namespace for every object.
            namespace: if object.namespace().is_empty() { namespace } else { object.namespace() }.to_owned(),
            state,
            reason,
        });
        Self::new(checked.collect(), problems)
    }

    fn new(objects: Vec<Checked>, problems: Vec<String>) -> Self {
        let is_well = objects.iter().all(|object| object.state == State::Ready);
        Self { verified: is_well && !objects.is_empty() && problems.is_empty(), objects, problems }
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        u8::from(!self.verified)
    }

    /// Why it is an error, if it is.
    pub(super) fn error(&self) -> Option<String> {
        let wrong = self.objects.iter().filter(|object| object.state != State::Ready).count();
        match (wrong, self.objects.len()) {
            _ if self.verified => None,
            (_, 0) => Some("Error: there is nothing to verify, since no object is wanted".to_owned()),
            (0, _) => Some(
                "Error: every object is there and ready, and yet what the operator reconciles is not as it should be"
                    .to_owned(),
            ),
            (wrong, all) => Some(format!("Error: {wrong} of {all} objects are missing, not ready or not known")),
        }
    }

    /// Tells of each object and of all, and gives the exit code.
    pub(super) fn tell(&self, screen: &mut Screen<'_>) -> u8 {
        for Checked { kind, name, namespace, state, reason } in &self.objects {
            match state {
                State::Ready => screen.tick(&format!("{kind}: {name}.{namespace} checked successfully")),
                _ => screen.cross(&format!("{kind}: {name}.{namespace}: {reason}")),
            }
        }
        if !self.objects.is_empty() {
            let count = |kind: &str| self.objects.iter().filter(|object| object.kind == kind).count();
            screen.say(&format!("Checked {} custom resource definitions", count("CustomResourceDefinition")));
            screen.say(&format!("Checked {} Istio Deployments", count("Deployment")));
            self.problems.iter().for_each(|why| screen.cross(why));
        }
        match self.error() {
            None => screen.tick("Istio is installed and verified successfully"),
            Some(error) => screen.note(&error),
        }
        self.code()
    }
}

/// How an object of the cluster stands, and why it is not ready.
async fn check(cluster: &Cluster, object: &Object, autoscalers: &Autoscalers) -> (State, String) {
    let live = match cluster.get(object.api_version(), &object.key()).await {
        Ok(Some(live)) => live,
        Ok(None) => return (State::Missing, "not found".to_owned()),
        Err(error) if error.is_absent() => return (State::Missing, "not found".to_owned()),
        Err(error) => return (State::Unknown, error.to_string()),
    };
    let least = autoscalers.scaling(cluster, object, Some(&live)).await.least;
    match readiness(object.group(), object.kind(), &live, least) {
        Readiness::Ready => (State::Ready, String::new()),
        Readiness::Waiting(why) => (State::Waiting, why),
        Readiness::Failed(why) => (State::Failed, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    fn object(name: &str, state: State, reason: &str) -> Checked {
        let [kind, name, namespace, reason] = ["Deployment", name, "mesh", reason].map(str::to_owned);
        Checked { kind, name, namespace, state, reason }
    }

    #[test]
    fn data_of_a_verification_says_how_each_object_stands_and_why() {
        let objects = vec![object("a", State::Ready, ""), object("b", State::Missing, "not found")];
        let found = Verification::new(objects, vec!["IstioOperator a/b: ERROR".to_owned()]);
        assert_eq!((found.code(), found.error().is_some()), (1, true));
        assert_eq!(
            to_value(&found).unwrap(),
            json!({"verified": false, "problems": ["IstioOperator a/b: ERROR"], "objects": [
                {"kind": "Deployment", "name": "a", "namespace": "mesh", "state": "ready"},
                {"kind": "Deployment", "name": "b", "namespace": "mesh", "state": "missing", "reason": "not found"},
            ]})
        );
        let well = Verification::new(vec![object("a", State::Ready, "")], vec![]);
        assert_eq!((well.code(), well.error()), (0, None));
        assert_eq!(Verification::new(vec![], vec![]).code(), 1, "nothing is wanted");
    }
}
