//! What holds whatever happens: the safety rules, looked at after every step, and from a watch in between.

use crate::chaos_watch::Watch;
use crate::chaos_world::{Label, Plane, SYSTEM, TAG, World};
use crate::invariants::{Invariants, phase_is};
use crate::lab::{Inventory, Lab};
use istio_operator::api::component::Component;
use istio_operator::object::manifests::Manifests;
use istio_operator::object::{Object, ObjectKey};
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The most that a status may be beside its inventory, in bytes.
const LARGEST_STATUS: usize = 64 << 10;
/// How long the operator is looked at when it should rest, and how many requests it may make in that time: two a second.
const LOOK: Duration = Duration::from_millis(1500);
const REQUESTS: usize = 3;

/// An object that is somebody else's: where it is, and what of it must stay.
pub struct Foreign {
    pub path: String,
    pub uid: String,
    /// A field, and what it is.
    pub field: (String, Value),
    /// Whether the object is one that the operator installs, and may remove.
    pub is_ours: bool,
}

/// See the module.
pub struct Rules<'a> {
    lab: &'a Lab,
    invariants: Invariants<'a>,
    pub watch: Watch,
    /// What `other` has.
    others: Inventory,
    others_manifests: Manifests,
    package: Package,
    /// What nobody may touch.
    pub foreign: RefCell<Vec<Foreign>>,
    /// Objects that stay for now though nobody wants them.
    pub kept: RefCell<BTreeSet<String>>,
    /// The uids of what the test itself deletes.
    pub deleted: RefCell<BTreeSet<String>>,
}

/// The control planes in use before a step, and which of them a person gave up in it.
#[derive(Default)]
pub struct Before {
    pub planes: BTreeMap<Plane, Manifests>,
    pub given_up: BTreeSet<Plane>,
}

impl<'a> Rules<'a> {
    /// Of a lab where the resource `other` with this spec is HEALTHY.
    pub fn of(lab: &'a Lab, other: &str) -> Self {
        let resource = lab.iop(other).unwrap();
        let package = Package::embedded().unwrap();
        let others_manifests = render::from_resource(&resource, &ClusterInfo::default(), &package).unwrap();
        let keys: BTreeSet<String> = others_manifests.keys().iter().map(ToString::to_string).collect();
        let mut others = lab.owned_at_rest();
        others.retain(|key, _| keys.contains(key) && !key.starts_with("CustomResourceDefinition "));
        let watch = Watch::start(lab);
        let (foreign, kept, deleted) = Default::default();
        let invariants = Invariants::of(lab);
        Self { lab, invariants, watch, others, others_manifests, package, foreign, kept, deleted }
    }

    /// Whether an object is one that `other` has, too.
    pub fn is_others(&self, key: &str) -> bool {
        self.others.contains_key(key)
    }

    /// Waits until everything holds; says what does not when time is up.
    pub fn wait(&self, what: &str, world: &World, before: &Before) {
        let begun = Instant::now();
        self.lab.wait(&format!("{what}: all to be as it should"), || {
            self.never(world, before);
            self.of_main(world)?;
            self.of_other()?;
            self.of_strangers()?;
            self.of_users(world)
        });
        println!("{what}: as it should be after {:.1?}", begun.elapsed());
    }

    /// The control planes that are in use are as they should be.
    pub fn of_planes(&self, world: &World, before: &Before) {
        self.never(world, before);
        for (namespace, name) in world.used().into_iter().map(deployment) {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
            if self.lab.get(&path).is_none() {
                self.lab.fail(&format!("{path} is gone, and it is in use"));
            }
        }
    }

    /// What must not be, not even for a moment; fails at once.
    fn never(&self, world: &World, before: &Before) {
        let twice = self.watch.twice();
        if !twice.is_empty() {
            self.lab.fail(&format!("injected twice: {twice:#?}"));
        }
        let now = world.used();
        let still = |plane: &&Plane| now.contains(*plane) && !before.given_up.contains(*plane);
        let used = before.planes.iter().filter(|(plane, _)| still(plane)).flat_map(|(_, manifests)| names(manifests));
        let used: BTreeSet<String> = used.collect();
        for (key, uid) in self.watch.take_gone() {
            let is_our_doing = self.deleted.borrow().contains(&uid);
            if !is_our_doing && (used.contains(&key) || self.others.get(&key).is_some_and(|stamp| stamp.uid == uid)) {
                self.lab.fail(&format!("{key} with uid {uid} was deleted, and it is in use"));
            }
        }
    }

