//! Whether an operator is running, as far as Leases tell, and whether one is deployed.
//!
//! The clock of this machine need not be that of the holder: one that seems not to renew its Lease any more is idle only after the
//! Lease was seen to stay as it is for as long as it lasts. An operator without leader election has none.

use crate::cluster::pages::collect;
use crate::cluster::{Cluster, ClusterError};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The Lease of an operator of all revisions, ours or upstream's; that of one has its name after a dash.
const NAME: &str = "istio-operator-lock";
/// The name of an operator's Deployment, as of its Lease; and of its container.
const DEPLOYMENT: &str = "istio-operator";
/// The image of upstream's, and the folder that it has in most registries.
const UPSTREAMS_IMAGE: &str = "operator";
const UPSTREAMS_FOLDER: &str = "istio";
/// Those of nodes are many.
const NO_NODES: &str = "metadata.namespace!=kube-node-lease";
/// How long a Lease lasts that does not say.
const LASTS: Duration = Duration::from_secs(20);
/// No Lease is watched for longer.
const LONGEST: Duration = Duration::from_mins(1);
/// How often a Lease is read that is watched.
const LOOK: Duration = Duration::from_secs(1);

/// Whether an operator works; why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Works(String),
    Idle(String),
    Unknown(String),
}

impl Work {
    /// What there is to say of a resource of its revision.
    pub(super) fn remark(&self) -> Option<String> {
        match self {
            Self::Works(_) => None,
            Self::Idle(why) => Some(format!("nothing reconciles this resource: {why}")),
            Self::Unknown(why) => Some(format!("it is not known whether an operator reconciles this resource: {why}")),
        }
    }
}

/// What a Lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum State {
    Works,
    Idle,
    Unknown,
}

/// An operator that has a Lease.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operator {
    /// Empty for one of all revisions.
    pub revision: String,
    pub namespace: String,
    pub state: State,
    /// Whether its name is such as upstream's operator gives itself.
    pub is_upstreams: bool,
    /// What says so.
    pub message: String,
}

/// The operators that have Leases, or why that is not known.
pub(super) type Operators = Result<Vec<Operator>, String>;

/// A Lease as it was seen first, and when.
struct Seen {
    renewed: Option<MicroTime>,
    since: Instant,
    /// Whether it was seen to be renewed then.
    is_renewal: bool,
}

/// Looks at Leases, and remembers how they were.
#[derive(Default)]
pub(super) struct Leases(BTreeMap<(String, String), Seen>);

impl Leases {
    /// As they are now.
    pub(super) async fn look(&mut self, cluster: &Cluster) -> Operators {
        let api: Api<Lease> = Api::all(cluster.client().clone());
        let is_operators = |lease: Lease| revision_of(&lease.name_any()).is_some().then_some(lease);
        let all = collect(&api, &ListParams::default().fields(NO_NODES), "Lease", is_operators).await;
        let all = all.map_err(|error: ClusterError| error.to_string())?;
        Ok(all.iter().map(|lease| self.operator_of(lease, Timestamp::now(), Instant::now())).collect())
    }

    fn operator_of(&mut self, lease: &Lease, now: Timestamp, moment: Instant) -> Operator {
        let (namespace, name) = (lease.namespace().unwrap_or_default(), lease.name_any());
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let seen = self.0.entry((namespace.clone(), name.clone()));
        let seen = seen.or_insert_with(|| Seen { renewed: spec.renew_time.clone(), since: moment, is_renewal: false });
        let lasts = duration_of(&spec);
        let is_old = moment.duration_since(seen.since) > lasts;
        let (state, message) = if holder.is_empty() && (is_old || !is_new(&spec, lasts, now)) {
            (State::Idle, "has been given up".to_owned())
        } else if holder.is_empty() {
            // By a replica, after which another one has it, or by the only one.
            (State::Unknown, "has just been given up".to_owned())
        } else if seen.renewed != spec.renew_time {
            *seen = Seen { renewed: spec.renew_time.clone(), since: moment, is_renewal: true };
            (State::Works, format!("is held by {holder}"))
        } else if is_old {
            (State::Idle, format!("is held by {holder}, who does not renew it any more"))
        } else if seen.is_renewal || is_new(&spec, lasts, now) {
            (State::Works, format!("is held by {holder}"))
        } else {
            (
                State::Unknown,
                format!("is held by {holder}, who by the clock of this machine does not renew it any more"),
            )
        };
        Operator {
            revision: revision_of(&name).unwrap_or_default().to_owned(),
            state,
            is_upstreams: holder.contains('_'),
            message: format!("Lease {namespace}/{name} {message}"),
            namespace,
        }
    }
}

