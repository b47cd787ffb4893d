//! Days in the life of an installation that is in use: somebody edits the spec, moves users from one revision to another,
//! deletes, edits or annotates what is installed, forges the status, cuts permissions; the operator is restarted, stopped or
//! killed; the resource is deleted and made again. After every step the cluster comes to rest as it should, what is in use was
//! there all the time, and a second resource knows nothing of all that.
//!
//! `DAYS` is how many seconds this goes on, `SEED` what happens, `STEPS` may name the only steps; each step is printed.

use crate::chaos_rules::{Before, Rules};
use crate::chaos_world::{HARMLESS_NULLS, NAMESPACES, NULLS, OPTIONS, PROFILES, REVISIONS, SYSTEM, World};
use crate::dice::{Dice, from_environment};
use crate::lab::Lab;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The second resource: a control plane of its own and a gateway elsewhere; the base it shares.
const OTHER: &str = "{profile: minimal, revision: edge, components: {ingressGateways: [{name: edge-gateway, \
                     namespace: edge, enabled: true}]}}";
const USERS: [&str; 3] = ["shop", "bank", "desk"];

/// Something that may happen.
struct Step {
    name: &'static str,
    /// How often, beside the others.
    weight: u64,
    /// Whether it is asked for; one that shows a known fault waits for its repair.
    is_on: bool,
    act: fn(&mut Life<'_>) -> String,
}

const fn on(name: &'static str, weight: u64, act: fn(&mut Life<'_>) -> String) -> Step {
    Step { name, weight, is_on: true, act }
}

const fn off(name: &'static str, weight: u64, act: fn(&mut Life<'_>) -> String) -> Step {
    Step { name, weight, is_on: false, act }
}

// A method of a `Life` with a lifetime is none of every `Life`.
#[allow(clippy::redundant_closure_for_method_calls)]
const STEPS: [Step; 29] = [
    on("option", 8, |life| life.edit_option()),
    on("profile", 4, |life| life.edit_profile()),
    on("revision", 6, |life| life.edit_revision()),
    on("namespace", 2, |life| life.edit_namespace()),
    // Of one revision in two namespaces the older is not repaired: there is one record of both.
    off("same-revision-elsewhere", 1, |life| life.move_elsewhere()),
    on("pilot", 3, |life| life.edit_pilot()),
    on("null", 3, |life| life.edit_null()),
    // A null section takes the whole section away: a null `components` all of it.
    off("null-section", 3, |life| life.edit_harmful_null()),
    on("user", 9, |life| life.move_user()),
    on("user-leaves", 4, |life| life.let_user_leave()),
    on("force-prune", 1, |life| life.force_prune()),
    on("delete-object", 5, |life| life.delete_something()),
    on("edit-object", 5, |life| life.edit_something()),
    on("edit-and-delete", 2, |life| life.edit_and_delete()),
    on("kill", 2, |life| life.kill()),
    on("terminate", 2, |life| life.terminate()),
    on("stop", 2, |life| life.stop_for_a_while()),
    on("blank-status", 2, |life| life.blank_status()),
    on("forge-status", 3, |life| life.forge_status()),
    on("annotate-object", 3, |life| life.annotate_something()),
    on("apply-client-side", 2, |life| life.apply_something_client_side()),
    on("ignore", 2, |life| life.ignore_something()),
    on("keep", 2, |life| life.keep_something()),
    on("pause", 2, |life| life.pause()),
    on("second-resource", 2, |life| life.apply_second_resource()),
    on("finalizer", 2, |life| life.hold_something_by_a_finalizer()),
    on("cut-permission", 3, |life| life.cut_permission()),
    // Only one of its control planes is asked for users.
    off("delete-with-several", 2, |life| life.delete_whatever_it_has()),
    on("delete-resource", 2, |life| life.delete_resource()),
];