    fn of_main(&self, world: &World) -> Result<(), String> {
        let resource = self.lab.iop("main").ok_or("main is not there")?;
        tells_the_truth(&resource, world)?;
        let manifests = render::from_resource(&resource, &ClusterInfo::default(), &self.package);
        let manifests = manifests.map_err(|e| e.to_string())?;
        let keys = manifests.keys();
        let (held, shared) = world.of_held(&keys);
        let must: BTreeSet<String> = keys
            .iter()
            .map(ToString::to_string)
            .chain(held.iter().map(|o| o.key().to_string()))
            .chain(shared)
            .collect();
        self.nothing_is_missing_or_left(&must, world)?;
        let wanted: Vec<Object> = manifests.parts.into_iter().flat_map(|part| part.objects).collect();
        // What both want is labelled as one of them has it.
        let own =
            wanted.into_iter().chain(held).filter(|o| !o.is_crd() && !self.is_others(&o.key().to_string())).collect();
        self.invariants.nothing_differs(own)
    }

    fn nothing_is_missing_or_left(&self, must: &BTreeSet<String>, world: &World) -> Result<(), String> {
        let owned = self.lab.owned();
        let kept = self.kept.borrow();
        let missing: Vec<_> = must.iter().chain(&*kept).filter(|key| !owned.contains_key(*key)).collect();
        let may = |key: &String| must.contains(key) || kept.contains(key) || world.shared.contains(key);
        // A tag goes with the control plane that it is of, which the users' injection tells.
        let keeps_tags = !world.held.is_empty() || world.keeps_tag();
        let is_tag = |key: &String| key.contains(" istio-revision-tag-") && keeps_tags;
        let is_definition = |key: &String| key.starts_with("CustomResourceDefinition ");
        let left = owned.keys().filter(|k| !may(k) && !self.is_others(k) && !is_tag(k) && !is_definition(k));
        let left: Vec<_> = left.collect();
        if missing.is_empty() && left.is_empty() { Ok(()) } else { Err(format!("missing {missing:?}, left {left:?}")) }
    }

