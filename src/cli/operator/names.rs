//! Checks the names that flags give.

use super::super::tag::tag_name;
use crate::api::LONGEST_NAME;
use crate::spec::resolve::validate::{is_dns_label, is_image_name, is_tag};

/// What flags name.
pub(super) struct Named<'f> {
    pub(super) hub: Option<&'f str>,
    pub(super) tag: Option<&'f str>,
    pub(super) watched: Vec<&'f str>,
    pub(super) namespace: &'f str,
    pub(super) pull_secrets: &'f [String],
    pub(super) revision: Option<&'f str>,
}

/// What is wrong, each with its flag.
pub(super) fn problems(named: &Named<'_>) -> Vec<String> {
    const NAMESPACE: &str = "is not the name of a namespace: it must have only a-z, 0-9 and -, begin and end with a letter or a \
                             digit, and have at most 63 characters";
    let wrong = |flag: &str, value: &str, fits: bool, why: &str| (!fits).then(|| format!("--{flag} {value:?} {why}"));
    let hub = named.hub.and_then(|hub| {
        let fits = is_image_name(hub.trim_end_matches('/'));
        wrong("hub", hub, fits, "is not a registry with a path, such as registry.example.com/istio, without https://")
    });
    let tag = named.tag.and_then(|tag| {
        let why =
            "is not the tag of an image: it must have only letters, digits, _, . and -, and at most 128 characters";
        wrong("tag", tag, is_tag(tag), why)
    });
    let watched =
        named.watched.iter().filter_map(|name| wrong("watchedNamespaces", name, is_dns_label(name), NAMESPACE));
    let namespace = wrong("operatorNamespace", named.namespace, is_dns_label(named.namespace), NAMESPACE);
    let secrets = named.pull_secrets.iter().filter_map(|name| {
        let why = "is not the name of a Secret: it must have only a-z, 0-9, - and ., and at most 253 characters";
        wrong("imagePullSecrets", name, is_subdomain(name), why)
    });
    let revision = named.revision.and_then(|name| Some(format!("--revision {name:?} {}", tag_name(name).err()?)));
    hub.into_iter().chain(tag).chain(watched).chain(namespace).chain(secrets).chain(revision).collect()
}

/// Whether a text is a name of labels with dots between them, as most objects may have it (RFC 1123).
fn is_subdomain(name: &str) -> bool {
    name.len() <= LONGEST_NAME && name.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Named<'_> = Named {
        hub: Some("registry.example.com:5000/a/"),
        tag: Some("1.0_x"),
        watched: vec![],
        namespace: "istio-operator",
        pull_secrets: &[],
        revision: None,
    };

    #[test]
    fn all_that_is_wrong_with_flags_is_told_at_once() {
        let secrets = ["a.b".to_owned(), "A".to_owned()];
        let bad = Named {
            hub: Some("http://foo"),
            tag: Some("x y"),
            watched: vec!["a", "B b"],
            namespace: "",
            pull_secrets: &secrets,
            revision: Some("X"),
        };
        let told: Vec<String> =
            problems(&bad).iter().map(|one| one.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "--hub \"http://foo\"",
            "--tag \"x",
            "--watchedNamespaces \"B",
            "--operatorNamespace \"\"",
            "--imagePullSecrets \"A\"",
            "--revision \"X\"",
        ];
        assert_eq!(told, expected);
        assert_eq!(problems(&GOOD), Vec::<String>::new());
    }
}
