//! Whether the user may do everything that the role of a release allows: to write what its charts render, and to grant what
//! istiod is granted.

use super::super::table::first;
use super::finding::{Check, Finding, Level};
use crate::api::{GROUP, PLURAL};
use crate::cluster::{Cluster, ClusterError};
use crate::controller::rbac;
use crate::release::Package;
use futures::{StreamExt, stream};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many are asked for at once.
const AT_ONCE: usize = 16;
/// So many are named of which it is not known whether they are allowed.
const NAMED: usize = 5;

/// Something that may be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    group: String,
    /// With its subresource.
    resource: String,
    /// Empty for all.
    name: String,
    verb: String,
}

impl Right {
    fn everything() -> Self {
        let all = || "*".to_owned();
        Self { group: all(), resource: all(), name: String::new(), verb: all() }
    }

    fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (self.resource.as_str(), None),
        };
        ResourceAttributes {
            group: Some(self.group.clone()),
            resource: Some(resource.to_owned()),
            subresource,
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            verb: Some(self.verb.clone()),
            ..ResourceAttributes::default()
        }
    }

    /// `deployments.apps`.
    fn told(&self) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!(" {}", self.name) };
        if self.group.is_empty() {
            format!("{}{name}", self.resource)
        } else {
            format!("{}.{}{name}", self.resource, self.group)
        }
    }
}

/// What an installation needs whatever its release is: namespaces that are missing are made, and there are resources and records
/// of what is installed.
const OWN: [(&str, &str, &[&str]); 2] =
    [("", "namespaces", &["create", "get", "patch"]), (GROUP, PLURAL, &["create", "get", "list", "patch"])];

/// What a release needs.
///
/// # Errors
/// Its charts are broken.
fn needed(package: &Package) -> anyhow::Result<BTreeSet<Right>> {
    let rule = |(group, resource, verbs): (&str, &str, &[&str])| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let mut rights = rights_of(&json!({"rules": OWN.map(rule)}));
    rights.extend(rights_of(&rbac::release_role(package)?));
    Ok(rights)
}

fn rights_of(role: &Value) -> BTreeSet<Right> {
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule.get(field).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role.get("rules").and_then(Value::as_array).into_iter().flatten() {
        let mut names = texts(rule, "resourceNames");
        if names.is_empty() {
            names.push(String::new());
        }
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for name in &names {
                    rights.extend(texts(rule, "verbs").into_iter().map(|verb| Right {
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        verb,
                    }));
                }
            }
        }
    }
    rights
}

/// # Errors
/// The charts of the release are broken.
pub(super) async fn check(cluster: &Cluster, package: &Package) -> anyhow::Result<Check> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    // Administrators may do everything, which one question tells.
    let findings = match answer(&reviews, &Right::everything()).await {
        Ok(Answer::Yes) => vec![],
        Err(error) => vec![Finding::unknown("what is allowed", &error)],
        Ok(_) => {
            let rights = needed(package)?;
            let ask = |right: Right| {
                let reviews = &reviews;
                async move {
                    let answer = answer(reviews, &right).await;
                    (answer.unwrap_or_else(|error| Answer::Unknown(error.to_string())), right)
                }
            };
            let answers = stream::iter(rights.into_iter().map(ask)).buffered(AT_ONCE).collect().await;
            judge(answers, package, &user(cluster).await)
        }
    };
    let well = format!("everything that Istio {} needs is allowed", package.release());
    Ok(Check::new("Permissions", well, findings))
}

/// Whether something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// Why it is not known.
    Unknown(String),
}

async fn answer(reviews: &Api<SelfSubjectAccessReview>, right: &Right) -> Result<Answer, ClusterError> {
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(right.attributes()),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answered = reviews.create(&PostParams::default(), &review).await;
    let answered = answered.map_err(|error| ClusterError::of("ask", &"for permissions", error))?;
    Ok(answer_of(answered.status.unwrap_or_default()))
}

/// Where an authorizer could not decide, and none allowed it, another time may tell something else.
fn answer_of(status: SubjectAccessReviewStatus) -> Answer {
    match status.evaluation_error.filter(|error| !error.is_empty()) {
        _ if status.allowed => Answer::Yes,
        Some(error) if status.denied != Some(true) => Answer::Unknown(error),
        _ => Answer::No,
    }
}

fn judge(answers: Vec<(Answer, Right)>, package: &Package, user: &str) -> Vec<Finding> {
    let (mut missing, mut unknown) = (vec![], BTreeMap::<String, Vec<String>>::new());
    for (answer, right) in answers {
        match answer {
            Answer::Yes => {}
            Answer::No => missing.push(right),
            Answer::Unknown(why) => unknown.entry(why).or_default().push(format!("{} {}", right.verb, right.told())),
        }
    }
    let mut findings = if missing.is_empty() { vec![] } else { told(&missing, package, user) };
    findings.extend(unknown.into_iter().map(|(why, rights)| {
        let rights = first(&rights, NAMED);
        Finding::new(Level::Unknown, "", format!("it is not known whether these are allowed: {rights}: {why}"))
    }));
    findings
}

