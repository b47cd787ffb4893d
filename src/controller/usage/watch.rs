//! Whether revisions are in use, kept current by three watches of metadata: pods with proxies, namespaces, and the webhooks
//! that stand for tags.
//!
//! Of a pod or a namespace its revision is held, and a hash of its name: memory grows by some forty bytes for a pod with a
//! proxy, and not at all for one without.

use super::super::index::{Index, OwnerId};
use super::{PROXY_LABEL, Pods, RUNNING, is_of, label, points_to, revision_of};
use crate::cluster::follow::follow;
use crate::object::labels::{self, TAG};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether anybody uses a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Use {
    /// Not everything is known that may use it.
    Unknown,
    /// Nobody does.
    Unused,
    /// Proxies of running pods are of it.
    Pods,
    /// Namespaces point to it, and no pod is of it.
    Namespaces,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Pods,
    Namespaces,
    Tags,
}

const SOURCES: [Source; 3] = [Source::Pods, Source::Namespaces, Source::Tags];
/// A page of a list; whole objects pass through memory for a moment.
const PAGE: u32 = 100;

impl Source {
    fn resource(self) -> ApiResource {
        match self {
            Self::Pods => ApiResource::erase::<Pod>(&()),
            Self::Namespaces => ApiResource::erase::<Namespace>(&()),
            Self::Tags => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        }
    }

    fn config(self) -> watcher::Config {
        let all = watcher::Config::default().page_size(PAGE);
        match self {
            Self::Pods => all.labels(PROXY_LABEL).fields(RUNNING),
            Self::Namespaces => all,
            Self::Tags => all.labels(TAG),
        }
    }
}

/// What is held of a pod, a namespace or a tag.
#[derive(Debug, PartialEq)]
struct Held {
    /// The revision of a pod or a tag; the revision or tag that a namespace points to.
    revision: Arc<str>,
    /// Of a tag its name; of a pod of an installed gateway its labels, which tell whose gateway it is of.
    more: Option<Box<ObjectMeta>>,
}

/// Who wants to know of a revision, and what was answered.
struct Question {
    revision: String,
    except: Vec<Pods>,
    answer: Use,
}

#[derive(Default)]
struct State {
    held: HashMap<Source, HashMap<u64, Held>>,
    known: HashSet<Source>,
    questions: BTreeMap<OwnerId, Question>,
    /// Every revision once.
    revisions: HashSet<Arc<str>>,
}

/// See the module; clones share it.
#[derive(Clone)]
pub(in crate::controller) struct Users {
    state: Arc<Mutex<State>>,
    index: Index,
    synced: Arc<tokio::sync::watch::Sender<()>>,
}

impl Users {
    /// Nothing is known yet. Who asks for the use of a revision is woken through the index when it changes.
    pub fn new(index: Index) -> Self {
        Self { state: Arc::default(), index, synced: Arc::new(tokio::sync::watch::channel(()).0) }
    }