/// What lives.
pub struct Life<'a> {
    pub lab: &'a Lab,
    pub rules: Rules<'a>,
    pub dice: Dice,
    pub world: World,
    pub before: Before,
}

#[test]
#[ignore = "long: `make test-all`"]
fn whatever_happens_in_a_day_the_cluster_comes_to_rest_as_it_should() {
    let (seed, long) = (from_environment("SEED", 5), Duration::from_secs(from_environment("DAYS", 25)));
    let lab = Lab::start();
    // Permissions are cut.
    lab.expect_forbidden();
    let mut life = Life::begin(&lab, seed);
    let (begun, mut steps) = (Instant::now(), 0);
    let possible = possible_steps();
    // A busy machine takes longer for the few that show something.
    while begun.elapsed() < long || steps < 4 {
        steps += 1;
        life.live_through(&format!("seed {seed}, step {steps} at {:.0?}", begun.elapsed()), &possible);
    }
    println!("{steps} steps");
}

/// Those that are on, or that `STEPS` names.
fn possible_steps() -> Vec<&'static Step> {
    let named = std::env::var("STEPS").unwrap_or_default();
    let named: Vec<&str> = named.split(',').filter(|name| !name.is_empty()).collect();
    let is_possible = |step: &&Step| if named.is_empty() { step.is_on } else { named.contains(&step.name) };
    STEPS.iter().filter(is_possible).collect()
}

impl<'a> Life<'a> {
    /// A cluster with users, strangers, and both resources.
    fn begin(lab: &'a Lab, seed: u64) -> Self {
        for namespace in USERS.into_iter().chain(["edge"]) {
            lab.kubectl(&["create", "namespace", namespace]);
        }
        lab.decline_default();
        lab.apply_named("other", OTHER);
        lab.wait_for_status_of("other", "HEALTHY", &[]);
        let (dice, world) = (Dice::new(seed), World::new(&USERS));
        let rules = Rules::of(lab, "other");
        let mut life = Life { lab, rules, dice, world, before: Before::default() };
        life.bring_strangers();
        life.apply();
        life.rules.wait("the first installation", &life.world, &life.before);
        life
    }