/// Who asks, as a flag of `kubectl create clusterrolebinding` names them.
async fn user(cluster: &Cluster) -> String {
    let reviews: Api<SelfSubjectReview> = Api::all(cluster.client().clone());
    let answer = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok();
    flag_of(answer.and_then(|answer| answer.status?.user_info?.username).as_deref())
}

fn flag_of(name: Option<&str>) -> String {
    match name.map(|name| (name, name.strip_prefix("system:serviceaccount:"))) {
        Some((_, Some(account))) => format!("--serviceaccount={account}"),
        Some((name, None)) => format!("--user={name}"),
        None => "--user=NAME".to_owned(),
    }
}

fn told(missing: &[Right], package: &Package, user: &str) -> Vec<Finding> {
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in missing {
        verbs.entry(right.told()).or_default().push(&right.verb);
    }
    let mut findings: Vec<Finding> = verbs
        .into_iter()
        .map(|(resource, verbs)| Finding::new(Level::Error, "", format!("may not {} {resource}", verbs.join(", "))))
        .collect();
    let bind = |name: &str, role: &str| format!("kubectl create clusterrolebinding {name} --clusterrole={role} {user}");
    let of_release = bind("istio-install", &format!("istio-operator-release-{}", rbac::line(package)));
    let is_own =
        |right: &Right| OWN.iter().any(|(group, resource, _)| right.group == *group && right.resource == *resource);
    let own = missing.iter().any(is_own).then(|| {
        format!("; and istio-operator role | kubectl apply -f - && {}", bind("istio-install-own", "istio-operator-own"))
    });
    let grant = format!(
        "an administrator may grant it: istio-operator role -d {} | kubectl apply -f - && {of_release}{}",
        package.release(),
        own.unwrap_or_default()
    );
    // First, since not all are told.
    findings.insert(0, Finding::new(Level::Error, "", format!("{} permissions are missing; {grant}", missing.len())));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_of_every_resource_of_a_role_is_asked_for() {
        let rules = json!([
            {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets"], "verbs": ["create", "get"]},
            {"apiGroups": [""], "resources": ["a/status"], "resourceNames": ["x", "y"], "verbs": ["*"]},
        ]);
        let rights = rights_of(&json!({"rules": rules}));
        assert_eq!(rights.len(), 6);
        let first = rights.first().unwrap().attributes();
        assert_eq!((first.resource.as_deref(), first.subresource.as_deref()), (Some("a"), Some("status")));
        assert_eq!((first.name.as_deref(), first.verb.as_deref()), (Some("x"), Some("*")));
    }

    #[test]
    fn what_is_missing_is_told_with_the_command_that_grants_it() {
        let right = |verb: &str| Right {
            group: "apps".into(),
            resource: "deployments".into(),
            name: String::new(),
            verb: verb.into(),
        };
        let package = Package::embedded().unwrap();
        let found = told(&[right("create"), right("patch")], &package, &flag_of(Some("system:serviceaccount:a:b")));
        assert!(found[0].message.starts_with("2 permissions are missing; "), "{found:?}");
        assert!(
            found[0].message.ends_with("role -d 1.17.8 | kubectl apply -f - && kubectl create clusterrolebinding istio-install --clusterrole=istio-operator-release-1.17 --serviceaccount=a:b"),
            "{found:?}"
        );
        assert_eq!(found[1].message, "may not create, patch deployments.apps");
        assert_eq!([Some("eve"), None].map(flag_of), ["--user=eve", "--user=NAME"]);
        let namespaces = Right { group: String::new(), resource: "namespaces".into(), ..right("create") };
        let found = told(&[namespaces], &package, "--user=eve");
        assert!(
            found[0].message.ends_with("istio-install-own --clusterrole=istio-operator-own --user=eve"),
            "{found:?}"
        );
    }

    #[test]
    fn what_an_authorizer_cannot_tell_is_not_forbidden() {
        let status = |allowed: bool, error: &str| SubjectAccessReviewStatus {
            allowed,
            evaluation_error: Some(error.to_owned()),
            ..SubjectAccessReviewStatus::default()
        };
        let package = Package::embedded().unwrap();
        let table = [(true, "webhook is gone", 0), (false, "webhook is gone", 1), (false, "", 2)];
        for (allowed, error, count) in table {
            let right = needed(&package).unwrap().pop_first().unwrap();
            let found = judge(vec![(answer_of(status(allowed, error)), right)], &package, "--user=eve");
            assert_eq!(found.len(), count, "{found:?}");
            assert!(count != 1 || found[0].level == Level::Unknown, "{found:?}");
        }
    }
}
