//! What a test knows of the world: the spec of `main`, who uses which revision, and so which control planes have to be there.

use istio_operator::api::component::Component;
use istio_operator::object::manifests::Manifests;
use istio_operator::object::{Object, ObjectKey};
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const SYSTEM: &str = "istio-system";
pub const PROFILES: [&str; 4] = ["default", "demo", "minimal", "empty"];
pub const REVISIONS: [&str; 3] = ["", "canary", "stable"];
pub const NAMESPACES: [&str; 2] = [SYSTEM, "istio-two"];
/// The tag that `main` may have, by an option, and the tag of a person, which is of the unnamed revision.
pub const TAG: &str = "prod";
pub const TAG_OF_A_PERSON: &str = "mine";

/// What a spec has or has not: where, and what.
pub const OPTIONS: [(&str, &str); 12] = [
    ("/tag", r#""1.17.9""#),
    ("/meshConfig/enableTracing", "false"),
    ("/meshConfig/accessLogFile", r#""/dev/stdout""#),
    ("/values/global/proxy/logLevel", r#""debug""#),
    ("/values/pilot/autoscaleEnabled", "false"),
    ("/values/telemetry/enabled", "false"),
    ("/values/revisionTags", r#"["prod"]"#),
    ("/components/pilot/k8s/env", r#"[{"name": "DAY", "value": "1"}]"#),
    ("/components/pilot/k8s/podAnnotations", r#"{"day": "1"}"#),
    ("/components/cni/enabled", "true"),
    (
        "/components/egressGateways",
        r#"[{"name": "istio-egressgateway", "enabled": true}, {"name": "other", "enabled": true}]"#,
    ),
    (
        "/components/ingressGateways",
        r#"[{"name": "istio-ingressgateway", "enabled": true, "k8s": {
            "serviceAnnotations": {"day": "1"}, "service": {"type": "NodePort"},
            "resources": {"requests": {"cpu": "0.5"}}, "hpaSpec": {"minReplicas": 2, "maxReplicas": 3},
            "overlays": [{"kind": "Deployment", "name": "istio-ingressgateway",
                "patches": [{"path": "spec.template.metadata.labels.day", "value": "1"}]}]}}]"#,
    ),
];
/// The option with the tag.
const TAGGED: usize = 6;

/// Sections that are written as null where a spec says nothing of them, which is to say nothing.
pub const NULLS: [&str; 8] = [
    "/components/pilot/k8s",
    "/values",
    "/meshConfig",
    "/components",
    "/components/pilot",
    "/components/ingressGateways",
    "/components/base",
    "/values/global",
];
/// How many of them are taken for absent already; the others take something away.
pub const HARMLESS_NULLS: usize = 3;

/// A control plane: its revision, `default` for the unnamed one, and its namespace.
pub type Plane = (String, String);

/// How the pods of a namespace are injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    None,
    Injection,
    Revision(&'static str),
}

/// What there is in a namespace of users.
#[derive(Clone, Debug)]
pub struct User {
    pub label: Label,
    /// The revision of the proxy of its pod, if there is one.
    pub pod: Option<String>,
}

/// See the module.
pub struct World {
    package: Package,
    pub profile: &'static str,
    pub revision: &'static str,
    pub namespace: &'static str,
    pub is_pilot_off: bool,
    pub options: BTreeSet<usize>,
    pub nulls: BTreeSet<usize>,
    pub users: BTreeMap<&'static str, User>,
    /// The control plane that the spec wants, and those that stay since they are in use, as they were installed.
    pub present: Option<(Plane, Manifests)>,
    pub held: BTreeMap<Plane, Manifests>,
    /// What was there while any stayed, and may stay with it.
    pub shared: BTreeSet<String>,
    /// The revision of [`TAG`].
    tag: Option<String>,
}

impl World {
    /// The default profile, and nobody who uses it.
    pub fn new(users: &[&'static str]) -> Self {
        let nobody = |name: &&'static str| (*name, User { label: Label::None, pod: None });
        Self {
            package: Package::embedded().unwrap(),
            profile: "default",
            revision: "",
            namespace: SYSTEM,
            is_pilot_off: false,
            options: BTreeSet::new(),
            nulls: BTreeSet::new(),
            users: users.iter().map(nobody).collect(),
            present: None,
            held: BTreeMap::new(),
            shared: BTreeSet::new(),
            tag: None,
        }
    }

    /// The spec of `main`.
    pub fn spec(&self) -> Value {
        let mut spec = json!({"profile": self.profile});
        for option in &self.options {
            let (path, value) = OPTIONS[*option];
            *place(&mut spec, path) = serde_json::from_str(value).unwrap();
        }
        if !self.revision.is_empty() {
            spec["revision"] = json!(self.revision);
        }
        if self.namespace != SYSTEM {
            // Of one without the other half goes where it was, as upstream has it.
            spec["namespace"] = json!(self.namespace);
            *place(&mut spec, "/values/global/istioNamespace") = json!(self.namespace);
        }
        if self.is_pilot_off {
            *place(&mut spec, "/components/pilot/enabled") = json!(false);
        }
        for path in self.nulls.iter().map(|null| NULLS[*null]) {
            if spec.pointer(path).is_none() {
                place(&mut spec, path).take();
            }
        }
        spec
    }

    /// Whether the spec wants a control plane: no null takes it away.
    pub fn has_plane(&self) -> bool {
        self.profile != "empty" && !self.is_pilot_off
    }

    /// The revision of the spec.
    pub fn revision_name(&self) -> &'static str {
        if self.revision.is_empty() { "default" } else { self.revision }
    }

    /// What the spec comes to.
    pub fn manifests(&self) -> Manifests {
        let resource = json!({"metadata": {"name": "main", "namespace": SYSTEM}, "spec": self.spec()});
        render::from_resource(&resource, &ClusterInfo::default(), &self.package)
            .unwrap_or_else(|e| panic!("{}: {e}", self.spec()))
    }

    /// Takes in that the spec is now in force.
    pub fn enforce(&mut self) {
        let plane = (self.revision_name().to_owned(), self.namespace.to_owned());
        let manifests = self.manifests();
        let has_plane = manifests.parts.iter().any(|part| part.component == Component::Pilot);
        assert_eq!(has_plane, self.has_plane(), "whether {} has a control plane", self.spec());
        let wanted = has_plane.then_some((plane, manifests));
        if let Some((plane, was)) = self.present.take()
            && wanted.as_ref().is_none_or(|(wanted, _)| *wanted != plane)
        {
            self.held.insert(plane, was);
        }
        if let Some((plane, _)) = &wanted {
            self.held.remove(plane);
        }
        self.present = wanted;
        self.settle();
    }

    /// Lets go of what nobody uses.
    pub fn settle(&mut self) {
        // A tag that goes may have been the last use.
        for _ in 0..2 {
            let is_tagged = self.options.contains(&TAGGED) && self.has_plane();
            let of_held = |revision: &String| self.held.keys().any(|plane| plane.0 == *revision);
            let is_named = self.users.values().any(|user| user.label == Label::Revision(TAG));
            let stays = |revision: &String| of_held(revision) || (is_named && self.is_present(revision));
            self.tag = if is_tagged { Some(self.revision_name().into()) } else { self.tag.clone().filter(stays) };
            let used: BTreeSet<Plane> = self.held.keys().filter(|plane| self.is_used(&plane.0)).cloned().collect();
            self.held.retain(|plane, _| used.contains(plane));
        }
        if self.held.is_empty() {
            self.shared.clear();
        }
        let present = self.manifests();
        let all = self.held.values().chain([&present]).flat_map(|manifests| &manifests.parts);
        let with_planes = all.filter(|part| matches!(part.component, Component::Base | Component::Cni));
        let keys: Vec<String> = with_planes.flat_map(|part| &part.objects).map(|o| o.key().to_string()).collect();
        self.shared.extend(keys);
    }

    fn is_present(&self, revision: &str) -> bool {
        self.present.as_ref().is_some_and(|(plane, _)| plane.0 == revision)
    }

    /// Whether the tag is kept although the spec does not want it, since somebody names it.
    pub fn keeps_tag(&self) -> bool {
        !self.options.contains(&TAGGED) && self.tag.as_ref().is_some_and(|revision| self.is_present(revision))
    }

    /// All control planes that have to be there.
    pub fn planes(&self) -> impl Iterator<Item = (&Plane, &Manifests)> {
        self.held.iter().chain(self.present.iter().map(|(plane, manifests)| (plane, manifests)))
    }

    /// The revision that injects a namespace with this label.
    pub fn resolve(&self, label: Label) -> Option<String> {
        match label {
            Label::None => None,
            Label::Injection | Label::Revision(TAG_OF_A_PERSON) => Some("default".into()),
            Label::Revision(TAG) => self.tag.clone(),
            Label::Revision(name) => Some(name.into()),
        }
    }

    /// Who uses a revision, as a status names them.
    pub fn users_of(&self, revision: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (name, user) in &self.users {
            if user.pod.as_deref() == Some(revision) {
                all.insert(format!("Pod {name}/cart"));
            }
            if self.resolve(user.label).as_deref() == Some(revision) {
                all.insert(format!("Namespace {name}"));
                if let Label::Revision(tag @ (TAG | TAG_OF_A_PERSON)) = user.label {
                    all.insert(format!("Tag {tag}"));
                }
            }
        }
        all
    }

    /// Who names the tag.
    pub fn users_of_tag(&self) -> BTreeSet<String> {
        let users = self.users.iter().filter(|(_, user)| user.label == Label::Revision(TAG));
        users.map(|(name, _)| format!("Namespace {name}")).collect()
    }

    pub fn is_used(&self, revision: &str) -> bool {
        !self.users_of(revision).is_empty()
    }

    /// The control planes that are in use.
    pub fn used(&self) -> BTreeSet<Plane> {
        self.planes().map(|(plane, _)| plane).filter(|plane| self.is_used(&plane.0)).cloned().collect()
    }

    /// Everything is gone, for whatever reason.
    pub fn forget(&mut self) {
        (self.present, self.tag) = (None, None);
        self.held.clear();
        self.shared.clear();
    }

    /// The objects that have to be there for control planes that the spec does not want: those that have to be as they were,
    /// and those of which others may have a say, too.
    pub fn of_held(&self, wanted: &BTreeSet<ObjectKey>) -> (Vec<Object>, BTreeSet<String>) {
        let has_cni = self.manifests().parts.iter().any(|part| part.component == Component::Cni);
        let (mut own, mut keys) = (vec![], BTreeSet::new());
        for part in self.held.values().flat_map(|manifests| &manifests.parts) {
            let objects = part.objects.iter().filter(|o| !o.is_crd() && !wanted.contains(&o.key()));
            match part.component {
                Component::Pilot => own.extend(objects.filter(|o| !self.is_replaced(o)).cloned()),
                Component::Base => keys.extend(objects.map(|o| o.key().to_string())),
                Component::Cni if !has_cni => keys.extend(objects.map(|o| o.key().to_string())),
                _ => {}
            }
        }
        (own, keys)
    }

    /// Whether an object is a webhook that another one stands in for: of the same revision in another namespace, or a tag
    /// that has moved on.
    fn is_replaced(&self, object: &Object) -> bool {
        object.kind() == "MutatingWebhookConfiguration"
            && (object.name().starts_with("istio-revision-tag-") || self.has_twin(object))
    }

    fn has_twin(&self, webhook: &Object) -> bool {
        let of = |plane: &Plane| webhook.value()["metadata"]["labels"]["istio.io/rev"] == plane.0.as_str();
        self.planes().filter(|(plane, _)| of(plane)).count() > 1
    }
}

/// The place of a path in a tree, made where it is missing.
fn place<'a>(tree: &'a mut Value, path: &str) -> &'a mut Value {
    path[1..].split('/').fold(tree, |place, name| &mut place[name])
}
