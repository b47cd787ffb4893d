//! Everything that happens to the objects that a control plane lives by, from a watch: nothing is missed between two looks.

use crate::lab::Lab;
use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::runtime::{Builder, Runtime};

const WEBHOOK: &str = "MutatingWebhookConfiguration";
const KINDS: [(&str, &str, &str); 5] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
    ("admissionregistration.k8s.io", "v1", WEBHOOK),
];

/// The names that namespaces and pods may ask to be injected by.
pub const NAMES: [&str; 6] = ["default", "canary", "stable", "edge", "prod", "mine"];

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    /// What was deleted: `Kind namespace/name`, and uid.
    gone: Vec<(String, String)>,
    webhooks: BTreeMap<String, Value>,
    /// Where a pod would have been injected twice.
    twice: Vec<String>,
}

/// See the module.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    _runtime: Runtime,
}

impl Watch {
    /// Begins to watch; everything from now on is seen.
    pub fn start(lab: &Lab) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(lab.plane().client()).unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        for (group, version, kind) in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            runtime.spawn(follow(watcher::watcher(api, watcher::Config::default()), kind, Arc::clone(&seen)));
        }
        Self { seen, _runtime: runtime }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// What was deleted since this was asked for last: `Kind namespace/name`, and uid.
    pub fn take_gone(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.seen().gone)
    }

    /// Where pods would have been injected twice at any moment so far.
    pub fn twice(&self) -> Vec<String> {
        self.seen().twice.clone()
    }

    /// The webhook configurations that would inject a pod without labels in a namespace with these.
    pub fn injectors(&self, namespace: &[(&str, &str)]) -> Vec<String> {
        injectors(&self.seen().webhooks, namespace, &[])
    }
}

async fn follow(
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>,
    kind: &'static str,
    seen: Arc<Mutex<Seen>>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let mut seen = seen.lock().unwrap();
        match event {
            Ok(Event::Delete(object)) => {
                if kind == WEBHOOK {
                    seen.webhooks.remove(&object.name_any());
                }
                let place = object.namespace().map(|n| n + "/").unwrap_or_default() + &object.name_any();
                seen.gone.push((format!("{kind} {place}"), object.uid().unwrap_or_default()));
            }
            Ok(Event::Apply(object) | Event::InitApply(object)) if kind == WEBHOOK => {
                seen.webhooks.insert(object.name_any(), serde_json::to_value(&object).unwrap());
                let found = injected_twice(&seen.webhooks);
                seen.twice.extend(found);
            }
            _ => {}
        }
    }
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

/// The kinds of pods that more than one webhook would be asked about.
fn injected_twice(webhooks: &BTreeMap<String, Value>) -> Vec<String> {
    let revisions: Vec<Labels<'_>> =
        std::iter::once(vec![]).chain(NAMES.map(|name| vec![("istio.io/rev", name)])).collect();
    let with = |name: &'static str, value: &'static str| {
        let labelled = move |labels: &Labels<'static>| [labels.clone(), vec![(name, value)]].concat();
        revisions.iter().map(labelled).collect::<Vec<_>>()
    };
    let namespaces = [revisions.clone(), with("istio-injection", "enabled")].concat();
    let pods = [revisions.clone(), with("sidecar.istio.io/inject", "true")].concat();
    let pairs = namespaces.iter().flat_map(|namespace| pods.iter().map(move |pod| (namespace, pod)));
    let told = pairs.filter_map(|(namespace, pod)| {
        let by = injectors(webhooks, namespace, pod);
        (by.len() > 1).then(|| format!("pods {pod:?} in namespaces {namespace:?} by {by:?}"))
    });
    told.collect()
}

/// By which configurations a pod would be injected; one is named as often as it would.
fn injectors(webhooks: &BTreeMap<String, Value>, namespace: &[(&str, &str)], pod: &[(&str, &str)]) -> Vec<String> {
    let is_asked =
        |hook: &&Value| selects(&hook["namespaceSelector"], namespace) && selects(&hook["objectSelector"], pod);
    let names = webhooks.iter().flat_map(|(name, config)| {
        let hooks = config["webhooks"].as_array().into_iter().flatten().filter(is_asked);
        hooks.map(move |_| name.clone())
    });
    names.collect()
}

fn selects(selector: &Value, labels: &[(&str, &str)]) -> bool {
    let of = |name: &Value| labels.iter().find(|(key, _)| name == key).map(|(_, value)| json!(value));
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let holds = |e: &Value| {
        let value = of(&e["key"]);
        let is_listed = value.as_ref().is_some_and(|v| e["values"].as_array().is_some_and(|all| all.contains(v)));
        match e["operator"].as_str().unwrap() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    };
    pairs.into_iter().all(|(name, value)| of(&json!(name)).as_ref() == Some(value))
        && selector["matchExpressions"].as_array().into_iter().flatten().all(holds)
}
