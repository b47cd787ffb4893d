//! The users of control planes: namespaces whose pods are injected, and pods with proxies; and strangers, who have nothing to
//! do with any of it.

use crate::chaos_rules::Foreign;
use crate::chaos_world::{Label, SYSTEM, TAG, TAG_OF_A_PERSON, User};
use crate::days::Life;
use serde_json::{Value, json};

const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

impl Life<'_> {
    /// A ConfigMap that is nobody's business, and a tag that a person has made.
    pub fn bring_strangers(&self) {
        let victim =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "victim"}, "data": {"a": "b"}});
        self.bring("/api/v1/namespaces/default/configmaps", &victim, "/data/a");
        let selector = |values: Value| {
            json!({"matchExpressions": [
            {"key": "istio.io/rev", "operator": "In", "values": values},
            {"key": "istio-injection", "operator": "DoesNotExist"}]})
        };
        let webhook = json!({"name": "rev.namespace.sidecar-injector.istio.io", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            "clientConfig": {"service": {"name": "istiod", "namespace": SYSTEM, "path": "/inject"}},
            "namespaceSelector": selector(json!([TAG_OF_A_PERSON])),
            "objectSelector": {"matchExpressions": [
                {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}]}});
        let tag = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "istio-revision-tag-mine",
                "labels": {"istio.io/rev": "default", "istio.io/tag": TAG_OF_A_PERSON}},
            "webhooks": [webhook]});
        self.bring(WEBHOOKS, &tag, "/metadata/labels/istio.io~1tag");
    }

    fn bring(&self, path: &str, object: &Value, field: &str) {
        let made = self.lab.request("POST", path, object).unwrap();
        let text = |pointer: &str| made.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let foreign = Foreign {
            path: format!("{path}/{}", text("/metadata/name")),
            uid: text("/metadata/uid"),
            field: (field.into(), made.pointer(field).unwrap().clone()),
            is_ours: false,
        };
        self.rules.foreign.borrow_mut().push(foreign);
    }

    /// The pods of a namespace come to be of a revision that is there, by its name or a tag; or only its label changes, or
    /// only its pod.
    pub fn move_user(&mut self) -> String {
        let namespace = self.one_namespace();
        let mut labels = vec![];
        for (plane, _) in self.world.planes() {
            labels.extend(match plane.0.as_str() {
                "default" => vec![Label::Injection, Label::Revision("default"), Label::Revision(TAG_OF_A_PERSON)],
                "canary" => vec![Label::Revision("canary")],
                _ => vec![Label::Revision("stable")],
            });
        }
        if self.world.resolve(Label::Revision(TAG)).is_some() {
            labels.push(Label::Revision(TAG));
        }
        if labels.is_empty() {
            return "no control plane to use".into();
        }
        let label = *self.dice.one_of(&labels);
        let revision = self.world.resolve(label);
        let before = self.world.users[namespace].clone();
        let user = match self.dice.below(5) {
            0 => User { label: Label::None, pod: revision },
            1 => User { label, pod: before.pod },
            _ => User { label, pod: revision },
        };
        let told = format!("{namespace} has {user:?}");
        self.set_user(namespace, user);
        told
    }

    /// A namespace is used no more.
    pub fn let_user_leave(&mut self) -> String {
        let namespace = self.one_namespace();
        self.set_user(namespace, User { label: Label::None, pod: None });
        format!("{namespace} uses nothing")
    }

    fn one_namespace(&mut self) -> &'static str {
        let all: Vec<&'static str> = self.world.users.keys().copied().collect();
        self.dice.one_of::<&str>(&all)
    }

    /// Makes a namespace what it should be: first it says how its pods are to be injected, then the pod is replaced.
    pub fn set_user(&mut self, namespace: &'static str, user: User) {
        let injection = if user.label == Label::Injection { "istio-injection=enabled" } else { "istio-injection-" };
        let revision = match user.label {
            Label::Revision(name) => format!("istio.io/rev={name}"),
            _ => "istio.io/rev-".into(),
        };
        self.lab.kubectl(&["label", "namespace", namespace, "--overwrite", injection, &revision]);
        if self.world.users[namespace].pod != user.pod {
            self.lab.kubectl(&[
                "delete",
                "pod",
                "cart",
                "-n",
                namespace,
                "--ignore-not-found",
                "--force",
                "--grace-period=0",
            ]);
            if let Some(revision) = &user.pod {
                self.lab.run_with_sidecar(namespace, "cart", revision);
            }
        }
        self.world.users.insert(namespace, user);
        self.world.settle();
    }

    /// Somebody insists that a control plane that is in use goes.
    pub fn force_prune(&mut self) -> String {
        let held: Vec<String> = self.world.held.keys().map(|plane| plane.0.clone()).collect();
        if held.is_empty() {
            return "nothing is kept".into();
        }
        let revision = self.dice.one_of(&held).clone();
        let annotation = format!("install.istio.io/force-prune={revision}");
        self.lab.kubectl(&["annotate", "iop", "main", "-n", SYSTEM, &annotation]);
        self.before.given_up.extend(self.world.held.keys().filter(|plane| plane.0 == revision).cloned());
        self.world.held.retain(|plane, _| plane.0 != revision);
        self.world.settle();
        self.rules.wait(&format!("{revision} to go"), &self.world, &self.before);
        self.lab.kubectl(&["annotate", "iop", "main", "-n", SYSTEM, "install.istio.io/force-prune-"]);
        format!("{revision} went")
    }
}