    /// Begins to watch.
    pub fn watch(&self, client: &Client) {
        for source in SOURCES {
            tokio::spawn(self.clone().follow(source, client.clone()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the tags are known: by them it is decided who injects by default.
    pub async fn tags_known(&self) {
        let mut synced = self.synced.subscribe();
        while !self.state().known.contains(&Source::Tags) {
            if synced.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether a tag exists, whoever made it.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.state().of(Source::Tags).any(|held| held.more.as_ref().is_some_and(|m| label(m, TAG) == tag))
    }

    /// Whether anybody uses a revision, but for the pods of these workloads. The resource is woken when that changes, and
    /// when a tag comes or goes.
    pub fn ask(&self, id: &OwnerId, revision: &str, except: Vec<Pods>) -> Use {
        let mut state = self.state();
        let answer = state.use_of(revision, &except);
        state.questions.insert(id.clone(), Question { revision: revision.to_owned(), except, answer });
        answer
    }

    /// A resource does not want to know any more.
    pub fn forget(&self, id: &OwnerId) {
        self.state().questions.remove(id);
    }

    async fn follow(self, source: Source, client: Client) {
        let mut listed = HashSet::new();
        follow(client, &source.resource(), source.config(), |event| {
            let mut state = self.state();
            let is_news = match event {
                Event::Init => {
                    listed.clear();
                    false
                }
                Event::InitApply(object) => {
                    listed.insert(hash_of(&object.metadata));
                    state.take_in(source, &object.metadata);
                    false
                }
                Event::InitDone => {
                    state.held.entry(source).or_default().retain(|key, _| listed.contains(key));
                    listed = HashSet::new();
                    state.known.insert(source);
                    self.synced.send_replace(());
                    true
                }
                Event::Apply(object) => state.take_in(source, &object.metadata),
                Event::Delete(object) => {
                    state.held.entry(source).or_default().remove(&hash_of(&object.metadata)).is_some()
                }
            };
            if is_news {
                self.announce(&mut state, source);
            }
        })
        .await;
    }

    /// Wakes those whose answer is another now.
    fn announce(&self, state: &mut State, source: Source) {
        let answers: Vec<Use> = state.questions.values().map(|q| state.use_of(&q.revision, &q.except)).collect();
        for ((id, question), answer) in state.questions.iter_mut().zip(answers) {
            if question.answer != answer || source == Source::Tags {
                question.answer = answer;
                self.index.wake(id.clone());
            }
        }
    }
}

impl State {
    fn of(&self, source: Source) -> impl Iterator<Item = &Held> {
        self.held.get(&source).into_iter().flat_map(HashMap::values)
    }

    /// Takes an object in; says whether that is something new.
    fn take_in(&mut self, source: Source, object: &ObjectMeta) -> bool {
        let held = match source {
            Source::Pods => Some((revision_of(object), is_of_gateway(object).then(|| brief(object)))),
            Source::Namespaces => points_to(object).map(|revision| (revision.to_owned(), None)),
            Source::Tags => Some((label(object, labels::REVISION).to_owned(), Some(brief(object)))),
        };
        let key = hash_of(object);
        let Some((revision, more)) = held else {
            return self.held.entry(source).or_default().remove(&key).is_some();
        };
        let revision = self.intern(revision);
        let held = Held { revision, more: more.map(Box::new) };
        let all = self.held.entry(source).or_default();
        let is_new = all.get(&key) != Some(&held);
        all.insert(key, held);
        is_new
    }

    fn intern(&mut self, revision: String) -> Arc<str> {
        if let Some(known) = self.revisions.get(revision.as_str()) {
            return Arc::clone(known);
        }
        let new: Arc<str> = revision.into();
        self.revisions.insert(Arc::clone(&new));
        new
    }

    fn use_of(&self, revision: &str, except: &[Pods]) -> Use {
        if SOURCES.iter().any(|source| !self.known.contains(source)) {
            return Use::Unknown;
        }
        let is_other = |pod: &Held| pod.more.as_ref().is_none_or(|pod| !except.iter().any(|w| is_of(pod, w)));
        if self.of(Source::Pods).any(|pod| *pod.revision == *revision && is_other(pod)) {
            return Use::Pods;
        }
        let tags: HashSet<&str> = self
            .of(Source::Tags)
            .filter(|tag| *tag.revision == *revision)
            .filter_map(|tag| tag.more.as_ref().map(|m| label(m, TAG)))
            .collect();
        let mut namespaces = self.of(Source::Namespaces);
        if namespaces.any(|n| *n.revision == *revision || tags.contains(&*n.revision)) {
            return Use::Namespaces;
        }
        Use::Unused
    }
}

/// Only the pods of installed gateways say of which component they are.
fn is_of_gateway(pod: &ObjectMeta) -> bool {
    !label(pod, labels::COMPONENT).is_empty()
}

/// The namespace and the labels.
fn brief(object: &ObjectMeta) -> ObjectMeta {
    ObjectMeta { namespace: object.namespace.clone(), labels: object.labels.clone(), ..ObjectMeta::default() }
}

fn hash_of(object: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&object.namespace, &object.name).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn meta(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn known() -> State {
        State { known: HashSet::from(SOURCES), ..State::default() }
    }

    fn gateway() -> Value {
        json!({"name": "gw-1", "namespace": "ns", "labels": {"istio.io/rev": "canary", "app": "gw",
            "operator.istio.io/component": "IngressGateways"}})
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_unused() {
        assert_eq!(State::default().use_of("canary", &[]), Use::Unknown);
        let half = State { known: HashSet::from([Source::Pods, Source::Tags]), ..State::default() };
        assert_eq!(half.use_of("canary", &[]), Use::Unknown);
        assert_eq!(known().use_of("canary", &[]), Use::Unused);
    }

    #[test]
    fn a_revision_is_used_by_pods_and_by_namespaces_that_point_to_it_or_to_a_tag_of_it() {
        let mut state = known();
        let namespace = |revision: &str| meta(json!({"name": "shop", "labels": {"istio.io/rev": revision}}));
        assert!(state.take_in(Source::Namespaces, &namespace("prod")));
        assert!(!state.take_in(Source::Namespaces, &namespace("prod")), "nothing new");
        assert_eq!(state.use_of("canary", &[]), Use::Unused);
        let tag = meta(json!({"name": "t", "labels": {"istio.io/tag": "prod", "istio.io/rev": "canary"}}));
        assert!(state.take_in(Source::Tags, &tag));
        assert_eq!(state.use_of("canary", &[]), Use::Namespaces);
        assert!(state.take_in(Source::Namespaces, &meta(json!({"name": "shop"}))), "it points nowhere any more");
        assert_eq!(state.use_of("canary", &[]), Use::Unused);
        state.take_in(
            Source::Pods,
            &meta(json!({"name": "p", "namespace": "shop", "labels": {"istio.io/rev": "canary"}})),
        );
        assert_eq!((state.use_of("canary", &[]), state.use_of("default", &[])), (Use::Pods, Use::Unused));
    }

    #[test]
    fn a_resources_own_gateways_are_no_users_of_its_revision_and_those_of_others_are() {
        let mut state = known();
        state.take_in(Source::Pods, &meta(gateway()));
        let own: Pods = ("ns".into(), BTreeMap::from([("app".into(), "gw".into())]));
        assert_eq!((state.use_of("canary", &[own]), state.use_of("canary", &[])), (Use::Unused, Use::Pods));
    }
}
