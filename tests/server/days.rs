//! Days in the life of an installation: somebody edits the spec, somebody deletes or edits what is installed, the operator
//! is restarted or killed, the resource is deleted and made again. After every step the cluster comes to rest as it should.
//!
//! `DAYS` is how many seconds this goes on, `SEED` what happens; each step is printed.

use crate::dice::{Dice, from_environment};
use crate::invariants::Invariants;
use crate::lab::Lab;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const PROFILES: [&str; 3] = ["default", "demo", "minimal"];

/// What a spec has or has not: where, and what.
const OPTIONS: [(&str, &str); 11] = [
    ("/tag", r#""1.17.9""#),
    ("/meshConfig/enableTracing", "false"),
    ("/meshConfig/accessLogFile", r#""/dev/stdout""#),
    ("/values/global/proxy/logLevel", r#""debug""#),
    ("/values/pilot/autoscaleEnabled", "false"),
    ("/values/telemetry/enabled", "false"),
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

struct Life<'a> {
    lab: &'a Lab,
    dice: Dice,
    /// The profile, and which options are on.
    profile: &'static str,
    options: BTreeSet<usize>,
}

#[test]
fn whatever_happens_in_a_day_the_cluster_comes_to_rest_as_it_should() {
    let (seed, long) = (from_environment("SEED", 3), Duration::from_secs(from_environment("DAYS", 25)));
    let lab = Lab::start();
    let invariants = Invariants::of(&lab);
    let mut life = Life { lab: &lab, dice: Dice::new(seed), profile: "default", options: BTreeSet::new() };
    life.apply();
    invariants.wait("the first installation", &["main"]);
    let (begun, mut steps) = (Instant::now(), 0);
    while begun.elapsed() < long {
        let before = workloads(&lab);
        let step = life.step();
        steps += 1;
        invariants.wait(&format!("step {steps}, {step}"), &["main"]);
        lab.wait(&format!("step {steps}, {step}: no pod to be started anew without need"), || {
            unchanged_ones_still_run(&before, &workloads(&lab))
        });
    }
    println!("{steps} steps");
    assert!(steps > 3, "too slow to show anything");
}

impl Life<'_> {
    fn step(&mut self) -> String {
        match self.dice.below(20) {
            0..8 => self.edit_spec(),
            8..12 => self.delete_something(),
            12..16 => self.edit_something(),
            16 => {
                self.lab.kill_operator();
                let edited = self.edit_spec();
                self.lab.start_operator();
                format!("killed, {edited}, started")
            }
            17 => {
                assert_eq!(self.lab.terminate_operator(), Some(0));
                let deleted = self.delete_something();
                self.lab.start_operator();
                format!("ended, {deleted}, started")
            }
            18 => {
                let edited = self.edit_spec();
                let deleted = self.delete_something();
                format!("{edited} and {deleted}")
            }
            _ => {
                self.lab.delete("main");
                self.apply();
                "the resource deleted and made again".into()
            }
        }
    }

    fn edit_spec(&mut self) -> String {
        let option = usize::try_from(self.dice.below(14)).unwrap();
        let text = if let Some((path, _)) = OPTIONS.get(option) {
            if !self.options.remove(&option) {
                self.options.insert(option);
            }
            format!("{path} {}", if self.options.contains(&option) { "on" } else { "off" })
        } else {
            self.profile = *self.dice.one_of::<&str>(&PROFILES);
            format!("profile {}", self.profile)
        };
        self.apply();
        text
    }

    fn apply(&self) {
        let mut spec = json!({"profile": self.profile});
        for option in &self.options {
            let (path, value) = OPTIONS[*option];
            let place = path[1..].split('/').fold(&mut spec, |place, name| &mut place[name]);
            *place = serde_json::from_str(value).unwrap();
        }
        self.lab.apply_spec(&spec.to_string());
    }

    /// An object that the resource installed, of these kinds; of all but definitions where none is given.
    fn something(&mut self, kind: Option<&str>) -> Option<(String, String, String)> {
        let owned: Vec<String> = self.lab.owned().into_keys().collect();
        let fits = |key: &&String| {
            let of_kind = key.split(' ').next().unwrap();
            kind.map_or(of_kind != "CustomResourceDefinition", |kind| kind == of_kind)
        };
        let fitting: Vec<&String> = owned.iter().filter(fits).collect();
        if fitting.is_empty() {
            return None;
        }
        let (kind, place) = self.dice.one_of(&fitting).split_once(' ').unwrap();
        let (namespace, name) = place.split_once('/').unwrap_or(("default", place));
        Some((kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    fn delete_something(&mut self) -> String {
        let (kind, namespace, name) = self.something(None).unwrap();
        self.lab.kubectl(&["delete", &kind, &name, "-n", &namespace, "--wait=false", "--ignore-not-found"]);
        format!("{kind} {name} deleted")
    }

    fn edit_something(&mut self) -> String {
        let (kind, patch) = *self.dice.one_of(&EDITS);
        let Some((_, namespace, name)) = self.something(Some(kind)) else { return format!("no {kind} to edit") };
        self.lab.kubectl(&["patch", kind, &name, "-n", &namespace, "--type=merge", "-p", patch]);
        format!("{kind} {name} edited: {patch}")
    }
}

/// A Deployment's identity and template, and its pods' uids.
type Workload = ((Value, Value), BTreeSet<String>);

fn workloads(lab: &Lab) -> BTreeMap<String, Workload> {
    let list = |path: &str| match lab.get(path).unwrap()["items"].take() {
        Value::Array(items) => items,
        other => panic!("{path}: {other}"),
    };
    let owner = |object: &Value| object["metadata"]["ownerReferences"][0]["uid"].clone();
    let uid = |object: &Value| object["metadata"]["uid"].clone();
    let sets = list("/apis/apps/v1/namespaces/istio-system/replicasets");
    let pods = list("/api/v1/namespaces/istio-system/pods");
    let pods_of = |deployment: &Value| {
        let sets: Vec<Value> = sets.iter().filter(|set| owner(set) == *deployment).map(uid).collect();
        let running = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        running.filter(|pod| sets.contains(&owner(pod))).map(|pod| uid(pod).to_string()).collect()
    };
    let deployments = list("/apis/apps/v1/namespaces/istio-system/deployments");
    let workload = |d: &Value| ((uid(d), d["spec"]["template"].clone()), pods_of(&uid(d)));
    deployments.iter().map(|d| (d["metadata"]["name"].to_string(), workload(d))).collect()
}

/// Pods of a Deployment whose template is as before are those from before, but for more or fewer of them.
fn unchanged_ones_still_run(
    before: &BTreeMap<String, Workload>,
    after: &BTreeMap<String, Workload>,
) -> Result<(), String> {
    for (name, (template, pods)) in before {
        let Some((template_now, pods_now)) = after.get(name) else { continue };
        let kept = pods.intersection(pods_now).count();
        if template == template_now && kept < pods.len().min(pods_now.len()) {
            return Err(format!("{name} had {pods:?} and has {pods_now:?}"));
        }
    }
    Ok(())
}
