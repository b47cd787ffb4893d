//! What happens to installed objects.

use crate::chaos_rules::Foreign;
use crate::chaos_world::SYSTEM;
use crate::days::Life;
use crate::invariants::phase_is;
use serde_json::{Value, json};
use std::time::Duration;

/// Edits of what is installed, by kind: merge patches.
const EDITS: [(&str, &str); 9] = [
    ("Deployment", r#"{"spec": {"strategy": {"rollingUpdate": {"maxSurge": 7}}}}"#),
    ("Deployment", r#"{"metadata": {"labels": {"istio": null}}, "spec": {"revisionHistoryLimit": 3}}"#),
    ("Service", r#"{"spec": {"ports": [{"name": "edited", "port": 1234}]}}"#),
    ("Service", r#"{"metadata": {"labels": null}}"#),
    ("ConfigMap", r#"{"data": null}"#),
    ("ClusterRole", r#"{"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}"#),
    ("Role", r#"{"rules": []}"#),
    ("RoleBinding", r#"{"subjects": []}"#),
    ("MutatingWebhookConfiguration", r#"{"metadata": {"labels": {"app": "edited"}}}"#),
];
const EDIT_OF_ANY: &str = r#"{"metadata": {"labels": {"release": "edited"}}}"#;
/// Kinds that a person annotates, and that no pod is of.
const PLAIN: [&str; 4] = ["Service", "ConfigMap", "ServiceAccount", "Role"];
const FINALIZED: [&str; 2] = ["Service", "Deployment"];
const FINALIZER: &str = "example.com/cleanup";
/// How long a finalizer holds an object, and how many requests the operator may make in that time: two a second.
const HELD: Duration = Duration::from_secs(4);
const REQUESTS: usize = 8;

/// An object that `main` has, and `other` has not.
pub struct Installed {
    kind: String,
    namespace: String,
    name: String,
}

/// What one pass over a control plane may ask for that it sees for the first time.
const ONE_LOOK: usize = 40;

impl Installed {
    fn key(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }

    /// The arguments for kubectl that name it.
    fn args(&self) -> Vec<&str> {
        let namespace = if self.namespace.is_empty() { "default" } else { &self.namespace };
        vec![&self.kind, &self.name, "-n", namespace]
    }
}

impl Life<'_> {
    /// An object of one of these kinds; of all but definitions where none is given.
    fn something(&mut self, kinds: &[&str]) -> Option<Installed> {
        let owned: Vec<String> = self.lab.owned().into_keys().collect();
        let fits = |key: &&String| {
            let kind = key.split(' ').next().unwrap();
            let is_of_kind = if kinds.is_empty() { kind != "CustomResourceDefinition" } else { kinds.contains(&kind) };
            is_of_kind && !self.rules.is_others(key) && !self.rules.kept.borrow().contains(*key)
        };
        let fitting: Vec<&String> = owned.iter().filter(fits).collect();
        if fitting.is_empty() {
            return None;
        }
        let (kind, place) = self.dice.one_of(&fitting).split_once(' ').unwrap();
        let (namespace, name) = place.split_once('/').unwrap_or(("", place));
        Some(Installed { kind: kind.into(), namespace: namespace.into(), name: name.into() })
    }

    fn kubectl(&self, verb: &[&str], object: &Installed, args: &[&str]) -> String {
        self.lab.kubectl(&[verb, &object.args(), args].concat())
    }

    fn live(&self, object: &Installed) -> Option<Value> {
        let text = self.kubectl(&["get"], object, &["-o", "json", "--ignore-not-found"]);
        serde_json::from_str(&text).ok()
    }

    /// Deletes an object; it is the test that does so, and nobody else.
    fn delete(&self, object: &Installed) {
        if let Some(live) = self.live(object) {
            self.rules.deleted.borrow_mut().insert(live["metadata"]["uid"].as_str().unwrap().into());
            self.kubectl(&["delete"], object, &["--wait=false", "--ignore-not-found"]);
        }
    }

    pub fn delete_something(&mut self) -> String {
        let Some(object) = self.something(&[]) else { return "nothing to delete".into() };
        self.delete(&object);
        format!("{} deleted", object.key())
    }

    pub fn edit_something(&mut self) -> String {
        let (kind, patch) = *self.dice.one_of(&EDITS);
        let Some(object) = self.something(&[kind]) else { return format!("no {kind} to edit") };
        self.kubectl(&["patch"], &object, &["--type=merge", "-p", patch]);
        format!("{} edited: {patch}", object.key())
    }

    pub fn edit_and_delete(&mut self) -> String {
        let deleted = self.delete_something();
        format!("{deleted} and {}", self.edit_spec())
    }

    /// A person's annotation stays as long as the object does.
    pub fn annotate_something(&mut self) -> String {
        let Some(object) = self.something(&[PLAIN.as_slice(), &["Deployment"]].concat()) else {
            return "nothing to annotate".into();
        };
        let value = self.dice.below(1000).to_string();
        self.kubectl(&["annotate"], &object, &["--overwrite", &format!("example.com/note={value}")]);
        self.take_note(&object, &value);
        format!("{} annotated", object.key())
    }

    /// The same by an apply on the client's side, of the annotation or of the whole object.
    pub fn apply_something_client_side(&mut self) -> String {
        let Some(object) = self.something(&PLAIN) else { return "nothing to apply".into() };
        let Some(mut live) = self.live(&object) else { return "it is gone".into() };
        let value = self.dice.below(1000).to_string();
        // Less than was applied before would take the rest away, which the API server may not take.
        let was_applied =
            !live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].is_null();
        let is_whole = self.dice.below(2) == 0 || was_applied;
        if !is_whole {
            live = json!({"apiVersion": live["apiVersion"], "kind": live["kind"],
                "metadata": {"name": object.name, "namespace": object.namespace}});
        }
        let metadata = live["metadata"].as_object_mut().unwrap();
        metadata.retain(|field, _| ["name", "namespace", "labels", "annotations"].contains(&field.as_str()));
        live["metadata"]["annotations"]["example.com/note"] = json!(value);
        self.lab.apply(&live.to_string());
        self.take_note(&object, &value);
        format!("{} {}applied", object.key(), if is_whole { "wholly " } else { "" })
    }

    fn take_note(&self, object: &Installed, value: &str) {
        let Some(live) = self.live(object) else { return };
        let plural = object.kind.to_lowercase() + "s";
        let (version, namespace, name) = (live["apiVersion"].as_str().unwrap(), &object.namespace, &object.name);
        let root = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
        let path = format!("{root}/namespaces/{namespace}/{plural}/{name}");
        let field = ("/metadata/annotations/example.com~1note".into(), json!(value));
        let mut foreign = self.rules.foreign.borrow_mut();
        foreign.retain(|known| known.path != path);
        let uid = live["metadata"]["uid"].as_str().unwrap().into();
        foreign.push(Foreign { path, uid, field, is_ours: true });
    }

    /// An object to be ignored is not repaired, which the status says, until it is not to be ignored any more.
    pub fn ignore_something(&mut self) -> String {
        let Some(object) = self.something(&PLAIN) else { return "nothing to ignore".into() };
        let key = object.key();
        self.kubectl(&["annotate"], &object, &["install.istio.io/ignore=true"]);
        self.lab.wait(&format!("{key} to be told as ignored"), || {
            let status = self.lab.iop("main").unwrap()["status"].take();
            let is_told = status["ignored"].as_array().is_some_and(|all| all.contains(&json!(key)));
            if is_told { Ok(()) } else { Err(status.to_string()) }
        });
        self.kubectl(&["patch"], &object, &["--type=merge", "-p", EDIT_OF_ANY]);
        self.touch_other();
        let live = self.live(&object).unwrap_or_default();
        if live["metadata"]["labels"]["release"] != "edited" {
            self.lab.fail(&format!("{key} was to be ignored and is {live:#}"));
        }
        self.kubectl(&["annotate"], &object, &["install.istio.io/ignore-"]);
        format!("{key} ignored for a while")
    }

    /// An object that is annotated to stay stays, whoever wants it, until it is not any more.
    pub fn keep_something(&mut self) -> String {
        let kept = self.rules.kept.borrow().iter().next().cloned();
        if let Some(key) = kept {
            let (kind, place) = key.split_once(' ').unwrap();
            let (namespace, name) = place.split_once('/').unwrap_or(("default", place));
            self.lab.kubectl(&["annotate", kind, name, "-n", namespace, "install.istio.io/prune-"]);
            self.rules.kept.borrow_mut().remove(&key);
            return format!("{key} may go");
        }
        let Some(object) = self.something(&["Service", "ServiceAccount", "Role"]) else {
            return "nothing to keep".into();
        };
        self.kubectl(&["annotate"], &object, &["install.istio.io/prune=false"]);
        self.rules.kept.borrow_mut().insert(object.key());
        format!("{} is to stay, and {}", object.key(), self.edit_spec())
    }

    /// Somebody's finalizer holds an object that is deleted: the operator waits for that in peace, and tells no untruth.
    pub fn hold_something_by_a_finalizer(&mut self) -> String {
        let Some(object) = self.something(&FINALIZED) else { return "nothing to hold".into() };
        let key = object.key();
        self.kubectl(&["patch"], &object, &["--type=merge", "-p", &finalizers(&json!([FINALIZER]))]);
        self.delete(&object);
        if self.world.manifests().keys().iter().any(|wanted| wanted.to_string() == key) {
            self.lab.wait(&format!("{key}, which a finalizer holds, to be told"), || {
                let resource = self.lab.iop("main").ok_or("main is not there")?;
                match phase_is(&resource, "HEALTHY") {
                    Ok(()) => Err(resource["status"].to_string()),
                    Err(_) => Ok(()),
                }
            });
        }
        let (requests, _) = self.rules.during(HELD);
        // A pass may look at what it has not looked at before, once.
        if requests.len() > REQUESTS + ONE_LOOK {
            self.lab.fail(&format!("while a finalizer held {key} for {HELD:?}, it asked {requests:#?}"));
        }
        self.kubectl(&["patch"], &object, &["--type=merge", "-p", &finalizers(&Value::Null)]);
        format!("{key} held by a finalizer for a while")
    }

    /// Has the operator work on the second resource, which shows that it is at work at all.
    pub fn touch_other(&self) {
        let value = self.lab.iop("other").unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let patch = json!({"status": {"message": format!("forged at {value}"), "status": "ERROR"}}).to_string();
        let args = ["patch", "iop", "other", "-n", SYSTEM, "--subresource=status", "--type=merge", "-p", &patch];
        self.lab.kubectl(&args);
        self.lab.wait("other to be worked on", || phase_is(&self.lab.iop("other").ok_or("gone")?, "HEALTHY"));
    }
}

fn finalizers(value: &Value) -> String {
    json!({"metadata": {"finalizers": value}}).to_string()
}