/// The same after as many looks as it takes to know.
pub(super) async fn operators(cluster: &Cluster) -> Operators {
    let (mut leases, begun, mut is_told) = (Leases::default(), Instant::now(), false);
    loop {
        let found = leases.look(cluster).await?;
        let open = found.iter().find(|operator| operator.state == State::Unknown);
        let Some(open) = open.filter(|_| begun.elapsed() <= LONGEST) else { return Ok(found) };
        if !is_told {
            eprintln!("Waiting for a while to see whether an operator works: {}", open.message);
            is_told = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether one of all or some of the operators works.
pub(super) fn work_of<'o>(operators: impl Iterator<Item = &'o Operator>) -> Work {
    let all: Vec<&Operator> = operators.collect();
    let told = |state: State| -> Option<String> {
        let own: Vec<&str> = all.iter().filter(|o| o.state == state).map(|o| o.message.as_str()).collect();
        (!own.is_empty()).then(|| own.join("; "))
    };
    if let Some(why) = told(State::Works) {
        return Work::Works(why);
    }
    let none = || format!("there is no Lease {NAME}, as an operator with leader election has it");
    match (told(State::Unknown), told(State::Idle)) {
        (None, Some(why)) => Work::Idle(why),
        (why, _) => Work::Unknown(why.unwrap_or_else(none)),
    }
}

/// Whether an operator works on the resources of a revision.
pub(super) fn work_on(operators: &Operators, revision: &str) -> Work {
    match operators {
        Err(error) => Work::Unknown(error.clone()),
        Ok(all) => work_of(all.iter().filter(|one| one.revision.is_empty() || one.revision == revision)),
    }
}

/// The Deployments of operators of a namespace, or of all.
///
/// # Errors
/// They cannot be listed.
pub(super) async fn deployments(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Vec<DynamicObject>, ClusterError> {
    let mut all = cluster.list("apps/v1", "Deployment", namespace, "").await?;
    all.retain(is_deployment);
    Ok(all)
}

/// The Deployments of upstream's operator that are not scaled to none.
///
/// # Errors
/// They cannot be listed.
pub(super) async fn of_upstream(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    let all = cluster.list("apps/v1", "Deployment", None, "").await?;
    let told =
        |live: &DynamicObject| format!("Deployment {}/{}", live.namespace().unwrap_or_default(), live.name_any());
    Ok(all.iter().filter(|live| is_upstreams(live)).map(told).collect())
}

/// Whether a Deployment runs upstream's operator: by its image, whatever the registry, and its name if the image is in another folder.
fn is_upstreams(live: &DynamicObject) -> bool {
    let containers = live.data.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|one| one.get("image")?.as_str());
    let is_none = live.data.pointer("/spec/replicas").and_then(Value::as_u64) == Some(0);
    let is_its = |image: &str| {
        let (folder, last) = image.rsplit_once('/').unwrap_or(("", image));
        last.split([':', '@']).next() == Some(UPSTREAMS_IMAGE)
            && (folder == UPSTREAMS_FOLDER || folder.ends_with(&format!("/{UPSTREAMS_FOLDER}")) || is_deployment(live))
    };
    !is_none && images.into_iter().any(is_its)
}

/// Whether a Deployment is an operator's, ours or upstream's: by its name, which others may begin alike, and its container.
fn is_deployment(live: &DynamicObject) -> bool {
    let name = live.name_any();
    let is_named = name.strip_prefix(DEPLOYMENT).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let containers = live.data.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    is_named && containers.into_iter().flatten().any(|one| one.get("name").is_some_and(|name| name == DEPLOYMENT))
}

/// The revision in the name of an operator's Lease.
fn revision_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(NAME)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('-') }
}

fn duration_of(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.filter(|seconds| *seconds > 0).map_or(LASTS, Duration::from_secs)
}

