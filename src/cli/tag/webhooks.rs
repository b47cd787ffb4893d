//! The injection webhooks of a cluster, by the revisions and tags that they stand for.

use crate::cluster::{Cluster, ClusterError};
use crate::install::webhooks::{API_VERSION, KIND, hooks, is_deactivated};
use crate::object::labels::{REVISION, TAG};
use anyhow::bail;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeSet;

/// All webhook configurations that change objects.
pub struct Webhooks(Vec<DynamicObject>);

impl Webhooks {
    /// Of a cluster.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let mut all = cluster.list(API_VERSION, KIND, None, "").await?;
        all.sort_by_key(ResourceExt::name_any);
        Ok(Self(all))
    }

    /// All of them.
    pub fn all(&self) -> &[DynamicObject] {
        &self.0
    }

    /// Those of a tag.
    pub fn of_tag<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a DynamicObject> {
        self.0.iter().filter(move |hook| label(hook, TAG) == tag)
    }

    /// Those that stand for a tag, whichever.
    pub fn of_tags(&self) -> impl Iterator<Item = &DynamicObject> {
        self.0.iter().filter(|hook| !label(hook, TAG).is_empty())
    }

    /// Of each tag that has several: which those are, all of which are asked about the same pods, and what to do.
    pub(super) fn doubled_tags(&self) -> Vec<String> {
        let tags: BTreeSet<&str> = self.of_tags().map(|hook| label(hook, TAG)).collect();
        let doubled = tags.into_iter().filter_map(|tag| {
            let told = |hook: &DynamicObject| format!("{} (revision {})", hook.name_any(), label(hook, REVISION));
            let all: Vec<String> = self.of_tag(tag).filter(|hook| !is_deactivated(&hook.data)).map(told).collect();
            (all.len() > 1).then(|| {
                format!(
                    "{} webhooks match the pods of tag \"{tag}\", which may be injected twice: {}; set the tag again with \
                     --overwrite, or delete those that are not meant",
                    all.len(),
                    all.join(", ")
                )
            })
        });
        doubled.collect()
    }

    /// Those of a revision itself.
    pub fn of_revision<'a>(&'a self, revision: &'a str) -> impl Iterator<Item = &'a DynamicObject> {
        self.0.iter().filter(move |hook| label(hook, REVISION) == revision && label(hook, TAG).is_empty())
    }

    /// The revisions that have webhooks of their own.
    pub fn revisions(&self) -> BTreeSet<String> {
        let own = self.0.iter().filter(|hook| label(hook, TAG).is_empty());
        own.map(|hook| label(hook, REVISION).to_owned()).filter(|revision| !revision.is_empty()).collect()
    }

    /// The one webhook configuration of a revision that tags of it are made after; of the control plane in this namespace, if one
    /// is named.
    ///
    /// # Errors
    /// There is none, or several.
    pub(super) fn canonical<'a>(
        &'a self,
        revision: &'a str,
        namespace: Option<&str>,
    ) -> anyhow::Result<&'a DynamicObject> {
        let is_there =
            |hook: &&DynamicObject| namespace.is_none_or(|namespace| served_in(hook).any(|served| served == namespace));
        let found: Vec<_> = self.of_revision(revision).filter(is_there).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] if self.of_revision(revision).next().is_some() => {
                let lead: BTreeSet<&str> = self.of_revision(revision).flat_map(served_in).collect();
                let lead = lead.into_iter().collect::<Vec<_>>().join(", ");
                bail!(
                    "cannot modify tag: revision \"{revision}\" is not served in namespace {}, which --istioNamespace names, but in: {}",
                    namespace.unwrap_or_default(),
                    if lead.is_empty() { "none of this cluster" } else { &lead }
                )
            }
            [] => {
                let there: Vec<String> = self.revisions().into_iter().collect();
                let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
                bail!("cannot modify tag: cannot find {KIND} with revision \"{revision}\"; revisions here: {there}")
            }
            several => {
                let names: Vec<String> = several.iter().map(|hook| hook.name_any()).collect();
                bail!(
                    "cannot modify tag: found multiple canonical webhooks with revision \"{revision}\": {}",
                    names.join(", ")
                )
            }
        }
    }
}

/// The namespaces in which webhooks of a configuration are served.
fn served_in(configuration: &DynamicObject) -> impl Iterator<Item = &str> {
    hooks(&configuration.data).filter_map(|hook| hook.pointer("/clientConfig/service/namespace")?.as_str())
}

/// A label, empty for none.
pub fn label<'a>(object: &'a DynamicObject, name: &str) -> &'a str {
    object.labels().get(name).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn hooks(all: &[(&str, &str, &str)]) -> Webhooks {
        let hook = |(name, revision, tag): &(&str, &str, &str)| {
            let mut labels = json!({});
            for (label, value) in [(REVISION, revision), (TAG, tag)] {
                if !value.is_empty() {
                    labels[label] = json!(value);
                }
            }
            from_value(json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "labels": labels}}))
                .unwrap()
        };
        Webhooks(all.iter().map(hook).collect())
    }

    #[test]
    fn a_tag_is_made_after_the_one_webhook_of_its_revision() {
        let hooks = hooks(&[
            ("a", "canary", ""),
            ("b", "canary", "prod"),
            ("c", "double", ""),
            ("d", "double", ""),
            ("e", "", ""),
        ]);
        assert_eq!(hooks.canonical("canary", None).unwrap().name_any(), "a");
        let told = |revision: &str| hooks.canonical(revision, None).unwrap_err().to_string();
        assert!(told("double").ends_with("\"double\": c, d"), "{}", told("double"));
        assert!(told("none").ends_with("revisions here: canary, double"), "{}", told("none"));
        let elsewhere = hooks.canonical("canary", Some("elsewhere")).unwrap_err().to_string();
        assert!(elsewhere.contains("is not served in namespace elsewhere"), "{elsewhere}");
        assert_eq!(hooks.of_tags().count(), 1);
        assert_eq!(hooks.of_tag("prod").next().unwrap().name_any(), "b");
    }

    #[test]
    fn a_tag_with_two_webhooks_is_told_with_what_to_do() {
        let hooks =
            hooks(&[("a", "canary", ""), ("b", "canary", "prod"), ("c", "stable", "prod"), ("d", "canary", "test")]);
        let doubled = hooks.doubled_tags();
        let [told] = doubled.as_slice() else { panic!("{doubled:?}") };
        let named = "2 webhooks match the pods of tag \"prod\", which may be injected twice: b (revision canary), c (revision stable)";
        assert!(told.starts_with(named) && told.contains("--overwrite"), "{told}");
    }
}