    /// Nothing is left but what others have.
    pub fn wait_for_nothing_left(&self, what: &str) {
        self.lab.wait(&format!("{what}: nothing to be left"), || {
            let left: Vec<_> = self.lab.owned().into_keys().collect();
            let is_left = |key: &&String| {
                !self.is_others(key)
                    && !self.kept.borrow().contains(*key)
                    && !key.starts_with("CustomResourceDefinition ")
            };
            let left: Vec<_> = left.iter().filter(is_left).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    /// The second resource is HEALTHY, and nothing of it was replaced or changed.
    fn of_other(&self) -> Result<(), String> {
        let resource = self.lab.iop("other").ok_or("other is not there")?;
        phase_is(&resource, "HEALTHY")?;
        let owned = self.lab.owned();
        let harmed: Vec<_> = self
            .others
            .iter()
            .filter(|(key, was)| {
                owned.get(*key).is_none_or(|now| now.uid != was.uid || now.generation != was.generation)
            })
            .map(|(key, was)| format!("{key} was {was:?} and is {:?}", owned.get(key)))
            .collect();
        if !harmed.is_empty() {
            self.lab.fail(&format!("other was harmed: {harmed:#?}"));
        }
        // The base, which both want, may be labelled as main has it.
        let parts = self.others_manifests.parts.iter().filter(|part| part.component != Component::Base);
        let own = parts.flat_map(|part| part.objects.clone()).collect();
        self.invariants.nothing_differs(own)
    }

    /// What is somebody else's is there and as it was. What went with its object is no longer looked at.
    fn of_strangers(&self) -> Result<(), String> {
        let mut foreign = self.foreign.borrow_mut();
        let deleted = self.deleted.borrow();
        foreign.retain(|stranger| !deleted.contains(&stranger.uid));
        for Foreign { path, uid, field: (pointer, value), is_ours } in &*foreign {
            let Some(live) = self.lab.get(path) else {
                if *is_ours {
                    continue;
                }
                self.lab.fail(&format!("{path} is gone"));
            };
            if live["metadata"]["uid"] == uid.as_str() && live.pointer(pointer) != Some(value) {
                return Err(format!("{path}: {pointer} was {value} and is {:?}", live.pointer(pointer)));
            }
        }
        Ok(())
    }

    /// Each namespace of users is injected by one webhook, if there is a control plane for it.
    fn of_users(&self, world: &World) -> Result<(), String> {
        for (name, user) in &world.users {
            let revision = world.resolve(user.label);
            let is_there = |revision: &String| world.planes().any(|(plane, _)| plane.0 == *revision);
            if !revision.as_ref().is_some_and(is_there) {
                continue;
            }
            let label = match user.label {
                Label::None => continue,
                Label::Injection => ("istio-injection", "enabled"),
                Label::Revision(revision) => ("istio.io/rev", revision),
            };
            let injectors = self.watch.injectors(&[label]);
            if injectors.len() != 1 {
                return Err(format!("namespace {name} with {label:?} is injected by {injectors:?}"));
            }
        }
        Ok(())
    }

    /// The operator comes to rest: it writes nothing, and asks for next to nothing.
    pub fn wait_for_rest(&self, what: &str) {
        self.lab.wait(&format!("{what}: the operator to rest"), || {
            let (requests, writes) = self.during(LOOK);
            if writes.is_empty() && requests.len() <= REQUESTS {
                return Ok(());
            }
            Err(format!("in {LOOK:?} it asked {requests:?}"))
        });
    }

    /// What the operator asks for, and what of that it writes, in so long a time.
    pub fn during(&self, time: Duration) -> (Vec<String>, Vec<String>) {
        let mark = self.lab.mark();
        // The passing of time is what is measured.
        std::thread::sleep(time);
        (self.lab.requests_since(mark), self.lab.writes_since(mark))
    }
}

/// The objects of a control plane that must not go for a moment, as the watch names them. Tags go and come as the spec says,
/// and webhooks change places with those of another namespace.
fn names(manifests: &Manifests) -> impl Iterator<Item = String> {
    const KINDS: [&str; 4] = ["Deployment", "Service", "ServiceAccount", "ConfigMap"];
    let is_of_plane = |key: &ObjectKey| {
        KINDS.contains(&&*key.kind) || (key.kind.starts_with("Mutating") && !key.name.contains("revision-tag"))
    };
    let parts = manifests.parts.iter().filter(|part| part.component == Component::Pilot);
    let keys: Vec<ObjectKey> = parts.flat_map(|part| &part.objects).map(Object::key).filter(is_of_plane).collect();
    keys.into_iter().map(|key| match key.namespace.as_str() {
        "" => format!("{} {}", key.kind, key.name),
        namespace => format!("{} {namespace}/{}", key.kind, key.name),
    })
}

/// The status says of the present spec what is so.
fn tells_the_truth(resource: &Value, world: &World) -> Result<(), String> {
    let status = &resource["status"];
    let must_wait_for_a_person = !world.has_plane() && !world.held.is_empty();
    phase_is(resource, if must_wait_for_a_person { "ACTION_REQUIRED" } else { "HEALTHY" })?;
    let entries = || status["held"].as_array().into_iter().flatten();
    let told: BTreeSet<Plane> = entries().filter(|entry| entry["tag"].is_null()).map(plane).collect();
    let tags: Vec<&Value> = entries().map(|entry| &entry["tag"]).filter(|tag| !tag.is_null()).collect();
    let held: BTreeSet<Plane> = world.held.keys().cloned().collect();
    let is_said = status["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "PruneHeld");
    let is_any = !held.is_empty() || world.keeps_tag();
    if told != held || (tags == [TAG]) != world.keeps_tag() || is_said != is_any {
        return Err(format!("held should be {held:?}, tag {}, and the status is {status}", world.keeps_tag()));
    }
    for entry in entries() {
        let mut users: BTreeSet<String> = world.users_of(entry["revision"].as_str().unwrap());
        if !entry["tag"].is_null() {
            users = world.users_of_tag();
        }
        let told: BTreeSet<&str> = entry["usedBy"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if told != users.iter().map(String::as_str).collect() {
            return Err(format!("{entry} should be used by {users:?}"));
        }
    }
    let in_use = world.present.as_ref().map(|(plane, _)| world.is_used(&plane.0));
    if status["inUse"] != json!(in_use) {
        return Err(format!("inUse should be {in_use:?}, and the status is {status}"));
    }
    let lines = status["inventory"].to_string();
    if let Some(forged) = ["/victim ", "no.such/", "nonsense"].iter().find(|line| lines.contains(**line)) {
        return Err(format!("{forged} is in the inventory"));
    }
    let size = status.to_string().len() - lines.len();
    if size > LARGEST_STATUS { Err(format!("the status takes {size} bytes")) } else { Ok(()) }
}

/// The namespace and name of its Deployment.
fn deployment((revision, namespace): Plane) -> (String, String) {
    (namespace, if revision == "default" { "istiod".into() } else { format!("istiod-{revision}") })
}

fn plane(held: &Value) -> Plane {
    let text = |name: &str| held[name].as_str().unwrap_or_default().to_owned();
    (text("revision"), text("namespace"))
}

/// Where the resource `main` is.
pub fn path_of_main() -> String {
    format!("/apis/install.istio.io/v1alpha1/namespaces/{SYSTEM}/istiooperators/main")
}
