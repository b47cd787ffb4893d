//! Whether who asks may do everything that the role of a release allows: to write what its charts render, and to grant what
//! istiod is granted.

use super::finding::{Check, Finding, Level};
use crate::cluster::Cluster;
use crate::controller::rbac;
use crate::release::Package;
use futures::{StreamExt, stream};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many are asked for at once.
const AT_ONCE: usize = 16;

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

/// What a release needs.
///
/// # Errors
/// Its charts are broken.
pub(super) fn needed(package: &Package) -> anyhow::Result<BTreeSet<Right>> {
    Ok(rights_of(&rbac::release_role(package)?))
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

pub(super) async fn check(cluster: &Cluster, package: &Package, rights: &BTreeSet<Right>) -> Check {
    let well = format!("everything that Istio {} needs is allowed", package.release());
    let findings = match missing(cluster, rights).await {
        Ok(missing) if missing.is_empty() => vec![],
        Ok(missing) => told(&missing, package, &user(cluster).await),
        Err(error) => {
            let why = format!("it is not known what is allowed: {error}");
            vec![Finding::new(Level::Unknown, "", why)]
        }
    };
    Check { name: "Permissions", well, findings }
}

async fn is_allowed(reviews: &Api<SelfSubjectAccessReview>, right: &Right) -> Result<bool, kube::Error> {
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(right.attributes()),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

async fn missing(cluster: &Cluster, rights: &BTreeSet<Right>) -> Result<Vec<Right>, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    // Administrators may do everything, which one question tells.
    if is_allowed(&reviews, &Right::everything()).await? {
        return Ok(vec![]);
    }
    let ask = |right: Right| {
        let reviews = &reviews;
        async move { is_allowed(reviews, &right).await.map(|is_allowed| (right, is_allowed)) }
    };
    let answers: Vec<_> = stream::iter(rights.iter().cloned().map(ask)).buffered(AT_ONCE).collect().await;
    let mut missing = vec![];
    for answer in answers {
        let (right, is_allowed) = answer?;
        if !is_allowed {
            missing.push(right);
        }
    }
    Ok(missing)
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
    let grant = format!(
        "an administrator may grant it: istio-operator role -d {} | kubectl apply -f - && kubectl create clusterrolebinding \
         istio-install --clusterrole=istio-operator-release-{} {user}",
        package.release(),
        rbac::line(package)
    );
    // First, since not all are told.
    findings.insert(0, Finding::new(Level::Error, "", format!("{} permissions are missing; {grant}", missing.len())));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
    }
}