/// Whether a Lease was renewed a short while ago, if the clocks of this machine and of its holder agree.
fn is_new(spec: &LeaseSpec, lasts: Duration, now: Timestamp) -> bool {
    let age = spec.renew_time.as_ref().map(|time| now.duration_since(time.0));
    age.is_some_and(|age| age.unsigned_abs() <= lasts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    const NEW: &str = "2026-01-01T00:00:20.000000Z";
    const OLD: &str = "2026-01-01T00:00:00.000000Z";

    fn lease(name: &str, holder: &str, renewed: &str) -> Lease {
        from_value(json!({"metadata": {"name": name, "namespace": "istio-operator"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 20, "renewTime": renewed}}))
        .unwrap()
    }

    /// What a look tells, so many seconds after the first one.
    fn look(leases: &mut Leases, all: &[Lease], begun: Instant, later: u64, revision: &str) -> Work {
        let (now, moment) = ("2026-01-01T00:00:30Z".parse().unwrap(), begun + Duration::from_secs(later));
        work_on(&Ok(all.iter().map(|lease| leases.operator_of(lease, now, moment)).collect()), revision)
    }

    fn first(all: &[Lease], revision: &str) -> Work {
        look(&mut Leases::default(), all, Instant::now(), 0, revision)
    }

    #[test]
    fn an_operator_works_that_renews_its_lease_and_is_idle_once_it_gave_it_up() {
        assert!(matches!(first(&[lease(NAME, "a", NEW)], "canary"), Work::Works(_)));
        let canary = format!("{NAME}-canary");
        assert!(matches!(first(&[lease(&canary, "a", NEW)], "canary"), Work::Works(_)));
        assert!(
            matches!(first(&[lease(&canary, "a", NEW)], "stable"), Work::Unknown(why) if why.starts_with("there is no Lease"))
        );
        assert!(matches!(first(&[lease(NAME, "", OLD)], ""), Work::Idle(why) if why.ends_with("has been given up")));
    }

    #[test]
    fn another_replica_may_have_a_lease_that_was_just_given_up() {
        let (mut leases, begun) = (Leases::default(), Instant::now());
        let given_up = [lease(NAME, "", NEW)];
        assert!(matches!(look(&mut leases, &given_up, begun, 0, ""), Work::Unknown(_)));
        assert!(matches!(look(&mut leases, &given_up, begun, 21, ""), Work::Idle(_)));
    }

    #[test]
    fn without_a_lease_or_where_none_may_be_read_nothing_is_known() {
        assert!(matches!(first(&[], ""), Work::Unknown(_)));
        let unknown = work_on(&Err("leases is forbidden".to_owned()), "").remark().unwrap();
        assert!(unknown.starts_with("it is not known whether an operator reconciles"), "{unknown}");
        assert_eq!(revision_of("istio-operator-locked"), None);
    }

    #[test]
    fn a_lease_that_looks_old_is_watched_before_it_counts_as_such() {
        let (mut leases, begun) = (Leases::default(), Instant::now());
        let old = [lease(NAME, "a", OLD)];
        assert!(matches!(look(&mut leases, &old, begun, 0, ""), Work::Unknown(_)));
        assert!(matches!(look(&mut leases, &old, begun, 20, ""), Work::Unknown(_)));
        assert!(matches!(look(&mut leases, &old, begun, 21, ""), Work::Idle(_)));
        // The clock of its holder is slow, but it goes.
        let renewed = [lease(NAME, "a", "2026-01-01T00:00:02.000000Z")];
        assert!(matches!(look(&mut leases, &renewed, begun, 22, ""), Work::Works(_)));
        assert!(matches!(look(&mut leases, &renewed, begun, 23, ""), Work::Works(_)));
        assert!(matches!(look(&mut leases, &renewed, begun, 50, ""), Work::Idle(_)));
    }

    #[test]
    fn upstreams_operator_is_known_by_its_name_for_itself() {
        let mut leases = Leases::default();
        let mut is_upstreams =
            |holder: &str| leases.operator_of(&lease(NAME, holder, NEW), Timestamp::now(), Instant::now()).is_upstreams;
        assert!(is_upstreams("istio-operator-75_6f1c2d3e-1111-2222-3333-444455556666"));
        assert!(!is_upstreams("istio-operator-75d-x") && !is_upstreams("host-00ff00ff00ff00ff"));
    }

    #[test]
    fn a_deployment_is_upstreams_by_its_image_and_name() {
        for (name, image, replicas, expected) in [
            ("any", "docker.io/istio/operator:1.17.8", 1, true),
            ("istio-operator-1-17", "localhost:5000/mirror/operator@sha256:00", 1, true),
            ("some-operator", "localhost:5000/mirror/operator:1", 1, false),
            ("istio-operator", "docker.io/istio/operator:1.17.8", 0, false),
            ("istio-operator", "registry.example.com/mesh/istio-operator:0.1.0", 1, false),
        ] {
            let containers = json!([{"name": DEPLOYMENT, "image": image}]);
            let spec = json!({"replicas": replicas, "template": {"spec": {"containers": containers}}});
            let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec});
            assert_eq!(is_upstreams(&from_value(live).unwrap()), expected, "{name} {image}");
        }
    }

    #[test]
    fn a_deployment_is_an_operators_by_its_name_and_its_container() {
        for (name, container, expected) in [
            ("istio-operator", DEPLOYMENT, true),
            ("istio-operator-canary", DEPLOYMENT, true),
            ("istio-operator-exporter", "exporter", false),
            ("istio-operators", DEPLOYMENT, false),
        ] {
            let live = from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                "spec": {"template": {"spec": {"containers": [{"name": container}]}}}}))
            .unwrap();
            assert_eq!(is_deployment(&live), expected, "{name} {container}");
        }
    }
}