    fn live_through(&mut self, when: &str, possible: &[&'static Step]) {
        let used = self.world.used();
        let planes = self.world.planes().filter(|(plane, _)| used.contains(*plane));
        let planes = planes.map(|(plane, manifests)| (plane.clone(), manifests.clone())).collect();
        self.before = Before { planes, given_up: BTreeSet::new() };
        let workloads_before = workloads(self.lab);
        let step = self.choose(possible);
        println!("{when}: {} ...", step.name);
        let what = format!("{when}, {}: {}", step.name, (step.act)(self));
        self.rules.wait(&what, &self.world, &self.before);
        self.lab.wait(&format!("{what}: no pod to be started anew without need"), || {
            unchanged_ones_still_run(&workloads_before, &workloads(self.lab))
        });
        if self.dice.below(3) == 0 {
            self.rules.wait_for_rest(&what);
        }
    }

    fn choose(&mut self, possible: &[&'static Step]) -> &'static Step {
        let mut at = self.dice.below(possible.iter().map(|step| step.weight).sum());
        for step in possible {
            if at < step.weight {
                return step;
            }
            at -= step.weight;
        }
        panic!("no step is possible");
    }

    /// Writes the spec, nulls and all, which kubectl's apply would leave out.
    pub fn apply(&mut self) {
        let spec = self.world.spec();
        if self.lab.iop("main").is_some() {
            let patch = json!([{"op": "add", "path": "/spec", "value": spec}]).to_string();
            self.lab.kubectl(&["patch", "iop", "main", "-n", SYSTEM, "--type=json", "-p", &patch]);
        } else {
            let resource = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator",
                "metadata": {"name": "main", "namespace": SYSTEM,
                    "annotations": {"install.istio.io/default-revision": "false"}},
                "spec": spec});
            let path = format!("/apis/install.istio.io/v1alpha1/namespaces/{SYSTEM}/istiooperators");
            self.lab.request("POST", &path, &resource).unwrap();
        }
        self.world.enforce();
    }

    pub fn edit_option(&mut self) -> String {
        let option = usize::try_from(self.dice.below(OPTIONS.len() as u64)).unwrap();
        let is_on = toggle(&mut self.world.options, option);
        self.apply();
        format!("{} {}", OPTIONS[option].0, if is_on { "on" } else { "off" })
    }

    fn edit_null(&mut self) -> String {
        self.edit_one_of(&(0..HARMLESS_NULLS).collect::<Vec<_>>())
    }

    fn edit_harmful_null(&mut self) -> String {
        self.edit_one_of(&(HARMLESS_NULLS..NULLS.len()).collect::<Vec<_>>())
    }

    fn edit_one_of(&mut self, nulls: &[usize]) -> String {
        let null = *self.dice.one_of(nulls);
        let is_on = toggle(&mut self.world.nulls, null);
        self.apply();
        format!("{} {}", NULLS[null], if is_on { "null" } else { "absent" })
    }

    fn edit_profile(&mut self) -> String {
        self.world.profile = *self.dice.one_of::<&str>(&PROFILES);
        self.apply();
        self.world.profile.into()
    }

    fn edit_revision(&mut self) -> String {
        let elsewhere = |world: &World, revision: &str| {
            let name = if revision.is_empty() { "default" } else { revision };
            world.held.keys().any(|plane| plane.0 == name && plane.1 != world.namespace)
        };
        let possible: Vec<&str> = REVISIONS.into_iter().filter(|r| !elsewhere(&self.world, r)).collect();
        if possible.is_empty() {
            return "each revision is kept in another namespace".into();
        }
        self.world.revision = *self.dice.one_of(&possible);
        self.apply();
        self.world.revision_name().into()
    }

    fn edit_namespace(&mut self) -> String {
        let revision = self.world.revision_name();
        if self.world.is_used(revision) || self.world.held.keys().any(|plane| plane.0 == revision) {
            return format!("revision {revision} is in use");
        }
        self.move_elsewhere()
    }

    fn move_elsewhere(&mut self) -> String {
        self.world.namespace = *self.dice.one_of::<&str>(&NAMESPACES);
        self.apply();
        self.world.namespace.into()
    }

    fn edit_pilot(&mut self) -> String {
        self.world.is_pilot_off = !self.world.is_pilot_off;
        self.apply();
        (if self.world.is_pilot_off { "disabled" } else { "as the profile has it" }).into()
    }

    /// An edit of the spec of any kind.
    pub fn edit_spec(&mut self) -> String {
        match self.dice.below(6) {
            0 => self.edit_revision(),
            1 => self.edit_profile(),
            2 => self.edit_pilot(),
            3 => self.edit_null(),
            _ => self.edit_option(),
        }
    }
}

/// Puts in what is not there, takes out what is; says whether it is there now.
fn toggle(set: &mut BTreeSet<usize>, item: usize) -> bool {
    set.insert(item) || !set.remove(&item)
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
    let sets = list("/apis/apps/v1/replicasets");
    let pods = list("/api/v1/pods");
    let pods_of = |deployment: &Value| {
        let sets: Vec<Value> = sets.iter().filter(|set| owner(set) == *deployment).map(uid).collect();
        let running = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        running.filter(|pod| sets.contains(&owner(pod))).map(|pod| uid(pod).to_string()).collect()
    };
    let deployments = list("/apis/apps/v1/deployments");
    let place = |d: &Value| format!("{}/{}", d["metadata"]["namespace"], d["metadata"]["name"]);
    let workload = |d: &Value| ((uid(d), d["spec"]["template"].clone()), pods_of(&uid(d)));
    deployments.iter().map(|d| (place(d), workload(d))).collect()
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
